"""Whole processes: what stands before every command that somebody types."""

from __future__ import annotations

import os
import shutil
import sys
import time

from benchmarks import measure, scenarios
from benchmarks.engines import missing
from benchmarks.measure import Effort, Samples, Start
from benchmarks.plot import Plot
from benchmarks.report import Family, Row, Table, display, ratio

PASS = "`python -c pass`"
READER = "`policy run --shared -- true`"
CLUSTER = "`policy run -- true`, a server is named and not asked"
CLUSTER_EXPLAIN = "`policy explain`, a server is named and not asked"
WITHOUT = "ten lines of Python: open, flock, exec `true`"
WRAPPER = """
import subprocess, sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    sys.exit(subprocess.run(sys.argv[2:]).returncode)
"""
EXECUTING = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
os.set_inheritable(descriptor, True)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def run(effort: Effort, folder: str, absent: list[str]) -> Family:
    measure.progress("process starts")
    small, large = (scenarios.project(folder, size) for size in (effort.small, effort.large))
    script = os.path.join(os.path.dirname(sys.executable), "policy")
    ways = {"python -m policy": [sys.executable, "-m", "policy"]}
    if os.access(script, os.X_OK):
        ways = {"policy": [script], **ways}
    else:
        absent.append("the console script `policy`: not installed beside this Python")
    true = shutil.which("true") or "/bin/true"
    lock = os.path.join(folder, "peer.lock")
    commands = {PASS: _start([sys.executable, "-c", "pass"], small), "`true`": _start([true], small)}
    for way, argv in ways.items():
        for size, project in ((effort.small, small), (effort.large, large)):
            commands[f"`{way} explain`, {size:,} rules"] = _start([*argv, "explain"], project)
            commands[f"`{way} run -- true`, {size:,} rules"] = _start([*argv, "run", "--", true], project)
    first = next(iter(ways.values()))
    commands[READER] = _start([*first, "run", "--shared", "--", true], small)
    named = _with_server(folder, effort)
    commands[CLUSTER] = _start([*first, "run", "--", true], named)
    commands[CLUSTER_EXPLAIN] = _start([*first, "explain"], named)
    old = _old_script(folder)
    for line in (["explain"], ["run", "--", true]):
        shown = " ".join(map(os.path.basename, line))
        commands[f"`policy {shown}`, {effort.small} rules, the script of an old pip"] = _start([old, *line], small)
    commands[WITHOUT] = _start([sys.executable, "-c", EXECUTING, lock, true], small)
    if missing("filelock"):
        absent.append("filelock and subprocess: not installed here")
    else:
        commands["filelock and subprocess: `true`"] = _start([sys.executable, "-c", WRAPPER, lock, true], small)
    if found := shutil.which("flock"):
        commands["`flock FILE true` (util-linux)"] = _start([found, lock, true], small)
    cold = {name: _cold(commands[name], project) for name, project in _colds(ways, effort, small, large).items()}
    times = measure.starts(commands, effort.starts)
    table = Table("Process starts", ("program", "ms", f"against {PASS}"))
    for name, samples in times.items():
        table.lines.append((name, display(samples, 1e3), f"{samples.against(times[PASS]):.2f}"))
    for name, seconds in cold.items():
        table.lines.append((f"{name}, after a change of the file", f"{seconds * 1e3:,.0f}", ""))
    table.notes.append(
        f"ms, median of {effort.starts} starts taken in turns, the least in brackets. The files are read once and then "
        f"kept compiled in the user's cache directory. `run` takes the lock of a virtual environment that it finds."
    )
    shown = [f"`policy explain`, {effort.small} rules", f"`policy run -- true`, {effort.small} rules"]
    beside = [*shown, WITHOUT, "filelock and subprocess: `true`", "`flock FILE true` (util-linux)"]
    plot = Plot(
        "starts",
        "From the start of a program to its end",
        f"time, against {PASS}",
        values={name: times[name].against(times[PASS]) for name in (PASS, *beside) if name in times},
        ours=shown,
    )
    return Family("Process starts", _rows(times, ways, effort), [table], [plot])


def _with_server(folder: str, effort: Effort) -> scenarios.Project:
    """The same project, of a user whose file names a server for the locks of several hosts."""
    home = os.path.join(folder, "team")
    made = scenarios.project(home, effort.small)
    os.makedirs(os.path.join(home, ".config", "lock-policy"))
    with open(os.path.join(home, ".config", "lock-policy", "lock-policy.toml"), "w", encoding="utf-8") as file:
        file.write('[cluster]\nengine = "postgresql"\nservice = "nowhere"\n')
    return made


def _old_script(folder: str) -> str:
    """What pip wrote as a console script until lately: importing `re` costs more than half of Python's start."""
    path = os.path.join(folder, "policy")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f"#!{sys.executable}\nimport re\nimport sys\nfrom lock_policy import main\n"
            "sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\nsys.exit(main())\n"
        )
    os.chmod(path, 0o700)
    return path


def _start(argv: list[str], project: scenarios.Project) -> Start:
    return Start(argv, project.environ, project.directory)


def _colds(
    ways: dict[str, list[str]], effort: Effort, small: scenarios.Project, large: scenarios.Project
) -> dict[str, scenarios.Project]:
    way = next(iter(ways))
    return {f"`{way} run -- true`, {size:,} rules": at for size, at in ((effort.small, small), (effort.large, large))}


def _cold(command: Start, project: scenarios.Project) -> float:
    """Seconds when nothing is cached, once: the second of two, so that the disk has been read."""
    command.run()
    shutil.rmtree(os.path.join(project.environ["HOME"], ".cache"), ignore_errors=True)
    time.sleep(0.01)
    return command.run()


def _rows(times: dict[str, Samples], ways: dict[str, list[str]], effort: Effort) -> list[Row]:
    rows: list[Row] = []
    for way in ways:
        for command, most in ((f"{way} explain", 4), (f"{way} run -- true", 1.65 if way == "policy" else 3)):
            few, many = (times[f"`{command}`, {size:,} rules"] for size in (effort.small, effort.large))
            rows += [
                ratio(f"`{command}`, {effort.small} rules, against {PASS}", few, times[PASS], most),
                ratio(f"`{command}`, {effort.large:,} rules against {effort.small}", many, few, 2),
            ]
    plain, explained = (
        times[f"`{next(iter(ways))} {command}`, {effort.small:,} rules"] for command in ("run -- true", "explain")
    )
    return [
        *rows,
        ratio(f"{READER}, against `policy run -- true`", times[READER], plain, None),
        ratio(f"{CLUSTER}, against none", times[CLUSTER], plain, 1.1),
        ratio(f"{CLUSTER_EXPLAIN}, against none", times[CLUSTER_EXPLAIN], explained, 1.1),
    ]
