"""Locks under load and kills: nobody is inside with anybody else."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import plan_soak
from tests.exclusion import Arena, hits

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock and signals", allow_module_level=True)

soak = pytest.mark.soak

PROCESSES = int(os.environ.get("LOCK_POLICY_SOAK_PROCESSES", "8"))
ACQUISITIONS = int(os.environ.get("LOCK_POLICY_SOAK_ACQUISITIONS", "8000"))
SIGNALS = int(os.environ.get("LOCK_POLICY_SOAK_SIGNALS", "900"))
HITS = SIGNALS // 15  # 60 of 900
PLAN_ACQUISITIONS = int(os.environ.get("LOCK_POLICY_SOAK_PLAN_ACQUISITIONS", "20000"))
TIMEOUT = 1800  # seconds after which nothing moves any more

WAYS = ("blocking", "child", "task", "thread")
ENDLESS = 10**9


@soak
def test_soak(tmp_path: Path) -> None:
    """Eight processes of four threads, killed at random and started again: 8,000 times one at a time."""
    arena = Arena(tmp_path)
    workers = [arena.worker(ENDLESS, *WAYS) for _ in range(PROCESSES)]
    arena.go()
    dice = random.Random(os.environ.get("LOCK_POLICY_SOAK_SEED"))  # noqa: S311  (whom to kill)
    signals = acquisitions = 0
    end = time.monotonic() + TIMEOUT
    while signals < SIGNALS or acquisitions < ACQUISITIONS:
        assert time.monotonic() < end, f"{acquisitions} acquisitions, {signals} signals"
        time.sleep(dice.uniform(0, 0.02))
        lines = arena.lines()
        acquisitions = sum(line.startswith("E") for line in lines)
        if signals >= SIGNALS:
            continue
        if acquisitions * SIGNALS < signals * ACQUISITIONS:
            continue  # spread over the whole run
        number = victim(workers, lines, dice)
        kill(arena, workers[number])
        workers[number] = arena.worker(ENDLESS, *WAYS)
        signals += 1
    for worker in workers:
        kill(arena, worker)
    lines = arena.lines()
    arena.close()
    print(f"{acquisitions} acquisitions, {signals} signals, {hits(lines)} of which hit the holder")  # noqa: T201  (the figures of docs/reliability.md)
    assert arena.faults() == []
    assert hits(lines) >= HITS


@pytest.mark.parametrize(
    ("acquisitions", "kills", "programs", "runners"),
    [
        pytest.param(300, 20, 2, 2, marks=pytest.mark.slow),
        pytest.param(PLAN_ACQUISITIONS, SIGNALS, 5, 3, marks=soak),
    ],
)
def test_plans(tmp_path: Path, acquisitions: int, kills: int, programs: int, runners: int) -> None:
    """Callers with other rules, layers, spellings and users, by `policy run` and `policy.lock()`: never two inside."""
    dice = random.Random(os.environ.get("LOCK_POLICY_SOAK_SEED"))  # noqa: S311  (who does what, and whom to kill)
    plans = plan_soak.Plans(tmp_path, dice)
    workers = [plans.library() for _ in range(programs)]
    threads = [plan_soak.Runner(plans) for _ in range(runners)]
    for thread in threads:
        thread.start()
    signals = entered = 0
    end = time.monotonic() + TIMEOUT
    try:
        while signals < kills or entered < acquisitions:
            assert time.monotonic() < end, f"{entered} acquisitions, {signals} kills"
            time.sleep(dice.uniform(0, 0.02))
            lines = plans.lines()
            entered = plans.entered
            if signals >= kills or entered * kills < signals * acquisitions:
                continue  # spread over the whole run
            assert [worker.poll() for worker in workers] == [None] * programs, plans.errors()
            running: list[subprocess.Popen[Any]] = [*workers, *(thread.running for thread in threads if thread.running)]
            pids = {process.pid: process for process in running if process.poll() is None}
            inside = [pid for pid in map(int, sorted(plan_soak.inside(lines))) if pid in pids]
            pid = dice.choice(inside) if inside and dice.random() < 0.8 else dice.choice(list(pids))
            plans.kill(pids[pid])
            signals += 1
            for number, worker in enumerate(workers):
                if worker.pid == pid:
                    worker.wait()
                    workers[number] = plans.library()
    finally:
        for thread in threads:
            thread.stopped.set()
        for worker in workers:
            plans.kill(worker)
            worker.wait()
        for thread in threads:
            thread.join()
    lines = plans.lines()
    by_run = sum("." not in line for line in lines if line[0] in "ES")
    hit = len(plan_soak.hits(lines))
    print(f"{entered} acquisitions, {by_run} of them by policy run; {signals} kills, {hit} of which hit who was inside")  # noqa: T201  (the figures)
    assert plan_soak.violations(lines) == []
    assert [fault for thread in threads for fault in thread.faults] == []
    assert hit >= kills // 15


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("E 1.1,L 1.1,E 2.1,L 2.1,S 1,S 2,s 1,s 2,E 3", 0),
        ("S 1,S 2,E 3", 1),
        ("E 1,S 2", 1),
        ("E 1,E 2", 1),
        ("E 1,K 1,E 2,L 2", 0),
        ("K 1,E 1,E 2", 0),
        ("E 2,K 1,E 1", 1),
        ("E 1,L 1,! 2,E 2,L 2", 1),
        ("E 1,L 1,K 1,! 2,E 2,L 2", 0),
        ("S 1,K 1,S 2,s 2,! 3,E 3", 0),
        ("E 1,K 1,! 2,E 2,L 2,! 3,E 3,L 3,E 4,L 4,! 5", 1),
    ],
)
def test_violations(lines: str, found: int) -> None:
    """What judges the soak sees two who are inside at once, unless both read."""
    assert len(plan_soak.violations(lines.split(","))) == found


def victim(workers: list[subprocess.Popen[str]], lines: list[str], dice: random.Random) -> int:
    """Mostly who is inside by now, otherwise anyone."""
    pids = [worker.pid for worker in workers]
    last = lines[-1] if lines else ""
    inside = int(last[2:].partition(".")[0]) if last.startswith("E") else 0
    return pids.index(inside) if inside in pids and dice.random() < 0.8 else dice.randrange(len(pids))


def kill(arena: Arena, worker: subprocess.Popen[str]) -> None:
    """Kills a process as it stands."""
    assert worker.poll() is None, "a worker has failed"
    arena.killing(worker.pid)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
