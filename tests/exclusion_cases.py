"""Exclusion, waiting and lost files: cases of docs/reliability.md, each of which answers what was seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests import real_uv
from tests.exclusion import violations
from tests.outcomes import Case, Effort, count, entered, is_free, queued, speaks_of_locks
from tests.subjects import NOTHING, POLICY, TIMEOUT, UV, Place, Stage, Subject, closing

NO_LIBRARY = "-"

_LOOP = """
import os, sys, time
from itertools import count
{take}
path, log, name, number, seconds = sys.argv[1:]
log = os.open(log, os.O_WRONLY | os.O_APPEND)
for turn in range(int(number)):
    with take(path):
        os.write(log, f"E {{name}}.{{os.getpid()}}.{{turn}}\\n".encode())
        time.sleep(float(seconds))
        os.write(log, f"L {{name}}.{{os.getpid()}}.{{turn}}\\n".encode())
"""


def overlaps(subject: Subject, stage: Stage, effort: Effort) -> str:
    """How often somebody came in while another was inside, each of them with a spelling of its own."""
    place = stage.virtualenv()
    root = Path(place.root)
    (root.parent / "link").symlink_to(root.name)
    spellings = [place.root, f"{root.parent}/link", f"{root}/bin/..", f"{root.parent}//env"]
    places = [Place(f"{name}/bin/python", f"{name}/.lock", name) for name in spellings]
    runs = effort.acquisitions if subject.take else effort.starts
    workers = [
        _worker(stage, subject, places[at % len(places)], f"worker{at}", runs=runs, seconds=0.001)
        for at in range(effort.processes)
    ]
    for worker in workers:
        worker.join()
    lines = stage.log.read_text().splitlines()
    done = sum(line.startswith("L") for line in lines)
    if done != runs * effort.processes:
        raise AssertionError(f"{subject.name} was inside {done} times, not {runs * effort.processes}")
    return f"{sum('entered while' in fault for fault in violations(lines)):,} of {done:,}"


def _worker(
    stage: Stage,
    subject: Subject,
    place: Place,
    name: str,
    *,
    runs: int,
    seconds: float,
    end: float | None = None,
) -> threading.Thread:
    """Takes a lock again and again: in one process where there is a library, by starting a program where not."""
    if subject.take:
        code = [real_uv.public_python(), "-c", _LOOP.format(take=subject.take), subject.path(place)]
        commands = [[*code, str(stage.log), name, str(runs), str(seconds)]]
    else:
        commands = [stage.command(subject, place)] * runs

    def work() -> None:
        if sys.platform == "win32":
            raise NotImplementedError
        for command in commands:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return
            with subprocess.Popen(
                command,
                env=stage.variables(name, seconds),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            ) as process:
                try:
                    if process.wait(left):
                        return
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    return

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wrapper_killed(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Whether the lock lasts as long as what runs under it, when the process that was started is killed alone."""
    place = stage.virtualenv()

    def keeps() -> bool:
        running = entered(stage, subject, place)
        running.process.kill()
        running.process.wait()
        os.kill(running.program, 0)  # raises unless it goes on
        kept = not is_free(place.file, 0.2)
        running.kill()
        return kept

    return f"kept {count(effort.times, keeps)}"


