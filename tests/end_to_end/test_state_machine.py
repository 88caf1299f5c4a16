"""One environment's lock, some processes, and whatever can happen to them and to the file, in any order."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests import real_uv

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform == "win32":
    pytest.skip("needs flock, fork and signals", allow_module_level=True)

pytestmark = pytest.mark.slow

ROOT = os.geteuid() == 0
WORKERS = 4
TIMEOUT = 60  # seconds after which a test counts as hung
workers = st.integers(0, WORKERS - 1)
SOON = 10.0  # seconds within which a lock is free whose holder, or whose waiter's child, was killed

# Obeys its input, line by line. What waits does so in a thread, and tells which file it waits for.
WORKER = """
import asyncio, json, os, selectors, stat, subprocess, sys, threading, traceback
from policy import errors  # all, for a fork while a thread imports hangs in Python
from policy.locks import holders  # all, for a fork while a thread imports hangs in Python
from policy.locks import file, open_file
from policy.locks import wait
from tests import acquiring as locks
path, leash, broken = sys.argv[1], int(sys.argv[2]), sys.argv[3]
held = None
telling = threading.Lock()

def tell(**message):
    with telling:
        os.write(1, json.dumps(message).encode() + b"\\n")

really, told = open_file.attempt, {}

def attempt(descriptor, *, shared):
    locked = broken == "no lock" or really(descriptor, shared=shared)
    inode = os.fstat(descriptor).st_ino
    thread = threading.get_ident()
    if thread in told and not locked and told[thread] != inode:
        told[thread] = inode
        tell(waits=inode)
    return locked

open_file.attempt = attempt

def outcome(hold):
    try:
        return hold(), {"outcome": "held"}
    except errors.LockTimeout:
        return None, {"outcome": "LockTimeout"}
    except errors.LockUnavailable as error:
        return None, {"outcome": "LockUnavailable", "errno": error.errno}
    except BaseException:
        return None, {"outcome": traceback.format_exc()}

def acquire(way, timeout):
    global held
    options = {"near": [path], "timeout": timeout}
    told[threading.get_ident()] = None
    if way == "task":
        hold = lambda: asyncio.run(locks.hold_async([path], **options))
    else:
        hold = lambda: locks.hold([path], **options)
    held, answer = outcome(hold)
    del told[threading.get_ident()]
    if held:
        answer["inode"] = os.fstat(held.descriptors[0]).st_ino
        if broken == "fork keeps it":
            open_file._opened.clear()
    tell(**answer)

def release():
    global held
    mine, held = held, None
    try:
        mine.release()
    except errors.LockLost:
        tell(outcome="LockLost")
    else:
        tell(outcome="released")

def fork(timeout):
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with open(reading) as answer:
            tell(**json.load(answer))
        return
    had = list(held.descriptors) if held else []
    try:
        held and held.release()
    except errors.LockLost:
        had.append("lost")
    other, answer = outcome(lambda: locks.hold([path], near=[path], timeout=timeout))
    if other:
        other.release()
    os.write(writing, json.dumps({**answer, "had": had}).encode())
    os.close(writing)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.read(leash, 1)  # until the test ends
    os._exit(0)

def descriptors():
    found = []
    for number in range(200):
        try:
            found.append([number, stat.S_IFMT(os.fstat(number).st_mode)])
        except OSError:
            continue
    tell(descriptors=found)

if broken == "lost unseen":
    file.FileLock.is_current = lambda lock: True
descriptors()
for line in sys.stdin:
    order, arguments = json.loads(line)
    if order == "wait":
        threading.Thread(target=acquire, args=arguments, daemon=True).start()
    else:
        {"acquire": acquire, "release": release, "fork": fork, "descriptors": descriptors}[order](*arguments)
