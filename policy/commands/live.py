"""`policy locks --watch`: who holds and who waits, as it changes.

On a terminal the list is drawn anew where rich is installed; elsewhere, and without it, each change is a line.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from policy.commands.reading import Arguments
from policy.escape import escape
from policy.render.layout import fit, width
from policy.render.listing import nothing, record, records, shown
from policy.render.style import BOLD, DIM, GREEN, YELLOW, paint, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from policy.locks.holders import Holder
    from policy.render.listing import Row

SECONDS = 0.5  # between two looks


def watch(collect: Callable[[], list[Row]], arguments: Arguments) -> int:
    """Shows locks until Ctrl-C.

    Args:
        collect: Looks once.
        arguments: Of the command line.
    """
    color = wanted(arguments.color, sys.stdout)
    try:
        if arguments.output_format == "json":
            _lines(collect, _as_json)
        elif sys.stdout.isatty() and _has_rich():
            _screen(collect, color=color)
        else:
            _lines(collect, lambda before, now: changes(before, now, color=color))
    except KeyboardInterrupt:
        return 0


def _has_rich() -> bool:
    try:
        import rich.live  # noqa: F401  (only whether it is there)
    except ImportError:
        return False
    return True


def _lines(
    collect: Callable[[], list[Row]], render: Callable[[list[Row] | None, list[Row]], Iterable[str]]
) -> NoReturn:
    """Writes what changed, a line each."""
    before = None
    while True:
        now = collect()
        text = "\n".join(render(before, now))
        if text:
            sys.stdout.write(fit(text, width(sys.stdout)) + "\n")
            sys.stdout.flush()
        before = now
        time.sleep(SECONDS)


def _screen(collect: Callable[[], list[Row]], *, color: bool) -> NoReturn:
    """Draws the list again and again, in its place."""
    from rich.live import Live
    from rich.text import Text

    def picture() -> Text:
        head = paint(f"{time.strftime('%H:%M:%S')}  Ctrl-C ends", DIM, color=color)
        return Text.from_ansi(fit(f"{head}\n{shown(collect(), color=color)}".rstrip("\n"), width(sys.stdout)))

    with Live(picture(), auto_refresh=False) as live:
        while True:
            time.sleep(SECONDS)
            live.update(picture(), refresh=True)


def _as_json(before: list[Row] | None, now: list[Row]) -> Iterator[str]:
    """The whole list in one line, where anything is different."""
    if before is None or [record(row) for row in before] != [record(row) for row in now]:
        yield json.dumps({**records(now), "time": round(time.time(), 3)})


def changes(before: list[Row] | None, now: list[Row], *, color: bool) -> Iterator[str]:
    """What is different from one look to the next.

    Args:
        before: What was seen; None at the first look.
        now: What is seen.
        color: Whether colours may be used.
    """
    moment = paint(time.strftime("%H:%M:%S"), DIM, color=color)
    old = {row.lock.name: row for row in before or ()}
    new = {row.lock.name: row for row in now}
    for name, row in new.items():
        was = old.get(name)
        held = paint("held   ", BOLD, GREEN, color=color)
        waits = paint("waits  ", BOLD, YELLOW, color=color)
        for one in _new(row.lock.holders, was.lock.holders if was else ()):
            yield f"{moment}  {held}  {escape(name)}  {escape(str(one))}"
        if row.lock.locked and not row.lock.holders and (was is None or not was.lock.locked):
            yield f"{moment}  {held}  {escape(name)}  a process that is not visible from here"
        for place, one in enumerate(row.waiters, 1):
            if one in _new(row.waiters, was.waiters if was else ()):
                yield f"{moment}  {waits}  {escape(name)}  {escape(str(one))}, number {place} in the queue"
        if was is not None and was.lock.locked and row.lock.locked is False:
            yield f"{moment}  free     {escape(name)}"
    for name, was in old.items():
        if name not in new and was.lock.locked:
            yield f"{moment}  free     {escape(name)}"
    if before is None and not now:
        yield f"{moment}  {nothing()}"


def _new(now: Iterable[Holder], before: Iterable[Holder]) -> list[Holder]:
    """Those that were not there before."""
    known = {(one.pid, one.since) for one in before}
    return [one for one in now if (one.pid, one.since) not in known]
