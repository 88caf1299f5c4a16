"""Waiting for a lock in the kernel's queue, so that nobody who asks later is served first.

A polling waiter got 5 of 127 acquisitions beside a queueing one. But a thread that is blocked in flock cannot be called
back. So who may wait forever blocks; a program that ends or execs when it gives up leaves a blocked thread behind; all
others let a small child block, on the same open file description, and kill it to give up.
"""

from __future__ import annotations

import os
import sys
from _thread import start_new_thread

from policy.locks import open_file as opening
from policy.locks.backend import SLICE_SECONDS, Pause
from policy.locks.open_file import unforked

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator

    from policy.locks.backend import Deadline, Steps


if sys.platform != "win32":
    import fcntl
    from fcntl import LOCK_SH
else:
    LOCK_SH = 1

_POLL_SECONDS = 0.05  # where there is no queue, filelock's interval
_LOCKED = b"0"  # what a child says that has the lock
_CHILDREN = 3  # a child may be killed by a stray signal; beyond this many, children do not work here

# Runs in the child, with -I and -S, in 7 ms. O_ASYNC makes the kernel kill it (SIGIO) when the parent's end of its
# stdin closes, so that no killed parent leaves a waiter behind. It gives its descriptors up and says 0, or says the
# errno, and is gone.
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
    for step in sys.argv[1:]:
        fcntl.flock(*map(int, step.split(":")))
except OSError as error:
    posix.write(1, b"%d" % error.errno)
else:
    for step in sys.argv[1:]:
        posix.close(int(step.split(":")[0]))
    posix.write(1, b"0")
posix._exit(0)
"""


def wait(steps: Steps, deadline: Deadline) -> Generator[Pause, None, bool]:
    """Waits for lock files in the way that the caller allows.

    Args:
        steps: Descriptors to lock, in this order, each with LOCK_EX or LOCK_SH; the last one is what is wanted.
        deadline: How long, and whether the thread may block.

    Returns:
        Whether the last one is locked; False when time is up.

    Raises:
        OSError: There is no flock here, or it failed.
    """
    if sys.platform != "win32":
        if deadline.blocking:
            for step in steps:
                fcntl.flock(*step)  # Ctrl-C in the main thread ends it
            return True
        held = None
        if deadline.disposable:
            held = yield from _in_thread(steps, deadline)
        elif children_work():
            held = yield from _in_child(steps, deadline)
        if held is not None:
            return held
    return (yield from _polling(steps, deadline))


def _in_thread(steps: Steps, deadline: Deadline) -> Generator[Pause, None, bool | None]:
    """Waits in a thread that stays blocked if time runs out: for a program that then ends or execs.

    The thread has duplicates to close itself: a closed descriptor's number may by then be another file's.

    Returns:
        None where no thread can be started, by RLIMIT_NPROC or pids.max.
    """
    failures: list[OSError] = []
    output, done = os.pipe()
    own = [(os.dup(descriptor), operation) for descriptor, operation in steps]

    def end() -> None:
        for descriptor, _ in own:
            os.close(descriptor)
        os.close(done)  # which makes `output` readable

    def block() -> None:
        try:
            for step in own:
                if sys.platform != "win32":
                    fcntl.flock(*step)
        except OSError as error:
            failures.append(error)
        finally:
            end()

    try:
        start_new_thread(block, ())
    except RuntimeError:
        end()
        os.close(output)
        return None
    try:
        yield from _until_readable(output, deadline)
    finally:
        os.close(output)
    if failures:
        raise failures[0]
    descriptor, operation = steps[-1]
    return opening.attempt(descriptor, shared=operation == LOCK_SH)


def _until_readable(descriptor: int, deadline: Deadline) -> Generator[Pause, None, None]:
    """Pauses until a pipe becomes readable, or time is up."""
    import select

    if sys.platform == "win32":
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not deadline.over:
        yield Pause(descriptor, min(deadline.pause(), SLICE_SECONDS))
        if poll.poll(0):
            return


def _in_child(steps: Steps, deadline: Deadline) -> Generator[Pause, None, bool | None]:
    """Waits while a child blocks for us; None where no child can be started."""
    descriptor, operation = steps[-1]
    for _ in range(_CHILDREN):
        try:
            child = Child(steps)
        except (FileNotFoundError, PermissionError, BlockingIOError):
            break  # sys.executable is not there for us, or RLIMIT_NPROC or pids.max is reached
        try:
            while not deadline.over and not child.ended:
                yield Pause(child.output, min(deadline.pause(), SLICE_SECONDS))
                if child.answered():
                    break
        finally:
            child.end()
        if opening.attempt(descriptor, shared=operation == LOCK_SH):
            return True
        child.check()
        if deadline.over:
            return False
    return None


def _polling(steps: Steps, deadline: Deadline) -> Generator[Pause, None, bool]:
    """Tries again and again: for Windows, and where neither a thread nor a child can be started."""
    for descriptor, operation in steps:
        while not opening.attempt(descriptor, shared=operation == LOCK_SH):
            if deadline.over:
                return False
            yield Pause(-1, min(deadline.pause(), _POLL_SECONDS))
    return True


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Waits in a thread for a process that holds nothing any more: its end takes longer than the lock's hand-off."""
    try:
        start_new_thread(process.wait, ())
    except RuntimeError:  # RLIMIT_NPROC or pids.max is reached, or the interpreter ends
        process.wait()


