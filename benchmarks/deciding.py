"""A warm decision, beside what one would write by hand and beside other engines."""

from __future__ import annotations

import dataclasses
import itertools
import re
import time
from typing import TYPE_CHECKING

from benchmarks import engines, measure, scenarios
from benchmarks.engines import ENGINES, IF, IF_NEW, LOOP, OURS, OURS_NEW, PEERS
from benchmarks.plot import Plot
from benchmarks.report import Family, Row, Table, display, ratio
from policy.config.loading import Rules
from policy.rules.request import Caller, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.engines import Engine
    from benchmarks.measure import Effort, Samples

PUBLIC = "lock-policy, `rules.decide`, which looks whether files changed"
NAMES = {OURS_NEW: "lock-policy, new paths"}  # short enough for the end of a curve
ANEW = "another environment each time"
WILD = {
    "named": ("`**/app-17/**`", ""),
    "begun": ("`**/app-17-*/**`", "-blue"),
    "nameless": ("`**/*-17-*/**`", "-blue"),
}


def run(effort: Effort, folder: str, absent: list[str]) -> Family:
    makers = dict(ENGINES)
    for name, (module, make) in PEERS.items():
        if engines.missing(module):
            absent.append(f"{name}: not installed here")
        else:
            makers[name] = make
    found: dict[int, dict[str, Samples]] = {}
    table = Table("A warm decision, the last rule matching", ("engine", *(f"{size:,} rules" for size in effort.sizes)))
    built: dict[str, float] = {}
    for size in effort.sizes:
        measure.progress(f"decisions, {size:,} rules")
        found[size] = _timed(makers, size, effort, absent, built)
    project = scenarios.project(folder, effort.small)
    found[effort.small][PUBLIC] = _public(project, effort)
    for name in [*makers, PUBLIC]:
        cells = (_cell(found[size], name) for size in effort.sizes)
        table.lines.append((name, *cells))
    loading = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in built.items()) or "no time worth a word"
    table.notes.append(
        f"µs, median of {effort.rounds} rounds taken in turns, the least in brackets. Before that, all engines gave "
        f"the same answers to the same {len(scenarios.questions(effort.small))} questions at each size. Loading "
        f"{effort.large:,} rules took {loading}."
    )
    wild, wild_table = _wildcards(effort)
    rows = [*_rows(found, effort), *wild]
    curves = {
        NAMES.get(name, name): {size: found[size][name].median * 1e6 for size in effort.sizes if name in found[size]}
        for name in (OURS, OURS_NEW, IF, LOOP, *PEERS)
    }
    plot = Plot(
        "decisions",
        "A decision, the last rule matching",
        "µs for a decision, by number of rules, both axes logarithmic",
        curves={name: curve for name, curve in curves.items() if curve},
        ours=[OURS, NAMES[OURS_NEW]],
    )
    return Family("Decisions", rows, [table, wild_table], [plot])


def _cell(found: dict[str, Samples], name: str) -> str:
    return display(found[name]) if name in found else "-"


def _timed(
    makers: dict[str, Callable[[int], Engine]], size: int, effort: Effort, absent: list[str], built: dict[str, float]
) -> dict[str, Samples]:
    ready: dict[str, Engine] = {}
    for name, make in makers.items():
        begin = time.perf_counter()
        try:
            one = make(size)
        except Exception as error:  # noqa: BLE001  (whatever a peer raises, it is left out and named)
            absent.append(f"{name} at {size:,} rules: {error!r}")
            continue
        if size == effort.large and name in PEERS:
            built[name] = time.perf_counter() - begin
        for root, expected in scenarios.questions(size):
            answer = one.answer(root)
            if answer != expected:
                raise AssertionError(f"{name} at {size} rules answers {answer} for {root}, not {expected}")
        ready[name] = one
    quick = {name: (one.statement, one.names) for name, one in ready.items() if name not in PEERS}
    statements = {name: (one.statement, one.names) for name, one in ready.items()}
    # what takes 50 ms each time would let the others wait for their turns; those have more rounds of their own
    if size > 1_000:
        few = dataclasses.replace(effort, rounds=min(effort.rounds, 11))
        both = measure.calls(statements, few)
        return {**both, **measure.calls(quick, effort)}
    return measure.calls(statements, effort)


