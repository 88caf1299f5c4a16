"""What `policy diff` found, as one page for a browser."""

from __future__ import annotations

from policy.render.page import code, command, listed, named, page, table, text
from policy.render.record import effects, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


def render(record: dict[str, Any], summary: str) -> str:
    """The record as a document of HTML.

    Args:
        record: What `policy.render.differences` made of the difference.
        summary: It in one sentence.
    """
    body = [_region(region) for region in record["regions"]]
    open_ = [
        f"<li>whether {named(pair['old'])} and then {named(pair['new'])} decide</li>" for pair in record["not_proven"]
    ]
    if not record["complete"] and not open_:
        open_ = ["<li>there are too many rules to compare all of them</li>"]
    edits = [f"<tr><td>{text(edit['what'])}</td><td>{named(edit['rule'])}</td></tr>" for edit in record["rules"]]
    if open_:
        body += ["<h2>Not proven</h2>", listed("open", open_)]
    if edits:
        body += ["<h2>Rules that changed or moved</h2>", table(edits, name="checks")]
    return page(summary, body)


def _region(region: dict[str, Any]) -> str:
    old, new = region["old"], region["new"]
    example = f'<p class="dim">To see it:</p>{command(region["example"])}'
    rows = table(_rows(old, new), name="checks sides", head=("", "old", "new"))
    return f'<section class="card">\n{rows}\n{example}</section>'


def _rows(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What was and what is, by its name; of how the locks are taken only what differs."""
    same = old["rule"]["name"] == new["rule"]["name"]
    yield _row("decides", named(old["rule"]), named(new["rule"]), same=same)
    yield _row("lock", *(text(" and ".join(side["rule"]["lock"])) for side in (old, new)))
    yield _row("plan", *(listed("locks", map(_lock, side["plan"])) for side in (old, new)))
    yield _row("kept out", *(listed("who", _items(side["excluded"] or ["nobody"])) for side in (old, new)))
    for key, *values in effects(old, new):
        yield _row(key, *map(text, values))


def _row(name: str, old: str, new: str, *, same: bool = False) -> str:
    changed = "" if same or old == new else ' class="changed"'
    return f'<tr><th scope="row">{text(name)}</th><td>{old}</td><td{changed}>{new}</td></tr>'


def _lock(entry: dict[str, Any]) -> str:
    return f"<li>{text(entry['purpose'])} {code(name_of(entry))}</li>"


def _items(values: Iterable[object]) -> Iterator[str]:
    return (f"<li>{text(value)}</li>" for value in values)
