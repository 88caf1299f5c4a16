from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import filelock
import pytest

from policy import errors
from tests import acquiring as hold
from tests import processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from policy.locks.backend import Lock
    from policy.locks.hold import Held

if sys.platform == "win32":
    pytest.skip("needs flock and fork", allow_module_level=True)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A lock file to be made."""
    return str(tmp_path / "lock-policy-1.lock")


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Every test here leaves the descriptors and the children that it found."""
    before = remains()
    yield
    assert remains() == before


def remains() -> tuple[int, int]:
    """How many descriptors are open and how many children there are."""
    here = "/dev/fd"
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    )
    return len(os.listdir(here)), len(children.stdout.split())


def is_free(path: str) -> bool:
    """Whether another process could have the lock now."""
    return bool(processes.probe(path)["outcome"] == "held")


def test_excludes_and_releases(path: str) -> None:
    """A lock is held from `hold` to `release`, and releasing twice does nothing."""
    held = hold.hold([path])
    assert [lock.name for lock in held.locks] == [path]
    assert not is_free(path)
    held.release()
    held.release()
    assert held.descriptors == ()
    assert is_free(path)


def test_filelock(path: str) -> None:
    """The lock of filelock and this one exclude each other: they are the same lock."""
    with hold.hold([path]), pytest.raises(filelock.Timeout):
        filelock.FileLock(path, timeout=0).acquire()
    with filelock.FileLock(path, mode=0o666), pytest.raises(errors.LockTimeout):
        hold.hold([path], timeout=0)


def test_all_or_none(tmp_path: Path) -> None:
    """Where one lock cannot be taken, those before it are released."""
    first, second = (str(tmp_path / f"{name}.lock") for name in "ab")
    with hold.hold([second]):
        with pytest.raises(errors.LockTimeout) as caught:
            hold.hold([first, second], timeout=0.05)
        assert caught.value.path == second
        assert is_free(first)
    os.mkdir(tmp_path / "c.lock")
    with pytest.raises(errors.LockUnavailable):
        hold.hold([first, str(tmp_path / "c.lock")])
    assert is_free(first)


def test_one_file_under_two_paths(tmp_path: Path) -> None:
    """A file that the plan names twice, through a symlinked directory, is taken once and not waited for."""
    os.mkdir(tmp_path / "real")
    os.symlink("real", tmp_path / "link")
    paths = [str(tmp_path / "real" / ".lock"), str(tmp_path / "link" / ".lock")]
    with hold.hold(paths, near=paths, timeout=0) as held:
        assert [lock.name for lock in held.locks] == paths
        assert len(held.descriptors) == 1


def test_timeout_names_holder(path: str) -> None:
    """Who gives up learns which file it was, how long it was waited for, and who holds it."""
    other = processes.holder(path)
    try:
        with pytest.raises(errors.LockTimeout) as caught:
            hold.hold([path], timeout=0.2)
    finally:
        processes.end(other)
    assert (caught.value.path, caught.value.timeout) == (path, 0.2)
    if os.path.exists("/proc/locks"):
        assert [holder.pid for holder in caught.value.holders] == [other.pid]
        assert f"pid {other.pid} (" in str(caught.value)


def test_one_deadline_over_all(tmp_path: Path) -> None:
    """The timeout counts from the call over all files together."""
    paths = [str(tmp_path / f"{name}.lock") for name in "ab"]
    first, second = processes.holder(paths[0]), processes.holder(paths[1])
    timer = threading.Timer(0.3, lambda: processes.end(first))
    timer.start()
    start = time.monotonic()
    with pytest.raises(errors.LockTimeout) as caught:
        hold.hold(paths, timeout=0.6)
    waited = time.monotonic() - start
    timer.join()
    processes.end(second)
    assert caught.value.path == paths[1]
    assert waited >= 0.6


@pytest.mark.parametrize("change", ["deleted", "renamed", "replaced", "directory"])
def test_lost(tmp_path: Path, change: str) -> None:
    """A file that was deleted, renamed or replaced while it was held is reported when it is released."""
    path = str(tmp_path / "d" / "a.lock")
    os.mkdir(tmp_path / "d")
    held = hold.hold([path])
    match change:
        case "deleted":
            os.unlink(path)
        case "renamed":
            os.rename(path, path + ".old")
        case "replaced":
            os.rename(path, path + ".old")
            hold.hold([path]).release()
        case "directory":
            os.rename(tmp_path / "d", tmp_path / "e")
    assert [lock.name for lock in held.lost] == [path]
    with pytest.raises(errors.LockLost) as caught:
        held.release()
    assert caught.value.paths == (path,)
    held.release()


def test_lost_beside_another_error(path: str) -> None:
    """An error of the body is not hidden by a lost lock, which is added to it as a note."""

    class BodyError(Exception):
        pass

    def work() -> None:
        with hold.hold([path]):
            os.unlink(path)
            raise BodyError

    with pytest.raises(BodyError) as caught:
        work()
    assert "deleted or replaced while locked" in caught.value.__notes__[0]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"timeout": 30}, {"timeout": 30, "disposable": True}], ids=str)
def test_replaced_while_waited_for(path: str, options: dict[str, Any]) -> None:
    """A waiter whose file was deleted, as `uv venv` does, waits for the new one."""
    old = processes.holder(path)
    waiter = threading.Thread(target=lambda: result.append(hold.hold([path], **options)))
    result: list[Held] = []
    waiter.start()
    time.sleep(0.2)
    os.unlink(path)
    new = processes.holder(path)
    processes.end(old)
    time.sleep(0.2)
    assert result == []
    processes.end(new)
    waiter.join(processes.TIMEOUT)
    (held,) = result
    assert held.lost == ()
    held.release()


