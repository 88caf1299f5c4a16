"""From a decision to held locks: the plan is taken, a wrong fact is corrected, an optional lock is done without."""

from __future__ import annotations

import errno
import os
import time

from policy.errors import LockTimeout, LockUnavailable, PolicyError
from policy.locks.hold import Held, journal, take
from policy.rules.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Any, TypeAlias

    from policy.config.loading import Rules
    from policy.locks.backend import Lock, Pause
    from policy.locks.journal import Journal
    from policy.rules.decision import Decision

    # the locks of a plan to hold, and those that must be free but are left to the command
    Adapt: TypeAlias = Callable[[Decision], tuple[Sequence[Lock], Sequence[Lock]]]

REFUSALS = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EBADF)  # the last one: NFS, for a file that is read-only


def steps(
    held: Held,
    rules: Rules,
    decision: Decision,
    *,
    warn: Callable[[str], None],
    timeout: float | None = None,
    adapt: Adapt | None = None,
    unused: bool = False,
    shared: bool = False,
    **options: Any,
) -> Generator[Pause, None, Decision]:
    """The steps that carry out a decision, for `hold.drive` and `hold.drive_async`.

    Args:
        held: Where the locks are held afterwards; empty where the rule says `required = false` and they cannot be.
        rules: Asked again, with the same request, where a fact was wrong.
        decision: What they decided.
        warn: Gets one line when the work continues without a lock.
        timeout: Seconds to wait; None: what the decision says.
        adapt: Which locks of the plan are held, and which must only be free; None: all are held.
        shared: Whether to take the locks for reading, as a rule may say too.
        unused: Whether to wait until no process runs from the environment, as a rule may say too.
        **options: Further ones of `hold.take`.

    Returns:
        The decision that was carried out.

    Raises:
        LockUnavailable: A lock can never be taken, and the rule requires it.
        LockTimeout: Timed out waiting for a lock, and the rule requires it.
    """
    while True:
        options |= _begin(held, decision, rules, timeout)
        again: Decision | None
        try:
            again = yield from _hold(held, rules, decision, adapt, unused=unused, shared=shared, **options)
        except (LockUnavailable, LockTimeout) as error:
            again = after(error, decision, rules, warn)
        if again is decision:
            return decision
        held.give_up()
        if again is None:
            held.locks = ()
            return decision
        decision = again


def _hold(
    held: Held,
    rules: Rules,
    decision: Decision,
    adapt: Adapt | None,
    *,
    unused: bool,
    shared: bool,
    **options: Any,
) -> Generator[Pause, None, Decision]:
    """Takes a plan; returns another decision where the environment became another one meanwhile."""
    for lock in decision.plan:
        lock.shared = shared or decision.shared
    wanted, free = adapt(decision) if adapt else (decision.plan, ())
    yield from _take(held, wanted, decision.environment.kind, **options)
    again = _made(decision, rules)
    if again is decision:
        if free:
            yield from _leave(free, **options)
        if unused or decision.unused:
            yield from _wait_until_unused(decision, **options)
    return again


def _begin(held: Held, decision: Decision, rules: Rules, timeout: float | None) -> dict[str, Any]:
    """Writes a decision into the journal, where there is one; how its plan is taken, for `hold.take`."""
    environ = decision.request.caller.environ
    held.journal = journal(environ)
    if held.journal is not None:
        _note(held.journal, decision, rules)
    limit = decision.timeout if timeout is None else timeout
    return {"environ": environ, "reenter": True, "start": time.monotonic(), "timeout": limit}


def _take(held: Held, wanted: Sequence[Lock], kind: str, **options: Any) -> Generator[Pause, None, None]:
    """Takes the locks whose files can exist, and then the others if theirs can exist now."""
    held.locks = tuple([lock for lock in wanted if _is_ready(lock, kind)])
    yield from take(held, **options)
    if len(held.locks) < len(wanted):
        # While those were waited for, an environment may have been made with room for more.
        late = tuple([lock for lock in wanted if lock not in held.locks and _is_ready(lock, kind)])
        if late:
            first, held.locks = held.locks, late
            yield from take(held, **options)
            held.locks = (*first, *late)


