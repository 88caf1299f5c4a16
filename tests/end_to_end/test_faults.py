from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests import processes, requirements
from tests.processes import probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs system calls of POSIX", allow_module_level=True)

STAT = "/^(newfstatat|fstatat64|stat|lstat|fstat|statx|stat64|lstat64|fstat64)$"
CALLS = {
    # call: (injected errors, whether the lock may be taken nevertheless)
    "openat": (["EACCES", "EROFS", "ENOSPC", "EMFILE", "ENFILE", "EIO", "EDQUOT", "ENOMEM", "ELOOP", "ESTALE"], True),
    STAT: (["EACCES", "EIO", "ESTALE", "ENOMEM", "ENOENT", "ENOTDIR"], True),
    "flock": (["ENOSYS", "ENOLCK", "EOPNOTSUPP", "EIO", "EBADF", "EACCES"], True),
    "linkat": (["EROFS", "ENOSPC", "EIO", "EPERM", "EMLINK", "ENOENT", "EEXIST", "EACCES"], True),
    "fchmod": (["EIO", "EROFS", "EPERM", "EOPNOTSUPP"], True),
    "utimensat": (["EACCES", "EROFS", "EIO"], True),
    "close": (["EIO", "ENOSPC"], True),
}
TURNS = ["1", "2", "3", "4", "1+"]
QUICK = {
    ("openat", "ENOSPC"),
    (STAT, "EIO"),
    ("flock", "ENOLCK"),
    ("linkat", "EIO"),
    ("fchmod", "EIO"),
    ("close", "EIO"),
}


def cases() -> Iterator[Any]:
    """Every call of the lock path, every error, the first, second, third, fourth and every such call."""
    for call, (names, _) in CALLS.items():
        for name in names:
            for turn in TURNS:
                slow = () if (call, name) in QUICK else (pytest.mark.slow,)
                shown = "stat" if call == STAT else call
                yield pytest.param(call, name, turn, marks=slow, id=f"{shown}-{name}-{turn}")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A directory for locks that nothing else looks at."""
    made = tmp_path / "locks"
    made.mkdir(mode=0o700)
    return str(made)


@pytest.mark.slow
@pytest.mark.parametrize("there", ["missing", "there"])
@pytest.mark.parametrize(("call", "name", "turn"), list(cases()))
def test_system_call_fails(folder: str, call: str, name: str, turn: str, there: str) -> None:
    """Whichever system call of the lock path fails: the lock is held, or unavailable for it, and nothing is left."""
    requirements.need(shutil.which("strace") is not None, "needs strace")
    path = f"{folder}/lock-policy-1.lock"
    if there == "there":
        with open(path, "x", encoding="ascii"):
            os.chmod(path, 0o666)  # noqa: S103  (for everybody, as what is tested)
        os.utime(path, (0, 0))
    only = ["-P", folder, "-P", path] if call in ("openat", STAT, "close") else []
    log = os.path.dirname(folder) + "/strace"
    wrapper = ["strace", "-o", log, *only, "-e", f"inject={call}:error={name}:when={turn}"]
    answer = probe(path, wrapper=wrapper)
    expected = getattr(errno, name)
    if answer["outcome"] == "LockUnavailable":
        with open(log, encoding="utf-8") as file:
            assert "(INJECTED)" in file.read()
        assert answer["errno"] in (expected, 0), answer
        assert path in answer["text"]
    else:
        assert answer["outcome"] in ("held", "lost", "LockTimeout" if name == "EAGAIN" else "held"), answer
        if answer["outcome"] == "lost":
            assert call == STAT
    if call != "close":
        assert answer["left"] == []
    assert set(os.listdir(folder)) <= {"lock-policy-1.lock"}
    if os.path.exists(path):
        assert probe(path)["outcome"] == "held"


@pytest.mark.slow
@pytest.mark.parametrize("call", ["link", "linkat", "unlink", "unlinkat", "openat"])
def test_named_creation_fails(folder: str, call: str) -> None:
    """Without unnamed files, a creation that fails half way leaves no temporary name, and no lock taken for granted."""
    requirements.need(shutil.which("strace") is not None, "needs strace")
    path = f"{folder}/lock-policy-1.lock"
    code = processes.PROBE.replace("answer =", "open_file._TMPFILE = 0\nanswer =", 1)
    wrapper = ["strace", "-o", "/dev/null", "-P", folder, "-P", path, "-e", f"inject=?{call}:error=EIO:when=1"]
    result = subprocess.run(
        [*wrapper, *processes.command(code, path, '{"timeout": 0}')],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        timeout=processes.TIMEOUT,
        env=processes.environment(),
    )
    assert '"outcome": "held"' in result.stdout or f'"errno": {errno.EIO}' in result.stdout
    if "unlink" not in call:
        assert set(os.listdir(folder)) <= {"lock-policy-1.lock"}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[str]:
    """A tmpfs with one page and three inodes: its root's, and two more."""
    requirements.need_root()
    place = tmp_path / "small"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=3,mode=1777", "tmpfs", str(place)]
    requirements.need(subprocess.run(options, check=False).returncode == 0, "needs mount")
    try:
        yield str(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_no_space(small: str) -> None:
    """A lock file holds nothing, so a full file system has room for it."""
    with open(f"{small}/full", "wb", buffering=0) as file:
        file.write(bytes(4096))
        with pytest.raises(OSError, match="No space"):
            file.write(bytes(4096))
    assert probe(f"{small}/lock-policy-1.lock")["outcome"] == "held"


def test_no_inodes(small: str) -> None:
    """Without inodes the lock is unavailable, for that reason; a file that is there is locked nevertheless."""
    for name in "ab":
        with open(f"{small}/{name}.lock", "x", encoding="ascii"):
            os.chmod(f"{small}/{name}.lock", 0o666)  # noqa: S103  (for everybody, as what is tested)
    answer = probe(f"{small}/lock-policy-1.lock")
    assert (answer["outcome"], answer["errno"], answer["left"]) == ("LockUnavailable", errno.ENOSPC, [])
    assert "inodes" in answer["text"]
    assert sorted(os.listdir(small)) == ["a.lock", "b.lock"]
    assert probe(f"{small}/a.lock")["outcome"] == "held"


DESCRIPTORS = """
import resource
import sys
path, count, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
spare = [os.open("/dev/null", os.O_RDONLY)]
resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
os.close(spare[0])
before = os.listdir("/dev/fd") if count > 4 else []
try:
    held = locks.hold([path], **options)
    print("held")
    held.release()
except errors.LockUnavailable as error:
    print("unavailable", error.errno)
except errors.LockTimeout as error:
    print("late")
assert not before or os.listdir("/dev/fd") == before
"""


@pytest.mark.slow
@pytest.mark.parametrize("count", range(3, 41))
def test_few_descriptors(folder: str, count: int) -> None:
    """With however few descriptors, a lock is held, waited for, or unavailable because of them."""
    path = f"{folder}/lock-policy-1.lock"

    def outcome(options: str) -> str:
        process = processes.start(DESCRIPTORS, path, str(count), options)
        text, _ = process.communicate(timeout=processes.TIMEOUT)
        assert process.returncode == 0
        return text.strip()

    few = f"unavailable {errno.EMFILE}"
    assert outcome("{}") == ("held" if count > 3 else few)
    holder = processes.holder(path)
    late = outcome('{"timeout": 0.3}')
    processes.end(holder)
    assert late in (("late",) if count > 20 else ("late", few))
