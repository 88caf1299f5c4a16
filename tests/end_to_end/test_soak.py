from __future__ import annotations

import os
import random
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.exclusion import Arena, hits

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock and signals", allow_module_level=True)

pytestmark = pytest.mark.soak

PROCESSES = int(os.environ.get("LOCK_POLICY_SOAK_PROCESSES", "8"))
ACQUISITIONS = int(os.environ.get("LOCK_POLICY_SOAK_ACQUISITIONS", "8000"))
SIGNALS = int(os.environ.get("LOCK_POLICY_SOAK_SIGNALS", "900"))
HITS = SIGNALS // 15  # 60 of 900
PATIENCE = 1800  # seconds after which nothing moves any more

WAYS = ("blocking", "child", "task", "thread")
ENDLESS = 10**9


def test_soak(tmp_path: Path) -> None:
    """Eight processes of four threads, killed at random and started again: 8,000 times one at a time."""
    arena = Arena(tmp_path)
    workers = [arena.worker(ENDLESS, *WAYS) for _ in range(PROCESSES)]
    arena.go()
    dice = random.Random(os.environ.get("LOCK_POLICY_SOAK_SEED"))  # noqa: S311  (whom to kill)
    signals = acquisitions = 0
    end = time.monotonic() + PATIENCE
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
