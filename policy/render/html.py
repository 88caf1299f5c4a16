"""One page for a browser: it needs no script, no other file and no network, and follows the reader's dark mode."""

from __future__ import annotations

from policy.escape import printable
from policy.render.record import label, name_of
from policy.render.text import answered
from policy.rules.conditions import CONDITIONS, Combinator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

WORDS = {"no": "no", "matched": "decides", "not-reached": "not asked"}
STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --dim: #5d6875; --line: #d5dbe3; --page: #ffffff; --box: #f5f7fa;
  --yes: #0b6e4f; --no: #b3261e; --mark: #e3f5ee; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e9f0; --dim: #9aa6b5; --line: #38424f; --page: #14191f;
  --box: #1d242c; --yes: #5fd3a4; --no: #ff8a80; --mark: #12382b; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--text); background: var(--page); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
ol { list-style: none; margin: 0; padding: 0; }
.plan { display: flex; flex-wrap: wrap; gap: .75rem 1.75rem; counter-reset: lock; }
.plan li { position: relative; flex: 1 1 15rem; max-width: 100%; padding: .75rem 1rem; border: 1px solid var(--line);
  border-radius: .5rem; background: var(--box); counter-increment: lock; }
.plan li + li::before { content: "\\2192"; position: absolute; left: -1.45rem; top: .75rem; color: var(--dim); }
.plan b::before { content: counter(lock) ". "; color: var(--dim); }
.plan span, .dim { display: block; color: var(--dim); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; }
th { font-weight: 600; }
thead th { color: var(--dim); font-weight: 400; font-size: .85rem; border-bottom: 1px solid var(--line); }
.chain > li { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; margin: 0 0 1.1rem;
  position: relative; }
.chain > li + li::before { content: "\\2193"; position: absolute; top: -1.3rem; left: 1.25rem; color: var(--dim); }
.chain > .matched { border-color: var(--yes); background: var(--mark); }
.chain > .not-reached { color: var(--dim); border-style: dashed; }
.answer { float: right; font-size: .85rem; }
.yes { color: var(--yes); } .no .answer, .fails { color: var(--no); }
.checks { margin-top: .4rem; font-size: .9rem; } .checks td { white-space: pre-wrap; overflow-wrap: anywhere; }
.checks code { white-space: pre; }
.wide { overflow-x: auto; }
@media (max-width: 40rem) { .plan { flex-direction: column; } .plan li { flex-basis: auto; }
  .plan li + li::before { content: "\\2193"; left: 1.25rem; top: -1.2rem; line-height: 1.2; } .plan { gap: 1.2rem; } }