def children_work() -> bool:
    """Whether `sys.executable` is a Python to be started: not in a frozen program or a server that embeds Python."""
    if sys.platform == "win32" or getattr(sys, "frozen", False):
        return False  # a frozen program would start itself
    name = os.path.basename(sys.executable or "")
    return name.startswith(("python", "pypy"))


class Child:
    """A process that blocks in flock on descriptors of ours, and so takes the locks for us.

    Args:
        steps: As for `wait`.

    Raises:
        OSError: It cannot be started.
    """

    __slots__ = ("_answer", "_lifeline", "_process", "output")

    def __init__(self, steps: Steps) -> None:
        import subprocess  # only who waits needs it

        opened: list[int] = []
        try:
            # Not made by subprocess, which leaves some open when descriptors run out (seen with Python 3.11.2).
            opened += os.pipe()
            opened += os.pipe()
            inner, self._lifeline, output, outer = opened
            self.output: int = output
            # What another thread forks now would inherit the pipe on which Popen waits for the program to begin, and
            # keep us waiting for as long as it lives.
            with unforked:
                # In our process group, so that a stop (Ctrl-Z) stops it too: who is stopped must not be given the lock.
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-I",
                        "-S",
                        "-c",
                        _CHILD,
                        *(f"{number}:{operation}" for number, operation in steps),
                    ],
                    stdin=inner,
                    stdout=outer,
                    stderr=outer,
                    pass_fds=[number for number, _ in steps],
                )
        except BaseException:
            for number in opened:
                os.close(number)
            raise
        os.close(inner)
        os.close(outer)
        # Not read to its end: a process that another thread forked may keep the other side of the pipe open.
        if sys.platform != "win32":
            os.set_blocking(self.output, False)
        self._answer = b""

    def answered(self) -> bool:
        """Whether the process has said what came of it, or has closed its output."""
        try:
            self._answer = os.read(self.output, 64)
        except BlockingIOError:
            return False
        return True

    def end(self) -> None:
        """Ends the process, which takes it out of the queue, and leaves nothing of it."""
        if self._answer == _LOCKED:
            _reap(self._process)
        else:
            self._process.kill()
            self._process.wait()
            if not self._answer:
                self.answered()
        os.close(self._lifeline)
        os.close(self.output)

    @property
    def ended(self) -> bool:
        """Whether the process is gone, with an answer or without."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raises the error that flock gave the child.

        Raises:
            OSError: There is no flock here, or it failed.
        """
        if self._answer.isdigit() and int(self._answer):
            raise OSError(int(self._answer), os.strerror(int(self._answer)))