def test_threads_exclude_each_other(path: str) -> None:
    """Two threads of one process are not inside at once."""
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(100):
            with hold.hold([path]):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (400, 1)


def test_fork_does_not_hold(path: str) -> None:
    """A forked child holds nothing and releases nothing, and does not keep the lock when the parent has ended."""
    code = """
with locks.hold([sys.argv[1]]) as held:
    child = os.fork()
    if not child:
        assert held.descriptors == () and held.lost == ()
        held.release()
        print(os.getpid(), flush=True)
        time.sleep(1000)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    parent = processes.start(code, path)
    assert parent.stdout is not None
    assert parent.stdin is not None
    child = int(parent.stdout.readline())
    try:
        assert not is_free(path)
        parent.stdin.write("\n")
        parent.stdin.flush()
        parent.wait(processes.TIMEOUT)
        assert is_free(path)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_inherit(path: str) -> None:
    """Commands keep an inherited lock after the release, until the last of them has ended; others get no descriptor."""
    held = hold.hold([path])
    descriptors = held.descriptors
    plain = subprocess.run(["ls", "/dev/fd/"], capture_output=True, text=True, check=True, close_fds=False)
    assert str(descriptors[0]) not in plain.stdout.split()
    held.inherit()
    command = subprocess.Popen(["sleep", "1000"], pass_fds=descriptors)
    held.release()
    assert not is_free(path)
    command.kill()
    command.wait()
    assert is_free(path)


def test_waiting_is_told(path: str) -> None:
    """Waiting is reported at once, and as often as asked for."""
    told: list[tuple[str, float]] = []

    def tell(lock: Lock, elapsed: float) -> float | None:
        told.append((lock.name, elapsed))
        return 0.1 if len(told) < 3 else None

    with hold.hold([path]), pytest.raises(errors.LockTimeout):
        hold.hold([path], timeout=0.6, waiting=tell)
    assert [file for file, _ in told] == [path] * 3
    assert told[0][1] < told[1][1] < told[2][1]


@pytest.mark.slow
def test_interrupted(path: str) -> None:
    """Ctrl-C ends every way of waiting and leaves no child, no descriptor and no lock."""
    for options in ({}, {"timeout": 100}):
        code = f"""
def left():
    mine = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return len(os.listdir("/dev/fd")), len(mine.stdout.split())
before = left()
print("waiting", flush=True)
try:
    locks.hold([sys.argv[1]], **{options})
except KeyboardInterrupt:
    print("interrupted", before == left(), flush=True)
sys.stdin.read()
"""
        with hold.hold([path]):
            waiter = processes.start(code, path)
            assert waiter.stdout is not None
            waiter.stdout.readline()
            time.sleep(0.5)
            waiter.send_signal(signal.SIGINT)
            assert waiter.stdout.readline() == "interrupted True\n"
        assert is_free(path)
        assert processes.end(waiter) == 0


def test_tasks_exclude_each_other(path: str) -> None:
    """Tasks of one event loop are not inside at once, and the loop runs while they wait."""
    inside: list[int] = []
    most: list[int] = []
    ticks: list[int] = []

    async def work() -> None:
        for _ in range(5):
            async with await hold.hold_async([path]):
                inside.append(1)
                most.append(len(inside))
                await asyncio.sleep(0.002)
                inside.pop()

    async def tick() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0.001)

    async def main() -> None:
        ticker = asyncio.create_task(tick())
        await asyncio.gather(*(work() for _ in range(4)))
        ticker.cancel()

    asyncio.run(main())
    assert (len(most), max(most)) == (20, 1)
    assert len(ticks) > 20


def test_task_cancelled(path: str) -> None:
    """A cancelled task leaves no child, no descriptor and no lock; a late one says who holds it."""

    async def main() -> None:
        task = asyncio.create_task(hold.hold_async([path]))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(errors.LockTimeout):
            await hold.hold_async([path], timeout=0.1)

    with hold.hold([path]):
        asyncio.run(main())
    assert is_free(path)


@pytest.mark.slow
def test_cancelled_task_never_enters(path: str) -> None:
    """Of 222 tasks that are cancelled while the lock becomes free, none enters once its cancellation was asked for."""
    asked: set[int] = set()
    entered: list[int] = []

    async def enter(number: int) -> None:
        async with await hold.hold_async([path]):
            assert number not in asked
            entered.append(number)

    async def main() -> None:
        for number in range(222):
            held = hold.hold([path])
            task = asyncio.create_task(enter(number))
            await asyncio.sleep(number % 4 * 0.002)
            held.release()
            await asyncio.sleep(number % 9 * 0.001)
            if number not in entered and task.cancel():
                asked.add(number)
            (end,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(end, asyncio.CancelledError) == (number in asked), end

    asyncio.run(main())
    assert asked
    assert not asked & set(entered)
    assert len(asked) + len(entered) == 222
    assert is_free(path)


def test_never_released(path: str) -> None:
    """Locks that nobody released are released when they are forgotten, with a warning."""
    held = hold.hold([path])
    with pytest.warns(ResourceWarning, match="never released"):
        del held
    assert is_free(path)
