"""A decision as one page for a browser."""

from __future__ import annotations

from policy.render.page import code, listed, named, page, pairs, table, text, where
from policy.render.record import command_rows, label, name_of, notes
from policy.render.text import answered
from policy.rules.conditions import CONDITIONS, Combinator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

WORDS = {"no": "no", "matched": "decides", "not-reached": "not asked"}


def render(record: dict[str, Any], *, color: bool) -> str:
    """The record as a document of HTML.

    Args:
        record: What `policy.render.record.record` made of the decision.
        color: Colours are the page's own matter.
    """
    del color
    if record["environment"] is None:
        return page("no lock", [f"<p>{text(record['command']['apart'])}</p>"])
    body = [
        _decider(record),
        "<h2>Locks, in the order in which they are taken</h2>",
        _plan(record),
        _excludes(record.get("excludes", ())),
        "<h2>Environment</h2>",
        pairs(record["environment"].items()),
        f"<h2>Command</h2>\n{pairs(rows)}" if (rows := command_rows(record.get("command", {}))) else "",
        "<h2>Rules, in the order in which they are asked; the first whose conditions all hold decides</h2>",
        _chain(record),
        *(f'<p role="note"><b>{kind}:</b> {text(note)}</p>' for kind, note in notes(record)),
    ]
    return page(f"{' and '.join(record['lock'])} lock for {record['environment']['root']}", body)


def _decider(record: dict[str, Any]) -> str:
    rule, timeout = record["rule"], record["timeout"]
    told = [f"Decided by {named(rule)}"]
    if rule["reason"]:
        told.append(f"because {text(rule['reason'])}")
    told.append("waits until the locks are free" if timeout is None else f"waits at most {timeout:g} s")
    if record.get("corrected"):
        told.append(f"asked again, because {text(record['corrected'])}")
    return f"<p>{'; '.join(told)}.</p>"


def _plan(record: dict[str, Any]) -> str:
    boxes = [
        f"<li><b>{text(entry['purpose'])}</b> {code(name_of(entry))}<span>{text(words)}</span></li>"
        for entry, words in zip(record["plan"], record["words"], strict=True)
    ]
    return listed("plan", boxes)


def _excludes(entries: Iterable[dict[str, Any]]) -> str:
    """Who is kept out, who is not, and what to do about it."""
    lines = []
    for entry in entries:
        answer = '<td class="yes">kept out</td>' if entry["excluded"] else '<td class="fails">not kept out</td>'
        because = text(entry["because"])
        if entry.get("remedy"):
            because += f'<span class="dim">{text(entry["remedy"])}</span>'
        lines.append(f"<tr><td>{text(entry['who'])}, {text(entry['where'])}</td>{answer}<td>{because}</td></tr>")
    return "<h2>Who is kept out</h2>\n" + table(lines, name="who") if lines else ""


def _chain(record: dict[str, Any]) -> str:
    return listed("chain", map(_step, record["steps"]))


def _step(step: dict[str, Any]) -> str:
    rule, outcome = step["rule"], step["outcome"]
    answer = f'<span class="answer{" yes" if outcome == "matched" else ""}">{WORDS[outcome]}</span>'
    head = f"{answer}<b>{text(label(rule))}</b>: {text(' and '.join(rule['lock']))}"
    if outcome == "not-reached":
        checks = ""
    elif not step["checks"]:
        checks = '<span class="dim">no conditions: always matches</span>'
    else:
        checks = _checks(step["checks"])
    return f'<li class="{outcome}" title="{where(rule)}">{head}{checks}</li>'


def _checks(checks: Iterable[dict[str, Any]]) -> str:
    lines = []
    for passed, key, wanted, seen in (row for check in checks for row in answered(check, 0)):
        mark = '<td class="yes">yes</td>' if passed else '<td class="fails">no</td>'
        combined = isinstance(CONDITIONS.get(key.strip(" -")), Combinator)
        told = f'<td colspan="2">{text(wanted)}</td>' if combined else f"<td>{text(wanted)}</td><td>{text(seen)}</td>"
        lines.append(f"<tr>{mark}<td>{code(key)}</td>{told}</tr>")
    return table(lines, name="checks asked", head=("holds", "condition", "wants", "saw"))
