"""What every lock of a plan can do; `file.py` is the first implementation.

A plan entry is such an object. It is made unheld: no descriptor is open and nothing was touched. It can be taken,
released and taken again. Two of them are equal when their purpose, kind and name are.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Protocol

    from policy.locks.holders import Holder
    from policy.locks.wait import Deadline

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
            """Whether anybody holds it now; None where that cannot be known."""

        def watch(self) -> int:
            """A descriptor to poll for bad news while it is held, -1 when there is none."""

        def inherit(self) -> None:
            """Lets commands that are started from now on keep the lock until the last of them has ended."""

        def release(self) -> None:
            """Gives it up. Raises nothing of its own; once is enough, more does nothing."""

        def holders(self) -> tuple[Holder, ...]:
            """Who holds it now, as far as that can be known."""

        def join(self, text: str) -> bool:
            """Takes over what an ancestor holds, as the value of `LOCK_POLICY_HELD` says and the kernel confirms."""

        def below(self, text: str) -> Lock | None:
            """What those who joined the same lock take, to exclude each other; None where they need nothing."""

        def record(self) -> dict[str, object]:
            """Its entry in the plan of `explain --output-format json`."""

        def __str__(self) -> str:
            """Its own words: what it is, for people who read a plan."""


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
