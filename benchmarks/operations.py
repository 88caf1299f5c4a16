"""What administrators wait for: a check of many rules, the list of many locks, a shim in front of a program."""

from __future__ import annotations

import fcntl
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
import timeit

from benchmarks import measure, scenarios
from benchmarks.measure import Effort, Start
from benchmarks.report import Family, Row, Table, display, ratio
from benchmarks.starting import PASS

POLICY = [sys.executable, "-m", "policy"]
HELD = 2_000  # locks on one host
PROCESSES = 2_000
LINES = 100_000  # of a log


def run(effort: Effort, folder: str, absent: list[str]) -> Family:
    measure.progress("operations")
    rows = [
        *(_checking(folder, size, most) for size, most in ((effort.large // 10, 1), (effort.large, 10))),
        _listing(effort, folder, absent),
        _using(effort, folder, absent),
        _examining(effort, folder),
        _replaying(effort, folder, absent),
    ]
    shims, table = _shims(effort, folder)
    return Family("Operations", [*(row for row in rows if row), *shims], [table])


def _checking(folder: str, size: int, most: float) -> Row:
    """`policy check` of as many rules as anybody has."""
    project = scenarios.project(os.path.join(folder, f"check-{size}"), size)
    return _within(f"`policy check`, {size:,} rules", _seconds([*POLICY, "check"], project), most)


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
    return _within(f"`policy locks` with {held:,} held", seconds, 1)


def _using(effort: Effort, folder: str, absent: list[str]) -> Row | None:
    """A look at which processes run from an environment, beside many that do not."""
    from policy.locks.users import can_know, pids

    number = PROCESSES if effort is measure.FULL else 20
    project = scenarios.project(os.path.join(folder, "users"), effort.small)
    if not can_know():
        absent.append("`policy users`: no /proc here")
        return None
    sleep = shutil.which("sleep") or "/bin/sleep"
    started: list[int] = []
    try:
        started += (os.posix_spawn(sleep, [sleep, "600"], {}) for _ in range(number))
        timer = timeit.Timer("list(pids(root))", globals={"pids": pids, "root": project.root})
        seconds = min(timer.repeat(5, 1))
    except OSError as error:
        absent.append(f"`policy users` beside {number:,} processes: {error}")
        return None
    finally:
        for pid in started:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return _within(f"`policy users` looks at {number:,} processes", seconds, 0.05)


def _examining(effort: Effort, folder: str) -> Row:
    """`policy doctor` on this machine."""
    project = scenarios.project(os.path.join(folder, "doctor"), effort.small)
    return _within("`policy doctor` on this machine", _seconds([*POLICY, "doctor", project.root], project), 10)


def _replaying(effort: Effort, folder: str, absent: list[str]) -> Row | None:
    """`policy replay` of a log of decisions, made by one real one."""
    if importlib.util.find_spec("policy.commands.replay") is None:
        absent.append("`policy replay`: no such command yet")
        return None
    lines = LINES if effort is measure.FULL else 100
    project = scenarios.project(os.path.join(folder, "replay"), effort.small)
    log, many = os.path.join(folder, "log"), os.path.join(folder, "log-many")
    _seconds([*POLICY, "run", "--", "true"], project, LOCK_POLICY_LOG=log)
    with open(log, encoding="utf-8") as file:
        said = file.readlines()
    with open(many, "w", encoding="utf-8") as file:
        file.writelines(itertools.islice(itertools.cycle(said), lines))
    return _within(f"`policy replay`, {lines:,} lines", _seconds([*POLICY, "replay", many], project), 10)


def _within(what: str, seconds: float, most: float) -> Row:
    """A row about a time; it is far enough from its target to be told on any machine."""
    measured, target = (f"{one:.2f} s" if one >= 0.5 else f"{one * 1e3:.1f} ms" for one in (seconds, most))
    if most >= 0.5:
        target = f"{most:g} s"
    return Row(what, f"≤ {target}", measured, seconds <= most, seconds / most)


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
        table.lines.append((name, display(samples, 1e3), f"{samples.against(times[PASS]):.2f}"))
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