def holder_killed(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Whether the lock is free within a second when all that belongs to its holder is killed."""
    place = stage.virtualenv()

    def frees() -> bool:
        entered(stage, subject, place).kill()
        return is_free(place.file, 1)

    return f"free {count(effort.times, frees)}"


_FORK = """
import os, sys, time
{take}
lock = take(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.readline()
child = os.fork()
if not child:
    if sys.argv[2] == "ends":
        try:
            lock.release()
        except BaseException:
            pass
        sys.exit()
    time.sleep(1000)
if sys.argv[2] == "ends":
    os.waitpid(child, 0)
print("forked", flush=True)
time.sleep(1000)
"""

_FORK_IN_SHELL = """
exec 9>>"$0"
flock 9
echo held
read -r line
if [ "$1" = ends ]; then (exit); else sleep 1000 & fi
echo forked
sleep 1000
"""


def fork_ends(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Whether a holder still has the lock when a child that it forked has released and ended."""
    return _forked(subject, stage, effort, "ends", "still held", wanted=False)


def fork_lives(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Whether the lock of a killed holder is free while a child that it forked lives on."""
    return _forked(subject, stage, effort, "lives", "free", wanted=True)


def _forked(subject: Subject, stage: Stage, effort: Effort, child: str, told: str, *, wanted: bool) -> str:
    if subject is UV:
        return NO_LIBRARY
    place = stage.virtualenv()
    command = ["sh", "-c", _FORK_IN_SHELL, place.file, child]
    if subject.take:
        code = _FORK.format(take=subject.take)
        command = [real_uv.public_python(), "-c", code, subject.path(place), child]

    def once() -> bool:
        if sys.platform == "win32":
            raise NotImplementedError
        with subprocess.Popen(
            command,
            env=stage.environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        ) as holder:
            said, _ = holder.stdout, holder.stdin
            assert said is not None
            assert holder.stdin is not None
            assert said.readline() == "held\n"
            assert not is_free(place.file)
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert said.readline() == "forked\n"
            if child == "lives":
                holder.kill()
                holder.wait()
            free = is_free(place.file, 1 if wanted else 0)
            os.killpg(holder.pid, signal.SIGKILL)
        return free is wanted

    return f"{told} {count(effort.times, once)}"


# Waiting

_SATURATE = """
import fcntl, os, sys, time
count = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
while True:
    descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(count, b".")
    time.sleep(0.05)
    os.close(descriptor)
"""
HOLDERS = 4


def saturated(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Whether a waiter gets in within 10 s behind four who never leave the lock alone, and after how many others."""
    place = stage.virtualenv()
    counter = stage.directory / "count"
    command = [real_uv.public_python(), "-Ic", _SATURATE, place.file, str(counter)]
    holders = [subprocess.Popen(command) for _ in range(HOLDERS)]
    others = []
    try:
        while not counter.exists() or counter.stat().st_size < 2 * HOLDERS:
            time.sleep(0.01)
        for _ in range(effort.times):
            before = counter.stat().st_size
            running = stage.start(subject, place)
            if running.enters(10):
                others.append(counter.stat().st_size - before)
            running.kill()
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()
    behind = f", behind at most {max(others)} others" if others else ""
    return f"{len(others)} of {effort.times}{behind}"


def share(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Which part of the acquisitions three get beside three real uv, all of whom hold as long as they are inside."""
    place = stage.virtualenv()
    end = time.monotonic() + effort.seconds
    endless = 10_000
    workers = [
        _worker(stage, one, place, f"{side}{at}", runs=endless if one.take else 500, seconds=0.1, end=end)
        for at in range(3)
        for side, one in (("ours", subject), ("uv", UV))
    ]
    for worker in workers:
        worker.join()
    lines = stage.log.read_text().splitlines()
    ours, theirs = (sum(line.startswith(f"E {side}") for line in lines) for side in ("ours", "uv"))
    return f"{ours} of {ours + theirs} ({100 * ours // max(1, ours + theirs)} %)"


def timed_out(subject: Subject, stage: Stage, effort: Effort) -> str:
    """What a waiter with a timeout of one second does, and whether it names who holds the lock."""
    del effort
    place = stage.virtualenv()
    first = entered(stage, subject, place)
    second = stage.start(subject, place, timeout=1)
    ran = second.enters(TIMEOUT)
    code = second.end()
    named = str(first.process.pid) in second.said
    does = "**runs unlocked**" if ran else "does not run"
    return f"exit {code}, {does}, holder {'named' if named else 'not named'}"


# Lost files


def deleted(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Whether a holder sees at the end that its lock file was deleted."""
    place = stage.virtualenv()
    if subject is not POLICY:
        return f"noticed {count(effort.times, lambda: _notices(stage, subject, place))}"
    beside = Subject(POLICY.name, lambda *what: closing(POLICY.command(*what)), POLICY.files)
    ways = {"run --close": beside, "run": subject}
    seen = [f"`{way}` {count(effort.times, lambda: _notices(stage, one, place))}" for way, one in ways.items()]  # noqa: B023  (called at once)
    code = "import os, sys, policy\nwith policy.lock(sys.argv[1]) as held:\n    os.unlink(held.locks[-1].name)"
    command = [real_uv.public_python(), "-c", code, place.root]

    def raises() -> bool:
        done = subprocess.run(command, env=stage.environ(), check=False, capture_output=True, text=True)
        return "LockLost" in done.stderr

    return f"noticed: `lock()` {count(effort.times, raises)}, {', '.join(seen)}"


def _notices(stage: Stage, subject: Subject, place: Place) -> bool:
    running = entered(stage, subject, place)
    os.unlink(place.file)
    return bool(running.end()) or speaks_of_locks(running)


def deleted_under_waiter(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Whether a waiter and a newcomer are inside at once after the file that is waited for was deleted."""
    place = stage.virtualenv()

    def twice() -> bool:
        first = entered(stage, subject, place)
        waiter = queued(stage, subject, place, first)
        os.unlink(place.file)
        newcomer = stage.start(subject, place)
        newcomer.enters(first.long)
        first.end()
        both = waiter.enters(first.long) and newcomer.inside
        for one in (waiter, newcomer):
            one.go()
        for one in (waiter, newcomer):
            if not one.enters(TIMEOUT):
                raise AssertionError(f"{subject.name} was not served: {one.said}")
        return both

    return f"two inside {count(max(1, effort.times // 2), twice)}"


def nothing_locked(stage: Stage, effort: Effort) -> str:
    """What the count of overlaps says where nobody locks anything: that it would see them."""
    return overlaps(NOTHING, stage, effort)


CASES: dict[str, Case] = {
    "somebody comes in while another is inside": overlaps,
    "the wrapper is killed alone: is the lock kept while its command runs?": wrapper_killed,
    "the holder is killed with all of its processes: is the lock free within a second?": holder_killed,
    "the holder forks, the child releases and ends: is the lock still held?": fork_ends,
    "the holder forks and is killed, the child lives: is the lock free?": fork_lives,
    "a waiter behind four holders that saturate the lock: in within 10 s?": saturated,
    "three beside three real uv: share of the acquisitions": share,
    "a second of timeout passes": timed_out,
    "the lock file is deleted while held: noticed?": deleted,
    "the lock file is deleted while one waits: are waiter and newcomer inside at once?": deleted_under_waiter,
}
