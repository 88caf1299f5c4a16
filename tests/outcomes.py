"""Two subjects at one place: what became of each; and what the cases of docs/reliability.md have in common."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import frozen

from tests.subjects import TIMEOUT, Place, Running, Stage, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class NotHere(Exception):  # noqa: N818  (an event)
    """This machine lacks what a case needs."""


@frozen
class Effort:
    """How much is done.

    Args:
        times: How often what happens once is repeated.
        processes: How many contend.
        acquisitions: Of each of them, where one process can take the lock again and again.
        starts: Of each of them, where each acquisition is a start of a program.
        seconds: How long a share is measured.
        races: How often four users make a lock file at the same time.
    """

    times: int = 5
    processes: int = 4
    acquisitions: int = 500
    starts: int = 25
    seconds: float = 12
    races: int = 100


@frozen
class Outcome:
    """What came of two who lock the same place.

    Args:
        first: What became of the first: `inside`, `hung`, or `refused`.
        second: What became of the second meanwhile: `inside`, `waited`, `refused`, or "" where there was none.
        code: The exit code of the first; None where it hung.
        said: Whether the first wrote something about locks to stderr.
    """

    first: str
    second: str
    code: int | None
    said: bool

    def __str__(self) -> str:
        if self.first == "hung":
            return "hangs"
        voice = "says so" if self.said else "silent"
        if self.first == "refused":
            return f"nothing ran: exit {self.code}, {voice}"
        if self.second == "inside":
            return f"**two inside**, exit {self.code}, {voice}"
        return "excludes" + (f" (second: {self.second})" if self.second == "refused" else "")


def meet(  # noqa: PLR0913  (most are left out)
    stage: Stage,
    subject: Subject,
    place: Place,
    *,
    other: Place | None = None,
    rival: Subject | None = None,
    user: int | None = None,
    wrapper: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    beside: Callable[[], None] = lambda: None,
) -> Outcome:
    """Lets one get inside, and another one try while it is there.

    Args:
        stage: Where.
        subject: Who.
        place: What the first locks.
        other: What the second locks; None: the same.
        rival: Who the second is; None: the same.
        user: Whose processes; None: ours.
        wrapper: A command that runs both.
        environ: Variables on top, of the second.
        beside: Called while the first is inside.
    """
    first = stage.start(subject, place, user=user, wrapper=wrapper)
    if not first.enters(TIMEOUT):
        code = first.process.poll()
        return Outcome("hung" if code is None else "refused", "", code, speaks_of_locks(first))
    beside()
    second = stage.start(rival or subject, other or place, user=user, wrapper=wrapper, environ=environ)
    came = "inside" if second.enters(first.long) else "waited"
    if came == "waited" and second.process.poll() is not None:
        came = "refused"
    code = first.end()
    if came == "waited" and not second.enters(TIMEOUT):
        raise AssertionError(f"{subject.name} did not get in after the first had left: {second.said}")
    second.end()
    return Outcome("inside", came, code, speaks_of_locks(first))


def speaks_of_locks(running: Running) -> bool:
    """Whether a subject has written something about locks to stderr."""
    return "lock" in running.said.lower()


def is_free(path: str, seconds: float = 0) -> bool:
    """Whether a plain flock on a file is had, within so many seconds; nothing is made that is not there."""
    if sys.platform == "win32":
        raise NotImplementedError
    import fcntl

    end = time.monotonic() + seconds
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return False
                time.sleep(0.01)
            else:
                return True
    finally:
        os.close(descriptor)


def entered(stage: Stage, subject: Subject, place: Place) -> Running:
    """A subject that is inside."""
    running = stage.start(subject, place)
    if not running.enters(TIMEOUT):
        raise AssertionError(f"{subject.name} did not get in: {running.said}")
    return running


def queued(stage: Stage, subject: Subject, place: Place, first: Running) -> Running:
    """A subject that waits for who is inside."""
    running = stage.start(subject, place)
    if running.enters(first.long):
        raise AssertionError(f"{subject.name} let two in")
    return running


Case = Callable[[Subject, Stage, Effort], str]
"""Lets a subject run, and answers what was seen; raises NotHere."""


def count(times: int, happens: Callable[[], bool]) -> str:
    """How often something happens: `k of n`."""
    return f"{sum(happens() for _ in range(times))} of {times}"
