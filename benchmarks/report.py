"""Rows and tables, as text and as a page of the documentation."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Effort, Samples


@dataclass(frozen=True)
class Row:
    """A promise, and what came of it.

    Attributes:
        met: None where nothing was promised.
    """

    what: str
    target: str
    measured: str
    met: bool | None = None

    @property
    def verdict(self) -> str:
        return {True: "yes", False: "**no**", None: ""}[self.met]


@dataclass
class Table:
    """What stands beside each other."""

    title: str
    head: tuple[str, ...]
    lines: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def told(samples: Samples, unit: float = 1e6) -> str:
    """The median, and the least in brackets."""
    return f"{_digits(samples.median * unit)} ({_digits(samples.least * unit)})"


def _digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def ratio(what: str, ours: Samples, theirs: Samples, most: float | None) -> Row:
    """A row about a ratio of one run, taken in turns."""
    times = ours.against(theirs)
    measured = f"{times:.2f}" if times >= 0.01 else f"{times:.4f}"
    if most is None:
        return Row(what, "", measured)
    return Row(what, f"≤ {most:g}", measured, times <= most)


def machine() -> str:
    """The machine's class, without a name or a path."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def text(rows: Sequence[Row], tables: Sequence[Table]) -> str:
    """For a terminal."""
    lines = list(_aligned(("what", "target", "measured", "met"), [_cells(row) for row in rows]))
    for table in tables:
        lines += ["", table.title, "", *_aligned(table.head, table.lines), "", *table.notes]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (row.what, row.target, row.measured, row.verdict.strip("*"))


def _aligned(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    rule = ["-" * width for width in widths]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, rule, *lines)
    ]


def page(rows: Sequence[Row], tables: Sequence[Table], absent: Sequence[str], effort: Effort) -> str:
    """docs/performance.md."""
    parts = [
        "# Performance",
        "<!-- written by `nox -s bench`; do not edit -->",
        _head(rows, effort),
        _markdown(
            ("what", "target", "measured", "met"), [(row.what, row.target, row.measured, row.verdict) for row in rows]
        ),
        "![Cost of a decision against the number of rules](performance.svg)",
    ]
    for table in tables:
        parts += [f"## {table.title}", _markdown(table.head, table.lines), *table.notes]
    if absent:
        parts += ["## Left out", "\n".join(f"- {reason}" for reason in absent)]
    return "\n\n".join(parts) + "\n"


def _head(rows: Sequence[Row], effort: Effort) -> str:
    met = sum(row.met is True for row in rows)
    promised = sum(row.met is not None for row in rows)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return (
        f"Measured by `nox -s bench` on {today}: {machine()}. Only the ratios mean much on another machine: each is of "
        f"one run, in which the contestants took turns in a new order each time ({effort.rounds} rounds of what takes "
        f"microseconds, {effort.starts} of process starts, {effort.contests} of contention), and is the median of the "
        f"rounds' ratios; of two sizes it is that of their minima. {met} of {promised} targets are met."
    )


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    marks = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, marks, *lines))


def say(report: str) -> None:
    sys.stdout.write(report + "\n")
    sys.stdout.flush()
