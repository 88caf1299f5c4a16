"""Waiting for a lock in the kernel's queue, so that nobody who asks later is served first.

A polling waiter got 5 of 127 acquisitions beside a queueing one. But a thread that is blocked in flock cannot be called
back. So who may wait for ever blocks; a program that ends or execs when it gives up leaves a blocked thread behind; all
others let a small child block, on the same open file description, and kill it to give up.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from policy.locks.file import unforked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.locks.holders import Holder

    Attempt = Callable[[int], bool]
    Waiting = Callable[[str, float], float | None]

if sys.platform != "win32":
    import fcntl

_SLICE_SECONDS = 0.5  # a signal that falls between Python's last look and the system call is seen this much later
_POLL_SECONDS = 0.05  # where no queue can be had, filelock's interval
_LOOK_SECONDS = 0.1  # reading /proc/locks stops every lock of the host for 7 to 30 ms; importing attrs takes 40
_CHILDREN = 3  # a child may be killed by a stray signal; beyond this many, children do not work here

# Runs in the child, with -I and -S, in 7 ms. O_ASYNC makes the kernel kill it (SIGIO) when the parent's end of its
# stdin closes, so that no killed parent leaves a waiter behind. It says 0, or the errno, and is gone.
_CHILD = """
import posix, sys, fcntl
fcntl.fcntl(0, fcntl.F_SETOWN, posix.getpid())
fcntl.fcntl(0, fcntl.F_SETFL, posix.O_NONBLOCK | fcntl.FASYNC)
try:
    if not posix.read(0, 1):
        posix._exit(1)
except BlockingIOError:
    pass
try:
    fcntl.flock(int(sys.argv[1]), fcntl.LOCK_EX)
except OSError as error:
    posix.write(1, b"%d" % error.errno)
else:
    posix.write(1, b"0")
posix._exit(0)
"""


class Patience:
    """How long to wait yet, and whom to tell: one deadline over all files.

    Args:
        start: When the waiting began, on the monotonic clock.
        timeout: Seconds from then; None: for ever.
        waiting: Told of a file that is waited for and of the seconds since the beginning; at once, and again after as
            many seconds as it answers (None: not again).
    """

    __slots__ = ("_deadline", "_due", "_look", "_path", "_start", "_waiting", "holders")

    def __init__(self, start: float, timeout: float | None, waiting: Waiting | None = None) -> None:
        self._start = start
        self._deadline = None if timeout is None else start + timeout
        self._waiting = waiting
        self._due: float | None = None
        self._look = None if self._deadline is None else self._deadline - _LOOK_SECONDS
        self._path = ""
        self.holders: tuple[Holder, ...] = ()

    @property
    def endless(self) -> bool:
        """Whether there is neither a deadline nor anyone to tell."""
        return self._deadline is None and self._waiting is None

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def begin(self, path: str) -> None:
        """A file is waited for, perhaps another one than before."""
        if path != self._path and self._waiting is not None:
            self._due = time.monotonic()
        self._path = path
        self.holders = ()

    def pause(self) -> float:
        """Tells whom is to be told by now; returns the seconds until something is due again, 0.0 when time is up."""
        now = time.monotonic()
        if self._waiting is not None and self._due is not None and now >= self._due:
            again = self._waiting(self._path, now - self._start)
            now = time.monotonic()
            self._due = None if again is None else now + max(again, 0.01)
        if self._look is not None and now >= self._look:
            # Who holds it is found out shortly before the time is up, so that the error comes when it was promised.
            self._look = None
            self.look()
            now = time.monotonic()
        ends = [moment for moment in (self._deadline, self._due, self._look) if moment is not None]
        return max(min(ends) - now, 0.0) if ends else _SLICE_SECONDS

    def look(self) -> tuple[Holder, ...]:
        """Finds out who holds the file, unless that is known."""
        if not self.holders:
            from policy.locks.holders import holders  # costs attrs; only who gives up needs it

            self.holders = holders(self._path)
        return self.holders


def blocking(descriptor: int, patience: Patience, attempt: Attempt) -> bool:
    """Waits in this thread, for ever; Ctrl-C in the main thread ends it."""
    del patience
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return attempt(descriptor)


def in_thread(descriptor: int, patience: Patience, attempt: Attempt) -> bool:
    """Waits in a thread that stays blocked if time runs out: for a program that then ends or execs.

    The thread has a duplicate to close itself: a closed descriptor's number may by then be another file's.

    Returns:
        Whether the lock is held; False when time is up.
    """
    from _thread import allocate_lock, start_new_thread

    failures: list[OSError] = []
    done = allocate_lock()
    done.acquire()
    duplicate = os.dup(descriptor)

    def block() -> None:
        try:
            if sys.platform != "win32":
                fcntl.flock(duplicate, fcntl.LOCK_EX)
        except OSError as error:
            failures.append(error)
        finally:
            os.close(duplicate)
            done.release()

    start_new_thread(block, ())
    while not patience.over:
        if done.acquire(timeout=min(patience.pause(), _SLICE_SECONDS)):
            break
    if failures:
        raise failures[0]
    return attempt(descriptor)


def in_child(descriptor: int, patience: Patience, attempt: Attempt) -> bool:
    """Waits while a child blocks for us.

    Returns:
        Whether the lock is held; False when time is up.
    """
    import selectors

    for _ in range(_CHILDREN):
        try:
            child = Child(descriptor)
        except (FileNotFoundError, PermissionError):
            break  # sys.executable is not there for us
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(child.output, selectors.EVENT_READ)
                while not patience.over and not child.ended:
                    if selector.select(min(patience.pause(), _SLICE_SECONDS)):
                        break
        finally:
            child.end()
        if attempt(descriptor):
            return True
        child.check()
        if patience.over:
            return False
    return polling(descriptor, patience, attempt)


async def in_child_async(descriptor: int, patience: Patience, attempt: Attempt) -> bool:
    """Waits while a child blocks for us and the event loop runs.

    Returns:
        Whether the lock is held; False when time is up.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    for _ in range(_CHILDREN):
        try:
            child = Child(descriptor)
        except (FileNotFoundError, PermissionError):
            break
        try:
            told = asyncio.Event()
            loop.add_reader(child.output, told.set)
            try:
                while not patience.over and not told.is_set() and not child.ended:
                    try:
                        await asyncio.wait_for(told.wait(), min(patience.pause(), _SLICE_SECONDS))
                    except TimeoutError:
                        continue
            finally:
                loop.remove_reader(child.output)
        finally:
            child.end()
        if attempt(descriptor):
            return True
        child.check()
        if patience.over:
            return False
    return await polling_async(descriptor, patience, attempt)


