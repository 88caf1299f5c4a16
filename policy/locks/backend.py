"""What every lock of a plan can do; `file.py` is the first implementation.

A plan entry is such an object. It is made unheld: no descriptor is open and nothing was touched. It can be taken,
released and taken again. Two of them are equal when their purpose, kind and name are.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Protocol

    from policy.locks.holders import Holder

    Waiting = Callable[["Lock", float], float | None]
    Steps = Sequence[tuple[int, int]]  # descriptors, each with an operation of flock(2)

    class Lock(Protocol):
        """Something that can be held and that excludes.

        Attributes:
            purpose: Why it is in the plan, and so its place in the order: one of `plan.ORDER`.
            kind: What it is: `file`, ...
            name: How people and messages name it: a path, or a key.
            shared: Whether it is taken for reading.
        """

        purpose: str
        kind: str
        name: str
        shared: bool

        @property
        def deadline(self) -> float | None:
            """The monotonic moment by which it must be confirmed again; None for what the kernel keeps."""

        @property
        def outlives(self) -> bool:
            """Whether it stays held when this process ends without releasing it: no kernel and no server sees to it."""

        @property
        def advice(self) -> str:
            """What to do where its holder may have died and left it held; "" where that cannot be."""

        @property
        def descriptors(self) -> tuple[int, ...]:
            """What a command must inherit to keep the lock."""

        @property
        def marker(self) -> str:
            """`descriptor:device:inode`, by which a command recognises what it inherited; "" when nothing can be."""

        def attempt(self) -> bool:
            """Opens what is needed and tries once.

            Returns:
                True when it is held now, False when another holds it.

            Raises:
                LockUnavailable: It can never work.
            """

        def attempting(self) -> Generator[Pause, None, bool]:
            """What `attempt` does, pausing whenever it would block: for an event loop."""

        def wait(self, deadline: Deadline) -> Generator[Pause, None, bool]:
            """Waits after an attempt that failed, pausing whenever it yields.

            Returns:
                True when it is held now; False when time is up, and then no place in a queue is left behind.

            Raises:
                LockUnavailable: It can never work.
            """

        def is_current(self) -> bool:
            """Asks the kernel or server whether this is still the lock that others look for; True when not held."""

        def is_held(self) -> bool | None:
            """Whether anybody holds it now; None where that cannot be known. Raises nothing."""

        def watch(self) -> int:
            """A descriptor to poll for bad news while it is held, -1 when there is none."""

        def inherit(self) -> None:
            """Lets commands that are started from now on keep the lock until the last of them has ended."""

        def release(self) -> None:
            """Gives it up. Raises nothing of its own; once is enough, more does nothing."""

        def holders(self) -> tuple[Holder, ...]:
            """Who holds it now, as far as that can be known. Raises nothing."""

        def join(self, text: str) -> bool:
            """Takes over what an ancestor holds, as the value of `LOCK_POLICY_HELD` says and the kernel confirms."""

        def below(self, text: str) -> Lock | None:
            """What those who joined the same lock take, to exclude each other; None where they need nothing."""

        def record(self) -> dict[str, object]:
            """Its entry in the plan of `explain --output-format json`."""

        def __str__(self) -> str:
            """Its own words: what it is, for people who read a plan."""


SLICE_SECONDS = 0.5  # a signal that falls between Python's last look and the system call is seen this much later
_LOOK_SECONDS = 0.1  # reading /proc/locks stops every lock of the host for 7 to 30 ms; importing attrs takes 40


class Pause:
    """What a waiting generator yields: its driver sleeps this long, and lets other tasks run if it has any.

    Args:
        descriptor: Wakes the driver when it becomes readable; -1: none does.
        seconds: The longest time to sleep.
    """

    __slots__ = ("descriptor", "seconds")

    def __init__(self, descriptor: int, seconds: float) -> None:
        self.descriptor: int = descriptor
        self.seconds: float = seconds


class Deadline:
    """How long to wait yet, and whom to tell: one deadline over all locks of a plan.

    Args:
        start: When the waiting began, on the monotonic clock.
        timeout: Seconds from then; None: forever.
        waiting: Told of a lock that is waited for and of the seconds since the beginning; at once, and again after as
            many seconds as it answers (None: not again).
        synchronous: Whether a lock may block the thread: nothing else runs in it.
        disposable: True for a program that ends or execs when it gives up, and may leave a blocked thread behind.
    """

    __slots__ = (
        "_deadline",
        "_due",
        "_lock",
        "_look",
        "_start",
        "_waiting",
        "blocking",
        "disposable",
        "holders",
        "timeout",
    )

    def __init__(
        self,
        start: float,
        timeout: float | None,
        waiting: Waiting | None = None,
        *,
        synchronous: bool = True,
        disposable: bool = False,
    ) -> None:
        self.timeout: float | None = timeout
        self._start = start
        self._deadline = None if timeout is None else start + timeout
        self._waiting = waiting
        self._due: float | None = None
        self._look = None if self._deadline is None else self._deadline - _LOOK_SECONDS
        self._lock: Lock | None = None
        self.holders: tuple[Holder, ...] = ()
        self.disposable: bool = synchronous and disposable
        self.blocking: bool = synchronous and timeout is None and waiting is None

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def begin(self, lock: Lock) -> None:
        """A lock is waited for, perhaps another one than before."""
        if lock is not self._lock and self._waiting is not None:
            self._due = time.monotonic()
        self._lock = lock
        self.holders = ()

    def pause(self) -> float:
        """Tells whom is to be told by now; returns the seconds until something is due again, 0.0 when time is up."""
        now = time.monotonic()
        if self._waiting and self._lock and self._due is not None and now >= self._due:
            again = self._waiting(self._lock, now - self._start)
            now = time.monotonic()
            self._due = None if again is None else now + max(again, 0.01)
        if self._look is not None and now >= self._look:
            # Who holds it is found out shortly before the time is up, so that the error comes when it was promised.
            self._look = None
            self.look()
            now = time.monotonic()
        ends = [moment for moment in (self._deadline, self._due, self._look) if moment is not None]
        return max(min(ends) - now, 0.0) if ends else SLICE_SECONDS

    def look(self) -> tuple[Holder, ...]:
        """Finds out who holds the lock, unless that is known."""
        if not self.holders and self._lock is not None:
            self.holders = self._lock.holders()
        return self.holders
