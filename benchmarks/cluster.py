"""A lock on a PostgreSQL server: what a cycle costs, and how soon the next one has it, against flock."""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import contending, measure, scenarios
from benchmarks.engines import missing
from benchmarks.locking import BARE, bare
from benchmarks.plot import Plot
from benchmarks.report import Family, Row, Table, display, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measure import Effort

NEW, KEPT = "a lock on a server, a connection for each", "the same on one connection, by hand"
TITLE = "Locks on a server"
MOST = 10  # times flock's hand-off


def run(effort: Effort, folder: str, absent: list[str]) -> Family:
    if missing("psycopg") or missing("pytest"):
        absent.append("locks on a server: psycopg and pytest are not installed here")
        return Family(TITLE)
    from tests import servers

    if not servers.binaries():
        absent.append("locks on a server: PostgreSQL is not installed here")
        return Family(TITLE)
    measure.progress("locks on a server")
    project = scenarios.project(folder, effort.small)
    with servers.cluster() as server:
        address = {"PGHOST": server.address, "PGPORT": str(server.port), "PGUSER": servers.ROLE}
        address |= {"PGDATABASE": servers.DATABASE, **server.passfile(Path(folder))}
        os.environ.update(address)
        servers.wait_until(server.is_old, "the server stays young")
        rows, table, plot = _cycles(effort, project)
        more, contention = _contention(effort, project, address)
        for name in address:
            del os.environ[name]
    return Family(TITLE, [*rows, more], [table, contention], [plot])


def _cycles(effort: Effort, project: scenarios.Project) -> tuple[list[Row], Table, Plot]:
    import psycopg

    path = os.path.join(project.root, ".lock")
    names: dict[str, Any] = {"lock": contending.cluster_lock(project.root)}
    with psycopg.connect(autocommit=True) as connection:
        kept = {"ask": connection.execute, "take": "select pg_advisory_lock(1)", "give": "select pg_advisory_unlock(1)"}
        times = measure.calls(
            {
                BARE: ("bare(path)", {"bare": bare, "path": path}),
                NEW: ("lock.attempt(); lock.release()", names),
                KEPT: ("ask(take); ask(give)", kept),
            },
            effort,
        )
    table = Table("A lock on a server and its release, uncontended", ("lock", "µs", f"against {BARE}"))
    for name, samples in sorted(times.items(), key=lambda item: item[1].median):
        table.lines.append((name, display(samples), f"{samples.against(times[BARE]):,.0f}"))
    table.notes.append("The server runs on this machine; a network adds its round trips: five for a new connection.")
    rows = [ratio(f"{name}, against {BARE}", times[name], times[BARE], None) for name in (NEW, KEPT)]
    plot = Plot(
        "server",
        table.title,
        "µs, the median",
        {name: samples.median * 1e6 for name, samples in times.items()},
        ours=[NEW],
    )
    return rows, table, plot


def _contention(effort: Effort, project: scenarios.Project, address: Mapping[str, str]) -> tuple[Row, Table]:
    found: dict[str, list[contending.Queue]] = {contending.FLOCK: [], contending.CLUSTER: []}
    for _ in range(effort.contentions):
        for mode, several in found.items():
            several.extend(contending.queues(mode, project, effort.queues, address, contending.LONGER))
    table = Table(
        f"{contending.PROCESSES} processes that wait for one lock on a server",
        ("lock", "release to next holder: median, ms", "wait of the last one, ms"),
    )
    hand_off = {}
    for mode, several in found.items():
        hand_off[mode] = statistics.median(seconds for one in several for seconds in one.hand_offs)
        longest = statistics.median(one.longest for one in several)
        table.lines.append((mode, f"{hand_off[mode] * 1e3:,.2f}", f"{longest * 1e3:,.2f}"))
    table.notes.append(
        f"Each holds it for {contending.LONGER * 1e3:.0f} ms, on both. The server runs on this machine, which it keeps "
        "busy for 2 ms after each release: that long takes the end of a session."
    )
    times = hand_off[contending.CLUSTER] / hand_off[contending.FLOCK]
    what = f"{contending.CLUSTER}, {contending.PROCESSES} processes wait, hand-off, against a blocking flock"
    return Row(what, f"≤ {MOST}", f"{times:.2f}", times <= MOST, times / MOST), table
