"""The frame of a page for a browser: no script, no other file, no network, and the reader's light or dark colours."""

from __future__ import annotations

from policy.escape import escape
from policy.render.record import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --dim: #5d6875; --line: #d5dbe3; --page: #ffffff; --box: #f5f7fa;
  --yes: #0b6e4f; --no: #b3261e; --warn: #8a5300; --mark: #e3f5ee; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e9f0; --dim: #9aa6b5; --line: #38424f; --page: #14191f;
  --box: #1d242c; --yes: #5fd3a4; --no: #ff8a80; --warn: #f0b860; --mark: #12382b; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--text); background: var(--page); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0 0 .4rem; overflow-wrap: anywhere; }
p, li { overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
code { overflow-wrap: anywhere; }
pre { margin: .5rem 0; padding: .5rem .75rem; overflow-x: auto; background: var(--box); border-radius: .35rem; }
ol, ul { list-style: none; margin: 0; padding: 0; }
.plan { display: flex; flex-wrap: wrap; gap: .75rem 1.75rem; overflow: hidden; counter-reset: lock; }
.plan li { position: relative; flex: 1 1 13rem; max-width: 100%; padding: .75rem 1rem; border: 1px solid var(--line);
  border-radius: .5rem; background: var(--box); counter-increment: lock; }
.plan li + li::before { content: "\\2192"; position: absolute; left: -1.45rem; top: .75rem; color: var(--dim); }
.plan b::before { content: counter(lock) ". "; color: var(--dim); }
.plan span, .dim { display: block; color: var(--dim); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; overflow-wrap: break-word; }
th { font-weight: 600; } tbody th { white-space: nowrap; }
thead th { color: var(--dim); font-weight: 400; font-size: .85rem; border-bottom: 1px solid var(--line); }
.chain > li, .card { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; margin: 0 0 1.1rem;
  position: relative; }
.chain > li + li::before { content: "\\2193"; position: absolute; top: -1.3rem; left: 1.25rem; color: var(--dim); }
.chain > .matched { border-color: var(--yes); background: var(--mark); }
.chain > .not-reached { color: var(--dim); border-style: dashed; }
.answer { float: right; margin-left: .75rem; font-size: .85rem; }
.yes { color: var(--yes); } .no .answer, .fails, .error .answer { color: var(--no); }
.warning .answer { color: var(--warn); } .changed { background: var(--mark); box-shadow: inset .2rem 0 var(--yes); }
.error { border-left: .25rem solid var(--no); } .warning { border-left: .25rem solid var(--warn); }
.checks { margin-top: .4rem; font-size: .9rem; } .checks td { white-space: pre-wrap; overflow-wrap: anywhere; }
.checks code { white-space: pre-wrap; } td.yes, td.fails { white-space: nowrap; }
.command { white-space: pre-wrap; overflow-wrap: anywhere; }
.wants th:first-child, .asked th:nth-child(2) { width: 30%; }
.asked th:first-child { width: 4rem; } .asked th:nth-child(3) { width: 32%; }
.checks th { font-size: .85rem; } .checks + div { margin-top: .4rem; }
.sides td { width: 50%; padding-left: .6rem; white-space: normal; } .sides thead th { padding-left: .6rem; }
.sides li + li { margin-top: .25rem; }
.wide { overflow-x: auto; }
"""
NARROW = """\
@media (max-width: 40rem) { .plan { flex-direction: column; } .plan li { flex-basis: auto; }
  .plan li + li::before { content: "\\2193"; left: 1.25rem; top: -1.2rem; line-height: 1.2; } .plan { gap: 1.2rem; }
  .sides tr { display: grid; grid-template-columns: 1fr 1fr; } .sides tbody th { grid-column: 1 / 3; }
  .sides td { width: auto; } .sides thead th:first-child, .asked thead { display: none; }
  .who tr, .asked tr { display: grid; grid-template-columns: 1fr auto; }
  .who tr + tr, .asked tr + tr { border-top: 1px solid var(--line); }
  .who td:nth-child(3) { grid-column: 1 / 3; padding-top: 0; } .asked tr { grid-template-columns: 2.5rem 1fr; }
  .asked td:nth-child(n + 3) { grid-column: 2; padding-top: 0; } .asked td:nth-child(3)::before { content: "wants "; }
  .asked td:nth-child(4)::before { content: "saw "; } .asked td::before { color: var(--dim); } }
"""
"""What else holds on a narrow screen."""


def page(title: str, body: Iterable[str]) -> str:
    """A document of HTML, without a line end at its end.

    Args:
        title: Its title and its heading, as plain text.
        body: Pieces of HTML; empty ones are left out.
    """
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>",
            f"<style>{STYLE}{NARROW}</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<h1>{text(title)}</h1>",
            *filter(None, body),
            "</main>",
            "</body>",
            "</html>",
        ]
    )


def text(value: object) -> str:
    """Text as HTML has it: nothing of it is markup, and nothing of it moves or hides what stands beside it."""
    import html  # imports re

    return html.escape(escape(str(value)))


def code(value: object) -> str:
    """Text that stands in a file or on a command line."""
    return f"<code>{text(value)}</code>"


def command(line: object) -> str:
    """A command line to copy."""
    return f'<pre class="command">{text(line)}</pre>'


def where(rule: dict[str, Any]) -> str:
    """The file and the line of a rule's record, for an attribute."""
    return text(f"{rule['file']}:{rule['line']}" if rule["file"] else "built in")


def named(rule: dict[str, Any]) -> str:
    """How a rule is called; hovering shows its file and line."""
    return f'<b title="{where(rule)}">{text(label(rule))}</b>'


def listed(name: str, items: Iterable[str]) -> str:
    """An ordered list of a class, of items that are `<li>` already."""
    return "\n".join([f'<ol class="{name}">', *items, "</ol>"])


def table(rows: Iterable[str], *, name: str = "", head: Sequence[str] = ()) -> str:
    """A table that scrolls by itself where the screen is too narrow; "" for no rows.

    Args:
        rows: Each a `<tr>`.
        name: Its class.
        head: The columns' titles.
    """
    lines = list(rows)
    if not lines:
        return ""
    titles = "".join(f'<th scope="col">{text(title)}</th>' for title in head)
    return "\n".join(
        [
            f'<div class="wide"><table class="{name}">' if name else '<div class="wide"><table>',
            *([f"<thead><tr>{titles}</tr></thead>"] if head else []),
            "<tbody>",
            *lines,
            "</tbody></table></div>",
        ]
    )


def pairs(items: Iterable[tuple[str, object]]) -> str:
    """A table of names and values."""
    return table(
        f'<tr><th scope="row">{text(name.replace("_", " "))}</th><td>{code(_shown(value))}</td></tr>'
        for name, value in items
    )


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value or "unknown"
