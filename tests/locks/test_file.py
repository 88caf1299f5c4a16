from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.locks.file import FileLock, prune
from tests import acquiring as hold
from tests import processes, requirements

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock", allow_module_level=True)


def test_value() -> None:
    """Two locks are equal when their purpose and their path are; nothing is touched when one is made."""
    one = FileLock("local", "/e/.lock", words="in the environment")
    assert one == FileLock("local", "/e/.lock")
    assert one != FileLock("global", "/e/.lock")
    assert one != "/e/.lock"
    assert len({one, FileLock("local", "/e/.lock")}) == 1
    assert (repr(one), str(one)) == ("FileLock('local', '/e/.lock')", "in the environment")
    assert one.record() == {"purpose": "local", "kind": "file", "path": "/e/.lock"}
    assert (one.descriptors, one.marker, one.is_current(), one.deadline, one.watch()) == ((), "", True, None, -1)


def test_taken_again(tmp_path: Path) -> None:
    """One object is attempted, released and attempted again; meanwhile another one of the same file is refused."""
    one, other = (FileLock("local", str(tmp_path / ".lock")) for _ in range(2))
    for _ in range(3):
        assert one.attempt()
        assert not other.attempt()
        one.release()
        one.release()
        assert other.attempt()
        other.release()


def test_shared(tmp_path: Path) -> None:
    """Two readers hold a file at once, and keep a writer out."""
    one, other = (FileLock("local", str(tmp_path / ".lock"), shared=True) for _ in range(2))
    writer = FileLock("local", str(tmp_path / ".lock"))
    assert one.attempt()
    assert other.attempt()
    one.release()
    assert not writer.attempt()
    other.release()
    assert writer.attempt()
    assert not one.attempt()
    one.release()
    writer.release()


def test_prune(tmp_path: Path) -> None:
    """Only a lock file of ours that nobody holds is removed; uv's stay."""
    ours, of_uv = str(tmp_path / "lock-policy-1.lock"), str(tmp_path / "uv-1.lock")
    with hold.hold([ours, of_uv]):
        assert not prune(ours)
    assert not prune(of_uv)
    assert prune(ours)
    assert not prune(ours)
    assert os.listdir(tmp_path) == ["uv-1.lock"]


def test_prune_of_another(tmp_path: Path) -> None:
    """A lock file of another user stays, even when root prunes."""
    requirements.need_root()
    path = str(tmp_path / "lock-policy-1.lock")
    hold.hold([path]).release()
    os.chown(path, processes.ANNA, processes.ANNA)
    assert not prune(path)
