"""Times lock-policy beside its peers: `nox -s bench`, or `python -m benchmarks` where they are installed."""

from __future__ import annotations

import argparse
import os
import tempfile
import time

from benchmarks import (
    cluster,
    contending,
    deciding,
    locking,
    measure,
    memory,
    operations,
    plot,
    report,
    scenarios,
    starting,
)

DOCS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that it works at all; the figures mean nothing")
    parser.add_argument("--output", metavar="DIR", help="where page and plot go; default: docs/, nowhere if --quick")
    options = parser.parse_args()
    effort = measure.QUICK if options.quick else measure.FULL
    output = os.path.abspath(options.output) if options.output else None if options.quick else DOCS
    absent: list[str] = []
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lock-policy-bench-") as scratch:
        # neither this user's rules nor this user's cache nor this machine's rules
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "VIRTUAL_ENV", "UV_PYTHON", "CONDA_PREFIX"):
            os.environ.pop(name, None)
        os.environ.update(HOME=scratch, XDG_CONFIG_DIRS=scratch, LOCK_POLICY_MAX_SIZE=scenarios.MAX_SIZE)

        def room(name: str) -> str:
            folder = os.path.join(os.path.realpath(scratch), name)
            os.mkdir(folder, 0o700)
            return folder

        try:
            starts, starts_tables = starting.run(effort, room("starts"), absent)
            decisions, decisions_tables, curves = deciding.run(effort, room("decisions"), absent)
            locks, locks_tables = locking.run(effort, room("locks"), absent)
            contests, contests_tables = contending.run(effort, room("contests"), absent)
            servers, servers_tables = cluster.run(effort, room("servers"), absent)
            memories, memories_tables = memory.run(room("memory"), absent)
            operated, operated_tables = operations.run(effort, room("operations"), absent)
        finally:
            os.chdir("/")
    rows = [*starts, *decisions, *locks, *contests, *servers, *memories, *operated]
    tables = [
        *starts_tables,
        *decisions_tables,
        *locks_tables,
        *contests_tables,
        *servers_tables,
        *memories_tables,
        *operated_tables,
    ]
    absent = list(dict.fromkeys(absent))
    report.say(report.text(rows, tables))
    for reason in absent:
        report.say(f"left out: {reason}")
    report.say(f"\ntook {time.monotonic() - begin:.0f} s")
    if output:
        os.makedirs(output, exist_ok=True)
        for name, content in (
            ("performance.md", report.page(rows, tables, absent, effort)),
            ("performance.svg", plot.draw(curves)),
        ):
            with open(os.path.join(output, name), "w", encoding="utf-8") as file:
                file.write(content)
        report.say(f"written: performance.md and performance.svg in {os.path.relpath(output, os.path.dirname(DOCS))}")


if __name__ == "__main__":
    main()
