"""A parent that stays beside its command, which must not inherit the lock or cannot replace the process."""

from __future__ import annotations

import os
import signal
import sys

from policy.commands.options import complain, note
from policy.errors import LockLost, LockUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    from policy.locks.guard import Guard
    from policy.locks.hold import Held

CANNOT_START, NOT_FOUND = 126, 127  # env(1), timeout(1)
SIGNALLED = 128


def stay(command: Sequence[str], environ: Mapping[str, str], held: Held, replaced: frozenset[str] = frozenset()) -> int:
    """Runs a command, waits for it, then releases; stops it before a lock on a server can be another's.

    Args:
        command: The program and its arguments.
        environ: Its environment variables.
        held: What is held meanwhile; released when the command has been reaped, not before.
        replaced: The locks that the command replaces itself, whose loss is none.

    Returns:
        The command's exit code, 128+N for a signal N, or 125 when it succeeded but the lock was lost.
    """
    code = 0
    try:
        with held:
            guard = _guard(held) if any(lock.deadline is not None for lock in held.taken) else None
            code = _run(command, environ, guard)
            if guard and guard.lost:
                complain(f"{guard.lost}; the command was killed")
                held.give_up()
                return LockLost.exit_code
    except LockLost as lost:
        if not replaced.issuperset(lost.paths):
            complain(str(lost))
            return code or lost.exit_code
    return code


def _guard(held: Held) -> Guard:
    """What stops a command in time, where locks have a deadline.

    Raises:
        LockUnavailable: One was lost before the command could start.
    """
    from policy.locks.guard import Guard
    from policy.locks.postgresql import confirmable

    locks = confirmable(held.taken)
    gone = [lock for lock in locks if not lock.is_current()]  # whatever was waited for since it was confirmed
    if gone:
        held.give_up()
        raise LockUnavailable(gone[0].name, 0, "it was lost before the command could start", remedy="try again")
    return Guard(locks, note)


def exit_on_signals() -> None:
    """Lets a signal that ends this process raise SystemExit, so that no lock is left that outlives it.

    What is ignored stays ignored, as `nohup` wants it. While the command runs, it gets these signals instead.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _exit)


def _exit(number: int, frame: object) -> NoReturn:
    del frame
    sys.exit(SIGNALLED + number)


def cannot_start(program: str, error: Exception) -> int:
    """Says why a program did not start; returns the exit code for it."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) or not program:
        complain(f"{program}: command not found")
        return NOT_FOUND
    complain(f"{program}: cannot be started: {getattr(error, 'strerror', None) or error}")
    return CANNOT_START


if sys.platform == "win32":

    def _run(command: Sequence[str], environ: Mapping[str, str], guard: Guard | None = None) -> int:
        import subprocess

        del guard  # a command cannot be stopped there

        try:
            process = subprocess.Popen(list(command), env=dict(environ))
        except (OSError, ValueError) as error:
            return cannot_start(command[0], error)
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the console sent it to the command too
                continue

else:
    # What a terminal sends, it sends to the whole process group, the command included.
    _FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
    _FORWARDED = (*_FROM_TERMINAL, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    _SI_KERNEL = 0x80  # sigaction(2): sent by the kernel, not by kill(2)

    def _run(command: Sequence[str], environ: Mapping[str, str], guard: Guard | None = None) -> int:
        # Where it is ignored the kernel reaps children itself: no signal, no exit code, and a wait without end.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Blocked before the start, so that none is lost between the start and the wait.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_FORWARDED, signal.SIGCHLD))
        try:
            group: dict[str, Any] = {"setpgroup": 0} if guard and not _in_foreground() else {}
            try:
                child = os.posix_spawnp(
                    command[0],
                    list(command),
                    environ,
                    setsigmask=before,
                    setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores these two
                    **group,
                )
            except (OSError, ValueError) as error:
                return cannot_start(command[0], error)
            return _wait_guarded(child, guard) if guard else _wait(child)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _wait(child: int) -> int:
        while True:
            number, from_terminal = _next_signal()
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else SIGNALLED - code
            if number != signal.SIGCHLD and not from_terminal:
                _forward(child, number)

    def _in_foreground() -> bool:
        """Whether a terminal's keys reach this process group, which the command must then not leave."""
        try:
            terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        except OSError:
            return False
        finally:
            os.close(terminal)

    def _wait_guarded(child: int, guard: Guard) -> int:
        from _thread import start_new_thread

        from policy.locks.guard import adopt_orphans

        adopt_orphans()
        output, noted = os.pipe()

        def listen() -> None:
            while True:
                number, from_terminal = _next_signal()
                os.write(noted, bytes((number, from_terminal)))

        start_new_thread(listen, ())
        while True:
            guard.wait(output, child)
            while (ended := _reap()) is not None:
                if ended[0] == child:
                    return ended[1] if ended[1] >= 0 else SIGNALLED - ended[1]
            for number, from_terminal in _noted(output):
                if number != signal.SIGCHLD and not from_terminal and not guard.lost:
                    _forward(child, number)

    def _noted(output: int) -> list[tuple[int, int]]:
        """The signals that the listener has written down."""
        os.set_blocking(output, False)
        try:
            text = os.read(output, 1024)
        except BlockingIOError:
            return []
        return list(zip(text[::2], text[1::2], strict=True))

    def _reap() -> tuple[int, int] | None:
        """A child that has ended, the command or an orphan of it, and its exit code."""
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        return (pid, os.waitstatus_to_exitcode(status)) if pid else None

    def _forward(child: int, number: int) -> None:
        try:
            os.kill(child, number)
        except PermissionError:  # it became another user, as sudo does; what ends it is not ours to send
            complain(f"{signal.Signals(number).name} cannot be sent on to process {child}: it is another user's")

    def _next_signal() -> tuple[int, bool]:
        """The next signal, and whether the command got it already."""
        wanted = (*_FORWARDED, signal.SIGCHLD)
        if sys.platform == "linux":
            received = signal.sigwaitinfo(wanted)
            return received.si_signo, received.si_code == _SI_KERNEL and received.si_signo in _FROM_TERMINAL
        number = signal.sigwait(wanted)
        return number, number in _FROM_TERMINAL
