"""What `policy diff` found, as text, as JSON and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from policy.escape import escape
from policy.render import record
from policy.render.layout import json_text
from policy.render.style import BOLD, paint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from policy.checks.diff import Difference, Region, Side
    from policy.checks.log_lines import Logged
    from policy.checks.replay import Change
    from policy.rules.rule import Rule

VERSION = 1
INCOMPLETE = "not proven: there are too many rules to compare all of them"


def text(difference: Difference, *, color: bool = False) -> str:
    """For people."""
    lines: list[str] = []
    for region in difference.regions:
        lines.append(paint(_heading(region), BOLD, color=color))
        lines += [*aligned([*sides(region), ("example", escape(str(region.example)))]), ""]
    return "\n".join([*lines, *_more(difference), _summary(difference)]) + "\n"


def as_markdown(difference: Difference) -> str:
    """For a pull request: a table for each difference."""
    parts = ["### lock-policy: what changes", _markdown(_summary(difference)) + "."]
    for region in difference.regions:
        rows = [f"| {key} | {_markdown(value)} |" for key, value in sides(region)]
        fence = "```"
        while fence in str(region.example):
            fence += "`"
        table = "\n".join(["| | |", "|---|---|", *rows])
        example = f"{fence}console\n$ {escape(str(region.example))}\n{fence}"
        parts += [f"#### {_markdown(_heading(region))}", table, example]
    told = _more(difference)
    if told:
        parts.append("\n".join(f"- {_markdown(line)}" for line in told))
    return "\n\n".join(parts) + "\n"


def as_json(difference: Difference) -> str:
    """The record."""
    return json_text(_record(difference))


def as_html(difference: Difference) -> str:
    """One page for a browser."""
    from policy.render.differences_html import render

    return render(_record(difference), _summary(difference)) + "\n"


def _record(difference: Difference) -> dict[str, Any]:
    """Version 1."""
    return {
        "version": VERSION,
        "differs": difference.differs,
        "complete": difference.complete and not difference.open,
        "regions": [
            {"example": str(region.example), "old": side(region.before), "new": side(region.after)}
            for region in difference.regions
        ],
        "not_proven": [{"old": record.rule(old), "new": record.rule(new)} for old, new in difference.open],
        "rules": [{"what": edit.what, "rule": record.rule(edit.rule)} for edit in difference.edits],
    }


def side(one: Side | Logged) -> dict[str, Any]:
    """What decided and what it did, as JSON has it.

    Args:
        one: A decision of now, or of a log, where the rule is a record already.
    """
    rule = dict(one.rule) if isinstance(one.rule, Mapping) else record.rule(one.rule)
    effect = {key: value for key, value in one.effect.items() if key != "lock"}
    return {"rule": rule, "plan": list(one.plan), "excluded": list(one.excluded), **effect}


def _label(rule: Rule) -> str:
    return escape(record.label(record.rule(rule)))


def _heading(region: Region) -> str:
    return f"{_label(region.before.rule)} decided, now {_label(region.after.rule)} does"


def aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each row, the second column below itself.

    Args:
        rows: A name and what is said of it.
    """
    left = max((len(name) for name, _ in rows), default=0)
    return [f"  {name.ljust(left)}  {value}" for name, value in rows]


def sides(region: Region | Change) -> Iterator[tuple[str, str]]:
    """What was and what is, by its name. Apart from the plan and who is kept out, only what differs.

    Args:
        region: Where it differs.
    """
    for name, side in (("old", region.before), ("new", region.after)):
        locks = ", ".join(f"{entry['purpose']} {record.name_of(entry)}" for entry in side.plan)
        yield f"{name} plan", escape(locks)
        yield f"{name} kept out", escape(", ".join(side.excluded)) or "nobody"
    for key, old, new in record.effects(region.before.effect, region.after.effect):
        yield key, f"{old}, now {new}"


def _more(difference: Difference) -> list[str]:
    """What is not proven, then which rules changed or moved."""
    lines = [f"not proven: whether {_label(old)} and then {_label(new)} decide" for old, new in difference.open]
    lines += [] if difference.complete else [INCOMPLETE]
    return lines + [f"{edit.what}: rule {_label(edit.rule)}" for edit in difference.edits]


def _summary(difference: Difference) -> str:
    """One line."""
    if difference.regions:
        number = len(difference.regions)
        return f"{number} {'difference' if number == 1 else 'differences'} in what is locked, or how"
    if difference.differs:
        return "Not proven: no difference was found, but not everything could be compared"
    return "No difference: every environment and every caller gets the same as before"


def _markdown(text: str) -> str:
    """Text without what Markdown, HTML, or GitHub's mentions would make of it."""
    return "".join(f"&#{ord(one)};" if one in "\\`*_[]<>|#&" else one for one in text).replace("@", "@\u2060")


DIFFERENCE_FORMATS: dict[str, Callable[[Difference], str]] = {
    "json": as_json,
    "markdown": as_markdown,
    "html": as_html,
}
"""The formats besides text; a new one is a function here and an entry of this table."""
