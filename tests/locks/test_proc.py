from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from policy.locks import proc
from tests import acquiring as hold
from tests import factories, processes, requirements

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs /proc/locks", allow_module_level=True)


def test_locked_file_is_found(tmp_path: Path) -> None:
    """A file that is locked with flock is listed with the process that took it, and no longer when it is free."""
    path = str(tmp_path / "a.lock")
    with hold.hold([path]) as held:
        file = proc.identity(path)
        assert file is not None
        assert proc.flocks()[file] == (os.getpid(),)
        assert proc.locked_through("self", held.descriptors[0]) == file
    assert file not in proc.flocks()


def test_posix_locks_are_others(tmp_path: Path) -> None:
    """A lock taken with fcntl(2) does not exclude uv, and is not taken for one that does."""
    path = tmp_path / "a.lock"
    with path.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert proc.identity(str(path)) not in proc.flocks()
        assert proc.locked_through("self", file.fileno()) is None


def test_shared_lock_is_not_exclusive(tmp_path: Path) -> None:
    """A descriptor that shares a lock does not hold it as an ancestor's would be; asked for, it is seen."""
    with (tmp_path / "a.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert proc.locked_through("self", file.fileno()) is None
        assert proc.locked_through("self", file.fileno(), shared=True) == proc.identity(file.name)
        assert proc.mode("self", file.fileno()) == "READ"
        fcntl.flock(file, fcntl.LOCK_EX)
        assert proc.mode("self", file.fileno()) == "WRITE"


@pytest.mark.parametrize("kind", ["bind", "overlay", "tmpfs"])
def test_mounts(tmp_path: Path, kind: str) -> None:
    """A locked file is found through bind mounts and on file systems whose st_dev is not the one in /proc/locks."""
    requirements.need_root()
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
    requirements.need(
        subprocess.run(["mount", *options, mounted], check=False).returncode == 0, f"needs a {kind} mount"
    )
    path = f"{mounted}/a.lock"
    try:
        with hold.hold([path]):
            file = proc.identity(path)
            assert file is not None
            assert proc.flocks()[file] == (os.getpid(),)
            if kind == "bind":
                assert proc.identity(str(tmp_path / "lower" / "a.lock")) == file
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_ancestors() -> None:
    """The process that started another is its first ancestor."""
    child = processes.start("print(flush=True); sys.stdin.read()")
    assert child.stdout is not None
    child.stdout.readline()
    assert proc.ancestors(child.pid)[:2] == [os.getpid(), os.getppid()]
    processes.end(child)
    assert proc.ancestors(child.pid) == []


def test_not_there(tmp_path: Path) -> None:
    """What does not exist has no identity, and nothing locked."""
    assert proc.identity(str(tmp_path / "missing")) is None
    assert proc.locked_through("self", 99999) is None
    assert proc.stat_fields(2**22 + 1) == []


def test_passes_on(tmp_path: Path) -> None:
    """A process passes a lock on when its commands inherit it; of what cannot be read it is believed."""
    path = str(tmp_path / "a.lock")
    with hold.hold([path]) as held:
        file = proc.identity(path)
        assert file is not None
        assert not proc.passes_on(os.getpid(), file)
        os.set_inheritable(held.descriptors[0], True)  # noqa: FBT003  (its only form)
        assert proc.passes_on(os.getpid(), file)
    assert proc.passes_on(os.getpid(), file)
    assert proc.passes_on(2**22 + 1, file)


def test_who_may_give_up(tmp_path: Path) -> None:
    """Only a process of several threads gives up what it holds while it waits for a child, unless a command has it."""
    path = factories.written(tmp_path / "lock", "")
    file = proc.identity(str(path))
    assert file is not None
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    with path.open("r+") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        try:
            thread.start()
            assert proc.may_give_up(os.getpid(), file)
            os.set_inheritable(opened.fileno(), True)  # noqa: FBT003  (its only form)
            assert not proc.may_give_up(os.getpid(), file)
            os.set_inheritable(opened.fileno(), False)  # noqa: FBT003  (its only form)
            fcntl.flock(opened, fcntl.LOCK_UN)
            assert proc.may_give_up(os.getpid(), file)  # it has done so since it was seen to hold the lock
        finally:
            ended.set()
            thread.join()
    holder = processes.holder(str(path))
    try:
        assert not proc.may_give_up(holder.pid, file)
    finally:
        processes.end(holder)
