from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy import kernel, locks
from tests import needs, processes

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs /proc/locks", allow_module_level=True)


def test_locked_file_is_found(tmp_path: Path) -> None:
    """A file that is locked with flock is listed with the process that took it, and no longer when it is free."""
    path = str(tmp_path / "a.lock")
    with locks.hold([path]) as held:
        file = kernel.identity(path)
        assert file is not None
        assert kernel.flocks()[file] == (os.getpid(),)
        assert kernel.locked_through("self", held.descriptors[0]) == file
    assert file not in kernel.flocks()


def test_posix_locks_are_others(tmp_path: Path) -> None:
    """A lock taken with fcntl(2) does not exclude uv, and is not taken for one that does."""
    path = tmp_path / "a.lock"
    with path.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert kernel.identity(str(path)) not in kernel.flocks()
        assert kernel.locked_through("self", file.fileno()) is None


def test_shared_lock_is_not_exclusive(tmp_path: Path) -> None:
    """A descriptor that shares a lock does not hold it as an ancestor's would be."""
    with (tmp_path / "a.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert kernel.locked_through("self", file.fileno()) is None


@pytest.mark.parametrize("kind", ["bind", "overlay", "tmpfs"])
def test_mounts(tmp_path: Path, kind: str) -> None:
    """A locked file is found through bind mounts and on file systems whose st_dev is not the one in /proc/locks."""
    needs.need_root()
    for name in ("lower", "upper", "work", "mounted"):
        os.mkdir(tmp_path / name)
    (tmp_path / "lower" / "a.lock").touch()
    options = {
        "bind": ["--bind", str(tmp_path / "lower")],
        "overlay": [
            "-t",
            "overlay",
            "-o",
            ",".join(f"{key}dir={tmp_path / key}" for key in ("lower", "upper", "work")),
            "overlay",
        ],
        "tmpfs": ["-t", "tmpfs", "tmpfs"],
    }[kind]
    mounted = str(tmp_path / "mounted")
    needs.need(subprocess.run(["mount", *options, mounted], check=False).returncode == 0, f"needs a {kind} mount")
    path = f"{mounted}/a.lock"
    try:
        with locks.hold([path]):
            file = kernel.identity(path)
            assert file is not None
            assert kernel.flocks()[file] == (os.getpid(),)
            if kind == "bind":
                assert kernel.identity(str(tmp_path / "lower" / "a.lock")) == file
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_ancestors() -> None:
    """The process that started another is its first ancestor."""
    child = processes.start("print(flush=True); sys.stdin.read()")
    assert child.stdout is not None
    child.stdout.readline()
    assert kernel.ancestors(child.pid)[:2] == [os.getpid(), os.getppid()]
    processes.end(child)
    assert kernel.ancestors(child.pid) == []


def test_not_there(tmp_path: Path) -> None:
    """What does not exist has no identity, and nothing locked."""
    assert kernel.identity(str(tmp_path / "missing")) is None
    assert kernel.locked_through("self", 99999) is None
    assert kernel.stat_fields(2**22 + 1) == []
