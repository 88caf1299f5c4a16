from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from policy import cache
from tests import real_uv, requirements

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "lock-policy"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs itself is asked")
@pytest.mark.parametrize("value", [None, "", " ", "relative", "/somewhere", "/with/slash/", "//twice//x", "/a b"])
@pytest.mark.parametrize("home", ["/home/someone", None])
def test_the_directory_is_that_of_platformdirs(
    monkeypatch: pytest.MonkeyPatch, value: str | None, home: str | None
) -> None:
    """Without importing it, the answer is that of platformdirs, whatever XDG_CACHE_HOME and HOME are set to."""
    for name, setting in (("XDG_CACHE_HOME", value), ("HOME", home)):
        if setting is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, setting)
    assert cache.directory() == platformdirs.user_cache_dir("lock-policy", appauthor=False)


def test_what_was_written_is_read(environ: dict[str, str]) -> None:
    """A file holds what was written last, empty or with any bytes."""
    assert cache.load("name", environ) is None
    for data in (b"", b"one", bytes(range(256)) * 5000):
        cache.store("name", data, environ)
        assert cache.load("name", environ) == data


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_directory_and_files_are_private(environ: dict[str, str], folder: Path, mask: int) -> None:
    """Whatever the umask, the directory is 0700 and a file 0600, and no temporary file is left."""
    before = os.umask(mask)
    try:
        cache.store("name", b"data", environ)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "name").stat().st_mode & 0o777 == 0o600
    assert os.listdir(folder) == ["name"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_trusted(environ: dict[str, str], folder: Path, mode: int) -> None:
    """A file with a write bit for the group or for others is as good as none."""
    cache.store("name", b"data", environ)
    (folder / "name").chmod(mode)
    assert cache.load("name", environ) is None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_directory_that_others_may_write_is_neither_read_nor_written(
    environ: dict[str, str], folder: Path, mode: int
) -> None:
    """A user who may rename files in the directory could hand us an old one under another's name."""
    cache.store("name", b"data", environ)
    folder.chmod(mode)
    assert cache.load("name", environ) is None
    cache.store("other", b"data", environ)
    assert not (folder / "other").exists()


def test_a_file_of_another_user_is_not_trusted(environ: dict[str, str], folder: Path) -> None:
    """Not even root takes another user's file, nor another user's directory."""
    requirements.need_root()
    if sys.platform == "win32":
        return
    cache.store("name", b"data", environ)
    os.chown(folder / "name", real_uv.NOBODY, real_uv.NOBODY)
    assert cache.load("name", environ) is None
    os.chown(folder / "name", 0, 0)
    assert cache.load("name", environ) == b"data"
    os.chown(folder, real_uv.NOBODY, real_uv.NOBODY)
    assert cache.load("name", environ) is None


def test_root_leaves_nothing_in_a_users_home(tmp_path: Path) -> None:
    """With HOME of another user, as sudo may leave it, no directory of root's own is made there."""
    requirements.need_root()
    if sys.platform == "win32":
        return
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, real_uv.NOBODY, real_uv.NOBODY)
    cache.store("name", b"data", {"HOME": str(home)})
    assert os.listdir(home) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs here")
def test_what_is_no_regular_file_is_not_read(environ: dict[str, str], folder: Path, tmp_path: Path) -> None:
    """A link, a FIFO or a directory in the file's place is no answer, hangs nobody, and leaves the victim's file."""
    if sys.platform == "win32":
        return
    cache.store("other", b"data", environ)
    target = tmp_path / "target"
    target.write_bytes(b"victim")
    (folder / "link").symlink_to(target)
    os.mkfifo(folder / "fifo")
    (folder / "directory").mkdir()
    for name in ("link", "fifo", "directory"):
        assert cache.load(name, environ) is None
        cache.store(name, b"data", environ)
    assert target.read_bytes() == b"victim"
    assert cache.load("link", environ) == b"data"


def test_it_may_be_deleted_at_any_time(environ: dict[str, str], folder: Path) -> None:
    """After the directory was deleted, it is made again."""
    cache.store("name", b"data", environ)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert cache.load("name", environ) is None
    cache.store("name", b"again", environ)
    assert cache.load("name", environ) == b"again"


@pytest.mark.parametrize("base", ["/proc/nothing/here", "/dev/null/x", "/dev/null"])
@pytest.mark.skipif(sys.platform != "linux", reason="directories that cannot be made")
def test_where_it_cannot_be_written_nothing_happens(base: str) -> None:
    """A cache that cannot be read is done without, in silence."""
    environ = {"XDG_CACHE_HOME": base}
    cache.store("name", b"data", environ)
    assert cache.load("name", environ) is None


def test_a_read_only_directory_is_done_without(tmp_path: Path) -> None:
    """An unprivileged user whose home is not writable gets no error."""
    home = tmp_path / "home"
    home.mkdir()
    real_uv.given_to(home)
    home.chmod(0o500)
    code = "from policy import cache; cache.store('n', b'd'); assert cache.load('n') is None"
    environ = {"HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    done = real_uv.as_user([real_uv.public_python(), "-B", "-c", code], environ=environ)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="every user of Windows has a profile")
@pytest.mark.parametrize("home", ["", "relative"])
def test_without_a_home_nothing_is_cached(home: str) -> None:
    """A user that the system does not know, and a home that is no absolute path, have no cache and no error."""
    requirements.need_root()
    code = "from policy import cache; cache.store('n', b'd'); print([cache.directory(), cache.load('n')])"
    environ = {"PYTHONPATH": str(REPOSITORY), "HOME": home}
    done = real_uv.as_user([real_uv.public_python(), "-B", "-c", code], environ=environ, uid=54321, cwd="/")
    assert (done.stdout, done.stderr) == ("['', None]\n", "")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_platformdirs_is_asked(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """On macOS and Windows the directory is platformdirs' own answer."""
    monkeypatch.setattr(sys, "platform", platform)
    assert cache.directory() == platformdirs.user_cache_dir("lock-policy", appauthor=False)


def test_many_writers_and_readers(environ: dict[str, str], folder: Path) -> None:
    """While four processes write, a reader sees one's whole file or another's, never a mixture."""
    code = (
        "import sys; from policy import cache\n"
        "for _ in range(200): cache.store('name', sys.argv[1].encode() * 100_000)\n"
    )
    command = [sys.executable, "-c", code]
    everything = {**environ, "PYTHONPATH": str(REPOSITORY), "PATH": os.environ["PATH"]}
    writers = [subprocess.Popen([*command, letter], env=everything) for letter in "abcd"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if (data := cache.load("name", environ)) is not None:
            assert len(data) == 100_000
            assert len(set(data)) == 1
            seen.add(data[:1])
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert seen
    assert os.listdir(folder) == ["name"]


def test_mutations(environ: dict[str, str], folder: Path) -> None:
    """Of a file with any byte changed, cut or added, nothing is read: the value is made again."""
    made: list[int] = []

    def value() -> tuple[int, str]:
        made.append(1)
        return (1, "value")

    cache.cached("name", ("key",), value, environ)
    good = (folder / "name").read_bytes()
    changed = [good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :] for at in range(len(good)) for bit in (1, 128)]
    cut = [good[:at] for at in range(len(good))]
    for number, data in enumerate([*changed, *cut, good + b"\0", b"\0" + good]):
        (folder / "name").write_bytes(data)
        assert cache.cached("name", ("key",), value, environ) == (1, "value")
        assert len(made) == number + 2
