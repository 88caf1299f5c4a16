from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from policy import errors
from policy.locks import proc, wait
from tests import acquiring as hold
from tests import processes

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock", allow_module_level=True)

WAYS: dict[str, dict[str, Any]] = {
    "blocking": {},
    "child": {"timeout": 10},
    "thread": {"timeout": 10, "disposable": True},
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A lock file to be made."""
    return str(tmp_path / "lock-policy-1.lock")


@pytest.mark.slow
@pytest.mark.parametrize("way", [*WAYS, "task"])
def test_served_in_turn(path: str, way: str) -> None:
    """Behind four holders that leave the lock free for no time, a waiter gets in within ten seconds each time."""
    saturating = """
import fcntl
while True:
    with open(sys.argv[1]) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        print(".", end="", flush=True)
        time.sleep(0.005)
"""
    hold.hold([path]).release()
    others = [processes.start(saturating, path) for _ in range(4)]
    try:
        for other in others:
            assert other.stdout is not None
            other.stdout.read(1)
        for _ in range(10):
            if way == "task":
                asyncio.run(hold.hold_async([path], timeout=10)).release()
            else:
                hold.hold([path], **WAYS[way]).release()
    finally:
        for other in others:
            other.kill()
            other.communicate()


@pytest.mark.parametrize("way", ["child", "thread"])
def test_deadline(path: str, way: str) -> None:
    """A wait ends when its time is up, not before."""
    with hold.hold([path]):
        for timeout in (0.0, 0.05, 0.3):
            start = time.monotonic()
            with pytest.raises(errors.LockTimeout):
                hold.hold([path], **{**WAYS[way], "timeout": timeout})
            assert timeout <= time.monotonic() - start < timeout + 5


def test_polling_without_python(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no child can be started a waiter polls, and neither a frozen program nor a server is started again."""
    for name in ("", "/usr/sbin/uwsgi"):
        monkeypatch.setattr(sys, "executable", name)
        assert not wait.children_work()
    monkeypatch.setattr(sys, "executable", "/missing/python3")
    assert wait.children_work()
    monkeypatch.undo()
    holder = processes.holder(path)
    monkeypatch.setattr(sys, "executable", "/missing/python3")
    with pytest.raises(errors.LockTimeout):
        hold.hold([path], timeout=0.1)
    with pytest.raises(errors.LockTimeout):
        asyncio.run(hold.hold_async([path], timeout=0.1))
    processes.end(holder)
    hold.hold([path], timeout=10).release()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not wait.children_work()


def test_child_killed(path: str) -> None:
    """A child that is killed by somebody is replaced, and the wait goes on."""
    code = """
print("waiting", flush=True)
with locks.hold([sys.argv[1]], timeout=100):
    print("held", flush=True)
"""
    with hold.hold([path]):
        waiter = processes.start(code, path)
        assert waiter.stdout is not None
        waiter.stdout.readline()
        children = ["pkill", "-KILL", "-P", str(waiter.pid)]
        while subprocess.run(children, check=False).returncode:
            time.sleep(0.01)
        while subprocess.run(["pgrep", "-P", str(waiter.pid)], check=False, capture_output=True).returncode:
            time.sleep(0.01)
    assert waiter.stdout.readline() == "held\n"
    assert processes.end(waiter) == 0


def children() -> set[int]:
    """The children of this process, but for the one that lists them."""
    listing = subprocess.run(["pgrep", "-P", str(os.getpid())], check=False, capture_output=True, text=True).stdout
    return {pid for pid in map(int, listing.split()) if os.path.exists(f"/proc/{pid}/fd")}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_child_that_lingers(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited does not wait for the end of its child, which holds nothing by then and does not stay a zombie."""
    stays = "import signal, time\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\n"
    monkeypatch.setattr(wait, "_CHILD", f"{stays}{wait._CHILD.rpartition('posix._exit')[0]}time.sleep(1000)\n")
    others = children()  # such as a server of other tests
    holder = processes.holder(path)

    def let_in() -> None:
        while len(children() - others) < 2:  # the holder, and who waits for it
            time.sleep(0.01)
        processes.end(holder)

    thread = threading.Thread(target=let_in)
    thread.start()
    held = hold.hold([path], timeout=1000)
    thread.join()
    (child,) = children() - others
    opened = {os.readlink(f"/proc/{child}/fd/{number}") for number in os.listdir(f"/proc/{child}/fd")}
    assert path not in opened
    with pytest.raises(errors.LockTimeout):
        hold.hold([path], timeout=0)
    held.release()
    hold.hold([path], timeout=0).release()
    os.kill(child, signal.SIGKILL)
    end = time.monotonic() + processes.TIMEOUT
    while os.path.exists(f"/proc/{child}") and time.monotonic() < end:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}")


def running(pid: int) -> bool:
    """Whether a process runs; what is left of it until somebody waits for it does not count."""
    return proc.stat_fields(pid)[:1] not in ([], ["Z"])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere SIGIO ends nobody")
def test_parent_killed(path: str) -> None:
    """A killed waiter leaves no child in the queue."""
    code = """
print("waiting", flush=True)
locks.hold([sys.argv[1]], timeout=100)
"""
    with hold.hold([path]):
        waiter = processes.start(code, path)
        assert waiter.stdout is not None
        waiter.stdout.readline()
        child = ""
        while not child:
            children = ["pgrep", "-P", str(waiter.pid)]
            child = subprocess.run(children, check=False, capture_output=True, text=True).stdout.strip()
        waiter.kill()
        waiter.communicate()
        end = time.monotonic() + processes.TIMEOUT
        while running(int(child)) and time.monotonic() < end:
            time.sleep(0.01)
        assert not running(int(child))


@pytest.mark.parametrize("way", ["blocking", "child", "thread"])
def test_no_flock_while_waiting(path: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that only the waiting meets makes the lock unavailable; nobody continues without it."""
    import fcntl

    flock = fcntl.flock

    def failing(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", failing)
    code = wait._CHILD.replace('fcntl.flock(*map(int, step.split(":")))', f"raise OSError({errno.ENOLCK}, '')")
    monkeypatch.setattr(wait, "_CHILD", code)
    with hold.hold([path]), pytest.raises(errors.LockUnavailable) as caught:
        hold.hold([path], **WAYS[way])
    assert caught.value.errno == errno.ENOLCK


@pytest.mark.slow
@pytest.mark.parametrize("way", [*WAYS, "task"])
def test_no_more_processes(path: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither a thread nor a child can be started (RLIMIT_NPROC, pids.max), a waiter polls."""

    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    holder = processes.holder(path)
    monkeypatch.setattr(subprocess, "Popen", refused)
    monkeypatch.setattr("_thread.start_new_thread", no_thread)
    if way == "task":
        with pytest.raises(errors.LockTimeout):
            asyncio.run(hold.hold_async([path], timeout=0.1))
    elif way != "blocking":
        with pytest.raises(errors.LockTimeout):
            hold.hold([path], **{**WAYS[way], "timeout": 0.1})
    monkeypatch.undo()
    processes.end(holder)
    hold.hold([path], **WAYS.get(way, {})).release()
