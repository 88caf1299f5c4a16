"""Locks as `policy locks` lists them: as records for JSON, and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from policy.escape import escape
from policy.locks import proc
from policy.locks.holders import Found
from policy.render.style import BOLD, DIM, GREEN, YELLOW, paint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from policy.locks.backend import Lock
    from policy.locks.holders import Holder


@frozen
class Row:
    """A lock as it is listed.

    Args:
        lock: The lock, and who holds it.
        environment: The root of the environment that it locks, "" where that cannot be known.
        pruned: Whether it was removed.
        kind: What it is: `file`, ...
        waiters: Who waits for it, the next one first.
    """

    lock: Found
    environment: str = ""
    pruned: bool = False
    kind: str = "file"
    waiters: tuple[Holder, ...] = ()

    @classmethod
    def of(cls, lock: Lock, environment: str) -> Row:
        """A lock of an environment, as it is now."""
        return cls(Found(lock.name, lock.is_held(), lock.holders()), environment, kind=lock.kind)

    @property
    def state(self) -> str:
        """What people call its state."""
        if self.pruned:
            return "removed"
        return {True: "locked", False: "free", None: "unknown"}[self.lock.locked]


def record(row: Row) -> Mapping[str, Any]:
    """A lock as JSON has it."""
    return {
        "kind": row.kind,
        "key" if row.kind == "postgresql" else "path": row.lock.name,
        "state": row.state,
        "environment": row.environment or None,
        "holders": [asdict(holder) for holder in row.lock.holders],
        "waiters": [asdict(waiter) for waiter in row.waiters],
    }


def records(found: Iterable[Row]) -> dict[str, Any]:
    """A list of locks as JSON has it; `complete` says whether every lock of the host would be seen from here."""
    return {"version": 1, "complete": is_complete(), "locks": [record(row) for row in found]}


def is_complete() -> bool:
    """Whether the kernel shows the locks, the holders and those who wait of this whole host."""
    return proc.has_locks() and proc.sees_all()


_STATES = {"locked": GREEN, "removed": YELLOW}


def shown(found: Iterable[Row], *, color: bool) -> str:
    """Locks as text: each with its state, then who holds it, then who waits for it."""
    lines = []
    for row in found:
        state = paint(row.state.ljust(7), BOLD, _STATES.get(row.state, DIM), color=color)
        environment = f"  {escape(row.environment)}" if row.environment else ""
        lines.append(f"{state}  {paint(escape(row.lock.name), BOLD, color=color)}{environment}")
        lines += [f"         {escape(str(holder))}" for holder in row.lock.holders]
        if row.lock.locked and not row.lock.holders:
            lines.append("         held by a process that is not visible from here")
        lines += [f"         waits: {escape(str(waiter))}" for waiter in row.waiters]
    if not lines:
        lines.append(nothing())
    elif proc.has_locks() and not proc.sees_all():
        lines.append(_UNSEEN)
    return "\n".join(lines) + "\n"


_UNSEEN = (
    "not all locks of processes outside this PID namespace are visible from here; `policy locks ENV` finds out whether "
    "one environment is locked"
)


def nothing() -> str:
    """What is said where no lock is found."""
    if proc.has_locks() and not proc.sees_all():
        return f"no lock is found; {_UNSEEN}"
    return "no environment is locked"
