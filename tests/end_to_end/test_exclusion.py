from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests import processes
from tests.exclusion import Arena, violations

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock and signals", allow_module_level=True)


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """Where the workers meet."""
    made = Arena(tmp_path)
    yield made
    made.close()


def finish(arena: Arena, workers: list[subprocess.Popen[str]]) -> None:
    """Lets all begin at once, waits until they have done their work, and wants them to have done it well."""
    arena.go()
    for worker in workers:
        worker.communicate(timeout=10 * processes.TIMEOUT)
    assert [worker.returncode for worker in workers] == [0] * len(workers)


def test_nobody_inside_twice(arena: Arena) -> None:
    """Four processes, their threads and tasks, each spelling and waiting in its own way: 800 times one at a time."""
    finish(
        arena,
        [
            arena.worker(200, "blocking"),
            arena.worker(200, "thread"),
            arena.worker(100, "child", "blocking"),
            arena.worker(50, "task", "blocking", "thread"),
        ],
    )
    assert arena.faults() == []
    assert sum(line.startswith("L") for line in arena.lines()) == 800


@pytest.mark.parametrize("broken", ["no lock", "unlink"])
def test_checkers_notice(arena: Arena, broken: str) -> None:
    """The checkers see workers that do not lock, and workers that delete the file when they release it."""
    finish(arena, [arena.worker(50, "blocking", broken=broken) for _ in range(4)])
    faults = arena.faults()
    assert any("entered while" in fault for fault in faults)
    if broken == "no lock":
        assert any("the kernel says" in fault for fault in faults)
        assert any("were counted" in fault for fault in faults)


def test_checker_believes_only_what_came_before() -> None:
    """A kill excuses who is inside only if it was noted before the next one entered."""
    assert violations(["E 1.0.0", "K 1", "E 2.0.0", "L 2.0.0"]) == []
    assert violations(["E 1.0.0", "E 2.0.0", "K 1", "L 2.0.0"]) == ["2.0.0 entered while 1.0.0 was inside"]
    assert violations(["E 1.0.0", "K 1", "E 2.0.0", "L 1.0.0", "L 2.0.0"]) == [
        "1.0.0 left while 2.0.0 was inside",
        "2.0.0 left while nobody was inside",
    ]


@pytest.mark.slow
def test_killed_holder(tmp_path: Path) -> None:
    """The lock of a killed holder is free within a second."""
    path = str(tmp_path / ".lock")
    for _ in range(5):
        holder = processes.holder(path)
        holder.kill()
        answer = processes.probe(path, timeout=1)
        holder.communicate()
        assert answer["outcome"] == "held"


WRAPPER = """
held = locks.hold([sys.argv[1]])
if sys.argv[2] != "lost":
    held.inherit()
command = ["sh", "-c", "echo $$; exec sleep 1000"]
if sys.argv[2] == "exec":
    os.execvp(command[0], command)
subprocess.run(command, pass_fds=held.descriptors if sys.argv[2] == "parent" else ())
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["exec", "parent", "lost"])
def test_killed_wrapper(tmp_path: Path, way: str) -> None:
    """The command of a killed wrapper keeps the lock until it ends; a wrapper that alone has the lock is found out."""
    path = str(tmp_path / ".lock")
    wrapper = processes.start(WRAPPER, path, way)
    assert wrapper.stdout is not None
    command = int(wrapper.stdout.readline())
    if way == "exec":
        assert command == wrapper.pid
    else:
        wrapper.kill()
        wrapper.wait()
    try:
        expected = "held" if way == "lost" else "LockTimeout"
        assert processes.probe(path, timeout=0.1)["outcome"] == expected
    finally:
        os.kill(command, signal.SIGKILL)
    assert processes.probe(path, timeout=1)["outcome"] == "held"
    wrapper.communicate()


@pytest.mark.slow
def test_killed_group(tmp_path: Path) -> None:
    """When a whole process group is killed, waiters included, the lock is free and nobody of it still queues."""
    path = str(tmp_path / ".lock")
    code = """
first = locks.hold([sys.argv[1]])
for _ in range(3):
    threading.Thread(target=lambda: locks.hold([sys.argv[1]], timeout=100)).start()
time.sleep(0.5)
print("all there", flush=True)
time.sleep(1000)
"""
    group = processes.start(code, path, start_new_session=True)
    assert group.stdout is not None
    group.stdout.readline()
    assert processes.probe(path)["outcome"] == "LockTimeout"
    os.killpg(group.pid, signal.SIGKILL)
    group.communicate()
    assert processes.probe(path, timeout=1)["outcome"] == "held"


@pytest.mark.slow
def test_stopped_waiter(tmp_path: Path) -> None:
    """A waiter that was stopped (Ctrl-Z) while it waits is not given the lock, and queues again when it goes on."""
    path = str(tmp_path / ".lock")
    code = """
print("waiting", flush=True)
with locks.hold([sys.argv[1]], **json.loads(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""
    for options in ("{}", '{"timeout": 100}', '{"timeout": 100, "disposable": true}'):
        holder = processes.holder(path)
        waiter = processes.start(code, path, options, process_group=0)
        assert waiter.stdout is not None
        waiter.stdout.readline()
        time.sleep(0.3)
        os.killpg(waiter.pid, signal.SIGTSTP)
        time.sleep(0.1)
        processes.end(holder)
        assert processes.probe(path)["outcome"] == "held"
        os.killpg(waiter.pid, signal.SIGCONT)
        assert waiter.stdout.readline() == "held\n"
        assert processes.end(waiter) == 0
