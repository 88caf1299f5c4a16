"""The guard beside a command whose lock is kept on a server: it stops the command before another can have the lock.

It asks the server six times in a lease. At the deadline, `margin` seconds before the end of the lease, the command and
all that it started are stopped. Asking goes on until the lease is over: if the server then says that the lock is still
held, the command continues; else it is killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from policy.locks.session import SessionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from policy.locks.backend import Pause
    from policy.locks.postgresql import PostgresqlLock

_STOP, _CONTINUE, _KILL = (getattr(signal, name, 0) for name in ("SIGSTOP", "SIGCONT", "SIGKILL"))  # not on Windows
BEATS = 6  # in one lease
_ROUNDS = 100  # looks at a tree that grows while it is being stopped
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_SHORTEST = 0.1  # seconds of one poll after the lease
_LONGEST = 1.0  # seconds of one poll: a machine that was suspended is noticed this much later


class Pulse:
    """The heartbeat of one lock.

    Args:
        lock: Held, and confirmed once.
    """

    __slots__ = ("_due", "_steps", "lock")

    def __init__(self, lock: PostgresqlLock) -> None:
        self.lock: PostgresqlLock = lock
        self._due = time.monotonic() + lock.server.lease / BEATS
        self._steps: Generator[Pause, None, bool] | None = None

    @property
    def seconds(self) -> float:
        """Until it is to be looked at again, unless the socket becomes readable."""
        now = time.monotonic()
        deadline = self.lock.deadline or now
        beat = self._due if self._steps is None else now + _LONGEST
        left = deadline - now if deadline > now else self.lock.lasting()
        return max(0.0, min(_LONGEST, beat - now, left if left > 0 else _SHORTEST))

    def step(self, *, readable: bool) -> None:
        """Sends a heartbeat when it is due or there is news, and takes what was answered.

        Raises:
            SessionError: The lock is lost.
        """
        now = time.monotonic()
        if self._steps is None and (readable or now >= self._due):
            self._steps = self.lock.confirm(now + 2 * self.lock.server.lease)
            self._due = now + self.lock.server.lease / BEATS  # an answer that comes late is followed by a question
        if self._steps is None:
            return
        try:
            next(self._steps)
        except StopIteration:
            self._steps = None


class Guard:
    """What watches over a command while locks on a server are held.

    Args:
        locks: Those with a deadline.
        tell: Gets one line when the command is stopped, and when it continues.
    """

    __slots__ = ("_frozen_since", "_pulses", "_stopped", "_tell", "frozen", "lost")

    def __init__(self, locks: Sequence[PostgresqlLock], tell: Callable[[str], None]) -> None:
        self._pulses = [Pulse(lock) for lock in locks]
        self._tell = tell
        self._stopped: set[int] = set()
        self.frozen: bool = False
        self.lost: str = ""
        self._frozen_since = 0.0

    def wait(self, descriptor: int, child: int) -> None:
        """Sleeps until a descriptor is readable or something is due; stops, continues or kills the command.

        Args:
            descriptor: What else wakes it up.
            child: The command. `lost` says why it was killed.
        """
        if sys.platform == "win32":
            return
        import select

        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if self.lost:  # killed, and soon gone
            poll.poll(_LONGEST * 1000)
            return
        for pulse in self._pulses:
            if pulse.lock.watch() >= 0:
                poll.register(pulse.lock.watch(), select.POLLIN)
        seconds = min(pulse.seconds for pulse in self._pulses)
        readable = {number for number, _ in poll.poll(seconds * 1000 + 1)}
        try:
            for pulse in self._pulses:
                pulse.step(readable=pulse.lock.watch() in readable)
        except SessionError as error:
            self._lose(child, f"{pulse.lock.name}: the lock was lost: {error.reason}")
            return
        self._judge(child)

    def _judge(self, child: int) -> None:
        now = time.monotonic()
        for pulse in self._pulses:
            # A guard that was stopped itself finds the lease over when it wakes: it still asks, for as long as it
            # would have, while nothing runs.
            until = self._frozen_since + pulse.lock.server.margin
            if self.frozen and pulse.lock.lasting() <= 0 and now >= until:
                self._lose(child, f"{pulse.lock.name}: the lock was lost: no answer from {pulse.lock.server}")
                return
        late = [pulse.lock for pulse in self._pulses if (pulse.lock.deadline or now) <= now]
        if late and not self.frozen:
            self._freeze(child)
            self._tell(f"{late[0].name}: no answer from {late[0].server}: the command is stopped until it answers")
        elif self.frozen and not late:
            self._thaw()
            self._tell(f"{self._pulses[0].lock.name}: still held: the command continues")

    def _lose(self, child: int, reason: str) -> None:
        self._freeze(child)
        send_to_tree(child, _KILL)
        self.lost = reason

    def _freeze(self, child: int) -> None:
        if not self.frozen:
            self.frozen = True
            self._frozen_since = time.monotonic()
        self._stopped |= send_to_tree(child, _STOP)

    def _thaw(self) -> None:
        self.frozen = False
        for pid in self._stopped:
            _send(pid, _CONTINUE)
        self._stopped.clear()


def adopt_orphans() -> None:
    """Makes this process the parent of what its descendants leave behind, so that the whole tree can be found."""
    if sys.platform != "linux":
        return
    import ctypes

    try:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        return  # no libc to be asked: what leaves both the tree and the group is not found


def send_to_tree(child: int, number: int) -> set[int]:
    """Sends a signal to a command and to all that it started, and to what they start meanwhile.

    Args:
        child: The command; a child of this process.
        number: SIGSTOP or SIGKILL.

    Returns:
        The processes that got it; those that had been stopped before are not among them.
    """
    if sys.platform == "win32":
        return set()
    found: set[int] = set()
    seen: set[int] = set()
    for _ in range(_ROUNDS):
        new = [pid for pid in descendants(child) if pid not in seen]
        if not new:
            break
        for pid in new:
            seen.add(pid)
            if number == _KILL or _state(pid) not in {"T", "t"}:
                found.add(pid)
                _send(pid, number)
    return found


def descendants(child: int) -> list[int]:
    """A command, all processes below it or adopted by this one, and those of its process group."""
    children: dict[int, list[int]] = {}
    group = []
    for pid, parent, leader in _processes():
        children.setdefault(parent, []).append(pid)
        if leader == child:
            group.append(pid)
    found = [child]
    waiting = [child, os.getpid()]
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found:
                found.append(pid)
                waiting.append(pid)
    return list(dict.fromkeys(found + group))


def _processes() -> list[tuple[int, int, int]]:
    """Every process with its parent and its group; empty where there is no /proc."""
    from policy.locks import proc

    found = []
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for name in names:
        fields = proc.stat_fields(int(name))
        if fields and fields[0] != "Z":
            found.append((int(name), int(fields[1]), int(fields[2])))
    return found


def _state(pid: int) -> str:
    from policy.locks import proc

    return (proc.stat_fields(pid) or [""])[0]


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # it has ended, or became another user's, as sudo does
