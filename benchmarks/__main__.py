"""Times lock-policy beside its peers: `nox -s bench`, or `python -m benchmarks` where they are installed."""

from __future__ import annotations

import argparse
import os
import tempfile
import time

from benchmarks import (
    board,
    cluster,
    contending,
    deciding,
    locking,
    measure,
    memory,
    operations,
    report,
    scenarios,
    starting,
)

FAMILIES = {
    "starts": starting.run,
    "decisions": deciding.run,
    "locks": locking.run,
    "contention": contending.run,
    "servers": cluster.run,
    "memory": memory.run,
    "operations": operations.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that it works at all; the figures mean nothing")
    parser.add_argument(
        "--output", metavar="DIR", help="where pages, data and plots go; default: docs/, nowhere if --quick"
    )
    options = parser.parse_args()
    effort = measure.QUICK if options.quick else measure.FULL
    output = os.path.abspath(options.output) if options.output else None if options.quick else board.DOCS
    absent: list[str] = []
    begin = time.monotonic()
    machine = board.machine()  # its load before anything is measured
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
            families = [run(effort, room(name), absent) for name, run in FAMILIES.items()]
        finally:
            os.chdir("/")
    run = board.Run(
        "bench",
        [family for family in families if family.rows],
        list(dict.fromkeys(absent)),
        time.monotonic() - begin,
        "quick: the figures mean nothing" if options.quick else "full",
        machine=machine,
    )
    report.say(report.text(run.families))
    for reason in run.absent:
        report.say(f"left out: {reason}")
    report.say(f"\ntook {run.seconds:.0f} s")
    if output:
        board.write(run, output)
        with open(os.path.join(output, "performance.md"), "w", encoding="utf-8") as file:
            file.write(report.page(run, effort))
        report.say(f"written: performance.md, board.md and figures/ in {os.path.relpath(output, board.CHECKOUT)}")


if __name__ == "__main__":
    main()
