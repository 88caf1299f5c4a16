"""`policy locks --break ENV`: removes the strict lock that a process left when it died."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from policy.commands import options
from policy.commands.reading import Arguments
from policy.errors import UsageError
from policy.locks import proc, strict_claims
from policy.locks.holders import Found
from policy.locks.strict import StrictLock
from policy.render.listing import Row
from policy.rules.request import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.locks.backend import Lock
    from policy.locks.strict_claims import Owner

NOT_WITH = ("watch", "prune", "all")


def broken(arguments: Arguments) -> tuple[Row, bool]:
    """Asks, and removes the records of owners that do not run.

    Args:
        arguments: Of `policy locks`.

    Returns:
        The lock as it is afterwards, and whether something of it had to stay.

    Raises:
        UsageError: No environment is named, or there is no terminal to ask on.
        LockUnavailable: The records cannot be read or removed.
    """
    if not options.names_one(arguments):
        raise UsageError("name the environment whose lock is to be removed: policy locks --break ENV")
    for name in NOT_WITH:
        if getattr(arguments, name):
            raise UsageError(f"--break and --{name} cannot be used together")
    caller = options.caller(arguments)
    request = Request(options.found(arguments, caller, arguments.environment), caller)
    lock = StrictLock(request.environment.root)
    owners = strict_claims.owners(lock.name)
    if not owners:
        options.note(f"{lock.name}: no strict lock is held, and there is nothing to remove")
        return Row.of(lock, lock.root), False
    if _runs_here(lock, owners, options.rules(arguments).decide(request).plan):
        return Row.of(lock, lock.root), True
    for owner in owners:
        if not _agreed(lock, owner, arguments):
            return Row.of(lock, lock.root), True
        strict_claims.remove(lock.name, owner)
    return Row(Found(lock.name, locked=False), lock.root, pruned=True, kind=lock.kind), False


def _runs_here(lock: StrictLock, owners: Sequence[Owner], plan: Sequence[Lock]) -> bool:
    """Whether an owner, or a command that it left behind, runs on this host; says so."""
    for owner in owners:
        if owner.runs:
            options.complain(f"{lock.name}: not removed: {owner.holder} still runs on this host; end it first")
            return True
    gate = next((found for found in plan if found.purpose == "gate"), None)
    if gate is None:
        return False
    who = _left_behind(gate)
    if who:
        message = f"{lock.name}: not removed: the gate is held on this host by {who}, which the ended holder may have"
        options.complain(f"{message} left behind; end it first")
    return bool(who)


def _left_behind(gate: Lock) -> str:
    """Who holds the gate and may have it from another process, "" where nobody does.

    Who waits for the strict lock took the gate itself, and no command inherits it yet.
    """
    file, holders = proc.identity(gate.name), gate.holders()
    if not holders:
        return "a process that is not visible from here" if gate.is_held() else ""
    return "; ".join(str(holder) for holder in holders if file is None or proc.passes_on(holder.pid, file))


def _agreed(lock: StrictLock, owner: Owner, arguments: Arguments) -> bool:
    """Says what is known of an owner, and asks whether its records are to be removed."""
    if owner.runs is False:
        said = "nothing on this host has inherited its gate"
    else:
        said = (
            f"this host cannot tell whether it still runs: look there (`ps -p {owner.pid}`), for if it does, two will "
            "be inside at once"
        )
    options.note(f"{lock.name}: held by {owner.holder}; {said}")
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on: add --yes to remove the lock all the same")
    sys.stderr.write("Remove the lock? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
