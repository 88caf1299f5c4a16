"""What administrators wait for: a check of many rules, the list of many locks, a shim in front of a program."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time

from benchmarks import measure, scenarios
from benchmarks.measure import Effort, Start
from benchmarks.report import Row, Table, ratio, told
from benchmarks.starting import PASS

POLICY = [sys.executable, "-m", "policy"]
HELD = 2_000  # locks on one host


def run(effort: Effort, folder: str, absent: list[str]) -> tuple[list[Row], list[Table]]:
    measure.progress("operations")
    rows = [_checking(effort, folder), _listing(effort, folder, absent)]
    shims, table = _shims(effort, folder)
    return [*(row for row in rows if row), *shims], [table]


def _checking(effort: Effort, folder: str) -> Row:
    """`policy check` of as many rules as anybody has."""
    project = scenarios.project(os.path.join(folder, "check"), effort.large)
    seconds = _seconds([*POLICY, "check"], project)
    return Row(f"`policy check`, {effort.large:,} rules", "≤ 10 s", f"{seconds:.2f} s", seconds <= 10)


def _listing(effort: Effort, folder: str, absent: list[str]) -> Row | None:
    """`policy locks` beside many locks that one process holds."""
    held = HELD if effort is measure.FULL else 20
    project = scenarios.project(os.path.join(folder, "locks"), 5)
    place = os.path.join(folder, "held")
    os.mkdir(place)
    descriptors = []
    try:
        for number in range(held):
            path = os.path.join(place, f"lock-policy-{number:016x}.lock")
            descriptors.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC))
            fcntl.flock(descriptors[-1], fcntl.LOCK_EX)
        seconds = _seconds([*POLICY, "locks"], project, LOCK_POLICY_GLOBAL_DIR=place)
    except OSError as error:
        absent.append(f"`policy locks` with {held:,} held: {error}")
        return None
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return Row(f"`policy locks` with {held:,} held", "≤ 1 s", f"{seconds:.2f} s", seconds <= 1)


def _shims(effort: Effort, folder: str) -> tuple[list[Row], Table]:
    """A shim of pip in front of a `pip` that does nothing: a question, and a change under the lock."""
    project = scenarios.project(os.path.join(folder, "shims"), 5)
    shims, binaries = os.path.join(folder, "front"), os.path.join(folder, "behind")
    os.mkdir(binaries)
    os.symlink(shutil.which("true") or "/bin/true", os.path.join(binaries, "pip"))
    subprocess.run([*POLICY, "shims", shims], env=dict(project.environ), check=True, stdout=subprocess.DEVNULL)
    path = os.pathsep.join((shims, binaries, project.environ["PATH"]))
    environ = {**project.environ, "PATH": path, "VIRTUAL_ENV": project.root}
    commands = {
        PASS: Start([sys.executable, "-c", "pass"], environ, project.directory),
        "a shim, `pip list`": Start([os.path.join(shims, "pip"), "list"], environ, project.directory),
        "a shim, `pip install x`": Start([os.path.join(shims, "pip"), "install", "x"], environ, project.directory),
        "`policy run -- true`": Start([*POLICY, "run", "--", "true"], environ, project.directory),
    }
    times = measure.starts(commands, effort.starts)
    table = Table("A shim in front of a program that does nothing", ("program", "ms", f"against {PASS}"))
    for name, samples in times.items():
        table.lines.append((name, told(samples, 1e3), f"{samples.against(times[PASS]):.2f}"))
    rows = [
        ratio(f"{name}, against {PASS}", times[name], times[PASS], 2.5)
        for name in ("a shim, `pip list`", "a shim, `pip install x`")
    ]
    return rows, table


def _seconds(command: list[str], project: scenarios.Project, **more: str) -> float:
    """How long a command takes from its start to its end, the second time."""
    for _ in range(2):
        begin = time.perf_counter()
        done = subprocess.run(
            command,
            env={**project.environ, **more},
            cwd=project.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - begin
    if done.returncode > 1:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return seconds
