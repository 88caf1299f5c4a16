"""What `policy replay` found, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policy.escape import escape
from policy.render import record
from policy.render.differences import aligned, side, sides
from policy.render.layout import json_text
from policy.render.style import BOLD, paint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from policy.checks.replay import Change, Replay

VERSION = 1
MOST_LINES = 10  # of a change whose numbers are told


def text(replay: Replay, *, color: bool = False) -> str:
    """For people."""
    told: list[str] = []
    for change in replay.changes:
        told.append(paint(_heading(change), BOLD, color=color))
        more = [("lines", _lines(change.lines)), ("example", escape(str(change.example)))]
        told += [*aligned([*sides(change), *more]), ""]
    told += [f"not known, as {escape(why)}: lines {_lines(where)}" for why, where in replay.unknown.items()]
    return "\n".join([*told, _summary(replay)]) + "\n"


def _heading(change: Change) -> str:
    before = escape(record.label(dict(change.before.rule)))
    after = escape(record.label(record.rule(change.after.rule)))
    number = len(change.lines)
    return f"{number:,} {'decision' if number == 1 else 'decisions'} of {before}: now {after} decides"


def _lines(numbers: Sequence[int]) -> str:
    told = ", ".join(map(str, numbers[:MOST_LINES]))
    return told if len(numbers) <= MOST_LINES else f"{told} and {len(numbers) - MOST_LINES:,} more"


def _summary(replay: Replay) -> str:
    """One line."""
    decisions = f"{replay.decisions:,} {'decision' if replay.decisions == 1 else 'decisions'}"
    if not replay.differs:
        return f"No difference: {decisions}, each the same as before"
    open_ = f", {replay.open:,} not known" if replay.open else ""
    return f"{decisions}: {replay.changed:,} would change{open_}, {replay.same:,} would not"


def unreadable(replay: Replay) -> str:
    """One line about lines that are no decisions; "" where there are none.

    Args:
        replay: What was found.
    """
    if not replay.unreadable:
        return ""
    number, (first, why) = len(replay.unreadable), replay.unreadable[0]
    if number == 1:
        return f"1 line was left out: line {first} ({why})"
    return f"{number:,} lines were left out, the first of them line {first} ({why})"


def as_json(replay: Replay) -> str:
    """Version 1."""
    found = {
        "version": VERSION,
        "differs": replay.differs,
        "decisions": replay.decisions,
        "same": replay.same,
        "changed": replay.changed,
        "changes": [_change(change) for change in replay.changes],
        "not_known": [{"because": why, "lines": where} for why, where in replay.unknown.items()],
        "unreadable": [{"line": number, "because": why} for number, why in replay.unreadable],
    }
    return json_text(found)


def _change(change: Change) -> dict[str, Any]:
    example = str(change.example)
    return {"lines": change.lines, "example": example, "old": side(change.before), "new": side(change.after)}


REPLAY_FORMATS: dict[str, Callable[[Replay], str]] = {"json": as_json}
"""The formats besides text; a new one is a function here and an entry of this table."""
