"""Taking and giving back a lock that nobody else wants."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import policy
from benchmarks import measure, scenarios
from benchmarks.engines import environment, missing
from benchmarks.plot import Plot
from benchmarks.report import Family, Table, display, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from benchmarks.measure import Effort

OURS = "`policy.lock(env, rules=rules)`"
ANEW = "`policy.lock(env)`"
GIVEN = "`policy.lock(environment, rules=rules)`, the environment found before"
SHARED = "`policy.lock(env, rules=rules, shared=True)`"
GATE = 'the gate alone, `lock = "global"`'
REUSED, NEW = "filelock, reused", "filelock, a new one"
BARE = "open, flock, close"
FASTENERS, PORTALOCKER = "fasteners", "portalocker"


def bare(path: str) -> None:
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.close(descriptor)


def gate_alone(project: scenarios.Project) -> policy.Rules:
    """Rules under which a virtual environment gets the gate and no other lock."""
    path = os.path.join(os.path.dirname(project.directory), "gate.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write('[[rules]]\nlock = "global"\n')
    rules = policy.load(config_file=path)
    with policy.lock(project.root, rules=rules) as held:
        if [lock.purpose for lock in held.locks] != ["gate"]:
            raise AssertionError(f"more than the gate: {held.locks}")
    return rules


def statements(project: scenarios.Project, absent: list[str]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """How each is used as its own documentation has it."""
    path = os.path.join(project.root, ".lock")
    names: dict[str, Any] = {
        "lock": policy.lock,
        "root": project.root,
        "environment": environment(project.root),
        "rules": policy.load(),
        "path": path,
    }
    found: dict[str, tuple[str, Mapping[str, Any]]] = {
        OURS: ("with lock(root, rules=rules): pass", names),
        ANEW: ("with lock(root): pass", names),
        GIVEN: ("with lock(environment, rules=rules): pass", names),
        SHARED: ("with lock(root, rules=rules, shared=True): pass", names),
        GATE: ("with lock(root, rules=gate): pass", {**names, "gate": gate_alone(project)}),
        BARE: ("bare(path)", {"bare": bare, "path": path}),
    }
    if missing("filelock"):
        absent.append("filelock: not installed here")
    else:
        from filelock import FileLock

        found[REUSED] = ("with reused: pass", {"reused": FileLock(path)})
        found[NEW] = ("with FileLock(path): pass", {"FileLock": FileLock, "path": path})
    if missing("fasteners"):
        absent.append("fasteners: not installed here")
    else:
        import fasteners

        found[FASTENERS] = ("with reused: pass", {"reused": fasteners.InterProcessLock(path)})
    if missing("portalocker"):
        absent.append("portalocker: not installed here")
    else:
        import portalocker

        found[PORTALOCKER] = ("with Lock(path): pass", {"Lock": portalocker.Lock, "path": path})
    return found


def run(effort: Effort, folder: str, absent: list[str]) -> Family:
    measure.progress("locks without contention")
    project = scenarios.project(folder, effort.small)
    os.chdir(project.directory)
    with policy.lock(project.root) as held:
        names = [lock.name for lock in held.locks if lock.purpose != "gate"]  # which the peers do not take
        if names != [os.path.join(project.root, ".lock")]:
            raise AssertionError(f"another lock than the peers take: {names}")
    times = measure.calls(statements(project, absent), effort)
    table = Table(
        f"A lock and its release, uncontended, {effort.small} rules",
        ("lock", "µs", f"against {BARE}", f"against {REUSED}"),
    )
    for name, samples in sorted(times.items(), key=lambda item: item[1].median):
        reused = f"{samples.against(times[REUSED]):.2f}" if REUSED in times else "-"
        table.lines.append((name, display(samples), f"{samples.against(times[BARE]):.2f}", reused))
    table.notes.append(
        f"µs, median of {effort.rounds} rounds taken in turns, the least in brackets; decision and gate included."
    )
    rows = []
    if REUSED in times:
        rows = [
            ratio(f"{OURS} and release, against a reused `FileLock`", times[OURS], times[REUSED], 1.3),
            ratio(f"{ANEW}, against a reused `FileLock`", times[ANEW], times[REUSED], 1.3),
        ]
    rows += [
        ratio(f"{OURS} and release, against {name}", times[OURS], times[name], None)
        for name in (FASTENERS, PORTALOCKER)
        if name in times
    ]
    rows += [
        ratio(f"{SHARED}, a reader, against {OURS}", times[SHARED], times[OURS], None),
        ratio(f"{GATE}, against {OURS}", times[GATE], times[OURS], None),
        ratio(f"{GATE}, against {BARE}", times[GATE], times[BARE], None),
    ]
    plot = Plot(
        "locks",
        table.title,
        "µs, the median",
        {name: samples.median * 1e6 for name, samples in times.items()},
        ours=[OURS, ANEW, GIVEN, SHARED, GATE],
    )
    return Family("A lock without contention", rows, [table], [plot])
