"""Whether flock excludes; the fakes whose flock lies are tests/commands/test_doctor.py's."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.commands.health import flock as module
from policy.commands.health.finding import Surroundings

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs files without a name", allow_module_level=True)


def surroundings(folder: Path) -> Surroundings:
    """A folder for locks."""
    return Surroundings({}, "/", str(folder), None)


def test_excludes(tmp_path: Path) -> None:
    """Here it does, and nothing is left."""
    before = tmp_path.stat().st_mtime_ns
    assert module.flock(surroundings(tmp_path)) == []
    assert (os.listdir(tmp_path), tmp_path.stat().st_mtime_ns) == ([], before)


def test_nowhere(tmp_path: Path) -> None:
    """A folder in which nothing can be created is another check's matter."""
    assert module.flock(surroundings(tmp_path / "missing")) == []


def test_unnamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file can be nameless it has its name for a moment only, and the folder's time stays."""
    before = tmp_path.stat().st_mtime_ns
    opened = os.open

    def refusing(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    descriptor = module.unnamed(str(tmp_path))
    try:
        assert os.fstat(descriptor).st_nlink == 0
        assert (os.listdir(tmp_path), tmp_path.stat().st_mtime_ns) == ([], before)
        assert module.flock(surroundings(tmp_path)) == []
    finally:
        os.close(descriptor)


def test_leftover(tmp_path: Path) -> None:
    """What may be left of one doctor is not another's."""
    assert module.leftover(str(tmp_path), 7) == f"{tmp_path}/.lock-policy-doctor-7"
