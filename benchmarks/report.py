"""Rows, tables and plots of one family of measurements, as text and as a page of the documentation."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.board import Run
    from benchmarks.measure import Effort, Samples


@dataclass(frozen=True)
class Row:
    """A promise, and what came of it.

    Attributes:
        met: None where nothing was promised.
        share: What was measured as a part of what is allowed; 1 and less is met.
    """

    what: str
    target: str
    measured: str
    met: bool | None = None
    share: float | None = None

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


@dataclass
class Family:
    """What is measured together."""

    title: str
    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: list[plot.Plot] = field(default_factory=list)


def display(samples: Samples, unit: float = 1e6) -> str:
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
    return Row(what, f"≤ {most:g}", measured, times <= most, times / most)


def text(families: Sequence[Family]) -> str:
    """For a terminal."""
    rows = [row for family in families for row in family.rows]
    tables = [table for family in families for table in family.tables]
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


def page(run: Run, effort: Effort) -> str:
    """docs/performance.md."""
    rows = [row for family in run.families for row in family.rows]
    parts = [
        "# Performance",
        "<!-- written by `nox -s bench`; do not edit -->",
        _head(run, effort),
        "All targets stand on [the board](board.md), those of reliability too.",
        verdicts(rows),
    ]
    for family in run.families:
        parts.append(f"## {family.title}")
        parts += [pictures(one) for one in family.plots]
        for table in family.tables:
            parts += [f"### {table.title}", markdown(table.head, table.lines), *table.notes]
    if run.absent:
        parts += ["## Left out", "\n".join(f"- {reason}" for reason in run.absent)]
    return close("\n\n".join(parts) + "\n")


def close(text: str) -> str:
    """A page on which no line ends between a sign and its number."""
    return text.replace("≤ ", "≤\u00a0").replace("≥ ", "≥\u00a0")


def _head(run: Run, effort: Effort) -> str:
    return (
        f"Measured by `nox -s bench` in {run.minutes} on {run.date}: {run.described}. Only the ratios mean much on "
        f"another machine: each is of one run, in which the subjects took turns in a new order each time "
        f"({effort.rounds} rounds of what takes microseconds, {effort.starts} of process starts, "
        f"{effort.contentions} of contention), and is the median of the rounds' ratios; of two sizes it is that of "
        f"their minima. {met(run)}"
    )


def met(run: Run) -> str:
    """How many of the targets are met."""
    judged = [row.met for family in run.families for row in family.rows if row.met is not None]
    return f"{sum(judged)} of {len(judged)} targets are met."


def verdicts(rows: Sequence[Row]) -> str:
    """A table of targets."""
    return markdown(
        ("what", "target", "measured", "met"), [(row.what, row.target, row.measured, row.verdict) for row in rows]
    )


def pictures(one: plot.Plot) -> str:
    """The two pictures of a plot; the theme of the site shows one of them."""
    words = one.title.replace("`", "")
    return "\n".join(f"![{words}](figures/{one.name}-{theme}.svg){{.only-{theme}}}" for theme in plot.THEMES)


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]], *, right: bool = True) -> str:
    """A table of a page."""
    marks = ["---"] + ["---:" if right else "---"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, marks, *lines))


def say(report: str) -> None:
    sys.stdout.write(report + "\n")
    sys.stdout.flush()