def _public(project: scenarios.Project, effort: Effort) -> Samples:
    rules = Rules(project=project.directory)
    caller = Caller(project.environ, project.directory)
    names = {
        "decide": rules.decide,
        "Request": Request,
        "environment": engines.environment(project.root),
        "caller": caller,
    }
    return measure.calls({PUBLIC: ("decide(Request(environment, caller))", names)}, effort)[PUBLIC]


def _rows(found: dict[int, dict[str, Samples]], effort: Effort) -> list[Row]:
    small, large = found[effort.small], found[effort.large]
    rows = [
        ratio(f"a warm decision, {effort.small} rules, against hand-written `if`", small[OURS], small[IF], 1.5),
        ratio(f"a decision, {effort.small} rules, {ANEW}, against `if`", small[OURS_NEW], small[IF_NEW], None),
        _growth(f"a warm decision, {effort.large:,} rules against {effort.small}", large[OURS], small[OURS], 1.5),
        _growth(
            f"a decision, {effort.large:,} rules against {effort.small}, {ANEW}", large[OURS_NEW], small[OURS_NEW], 1.5
        ),
    ]
    for size, least in ((effort.small, 30), (effort.large, 1_000)):
        for name in PEERS:
            if name in found[size]:
                times = _against(found[size][name], found[size][OURS])
                rows.append(
                    Row(
                        f"{name} against a warm decision, {size:,} rules",
                        f"≥ {least:,}",
                        f"{times:,.0f}",
                        times >= least,
                        least / times,
                    )
                )
    return rows


def _growth(what: str, large: Samples, small: Samples, most: float) -> Row:
    """Two sizes are not taken in turns, so what each takes at least is compared."""
    times = large.least / small.least
    return Row(what, f"≤ {most:g}", f"{times:.2f}", times <= most, times / most)


def _against(theirs: Samples, ours: Samples) -> float:
    return theirs.median / ours.median


def _wildcards(effort: Effort) -> tuple[list[Row], Table]:
    """Patterns that begin with a wildcard, which the index of folders cannot find."""
    size = effort.large
    rows: list[Row] = []
    table = Table(
        f"Patterns that begin with a wildcard, {size:,} rules, the last matching", ("pattern", "engine", "µs")
    )
    for kind, (shown, suffix) in WILD.items():
        patterns = [(glob, regex) for found, glob, regex in scenarios.wildcards(size) if found == kind]
        folders = [f"/data/team-{at}/app-{size - 1}{suffix}/env" for at in range(5_000)]
        program = engines.program([(glob, "local") for glob, _ in patterns])
        caller = Caller({}, "/")
        matchers = [re.compile(regex).fullmatch for _, regex in patterns]

        def loop(path: str, matchers: Sequence[Callable[[str], object]] = matchers) -> int:
            for at, matches in enumerate(matchers):
                if matches(path):
                    return at
            return -1

        one = engines.environment(folders[0])
        if program.decide(Request(one, caller)).index != size - 1 or loop(one.interpreter) != size - 1:
            raise AssertionError(f"another rule than the last matches {one.root}")
        for _ in range(60):  # a pattern that was asked often becomes a regular expression
            program.decide(Request(one, caller))
        base = {"decide": program.decide, "Request": Request, "caller": caller, "environment": one}
        names = {**base, "made": engines.environment, "several": itertools.cycle(folders)}
        paths = itertools.cycle([engines.interpreter(folder) for folder in folders])
        times = measure.calls(
            {
                OURS: ("decide(Request(environment, caller))", base),
                OURS_NEW: ("decide(Request(made(next(several)), caller))", names),
                LOOP: ("loop(next(paths))", {"loop": loop, "paths": paths}),
            },
            dataclasses.replace(effort, rounds=min(effort.rounds, 15)),
        )
        rows += [
            ratio(
                f"a warm decision, {size:,} rules such as {shown}, against a regex loop", times[OURS], times[LOOP], 1.0
            ),
            ratio(f"the same of {shown}, {ANEW}", times[OURS_NEW], times[LOOP], 1.0),
        ]
        table.lines += [(shown, name, display(samples)) for name, samples in times.items()]
    return rows, table
