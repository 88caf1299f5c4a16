"""`policy shims`: the files that it writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.__main__ import main
from policy.commands.shims import default_folder
from policy.commands.tools import TOOLS, is_shim

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("shims are other files on Windows", allow_module_level=True)


def test_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shim for every tool, executable, a few lines each, and nothing else in the folder."""
    folder = tmp_path / "made" / "shims"
    assert main(["shims", str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"{folder} has shims for uv, uvx, pip")
    assert sorted(os.listdir(folder)) == sorted(TOOLS)
    for name in TOOLS:
        assert os.access(folder / name, os.X_OK)
        assert is_shim(str(folder / name))
        assert len((folder / name).read_text(encoding="utf-8").splitlines()) <= 5


def test_again(tmp_path: Path) -> None:
    """Written again they are the same; with --hold-runs they are others, in the place of the first."""
    assert main(["shims", str(tmp_path)]) == 0
    first = (tmp_path / "uv").read_text(encoding="utf-8")
    assert main(["shims", str(tmp_path)]) == 0
    assert (tmp_path / "uv").read_text(encoding="utf-8") == first
    assert main(["shims", "--hold-runs", str(tmp_path)]) == 0
    assert (tmp_path / "uv").read_text(encoding="utf-8") == first.replace('main("uv")', 'main("uv", hold_runs=True)')
    assert sorted(os.listdir(tmp_path)) == sorted(TOOLS)


def test_keeps_what_is_no_shim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real program is not overwritten, nor is a link to one followed."""
    (tmp_path / "real").write_text("real", encoding="utf-8")
    (tmp_path / "uv").symlink_to(tmp_path / "real")
    assert main(["shims", str(tmp_path)]) == 2
    assert (tmp_path / "real").read_text(encoding="utf-8") == "real"
    path = tmp_path / "uv"
    assert capsys.readouterr().err == f"policy: error: {path}: is not a shim; name another folder, or remove the file\n"


def test_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no folder is one line."""
    (tmp_path / "file").touch()
    assert main(["shims", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith(f"policy: error: {tmp_path / 'file'}: cannot be written: ")


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a folder they are written where `policy hook` looks: below the user's data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_folder() == str(tmp_path / "data" / "lock-policy" / "shims")
    assert main(["shims"]) == 0
    assert main(["hook", "bash"]) == 0
    assert f"'{default_folder()}'" in capsys.readouterr().out
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert default_folder() == "/home/someone/.local/share/lock-policy/shims"


def test_strange_names(tmp_path: Path) -> None:
    """An interpreter in a folder with blanks and quotes is called by its name."""
    folder = tmp_path / "a b'c"
    folder.mkdir()
    python = folder / "python"
    python.symlink_to(sys.executable)
    code = "import sys; from policy.__main__ import main; sys.exit(main(['shims', sys.argv[1]]))"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([python, "-c", code, tmp_path / "shims"], env=environ, check=True, capture_output=True)
    seen = subprocess.run(
        [tmp_path / "shims" / "uv"], env={**environ, "PATH": "/nowhere"}, check=False, capture_output=True, text=True
    )
    assert (seen.returncode, seen.stderr) == (127, "policy: error: uv: command not found\n")
    assert shutil.which("uv", path=tmp_path / "shims")
