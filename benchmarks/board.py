"""The board: every target beside what was measured, from the data of two runs; `python -m benchmarks.board` anew."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import plot, report
from benchmarks.report import Family, Row, Table

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCS = os.path.join(CHECKOUT, "docs")
RUNS = {"bench": "What it costs", "reliability": "What it holds"}

HEAD = """\
Every target of this project that a number can decide, beside what was measured: by `nox -s bench` what it costs, by
`nox -s reliability` what it holds. The numbers behind a table are in `docs/figures/`, as JSON;
[performance](performance.md) and [reliability](reliability.md) have them beside those of other programs. In a plot
"share of what is allowed", 1 is the target: less is better."""


def machine() -> dict[str, Any]:
    """What of the machine decides on figures, without a name or a path."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "memory_gib": _memory(),
        "load_before": round(os.getloadavg()[0], 1),
        "root": os.geteuid() == 0,
    }


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _commit() -> str:
    """What was measured; a `+` where files were changed since."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


@dataclass
class Run:
    """What one session measured, where and when."""

    name: str
    families: list[Family]
    absent: list[str] = field(default_factory=list)
    seconds: float = 0.0
    size: str = "full"
    date: str = field(default_factory=lambda: dt.datetime.now(dt.UTC).date().isoformat())
    commit: str = field(default_factory=_commit)
    machine: dict[str, Any] = field(default_factory=machine)

    @property
    def minutes(self) -> str:
        """How long it took."""
        return f"{self.seconds / 60:.0f} minutes" if self.seconds >= 90 else f"{self.seconds:.0f} s"

    @property
    def described(self) -> str:
        """The machine's class, in a line."""
        it = self.machine
        return f"{it['cores']} cores, {it['architecture']}, {it['system']}, {it['python']}"


def write(run: Run, docs: str = DOCS) -> None:
    """Keeps a run's data, draws its plots, and writes the board of both."""
    figures = os.path.join(docs, "figures")
    os.makedirs(figures, exist_ok=True)
    _written(os.path.join(figures, f"{run.name}.json"), json.dumps(asdict(run), indent=1, ensure_ascii=False) + "\n")
    draw(docs)


def draw(docs: str = DOCS) -> None:
    """The board and its plots, from the data that is there."""
    figures = os.path.join(docs, "figures")
    os.makedirs(figures, exist_ok=True)
    runs = {name: read(figures, name) for name in RUNS}
    drawn = {
        f"{one.name}-{theme}.svg": plot.draw(one, colours)
        for run in runs.values()
        for one in (plots(run) if run else [])
        for theme, colours in plot.THEMES.items()
    }
    for name in os.listdir(figures):
        if name.endswith(".svg") and name not in drawn:
            os.remove(os.path.join(figures, name))
    for name, picture in drawn.items():
        _written(os.path.join(figures, name), picture)
    _written(os.path.join(docs, "board.md"), page(runs))


def read(figures: str, name: str) -> Run | None:
    """The data of a run, or None where it has not been made."""
    try:
        with open(os.path.join(figures, f"{name}.json"), encoding="utf-8") as file:
            data = json.load(file)
    except FileNotFoundError:
        return None
    families = [
        Family(
            one["title"],
            [Row(**row) for row in one["rows"]],
            [Table(**{**table, "lines": [tuple(line) for line in table["lines"]]}) for table in one["tables"]],
            [plot.Plot(**{**each, "curves": _numbered(each["curves"])}) for each in one["plots"]],
        )
        for one in data.pop("families")
    ]
    return Run(families=families, **data)


def _numbered(curves: dict[str, dict[str, float]] | None) -> dict[str, dict[int, float]] | None:
    """JSON has no keys but text."""
    if curves is None:
        return None
    return {name: {int(size): value for size, value in curve.items()} for name, curve in curves.items()}


def plots(run: Run) -> list[plot.Plot]:
    """The plots of a run: those of its families, and for each family how near its targets are."""
    found = []
    for family in run.families:
        if shares := _shares(run, family):
            found.append(shares)
        found += family.plots
    return found


def _shares(run: Run, family: Family) -> plot.Plot | None:
    values = {row.what: row.share for row in family.rows if row.share is not None}
    if not values:
        return None
    return plot.Plot(
        f"{run.name}-{_slug(family.title)}",
        family.title,
        "share of what is allowed",
        values=values,
        ours=list(values),
        limit=1.0,
    )


def _slug(title: str) -> str:
    return "-".join("".join(sign if sign.isalnum() else " " for sign in title.lower()).split())


def page(runs: dict[str, Run | None]) -> str:
    """docs/board.md."""
    parts = ["# The board", "<!-- written by `nox -s bench` and `nox -s reliability`; do not edit -->", HEAD]
    missed = [row for run in runs.values() if run for family in run.families for row in family.rows if row.met is False]
    if missed:
        parts += ["**Not met:**", "\n".join(f"- {row.what}: {row.measured}, promised {row.target}" for row in missed)]
    for name, title in RUNS.items():
        parts.append(f"## {title}")
        run = runs[name]
        if run is None:
            parts.append(f"Not measured yet: `nox -s {name}` does.")
            continue
        at = f" at `{run.commit}`" if run.commit else ""
        parts.append(
            f"`nox -s {name}`, {run.size}, on {run.date}{at}, in {run.minutes}: {run.described}. {report.met(run)}"
        )
        for family in run.families:
            parts.append(f"### {family.title}")
            if family.rows:
                parts.append(report.verdicts(family.rows))
            shares = _shares(run, family)
            parts += [report.pictures(one) for one in ([shares] if shares else []) + family.plots]
        if run.absent:
            parts += ["Left out:", "\n".join(f"- {reason}" for reason in run.absent)]
    return report.close("\n\n".join(parts) + "\n")


def _written(path: str, content: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


if __name__ == "__main__":
    draw()
