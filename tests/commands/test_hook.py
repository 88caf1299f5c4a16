"""`policy hook`: what a shell runs at its start."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.__main__ import main
from policy.commands.shells import SHELLS, hook

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_prints(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the shell's module makes of the folder goes to stdout."""
    assert main(["hook", shell, str(tmp_path)]) == 0
    assert capsys.readouterr() == (hook(shell, str(tmp_path)), "")


def test_no_folder_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there yet is said, with the command that makes it."""
    folder = tmp_path / "shims"
    assert main(["hook", "bash", str(folder)]) == 0
    assert capsys.readouterr().err == (
        f"policy: warning: {folder} does not exist yet; make it: policy shims {folder}\n"
    )


def test_no_place_on_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that PATH cannot name is refused."""
    folder = str(tmp_path / f"a{os.pathsep}b")
    assert main(["hook", "bash", folder]) == 2
    assert capsys.readouterr().err == (
        f"policy: error: {folder}: a folder with {os.pathsep} in its name cannot stand on PATH\n"
    )


@pytest.mark.parametrize("words", [["hook", "bash", ""], ["shims", ""]])
def test_empty_folder(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An empty name, as that of a variable that is not set, is no folder."""
    assert main(words) == 2
    assert capsys.readouterr() == ("", "policy: error: DIR is empty; name a folder, or leave it out\n")
