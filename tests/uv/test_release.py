from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.uv.release import version
from tests.real_uv import uv  # noqa: F401  (a fixture)

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("starts shell scripts", allow_module_level=True)


def script(path: Path, text: str) -> str:
    """A program that stands for uv."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("uv 0.7.13", (0, 7, 13)),
        ("uv 0.13.9 (x86_64-unknown-linux-gnu)", (0, 13, 9)),
        ("uvx 0.9.30", (0, 9, 30)),
        ("uv 0.7", None),
        ("pip 25.1", None),
        ("", None),
    ],
)
def test_what_it_says(tmp_path: Path, said: str, expected: tuple[int, ...] | None) -> None:
    """The version is what the program prints; anything else is no version."""
    assert version(script(tmp_path / "uv", f"echo '{said}'"), {"PATH": os.environ["PATH"]}) == expected


def test_how_it_is_asked(tmp_path: Path) -> None:
    """It is started with the caller's variables, in the caller's directory, with nothing to read."""
    uv = script(tmp_path / "uv", 'test "$1" = --version && test "$A" = b && cat && test -e here && echo uv 1.2.3')
    (tmp_path / "here").touch()
    assert version(["sh", uv], {"PATH": os.environ["PATH"], "A": "b"}, str(tmp_path)) == (1, 2, 3)


def test_version_of_uv(uv: Path, tmp_path: Path) -> None:
    """The release is what real uv says."""
    release = uv.parent.parent.name.removeprefix("uv-")
    assert version(str(uv), {"PATH": os.defpath, "HOME": str(tmp_path)}) == tuple(map(int, release.split(".")))


def test_version_of_what_is_no_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program, another one, and one that does not answer have no version, in bounded time."""
    assert version(str(tmp_path / "uv"), {}) is None
    assert version(["echo", "uv"], {"PATH": os.environ["PATH"]}) is None
    monkeypatch.setattr("policy.uv.release.TIMEOUT", 0.1)
    assert version(["sleep", "60"], {"PATH": os.environ["PATH"]}) is None
