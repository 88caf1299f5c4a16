from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import host
from tests import requirements

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths and users", allow_module_level=True)


def test_regular_file(tmp_path: Path) -> None:
    """A regular file is opened, and its first bytes are read."""
    file = tmp_path / "a"
    file.write_bytes(b"content")
    descriptor, status = host.open_regular(str(file))
    try:
        assert status.st_ino == file.stat().st_ino
        assert host.content(descriptor, 3) == b"con"
        assert host.content(descriptor, 100) == b"tent"
        assert host.content(descriptor, 100) == b""
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)
    assert host.beginning(str(file), 4) == b"cont"


@pytest.mark.parametrize("kind", ["directory", "pipe", "device", "link"])
def test_irregular_file(tmp_path: Path, kind: str) -> None:
    """Another kind of file is refused by its name, and nothing hangs; a link too, where it is not to be followed."""
    path = tmp_path / "a"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = path.parent / "zero"
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(__file__)
    said = {"pipe": "a named pipe", "link": "a symbolic link"}.get(kind, f"a {kind}")
    with pytest.raises(host.IrregularError, match=f"^is {said}, not a regular file$"):
        host.open_regular(str(path), follow=kind != "link")


def test_swapped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that takes the place of a file after the first look is refused too, and its descriptor is closed."""
    file = tmp_path / "a"
    file.write_bytes(b"")
    looked = os.stat(file)
    file.unlink()
    os.mkfifo(file)
    monkeypatch.setattr(os, "stat", lambda *_, **__: looked)
    before = os.listdir("/dev/fd")
    with pytest.raises(host.IrregularError, match="a named pipe"):
        host.open_regular(str(file))
    assert os.listdir("/dev/fd") == before


def test_missing_file(tmp_path: Path) -> None:
    """A file that does not exist, or whose path has a NUL, is the system's own error."""
    with pytest.raises(FileNotFoundError):
        host.beginning(str(tmp_path / "a"), 1)
    with pytest.raises(ValueError, match="null"):
        host.beginning("a\0b", 1)


def test_home() -> None:
    """HOME is the home directory; unset or empty, the user database knows it."""
    code = "import os\nos.environ.pop('HOME', None)\nprint(os.path.expanduser('~'))"
    own = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert host.home({"HOME": "/h"}) == "/h"
    assert host.home({}) == host.home({"HOME": ""}) == own


def test_home_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that the database does not know has neither a name nor a home, and so no folders."""
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999_999)
    assert host.home({}) == ""
    assert host.user_name(3_999_999_999) is None
    assert host.folder({}, "XDG_CONFIG_HOME", ".config") == ""


def test_user_name() -> None:
    """The user database names a user by number."""
    requirements.need(sys.platform == "linux", "needs a user 0 named root")
    assert host.user_name(0) == "root"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, "/h/.config"),
        ({"HOME": "/h", "X": "/x"}, "/x"),
        ({"HOME": "/h", "X": "x"}, "/h/.config"),
        ({"HOME": "/h", "X": ""}, "/h/.config"),
        ({"HOME": "h"}, ""),
    ],
)
def test_folder(environ: dict[str, str], expected: str) -> None:
    """A folder is where its variable says, a relative path ignored, else below the home directory."""
    assert host.folder(environ, "X", ".config") == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(None, ["/etc/xdg"]), ("", ["/etc/xdg"]), ("/a:b:/c:", ["/a", "/c"]), ("b", [])]
)
def test_config_folders(value: str | None, expected: list[str]) -> None:
    """The system's folders are those of XDG_CONFIG_DIRS, relative ones ignored."""
    assert host.config_folders({} if value is None else {"XDG_CONFIG_DIRS": value}) == expected


def test_upward(tmp_path: Path) -> None:
    """A folder, then each that it lies in, up to the root; the nearest that holds a file of a name is found."""
    assert list(host.upward("/a/b")) == ["/a/b", "/a", "/"]
    assert list(host.upward("/")) == ["/"]
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "outer" / "a.toml").touch()
    (inner / "b.toml").touch()
    (inner / "c.toml").mkdir()
    assert host.nearest(str(inner), "a.toml") == str(tmp_path / "outer")
    assert host.nearest(str(inner), "b.toml") == str(inner)
    assert host.nearest(str(inner), "c.toml") == ""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_programs(tmp_path: Path) -> None:
    """Programs are found folder by folder, in absolute folders, where they are executable files."""
    for name in ("a/one", "b/one", "b/two", "c/one"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        path.chmod(0o644 if name == "c/one" else 0o755)
    (tmp_path / "d" / "one").mkdir(parents=True)
    environ = {"PATH": ":".join(("", "relative", *(f"{tmp_path}/{name}" for name in "dcba")))}
    found = [os.path.relpath(path, tmp_path) for path in host.programs(environ, "two", "one")]
    assert found == ["b/two", "b/one", "a/one"]
    assert not list(host.programs({}, "one"))


@settings(database=None)
@given(st.text(alphabet="0 -/\\:,a\n", max_size=300))
def test_nonsense_in_mountinfo(table: str) -> None:
    """A line of the mount table that is not understood is left out."""
    for fields in host.mount_fields(table.encode()):
        assert len(fields) == 8


@settings(database=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_escaped_name_comes_back(name: str) -> None:
    """What the kernel escapes is read back as it was, backslashes in any place included."""
    escaped = name
    for character in "\\ \t\n#":  # the backslash first, as the kernel goes character by character
        escaped = escaped.replace(character, f"\\{ord(character):03o}")
    (found,) = host.mount_fields(b"1 2 3:4 / /%s rw - ext4 source rw\n" % escaped.encode())
    assert found[3] == f"/{name}"


def test_one_mount() -> None:
    """A mount is found by its whole number."""
    table = b"11 1 0:1 / /a rw - x s rw\n1 0 0:2 / /b rw shared:1 - x s rw\n"
    assert [fields[:4] for fields in host.mount_fields(table, "1")] == [("1", "0:2", "/", "/b")]
    assert len(list(host.mount_fields(table))) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_descriptor_facts() -> None:
    """A descriptor has a mount, and that mount is listed."""
    descriptor = os.open("/", os.O_RDONLY)
    try:
        number = host.descriptor_facts(descriptor)["mnt_id"]
    finally:
        os.close(descriptor)
    assert [fields[3] for fields in host.mounts(number)] == ["/"]
    assert host.process_file("/proc/nowhere") == b""