"""


class Worker:
    """A process that obeys its input.

    Args:
        path: The lock file, by a spelling of its own.
        leash: A pipe that is readable when the test ends.
        errors: Where its standard error goes.
        broken: What is wrong with it on purpose.
    """

    def __init__(self, path: str, leash: int, errors: Any, broken: str) -> None:
        self.process = real_uv.start_as_user(
            [real_uv.public_python(), "-c", WORKER, path, str(leash), broken],
            environ={"PATH": os.environ["PATH"], "PYTHONPATH": real_uv.public_path()},
            stdin=subprocess.PIPE,
            stderr=errors,
            pass_fds=(leash,),
        )
        assert self.process.stdin
        assert self.process.stdout
        self.inputs = self.process.stdin
        self.output = self.process.stdout.fileno()
        self.pending = b""
        self.inode = 0  # of the file that it holds or waits for
        self.baseline: object = None

    def order(self, order: str, *arguments: object) -> None:
        """Sends an order, and does not wait for the answer."""
        self.inputs.write(json.dumps([order, arguments]) + "\n")
        self.inputs.flush()

    def told(self) -> dict[str, Any]:
        """The next thing that the process says."""
        until = time.monotonic() + TIMEOUT
        while b"\n" not in self.pending:
            assert select.select([self.output], [], [], max(until - time.monotonic(), 0))[0], "it says nothing"
            part = os.read(self.output, 65536)
            assert part, f"it ended with {self.process.wait()}"
            self.pending += part
        line, _, self.pending = self.pending.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def outcome(self) -> dict[str, Any]:
        """The next thing that the process says that is not whom it waits for."""
        while "waits" in (message := self.told()):
            pass
        return message

    @property
    def silent(self) -> bool:
        """Whether it has nothing to say."""
        return not self.pending and not select.select([self.output], [], [], 0)[0]

    def end(self, *, kill: bool) -> int:
        """Ends the process and closes what belongs to it."""
        if kill:
            self.process.kill()
        self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode


class Environment(RuleBasedStateMachine):
    """The lock of one environment.

    The model is who holds and who waits for which file, by inode. Which of two waiters gets in is not foreseen, so the
    rules speak of roles: some idle worker, some holder, some waiter.
    """

    broken: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="lock-policy-states-"))
        self.place.chmod(0o755)
        self.root = self.place / "env"
        self.root.mkdir()
        (self.place / "link").symlink_to("env")
        if ROOT:
            os.chown(self.root, real_uv.NOBODY, real_uv.NOBODY)
            subprocess.run(["mount", "--bind", self.root, self.root], check=True)
        self.path = self.root / ".lock"
        self.open = True
        self.readonly = False
        self.away: list[Path] = []
        self.leash, self.end_of_leash = os.pipe()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by teardown)
        self.started = self.moved = 0
        self.living: list[Worker] = []
        self.idle: list[Worker] = []
        self.holding: list[Worker] = []
        self.waiting: list[Worker] = []
        for _ in range(WORKERS):
            self.start()

    def start(self) -> None:
        """One more worker."""
        spellings = ("env/.lock", "link/.lock", "env/../link//.lock")
        path = f"{self.place}/{spellings[self.started % len(spellings)]}"
        self.started += 1
        worker = Worker(path, self.leash, self.errors, self.broken)
        self.living.append(worker)
        worker.baseline = worker.told()["descriptors"]
        self.idle.append(worker)

    @property
    def current(self) -> int:
        """The inode of the file at the path, 0 where there is none."""
        try:
            return self.path.lstat().st_ino
        except FileNotFoundError:
            return 0

    @property
    def expected(self) -> str:
        """What comes of an attempt to take the lock."""
        current = self.current
        if self.readonly or not (current or self.open):
            return "LockUnavailable"
        return "LockTimeout" if any(holder.inode == current for holder in self.holding) else "held"

    def holds(self, worker: Worker, message: dict[str, Any]) -> None:
        """A worker says that it is inside."""
        assert message["outcome"] == "held", message
        assert message["inode"] == self.current
        worker.inode = message["inode"]
        self.holding.append(worker)

    def settle(self, current: int) -> None:
        """A file was given up: one of those who wait for it gets in, or all of them find that it has gone.

        Args:
            current: The inode of the file at the path before that.
        """
        while True:
            held = {holder.inode for holder in self.holding}
            awake = [waiter for waiter in self.waiting if waiter.inode not in held]
            if not awake:
                return
            inode = awake[0].inode
            awake = [waiter for waiter in awake if waiter.inode == inode]
            if inode == current:
                self.one_enters(awake)
            else:
                self.all_move(awake)
                current = self.current

    def one_enters(self, waiters: list[Worker]) -> None:
        """The first of them."""
        outputs = {waiter.output: waiter for waiter in waiters}
        ready = select.select(list(outputs), [], [], TIMEOUT)[0]
        assert ready, "nobody gets in"
        worker = outputs[ready[0]]
        self.waiting.remove(worker)
        self.holds(worker, worker.told())

    def all_move(self, waiters: list[Worker]) -> None:
        """What they waited for is no longer the file at the path, so they take that one, or wait for it."""
        expected = self.expected
        entered = 0
        for worker in waiters:
            message = worker.told()
            if "waits" in message:
                assert expected != "LockUnavailable"
                assert message["waits"] == self.current
                worker.inode = message["waits"]
                continue
            self.waiting.remove(worker)
            if expected == "LockUnavailable":
                assert message["outcome"] == "LockUnavailable", message
                self.idle.append(worker)
            else:
                self.holds(worker, message)
                entered += 1
        assert entered == (expected == "held")

    # What workers do.

    @precondition(lambda self: self.idle)
    @rule(which=workers)
    def acquire(self, which: int) -> None:
        """An idle worker that does not wait gets the lock exactly if it is free."""
        worker = self.idle.pop(which % len(self.idle))
        # A process that was killed while it waited may have left a child that has not noticed yet.
        worker.order("acquire", "now", 0 if self.expected == "LockTimeout" else SOON)
        self.answers(worker)

    @precondition(lambda self: self.idle)
    @rule(which=workers, way=st.sampled_from(["child", "blocking", "task"]))
    def wait(self, which: int, way: str) -> None:
        """An idle worker gets the lock if it is free, and waits for it if not, in one of three ways."""
        worker = self.idle.pop(which % len(self.idle))
        worker.order("wait", way, None if way == "blocking" else 10 * TIMEOUT)
        if self.expected != "LockTimeout":
            self.answers(worker)
            return
        worker.inode = worker.told()["waits"]
        assert worker.inode == self.current
        self.waiting.append(worker)

    def answers(self, worker: Worker) -> None:
        """A worker that need not wait answers what is to be expected."""
        expected = self.expected
        message = worker.outcome()
        assert message["outcome"] == expected, message
        if expected == "held":
            self.holds(worker, message)
        else:
            self.idle.append(worker)

    @precondition(lambda self: self.holding)
    @rule(which=workers)
    def release(self, which: int) -> None:
        """A lost lock is reported exactly if the file at the path is another one, or none."""
        worker = self.holding.pop(which % len(self.holding))
        current = self.current  # by the time of the answer a waiter may have made another file, with the same inode
        worker.order("release")
        message = worker.told()
        assert message["outcome"] == ("released" if worker.inode == current else "LockLost"), message
        self.idle.append(worker)
        self.settle(current)

    @precondition(lambda self: self.holding or self.waiting)
    @rule(which=workers)
    def kill(self, which: int) -> None:
        """A killed holder's lock is free, a killed waiter does not get it, and others go on."""
        busy = [*self.holding, *self.waiting]
        worker = busy[which % len(busy)]
        (self.holding if worker in self.holding else self.waiting).remove(worker)
        current = self.current
        self.living.remove(worker)
        worker.end(kill=True)
        self.settle(current)
        self.start()

    @rule(which=workers)
    def fork(self, which: int) -> None:
        """A forked child holds nothing, releases nothing, gets the lock only if it is free, and lives on."""
        all_there = [*self.holding, *self.waiting, *self.idle]
        worker = all_there[which % len(all_there)]
        expected = self.expected
        worker.order("fork", 0 if expected == "LockTimeout" else SOON)
        message = worker.told()
        assert message["had"] == []
        assert message["outcome"] == expected, message

    # What happens to the file.

    @precondition(lambda self: self.current and not self.readonly)
    @rule()
    def delete(self) -> None:
        """`uv venv` over the environment deletes its lock."""
        self.change(self.path.unlink)

    @precondition(lambda self: self.current and not self.readonly)
    @rule()
    def rename(self) -> None:
        """Somebody moves the file away."""
        self.moved += 1
        self.away.append(self.root / f"away-{self.moved}")
        self.change(lambda: self.path.rename(self.away[-1]))

    @precondition(lambda self: self.away and not self.readonly)
    @rule(which=st.integers(0, 9))
    def restore(self, which: int) -> None:
        """Somebody moves a file back, over what is there."""
        file = self.away.pop(which % len(self.away))
        self.change(lambda: file.rename(self.path))

    @precondition(lambda self: not self.readonly)
    @rule()
    def replace(self) -> None:
        """Somebody puts another file there."""

        def replaced() -> None:
            other = self.root / "other"
            other.touch()
            other.chmod(0o666)
            other.rename(self.path)

        self.change(replaced)

    def change(self, change: Callable[[], object]) -> None:
        """Changes the directory, whatever its mode."""
        self.root.chmod(0o755)
        change()
        self.root.chmod(0o755 if self.open else 0o555)

    @precondition(lambda self: not self.readonly)
    @rule()
    def chmod(self) -> None:
        """Somebody takes the right to make files from the directory's owner, or gives it back."""
        self.open = not self.open
        self.root.chmod(0o755 if self.open else 0o555)

    @precondition(lambda self: ROOT and not self.holding and not self.waiting)
    @rule()
    def remount(self) -> None:
        """Somebody mounts the file system read-only, which the kernel allows once no process has the file open."""
        self.readonly = not self.readonly
        command: list[str | Path] = ["mount", "-o", f"remount,bind,{'ro' if self.readonly else 'rw'}", self.root]
        until = time.monotonic() + SOON
        while subprocess.run(command, check=False, capture_output=True).returncode:
            assert time.monotonic() < until, "somebody has the file open, but nobody holds it"
            time.sleep(0.05)

    # What holds whatever happened.

    @invariant()
    def never_two_inside(self) -> None:
        """Each holder holds a file of its own, and prints no more than was expected."""
        inodes = [holder.inode for holder in self.holding]
        assert len(set(inodes)) == len(inodes)
        assert all(worker.silent for worker in (*self.idle, *self.holding, *self.waiting))

    @invariant()
    def kernel_agrees(self) -> None:
        """The file at the path is locked exactly if one of the workers says that it holds it."""
        current = self.current
        if not current:
            return
        locked = any(holder.inode == current for holder in self.holding)
        until = time.monotonic() + SOON
        while locked is not self.is_locked():
            assert not locked, "the kernel says that nobody holds it"
            assert time.monotonic() < until, "nobody holds it, but it stays locked"
            time.sleep(0.01)

    def is_locked(self) -> bool:
        """What the kernel says."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def teardown(self) -> None:
        """After all is released nothing is left: no file beside the lock, no descriptor in a worker, no traceback."""
        try:
            while self.holding:
                self.release(0)
            self.kernel_agrees()
            assert not self.waiting
            for worker in self.idle:
                worker.order("descriptors")
                assert worker.told()["descriptors"] == worker.baseline
                self.living.remove(worker)
                assert worker.end(kill=False) == 0
            assert set(self.root.iterdir()) - {self.path} == set(self.away)
            self.errors.seek(0)
            assert self.errors.read() == b""
        finally:
            for worker in self.living:
                worker.end(kill=True)
            self.errors.close()
            os.close(self.leash)
            os.close(self.end_of_leash)
            if ROOT:
                subprocess.run(["umount", "--lazy", self.root], check=True)
            self.root.chmod(0o755)
            shutil.rmtree(self.place)


bounded = settings(
    max_examples=30,
    stateful_step_count=30,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking starts thousands of processes
    print_blob=True,
)


def test_whatever_happens() -> None:
    """Never two inside, locks are reported as lost exactly when they are, and nothing is left."""
    run_state_machine_as_test(Environment, settings=bounded)


@pytest.mark.parametrize("broken", ["no lock", "lost unseen", "fork keeps it"])
def test_checkers_notice(broken: str) -> None:
    """The machine sees workers that do not lock, that do not look for their file, and whose children keep the lock."""

    class Broken(Environment):
        pass

    Broken.broken = broken
    few = settings(bounded, derandomize=True, phases=[Phase.generate], max_examples=40)
    with pytest.raises((AssertionError, Flaky)):
        run_state_machine_as_test(Broken, settings=few)
