from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy import files

if TYPE_CHECKING:
    from pathlib import Path


def test_create(tmp_path: Path) -> None:
    """A file is created where nothing stands, and what stands there stays as it is."""
    path = tmp_path / "file"
    files.create(str(path), b"one", 0o600)
    with pytest.raises(FileExistsError):
        files.create(str(path), b"two", 0o600)
    assert path.read_bytes() == b"one"


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
def test_create_beside_a_link(tmp_path: Path) -> None:
    """A link that leads nowhere is no place for a new file; a mode is that which was asked for."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="exists"):
        files.create(str(tmp_path / "link"), b"", 0o600)
    assert not (tmp_path / "elsewhere").exists()
    files.create(str(tmp_path / "file"), b"", 0o600)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_replace(tmp_path: Path) -> None:
    """A file takes the place of another one, whose readers keep what they opened, and nothing is left beside it."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as opened:
        if sys.platform != "win32":  # an open file cannot be replaced there
            files.replace(str(path), b"new" * 100_000, 0o600)
            assert opened.read() == b"old"
    files.replace(str(path), b"new" * 100_000, 0o600)
    assert path.read_bytes() == b"new" * 100_000
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_replace_a_link(tmp_path: Path) -> None:
    """A link is replaced, not followed."""
    (tmp_path / "victim").write_bytes(b"kept")
    (tmp_path / "link").symlink_to("victim")
    files.replace(str(tmp_path / "link"), b"new", 0o600)
    assert (tmp_path / "victim").read_bytes() == b"kept"
    assert not (tmp_path / "link").is_symlink()


def test_replace_what_cannot_be(tmp_path: Path) -> None:
    """Where the file cannot be put into its place, the error is the system's and nothing is left behind."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").touch()
    with pytest.raises(OSError, match="folder"):
        files.replace(str(tmp_path / "folder"), b"new", 0o600)
    assert os.listdir(tmp_path) == ["folder"]
    with pytest.raises(FileNotFoundError):
        files.replace(str(tmp_path / "missing" / "file"), b"new", 0o600)


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
@pytest.mark.parametrize(("exact", "mode"), [(False, 0o640), (True, 0o666)])
def test_mode(tmp_path: Path, *, exact: bool, mode: int) -> None:
    """The umask counts, unless the mode is to be exact."""
    before = os.umask(0o026)
    try:
        files.replace(str(tmp_path / "file"), b"new", 0o666, exact=exact)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
