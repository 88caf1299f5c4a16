"""Eight processes that wait for one lock: how soon the next has it, and how long the last one waits."""

from __future__ import annotations

import fcntl
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

from benchmarks import measure, scenarios
from benchmarks.engines import missing
from benchmarks.plot import Plot
from benchmarks.report import Family, Row, Table
from policy.locks.hold import Held, drive, take

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.measure import Effort
    from policy.locks.postgresql import PostgresqlLock

PROCESSES = 8
HOLD = 0.001  # seconds that each of them holds the lock
LONGER = 0.02  # the same on a server, which ends the session of the one before meanwhile
GATHER = 0.4  # seconds in which all of them have come to wait

CLUSTER = "a lock on a server"
FLOCK, OURS, TIMED = "blocking flock", "`policy.lock()`", "`policy.lock(timeout=60)`"
MODES = {FLOCK: "", OURS: "", TIMED: "", "filelock": "filelock", "fasteners": "fasteners", "portalocker": "portalocker"}


def bare(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def cluster_lock(root: str) -> PostgresqlLock:
    """A lock on the server to which the variables of libpq lead."""
    from policy.locks.cluster_key import ClusterKey
    from policy.locks.postgresql import PostgresqlLock
    from policy.locks.session import Server

    return PostgresqlLock(ClusterKey(root, "benchmark"), Server(lease=3, margin=1))


def way(mode: str, root: str) -> Callable[[], Callable[[], object]]:
    """How a mode takes the lock; the answer gives it back."""
    path = os.path.join(root, ".lock")

    def plainly() -> Callable[[], object]:
        descriptor = bare(path)
        return lambda: os.close(descriptor)

    if mode == FLOCK:
        return plainly
    if mode == CLUSTER:
        kept = cluster_lock(root)

        def on_server() -> Callable[[], object]:
            held = Held([kept])
            drive(held, take(held))
            return held.give_up

        return on_server
    if mode in {OURS, TIMED}:
        import policy

        rules = policy.load()
        timeout = 60 if mode == TIMED else None

        def ours() -> Callable[[], object]:
            held = policy.lock(root, rules=rules, timeout=timeout)
            held.acquire()
            return held.release

        return ours
    if mode == "filelock":
        from filelock import FileLock

        lock: Any = FileLock(path)
    elif mode == "fasteners":
        from fasteners import InterProcessLock

        lock = InterProcessLock(path)
    else:
        from portalocker import Lock

        lock = Lock(path, timeout=60)

    def like_files() -> Callable[[], object]:
        lock.acquire()
        return lambda: lock.release()  # noqa: PLW0108  (mypy does not know its type)

    return like_files


def work(mode: str, root: str, hold_seconds: float) -> None:
    """One of the processes: for each line that it reads it takes the lock, and says when it had it and gave it back.

    The first one of a queue reads `hold`, and gives the lock back when it reads another line: who started them all
    cannot be the first, for a child that waits for its own parent is refused.
    """

    def say(words: str) -> None:
        sys.stdout.write(words + "\n")
        sys.stdout.flush()

    take = way(mode, root)
    take()()  # imports and caches are warm
    say("ready")
    for line in sys.stdin:
        give = take()
        had = time.monotonic()
        if line == "hold\n":
            say("held")
            next(sys.stdin)
        else:
            time.sleep(hold_seconds)
        gave = time.monotonic()
        give()
        say(json.dumps((had, gave)))


@dataclass(frozen=True)
class Queue:
    """What came of one queue, in seconds."""

    hand_offs: tuple[float, ...]
    longest: float


def queues(
    mode: str,
    project: scenarios.Project,
    number: int,
    more: Mapping[str, str] | None = None,
    hold_seconds: float = HOLD,
) -> list[Queue]:
    """Lets the processes queue up behind this one, so many times."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, "-m", "benchmarks.contending", mode, project.root, str(hold_seconds)]
    environ = {**project.environ, "PYTHONPATH": here, **(more or {})}
    workers = [
        subprocess.Popen(
            command, env=environ, cwd=project.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(1 + PROCESSES)
    ]
    try:
        streams = [_streams(worker) for worker in workers]
        for _, output in streams:
            if output.readline() != "ready\n":
                raise RuntimeError(f"a process of {mode} failed")
        return [_queue(mode, *streams) for _ in range(number)]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _streams(worker: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if worker.stdin is None or worker.stdout is None:
        raise AssertionError("pipes were asked for")
    return worker.stdin, worker.stdout


def _queue(mode: str, first: tuple[IO[str], IO[str]], *others: tuple[IO[str], IO[str]]) -> Queue:
    def tell(stream: IO[str], line: str) -> None:
        stream.write(line)
        stream.flush()

    tell(first[0], "hold\n")
    if first[1].readline() != "held\n":
        raise RuntimeError(f"a process of {mode} failed")
    for stdin, _ in others:
        tell(stdin, "\n")
    time.sleep(GATHER)
    tell(first[0], "\n")
    _, released = json.loads(first[1].readline())
    records = sorted(tuple(json.loads(output.readline())) for _, output in others)
    hand_offs = [had - gave for (_, gave), (had, _) in pairwise([(0.0, released), *records])]
    if min(hand_offs) < 0:
        raise AssertionError(f"two processes held {mode} at once")
    return Queue(tuple(hand_offs), records[-1][0] - released)


def run(effort: Effort, folder: str, absent: list[str]) -> Family:
    project = scenarios.project(folder, effort.small)
    modes = [mode for mode, module in MODES.items() if not (module and missing(module))]
    absent += [f"{mode}: not installed here" for mode in MODES if mode not in modes]
    found: dict[str, list[Queue]] = {mode: [] for mode in modes}
    for at in range(effort.contentions):
        measure.progress(f"contention, round {at + 1} of {effort.contentions}")
        for mode in modes:
            found[mode] += queues(mode, project, effort.queues)
    table = Table(
        f"{PROCESSES} processes that wait for one lock",
        ("lock", "release to next holder: median, ms", "90th percentile, ms", "wait of the last one, ms"),
    )
    hand_off, longest = {}, {}
    for mode, several in found.items():
        all_of_them = sorted(seconds for one in several for seconds in one.hand_offs)
        hand_off[mode] = statistics.median(all_of_them)
        longest[mode] = statistics.median(one.longest for one in several)
        numbers = (hand_off[mode], all_of_them[len(all_of_them) * 9 // 10], longest[mode])
        table.lines.append((mode, *(f"{seconds * 1e3:,.2f}" for seconds in numbers)))
    table.notes.append(
        f"All wait before the lock is released, then each holds it for {HOLD * 1e3:.0f} ms; {effort.contentions} times "
        f"{effort.queues} queues of each lock, in turns. The wait of the last one counts from the first release; the "
        "median of all queues."
    )
    rows = []
    for mode in (OURS, TIMED):
        for what, times in (("hand-off", hand_off), ("longest wait", longest)):
            measured = times[mode] / times[FLOCK]
            title = f"{mode}, {PROCESSES} processes wait, {what}, against a blocking flock"
            rows.append(Row(title, "≤ 3", f"{measured:.2f}", measured <= 3, measured / 3))
    plots = [
        Plot(
            name, title, "ms, the median", {mode: seconds * 1e3 for mode, seconds in times.items()}, ours=[OURS, TIMED]
        )
        for name, title, times in (
            ("hand-off", f"From a release to the next holder, {PROCESSES} processes wait", hand_off),
            ("longest-wait", f"Until the last of {PROCESSES} waiting processes is in", longest),
        )
    ]
    return Family("Contention", rows, [table], plots)


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], float(sys.argv[3]))