def polling(descriptor: int, patience: Patience, attempt: Attempt) -> bool:
    """Asks again and again: for Windows, and where no child can be started."""
    while not attempt(descriptor):
        if patience.over:
            return False
        time.sleep(min(patience.pause(), _POLL_SECONDS))
    return True


async def polling_async(descriptor: int, patience: Patience, attempt: Attempt) -> bool:
    """Asks again and again while the event loop runs."""
    import asyncio

    while not attempt(descriptor):
        if patience.over:
            return False
        await asyncio.sleep(min(patience.pause(), _POLL_SECONDS))
    return True


def children_work() -> bool:
    """Whether `sys.executable` is a Python to be started: not in a frozen program or a server that embeds Python."""
    if sys.platform == "win32" or getattr(sys, "frozen", False):
        return False  # a frozen program would start itself
    name = os.path.basename(sys.executable or "")
    return name.startswith(("python", "pypy"))


class Child:
    """A process that blocks in flock on a descriptor of ours, and thereby takes the lock for us.

    Args:
        descriptor: Of the lock file.

    Raises:
        OSError: It cannot be started.
    """

    __slots__ = ("_answer", "_lifeline", "_process", "output")

    def __init__(self, descriptor: int) -> None:
        import subprocess  # only who waits needs it

        opened: list[int] = []
        try:
            # Not made by subprocess, which leaves some open when descriptors run out (seen with Python 3.11.2).
            opened += os.pipe()
            opened += os.pipe()
            inner, self._lifeline, self.output, outer = opened
            # What another thread forks now would inherit the pipe on which Popen waits for the program to begin, and
            # keep us waiting for as long as it lives.
            with unforked:
                # In our process group, so that a stop (Ctrl-Z) stops it too: who is stopped must not be given the lock.
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _CHILD, str(descriptor)],
                    stdin=inner,
                    stdout=outer,
                    stderr=outer,
                    pass_fds=(descriptor,),
                )
        except BaseException:
            for number in opened:
                os.close(number)
            raise
        os.close(inner)
        os.close(outer)
        self._answer = b""

    def end(self) -> None:
        """Ends the process, which takes it out of the queue, and leaves nothing of it."""
        self._process.kill()
        self._process.wait()
        if sys.platform != "win32":
            # Not read to its end: a process that another thread forked may keep the other side of the pipe open.
            os.set_blocking(self.output, False)
            with contextlib.suppress(BlockingIOError):
                self._answer = os.read(self.output, 64)
        os.close(self._lifeline)
        os.close(self.output)

    @property
    def ended(self) -> bool:
        """Whether the process is gone, be it with an answer or without."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raises the error that flock gave the child.

        Raises:
            OSError: There is no flock here, or it failed.
        """
        if self._answer.isdigit() and int(self._answer):
            raise OSError(int(self._answer), os.strerror(int(self._answer)))


def chosen(patience: Patience, *, disposable: bool) -> Callable[[int, Patience, Attempt], bool]:
    """The way to wait for a caller that is not an asyncio task.

    Args:
        patience: Who need not give up may block where they are.
        disposable: True for a program that ends or execs when it gives up.
    """
    if sys.platform == "win32":
        return polling
    if disposable:
        return in_thread
    if patience.endless:
        return blocking
    return in_child if children_work() else polling
