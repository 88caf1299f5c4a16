"""From a decision to held locks: the plan is taken, a wrong fact is corrected, an optional lock is done without."""

from __future__ import annotations

import errno
import os

from policy.errors import LockTimeout, LockUnavailable
from policy.locks import hold as locks
from policy.rules.plan import default_global_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from policy.locks.hold import Held
    from policy.rules.decision import Decision

REFUSALS = (errno.EROFS, errno.EACCES, errno.EPERM)


def correct(decision: Decision, error: LockUnavailable, decide: Callable[[], Decision]) -> Decision | None:
    """Asks the rules once more where `writable` was believed and the kernel then refused the local file.

    Args:
        decision: What was decided.
        error: Why its plan could not be taken.
        decide: Asks the rules again, with the same request.

    Returns:
        The new decision, or None where the error says nothing about `writable`.
    """
    request = decision.request
    local = os.path.join(request.environment.root, ".lock")
    if error.path != local or error.errno not in REFUSALS or request.facts.get("writable") is False:
        return None
    request.facts["writable"] = False
    request.details["writable"] = error.reason
    again = decide()
    again.corrected = f"{error.path} could not be made although it seemed so: {error.reason}"
    return again if again.plan != decision.plan else None


def explained(decision: Decision, error: LockUnavailable) -> LockUnavailable:
    """The error with the rule that asked for the file."""
    return LockUnavailable(error.path, error.errno or 0, error.reason, remedy=error.remedy, rule=decision.label)


def after(
    error: LockUnavailable | LockTimeout,
    decision: Decision,
    decide: Callable[[], Decision],
    warn: Callable[[str], None],
) -> Decision | None:
    """What to do about a lock that was not had.

    Args:
        error: Why not.
        decision: What was to be held.
        decide: Asks the rules again, with the same request.
        warn: Told in one line when the work goes on without a lock.

    Returns:
        A decision to try instead, or None to go on without a lock.

    Raises:
        LockUnavailable: When a file cannot be made, opened or locked, and the rule requires the lock.
        LockTimeout: When a lock was not had in time, and the rule requires it.
    """
    if isinstance(error, LockUnavailable):
        again = correct(decision, error, decide)
        if again:
            return again
        error = explained(decision, error)
    if decision.required:
        raise error from None
    warn(f"going on without a lock, as rule {decision.label} allows: {error}")
    return None


def take(
    decision: Decision, decide: Callable[[], Decision], hold: Callable[[Decision], Held], warn: Callable[[str], None]
) -> tuple[Decision, Held]:
    """Holds what was decided.

    Args:
        decision: What was decided.
        decide: Asks the rules again, with the same request.
        hold: Takes the files of a decision.
        warn: Told in one line when the work goes on without a lock.

    Returns:
        The decision that was carried out, and what is held; nothing where the rule says `required = false` and the lock
        could not be had.

    Raises:
        LockUnavailable: When a file cannot be made, opened or locked.
        LockTimeout: When a lock was not had in time.
    """
    while True:
        try:
            return decision, hold(decision)
        except (LockUnavailable, LockTimeout) as error:
            again = after(error, decision, decide, warn)
            if again is None:
                return decision, locks.Held((), ())
            decision = again


async def take_async(
    decision: Decision,
    decide: Callable[[], Decision],
    hold: Callable[[Decision], Awaitable[Held]],
    warn: Callable[[str], None],
) -> tuple[Decision, Held]:
    """As `take`, without blocking the event loop."""
    while True:
        try:
            return decision, await hold(decision)
        except (LockUnavailable, LockTimeout) as error:
            again = after(error, decision, decide, warn)
            if again is None:
                return decision, locks.Held((), ())
            decision = again


def options(decision: Decision) -> dict[str, Any]:
    """What `locks.hold` must know of a plan besides its paths."""
    default = default_global_directory(decision.request.caller.environ)
    return {
        "local": tuple(file.path for file in decision.plan if file.purpose == "local"),
        "make": "" if default == "/tmp" else default,  # noqa: S108
    }


def paths(decision: Decision) -> tuple[str, ...]:
    """The files of the plan, in the order in which they are taken."""
    return tuple(file.path for file in decision.plan)