def _made(decision: Decision, rules: Rules) -> Decision:
    """The decision about the environment that was being made when it was looked at, now that nobody makes it."""
    before = decision.environment
    if before.again is None:
        return decision
    now = before.again()
    if (now.root, now.kind) == (before.root, before.kind):
        return decision
    return rules.decide(Request(now, decision.request.caller))


def _note(journal: Journal, decision: Decision, rules: Rules) -> None:
    """Writes a decision into the journal, with as much of it as a line takes."""
    from policy.rules import decision_log  # costs what few ask for

    query = rules.query(decision.request.caller, decision.environment.root)
    named = query.config_file and os.path.join(query.cwd, query.config_file)
    said = {"config_file": named, "no_config": query.no_config, "project": query.project}
    configuration = {"cwd": query.cwd, **{key: value for key, value in said.items() if value}}
    try:
        entry = {"configuration": configuration, **decision_log.entry(decision)}
    except (PolicyError, OSError, ValueError):  # nothing of this stops a lock
        return
    for left in ((), ("plan", "excluded"), ("plan", "excluded", "facts")):
        if journal.record(decision_log.EVENT, **{key: value for key, value in entry.items() if key not in left}):
            return


def _is_ready(lock: Lock, kind: str) -> bool:
    """Whether the file of a lock can exist: before an environment is made, its folder is missing or empty.

    An empty folder stays empty: uv and conda make an environment in no other, and prek, for one, makes it beforehand.
    What uv installs with --target needs no environment, and uv locks an empty folder for it.
    """
    if lock.purpose != "local" or os.path.lexists(lock.name):
        return True
    folder = os.path.dirname(lock.name)
    if kind != "virtualenv":
        return os.path.isdir(folder)
    try:
        return bool(os.listdir(folder))
    except PermissionError:
        return True  # what may be entered and not read
    except OSError:
        return False


def _leave(locks: Sequence[Lock], **options: Any) -> Generator[Pause, None, None]:
    """Waits until locks are free, and leaves them so: the command takes them itself, and knows no timeout of ours."""
    briefly = Held(locks)
    try:
        yield from take(briefly, **options)
    finally:
        briefly.give_up()


def _wait_until_unused(decision: Decision, **options: Any) -> Generator[Pause, None, None]:
    """Waits until no process runs from the environment."""
    from policy.locks.users import until_unused  # few rules ask for it

    environment = decision.environment
    since: dict[str, Any] = {name: options.get(name) for name in ("start", "timeout", "waiting")}
    yield from until_unused(environment.root, kind=environment.kind, **since)


def correct(decision: Decision, error: LockUnavailable, rules: Rules) -> Decision | None:
    """Asks the rules once more where `writable` was believed and the kernel then refused the local file.

    Args:
        decision: What was decided.
        error: Why its plan could not be taken.
        rules: What decided.

    Returns:
        The new decision, or None where the error says nothing about `writable`.
    """
    request = decision.request
    local = os.path.join(request.environment.root, ".lock")
    if error.path != local or error.errno not in REFUSALS or request.facts.get("writable") is False:
        return None
    request.facts["writable"] = False
    request.details["writable"] = error.reason
    again = rules.decide(request)
    again.corrected = f"{error.path} seemed writable, but could not be created: {error.reason}"
    return again if again.plan != decision.plan else None


def after(
    error: LockUnavailable | LockTimeout, decision: Decision, rules: Rules, warn: Callable[[str], None]
) -> Decision | None:
    """What to do about a lock that could not be acquired.

    Args:
        error: Why not.
        decision: What was to be held.
        rules: What decided.
        warn: Gets one line when the work continues without a lock.

    Returns:
        A decision to try instead, or None to continue without a lock.

    Raises:
        LockUnavailable: A lock can never be taken, and the rule requires it.
        LockTimeout: Timed out waiting for a lock, and the rule requires it.
    """
    if isinstance(error, LockUnavailable):
        again = correct(decision, error, rules)
        if again:
            return again
        error = LockUnavailable(error.path, error.errno or 0, error.reason, remedy=error.remedy, rule=decision.label)
    if decision.required:
        raise error from None
    warn(f"continuing without a lock, as rule {decision.label} allows: {error}")
    return None
