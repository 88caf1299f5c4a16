"""Holding a plan: its locks are taken in order before one deadline, released together, and reported when lost."""

from __future__ import annotations

import sys
import time

from policy.errors import LockLost, LockTimeout, LockUnavailable, unavailable
from policy.locks import owners
from policy.variables import get

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from types import TracebackType
    from typing import Self, TypeVar

    from policy.locks.backend import Deadline, Lock, Pause, Waiting
    from policy.locks.journal import Journal

    T = TypeVar("T")

MARKER = "LOCK_POLICY_HELD"  # the variable in which a command finds what is held for it
_LONGEST = 4096  # characters of a marker; what is longer was not written by us
_INTERRUPTS = 100  # exceptions of signal handlers in a row, while locks are given up
_LOOKS = 10  # in a row at which another thread of an ancestor may hold what is waited for
_LOOK_SECONDS = 0.1  # between two of them
_REPLACED = 1000  # times that a lock may be replaced under its waiters


class Held:
    """Locks that are held until they are released.

    Filled by the steps of `take`. A context manager; with `async with` too. In a forked child it is empty.

    Args:
        locks: The locks of the plan, in the order in which they are taken.

    Attributes:
        taken: Those that are held, here or by an ancestor; one that is about to be is there already.
        inherited: Whether commands may share them.
        journal: Where to write what happens to them; None: nowhere.
    """

    __slots__ = ("inherited", "journal", "locks", "taken")

    def __init__(self, locks: Sequence[Lock] = ()) -> None:
        self.locks: Sequence[Lock] = tuple(locks)
        self.taken: list[Lock] = []
        self.inherited: bool = False
        self.journal: Journal | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a command must inherit to keep the locks; those of an ancestor included, where it passed them on."""
        return tuple(number for lock in self.taken for number in lock.descriptors)

    @property
    def lost(self) -> tuple[Lock, ...]:
        """The locks that others no longer look for."""
        return tuple(lock for lock in self.taken if not lock.is_current())

    @property
    def marker(self) -> str:
        """What `LOCK_POLICY_HELD` must be for a command that inherits the locks, so that it can join them."""
        return ",".join(lock.marker for lock in self.taken if lock.marker)

    def inherit(self) -> None:
        """Lets commands that are started from now on keep the locks until the last of them has ended."""
        self.inherited = True
        for lock in self.taken:
            lock.inherit()

    def release(self) -> None:
        """Gives the locks up. Once is enough, more does nothing.

        Raises:
            LockLost: One was deleted, replaced or lost meanwhile. All are released nevertheless.
        """
        try:
            lost = self.lost
            for lock in lost:
                self.note("lost", lock)
        finally:
            self.give_up()
        if lost:
            raise LockLost([lock.name for lock in lost])

    def give_up(self) -> None:
        """Releases without a look at what was lost, in the reverse order."""
        while self.taken:
            owners.forget(self.taken[-1])
            self.taken[-1].release()
            self.note("released", self.taken.pop())

    def note(self, event: str, lock: Lock, **facts: object) -> None:
        """Writes what happened to a lock into the journal, where there is one."""
        if self.journal is not None:
            self.journal.write(event, lock, **facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except LockLost as lost:
            if error is None:
                raise
            error.add_note(str(lost))  # what went wrong first is what the caller wants to see

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __del__(self) -> None:
        if sys.is_finalizing():  # nothing can be imported any more, and the kernel releases what is held
            return
        if not getattr(self, "taken", None) or self.inherited:  # an interrupt may have come before it was made
            return
        lost = any(lock.descriptors for lock in self.taken)
        self._surely_give_up()
        if lost:
            import warnings

            message = f"locks that were never released: {', '.join(lock.name for lock in self.locks)}"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

    def abandon(self, steps: Generator[Pause, None, object]) -> None:
        """Gives up what was taken when steps end early."""
        try:
            steps.close()
        finally:
            self._surely_give_up()
            self.locks = ()

    def _surely_give_up(self) -> None:
        """Releases whatever interrupts: an exception of a signal handler may come at any moment, and again."""
        for _ in range(_INTERRUPTS):
            try:
                self.give_up()
            except BaseException:  # noqa: BLE001, S112  (an exception is being raised already, or nobody could catch this one)
                continue
            else:
                return

    def __repr__(self) -> str:
        return f"Held({[lock.name for lock in self.locks]!r})"


def merged(marker: str, above: str) -> str:
    """What is held here, then what the marker of an ancestor names: a command of ours may want either again.

    Args:
        marker: Of what is held here.
        above: The value of `LOCK_POLICY_HELD` that this process was started with.
    """
    ours = list(filter(None, marker.split(",")))
    if len(above) > _LONGEST:
        return ",".join(ours)
    files = {entry.partition(":")[2] for entry in ours}
    more = [entry for entry in above.split(",") if entry.count(":") == 2 and entry.partition(":")[2] not in files]  # noqa: PLR2004  (as the marker has)
    return ",".join(ours + more)


def drive(held: Held, steps: Generator[Pause, None, T]) -> T:
    """Goes through steps in this thread; where they do not come to their end, nothing stays held.

    Args:
        held: What the steps take.
        steps: Of `take`, or what is built on it.

    Returns:
        What the steps return.
    """
    try:
        while True:
            sleep(next(steps))
    except StopIteration as end:
        result: T = end.value
        return result
    except BaseException:
        held.abandon(steps)
        raise


async def drive_async(held: Held, steps: Generator[Pause, None, T]) -> T:
    """Goes through steps as `drive` does, while the event loop runs."""
    try:
        while True:
            await sleep_async(next(steps))
    except StopIteration as end:
        result: T = end.value
        return result
    except BaseException:
        held.abandon(steps)
        raise


def take(
    held: Held,
    *,
    start: float | None = None,
    timeout: float | None = None,
    environ: Mapping[str, str] | None = None,
    waiting: Waiting | None = None,
    synchronous: bool = True,
    disposable: bool = False,
    reenter: bool = False,
) -> Generator[Pause, None, None]:
    """The steps for `drive` and `drive_async`: takes one lock after the other, and yields whenever it must wait.

    A lock stands in `held` before it is attempted, so that the driver can give up all of them at any point.

    Args:
        held: Takes its locks, in the order of which everybody takes them.
        start: When the waiting began, on the monotonic clock; None: now.
        timeout: Seconds to wait for all of them together; 0: not at all; None: forever.
        environ: Where an ancestor's marker is looked for; None: locks of ancestors are not joined.
        waiting: Called with a lock that is waited for and the seconds since the beginning; returns when to call again.
        synchronous: False where an event loop runs in this thread.
        disposable: True for a program that ends or execs if this fails: it may leave a blocked thread behind.
        reenter: Whether the same thread or task goes on instead of waiting for itself, and no ancestor is waited for.
    """
    start = time.monotonic() if start is None else start
    deadline: Deadline | None = None
    waited = 0  # how many were held when one was waited for last
    marker = (get(environ, MARKER) or "") if environ else ""
    held.journal = held.journal or journal(environ)
    for wanted in held.locks:
        lock = _after_joining(wanted, held, marker)
        if lock is None:
            continue
        for _ in range(_REPLACED):
            if not (lock.attempt() if synchronous else (yield from lock.attempting())):
                if _is_needless(lock, held, reenter=reenter):
                    break
                deadline = deadline or _deadline(
                    lock, start, timeout, waiting, synchronous=synchronous, disposable=disposable
                )
                waited = len(held.taken) - 1
                yield from _waits(held, lock, deadline, reenter=reenter)
            if _settled(held, lock, start):
                break
        else:
            raise LockUnavailable(lock.name, 0, "it is replaced again and again", remedy="find out who replaces it")
    _confirm(held.taken[:waited])


def _deadline(
    lock: Lock, start: float, timeout: float | None, waiting: Waiting | None, *, synchronous: bool, disposable: bool
) -> Deadline:
    """One for all locks, made when the first is waited for, with the modules that only a waiter needs.

    Raises:
        LockUnavailable: They cannot be loaded: no descriptor is left to open them with.
    """
    try:
        from policy.locks import inherit, wait  # noqa: F401  (loaded here, where a failure is reported)
        from policy.locks.backend import Deadline
    except OSError as error:
        raise unavailable(lock.name, error) from error
    return Deadline(start, timeout, waiting, synchronous=synchronous, disposable=disposable)


def _settled(held: Held, lock: Lock, start: float) -> bool:
    """Whether others look for the lock that was taken; it is noted then, else released.

    `uv venv` may have deleted it meanwhile: others lock the new one by now, so that one is needed.
    """
    if lock.deadline is None and not lock.is_current():
        lock.release()
        return False
    owners.note(lock)
    if held.journal is not None:
        held.note("acquired", lock, seconds=round(time.monotonic() - start, 3))
    return True


def _waits(held: Held, lock: Lock, deadline: Deadline, *, reenter: bool) -> Generator[Pause, None, None]:
    """Waits for one lock until it is held.

    Raises:
        LockTimeout: Time is up.
        LockUnavailable: An ancestor holds it that would wait for this process, or it can never work.
    """
    deadline.begin(lock)
    held.note("wait", lock)
    if deadline.over or not (yield from _locks(lock, deadline, reenter=reenter)):
        timeout = deadline.timeout
        held.note("timeout", lock, seconds=timeout)
        raise LockTimeout(lock.name, timeout or 0.0, deadline.look(), remedy=lock.advice)


def _locks(lock: Lock, deadline: Deadline, *, reenter: bool) -> Generator[Pause, None, bool]:
    """Waits for one lock; where a process that led to this one holds it, not at all, or not for long.

    An ancestor that waits for this process never gives the lock up; another thread of it may soon. One that takes it
    again and again is seen without it now and then.
    """
    from policy.locks.inherit import refuse_above  # only a waiter needs it

    if not (reenter and lock.kind == "file" and refuse_above(lock.name)):
        return (yield from lock.wait(deadline))
    blocking, deadline.blocking = deadline.blocking, False
    looks, due = 0, time.monotonic() + _LOOK_SECONDS
    steps = lock.wait(deadline)
    try:
        while True:
            pause = next(steps)
            pause.seconds = min(pause.seconds, _LOOK_SECONDS)
            yield pause
            if time.monotonic() >= due:
                looks = looks + 1 if refuse_above(lock.name, patient=looks < _LOOKS) else 0
                due = time.monotonic() + _LOOK_SECONDS
    except StopIteration as end:
        return bool(end.value)
    finally:
        steps.close()
        deadline.blocking = blocking


def journal(environ: Mapping[str, str] | None) -> Journal | None:
    """The journal that a variable asks for; None: none.

    Args:
        environ: Environment variables.
    """
    path = get(environ, "LOCK_POLICY_LOG") if environ else None
    if not path:
        return None
    from policy.locks.journal import Journal  # costs json

    return Journal(path)


def _confirm(locks: Sequence[Lock]) -> None:
    """Asks once more after all waiting: a server may have given a lock to another while the rest was waited for.

    Args:
        locks: Those that were held when a later one was waited for.

    Raises:
        LockUnavailable: It has.
    """
    for lock in locks:
        if lock.deadline is not None and not lock.is_current():
            raise LockUnavailable(lock.name, 0, "it was lost while waiting for the others", remedy="try again")


def _after_joining(lock: Lock, held: Held, marker: str) -> Lock | None:
    """What is left to take: the lock itself, or that of those who joined the same one; None: nothing."""
    held.taken.append(lock)
    if not (marker and lock.join(marker)):
        return lock
    held.note("joined", lock)
    deeper = lock.below(marker)
    if deeper is not None:
        held.taken.append(deeper)
    return deeper


def _is_needless(lock: Lock, held: Held, *, reenter: bool) -> bool:
    """Whether a lock would wait for itself: it is held here already, under another name or further out.

    It is given up then, and stands in `held` no more.
    """
    file = lock.marker.partition(":")[2]
    taken = any(other is not lock and other.marker.partition(":")[2] == file for other in held.taken if file)
    if not taken and not (reenter and owners.enters_again(lock)):
        return False
    lock.release()
    held.taken.pop()
    return True


def sleep(pause: Pause) -> None:
    """Sleeps in this thread until a pause is over."""
    if sys.platform == "win32" or pause.descriptor < 0:
        time.sleep(pause.seconds)
    else:
        import select

        poll = select.poll()
        poll.register(pause.descriptor, select.POLLIN)
        poll.poll(pause.seconds * 1000)


async def sleep_async(pause: Pause) -> None:
    """Sleeps until a pause is over, while other tasks run.

    Not with `asyncio.wait_for`, which swallows a cancellation that comes together with the event (until 3.11).
    """
    import asyncio

    loop = asyncio.get_running_loop()
    awake = loop.create_future()

    def wake() -> None:
        if not awake.done():
            awake.set_result(None)

    timer = loop.call_later(pause.seconds, wake)
    if pause.descriptor >= 0:
        loop.add_reader(pause.descriptor, wake)
    try:
        await awake
    finally:
        timer.cancel()
        if pause.descriptor >= 0:
            loop.remove_reader(pause.descriptor)
