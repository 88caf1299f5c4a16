"""Timing subjects against each other: in turns, so that whatever else the machine does falls on all of them."""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
import timeit
from dataclasses import dataclass
from random import shuffle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


_BEGIN = time.monotonic()


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int  # of what takes microseconds
    batch: float  # seconds that one subject runs in one round, at least one call
    starts: int  # rounds of process starts
    contentions: int  # rounds of contention
    queues: int  # in each
    sizes: tuple[int, ...]  # numbers of rules

    @property
    def small(self) -> int:
        return self.sizes[0]

    @property
    def large(self) -> int:
        return self.sizes[-1]


FULL = Effort(rounds=41, batch=0.005, starts=41, contentions=3, queues=4, sizes=(5, 100, 1_000, 10_000))
QUICK = Effort(rounds=3, batch=0.0002, starts=2, contentions=1, queues=1, sizes=(5, 100))


@dataclass(frozen=True)
class Samples:
    """Seconds of one call, one number for each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)

    def against(self, other: Samples) -> float:
        """The median of the rounds' ratios: what one round had to bear, both had."""
        return statistics.median(ours / theirs for ours, theirs in zip(self.seconds, other.seconds, strict=True))


def calls(statements: Mapping[str, tuple[str, Mapping[str, Any]]], effort: Effort) -> dict[str, Samples]:
    """Times statements, each with its own names, in turns.

    A statement is compiled into timeit's loop, so that no call is added to what is measured.
    """
    timers = {name: timeit.Timer(code, globals=dict(names)) for name, (code, names) in statements.items()}
    numbers = {name: _number(timer, effort.batch) for name, timer in timers.items()}
    found: dict[str, list[float]] = {name: [] for name in timers}
    order = list(timers)
    for _ in range(effort.rounds):
        shuffle(order)  # so that not always the same one follows one that leaves the caches cold
        for name in order:
            found[name].append(timers[name].timeit(numbers[name]) / numbers[name])  # timeit pauses the collector
    gc.collect()
    return {name: Samples(tuple(seconds)) for name, seconds in found.items()}


def _number(timer: timeit.Timer, batch: float) -> int:
    """How many calls fill a batch, warm: the first may have files to read and modules to import."""
    timer.timeit(2)
    number = 1
    while (took := timer.timeit(number)) < batch:
        number = max(number + 1, min(number * 10, round(number * batch / max(took, 1e-9) * 1.1)))
    return number


def starts(commands: Mapping[str, Start], rounds: int) -> dict[str, Samples]:
    """Times programs from start to end, in turns."""
    for command in commands.values():  # so that every file has been read once
        command.run()
        command.run()
    found: dict[str, list[float]] = {name: [] for name in commands}
    order = list(commands)
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            found[name].append(commands[name].run())
    return {name: Samples(tuple(seconds)) for name, seconds in found.items()}


@dataclass(frozen=True)
class Start:
    """A program to start; posix_spawn costs the parent, and so the ratio, the least."""

    argv: list[str]
    environ: Mapping[str, str]
    cwd: str = "/"

    def run(self) -> float:
        """Seconds from the start to the end.

        Raises:
            RuntimeError: When the program failed: what failed is not worth a time.
        """
        os.chdir(self.cwd)
        null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        begin = time.perf_counter()
        pid = os.posix_spawn(self.argv[0], self.argv, dict(self.environ), file_actions=null)
        _, status = os.waitpid(pid, 0)
        took = time.perf_counter() - begin
        if status:
            raise RuntimeError(f"{' '.join(self.argv)} ended with {os.waitstatus_to_exitcode(status)}")
        return took


def progress(text: str) -> None:
    sys.stderr.write(f"# {time.monotonic() - _BEGIN:3.0f} s: {text}\n")
    sys.stderr.flush()