"""


def render(record: dict[str, Any], *, color: bool) -> str:
    """The record as a document of HTML.

    Args:
        record: What `policy.render.record.record` made of the decision.
        color: Colours are the page's own matter.
    """
    del color
    if record["environment"] is None:
        return _page("no lock", [f"<p>{_text(record['command']['apart'])}</p>"])
    body = [
        _decider(record),
        "<h2>Locks, in the order in which they are taken</h2>",
        _plan(record),
        _excludes(record.get("excludes", ())),
        "<h2>Environment</h2>",
        _table(record["environment"].items()),
        _command(record.get("command", {})),
        "<h2>Rules, in the order in which they are asked; the first whose conditions all hold decides</h2>",
        _chain(record),
        *(f'<p role="note"><b>{kind}:</b> {_text(note)}</p>' for kind, note in _notes(record)),
    ]
    return _page(f"{' and '.join(record['lock'])} lock for {record['environment']['root']}", body)


def _page(title: str, body: Iterable[str]) -> str:
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<h1>{_text(title)}</h1>",
            *filter(None, body),
            "</main>",
            "</body>",
            "</html>",
        ]
    )


def _text(value: object) -> str:
    """Text as HTML has it: nothing of it is markup, and nothing of it moves or hides what stands beside it."""
    from html import escape  # imports re

    return escape(printable(str(value)))


def _decider(record: dict[str, Any]) -> str:
    rule, timeout = record["rule"], record["timeout"]
    told = [f'Decided by <b title="{_where(rule)}">{_text(label(rule))}</b>']
    if rule["reason"]:
        told.append(f"because {_text(rule['reason'])}")
    told.append("waits until the locks are free" if timeout is None else f"waits at most {timeout:g} s")
    if record.get("corrected"):
        told.append(f"asked again, because {_text(record['corrected'])}")
    return f"<p>{'; '.join(told)}.</p>"


def _where(rule: dict[str, Any]) -> str:
    return _text(f"{rule['file']}:{rule['line']}" if rule["file"] else "built in")


def _plan(record: dict[str, Any]) -> str:
    boxes = [
        f"<li><b>{_text(entry['purpose'])}</b> <code>{_text(name_of(entry))}</code><span>{_text(words)}</span></li>"
        for entry, words in zip(record["plan"], record["words"], strict=True)
    ]
    return _list("plan", boxes)


def _list(name: str, items: Iterable[str]) -> str:
    return "\n".join([f'<ol class="{name}">', *items, "</ol>"])


def _excludes(entries: Iterable[dict[str, Any]]) -> str:
    """Who is kept out, who is not, and what to do about it."""
    lines = []
    for entry in entries:
        answer = '<td class="yes">kept out</td>' if entry["excluded"] else '<td class="fails">not kept out</td>'
        because = _text(entry["because"])
        if entry.get("remedy"):
            because += f'<span class="dim">{_text(entry["remedy"])}</span>'
        lines.append(f"<tr><td>{_text(entry['who'])}, {_text(entry['where'])}</td>{answer}<td>{because}</td></tr>")
    if not lines:
        return ""
    return "\n".join(["<h2>Who is kept out</h2>", '<div class="wide"><table>', *lines, "</table></div>"])


def _table(items: Iterable[tuple[str, object]]) -> str:
    lines = [
        f'<tr><th scope="row">{_text(name.replace("_", " "))}</th><td><code>{_text(_shown(value))}</code></td></tr>'
        for name, value in items
    ]
    return "\n".join(['<div class="wide"><table>', *lines, "</table></div>"])


def _command(command: dict[str, Any]) -> str:
    """What is different for a command; "" where nothing is."""
    items = [("left to uv", path) for path in command.get("left_to_uv", ())]
    items += [("set for it", f"{name}={value}") for name, value in command.get("environ", {}).items()]
    items += [("note", note) for note in command.get("notes", ())]
    if command.get("uncertain"):
        items.append(("uncertain", command["uncertain"]))
    return f"<h2>Command</h2>\n{_table(items)}" if items else ""


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value or "unknown"


def _chain(record: dict[str, Any]) -> str:
    return _list("chain", map(_step, record["steps"]))


def _step(step: dict[str, Any]) -> str:
    rule, outcome = step["rule"], step["outcome"]
    answer = f'<span class="answer{" yes" if outcome == "matched" else ""}">{WORDS[outcome]}</span>'
    head = f"{answer}<b>{_text(label(rule))}</b>: {_text(' and '.join(rule['lock']))}"
    if outcome == "not-reached":
        checks = ""
    elif not step["checks"]:
        checks = '<span class="dim">no conditions: always matches</span>'
    else:
        checks = _checks(step["checks"])
    return f'<li class="{outcome}" title="{_where(rule)}">{head}{checks}</li>'


def _checks(checks: Iterable[dict[str, Any]]) -> str:
    lines = []
    for passed, key, wanted, seen in (row for check in checks for row in answered(check, 0)):
        mark = '<td class="yes">yes</td>' if passed else '<td class="fails">no</td>'
        combined = isinstance(CONDITIONS.get(key.strip(" -")), Combinator)
        lines.append(
            f"<tr>{mark}<td><code>{_text(key)}</code></td><td{' colspan=2' if combined else ''}>{_text(wanted)}</td>"
            + ("</tr>" if combined else f"<td>{_text(seen)}</td></tr>")
        )
    head = "<thead><tr><th>holds</th><th>condition</th><th>wants</th><th>saw</th></tr></thead>"
    return "\n".join(['<div class="wide"><table class="checks">', head, "<tbody>", *lines, "</tbody></table></div>"])


def _notes(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Hints and warnings, each with its kind."""
    return [("hint", hint) for hint in record["hints"]] + [("warning", text) for text in record["warnings"]]
