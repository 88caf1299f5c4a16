"""What stays in memory beside a command that runs under the lock."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks import measure, scenarios
from benchmarks.engines import missing
from benchmarks.plot import Plot
from benchmarks.report import Family, Row, Table
from benchmarks.starting import WRAPPER

if TYPE_CHECKING:
    from benchmarks.measure import Effort

TIMEOUT = 10.0  # seconds for a program to reach its command
PROC = "/proc"


def resident(pid: int) -> int:
    """KiB that a process has in memory; 0 once it is gone."""
    try:
        with open(f"{PROC}/{pid}/status", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmRSS:")), 0)
    except OSError:
        return 0


def _family(pid: int) -> list[int]:
    """A process and what it started."""
    with open(f"{PROC}/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = [int(child) for child in file.read().split()]
    return [pid, *(one for child in children for one in _family(child))]


def _name(pid: int) -> str:
    with open(f"{PROC}/{pid}/comm", encoding="ascii", errors="replace") as file:
        return file.read().strip()


def footprint(command: list[str], project: scenarios.Project) -> tuple[int, int]:
    """How many processes there are while `sleep` runs, and how many KiB they have together."""
    with subprocess.Popen(command, env=dict(project.environ), cwd=project.directory, start_new_session=True) as process:
        try:
            end = time.monotonic() + TIMEOUT
            while "sleep" not in map(_name, _family(process.pid)):
                if time.monotonic() > end:
                    raise RuntimeError(f"{' '.join(command)} starts no sleep")
                time.sleep(0.02)
            time.sleep(0.1)
            family = _family(process.pid)
            return len(family), sum(map(resident, family))
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its own session, made above


def run(effort: Effort, folder: str, absent: list[str]) -> Family:
    if not os.path.exists(f"{PROC}/self/task/{os.getpid()}/children"):
        absent.append("memory: no /proc here")
        return Family("Memory")
    measure.progress("memory")
    project = scenarios.project(folder, effort.small)
    sleep = [shutil.which("sleep") or "/bin/sleep", "60"]
    commands = {
        "`sleep`": sleep,
        "`policy run -- sleep`": [sys.executable, "-m", "policy", "run", "--", *sleep],
    }
    if not missing("filelock"):
        lock = os.path.join(folder, "peer.lock")
        commands["filelock and subprocess: `sleep`"] = [sys.executable, "-c", WRAPPER, lock, *sleep]
    found = {name: footprint(command, project) for name, command in commands.items()}
    table = Table("Memory while a command runs", ("program", "processes", "KiB"))
    table.lines = [(name, str(processes), f"{kib:,}") for name, (processes, kib) in found.items()]
    processes, ours = found["`policy run -- sleep`"]
    alone = found["`sleep`"][1]
    # what the command itself has differs by some pages from start to start
    met = processes == 1 and ours < alone * 1.25
    beside = "none, the process is replaced" if processes == 1 else f"{processes - 1} processes"
    row = Row("memory of `policy run` beside its command", "none", beside, met)
    sizes = {name: kib / 1024 for name, (_, kib) in found.items()}
    plot = Plot("memory", table.title, "MiB, all of its processes", sizes, ours=["`policy run -- sleep`"])
    return Family("Memory", [row], [table], [plot])
