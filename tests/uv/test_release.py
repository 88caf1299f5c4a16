from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.uv.release import version

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
