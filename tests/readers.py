"""Readers and writers of one environment who are killed as they stand: what they write down, and how it is judged.

Each appends `R process.number` (a reader) or `W ...` (a writer) to one log when it is inside, and `L ...` before it
leaves; who kills a process appends `K process` before that. Two witnesses know nothing of the log: a counter that only
writers change, and flock(2) on another descriptor.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock and signals", allow_module_level=True)

# Inside: looks at the counter before and after a while, and lets the kernel say that nobody could come in.
INSIDE = """
import fcntl, os, sys, time
flock = fcntl.flock
def inside(directory, kind, number, paths):
    log = os.open(directory + "/log", os.O_WRONLY | os.O_APPEND)
    counter = os.open(directory + "/counter", os.O_RDWR)
    token = f"{os.getpid()}.{number}"
    os.write(log, f"{kind} {token}\\n".encode())
    seen = os.pread(counter, 8, 0)
    for path in paths:
        other = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            flock(other, (fcntl.LOCK_EX if kind == "R" else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            os.write(log, f"! {token} the kernel lets a {'writer' if kind == 'R' else 'reader'} in\\n".encode())
        except BlockingIOError:
            pass
        os.close(other)
    time.sleep(0.002)
    if os.pread(counter, 8, 0) != seen:
        os.write(log, f"! {token} somebody wrote meanwhile\\n".encode())
    elif kind == "W":
        os.pwrite(counter, (int.from_bytes(seen, "little") + 1).to_bytes(8, "little"), 0)
    os.write(log, f"L {token}\\n".encode())
    os.close(log)
    os.close(counter)
"""

# Comes again and again, to read or to write, under one of two rules that share nothing but the gate.
WORKER = (
    INSIDE
    + """
import random, subprocess
import policy
directory, broken = sys.argv[1:]
root = directory + "/env"
if broken:
    fcntl.flock = lambda descriptor, operation: None
number = 0
while True:
    number += 1
    kind = random.choice("RRRW")
    environ = {**os.environ, "WHERE": random.choice(["gate", "environment"])}
    way = random.choice(["lock", "lock", "lock with a deadline", "run"])
    if way == "run":
        shared = ["--shared"] if kind == "R" else []
        command = ["--", sys.executable, "-I", "-S", directory + "/command.py", directory, kind, str(number)]
        words = [sys.executable, "-m", "policy", "run", "-q", "--python", root, *shared, *command]
        if subprocess.run(words, env=environ).returncode not in (0, -9):
            sys.exit("policy run has failed")
        continue
    with policy.lock(root, shared=kind == "R", environ=environ, timeout=600 if way != "lock" else None) as held:
        inside(directory, kind, number, [lock.path for lock in held.locks[:1]])
"""
)

# What `policy run` starts: the descriptors of the locks are its own.
COMMAND = INSIDE + '\nif __name__ == "__main__":\n    inside(sys.argv[1], sys.argv[2], sys.argv[3], [])\n'

RULES = """[[rules]]
match.env = { WHERE = "gate" }
lock = "global"
"""


class Library:
    """An environment, those who read and write it, and who kills them.

    Args:
        directory: Where all of it is made.
        broken: Whether their locks keep nobody out.
    """

    def __init__(self, directory: Path, *, broken: bool = False) -> None:
        self.directory = directory
        self._broken = "broken" if broken else ""
        self._dice = random.Random()  # noqa: S311  (whom to kill)
        factories.virtualenv(directory / "env")
        (directory / "log").touch()
        (directory / "counter").write_bytes(bytes(8))
        factories.written(directory / "lock-policy.toml", RULES)
        factories.written(directory / "worker.py", WORKER)
        factories.written(directory / "command.py", COMMAND)
        self._environ = {**factories.alone(directory), "PYTHONPATH": str(factories.CHECKOUT)}
        self._log = os.open(directory / "log", os.O_WRONLY | os.O_APPEND)
        self.workers: list[subprocess.Popen[bytes]] = []
        self._groups: list[int] = []

    def start(self) -> None:
        """One more who reads and writes."""
        words = [sys.executable, str(self.directory / "worker.py"), str(self.directory), self._broken]
        worker = subprocess.Popen(words, env=self._environ, process_group=0)
        self.workers.append(worker)
        self._groups.append(worker.pid)

    def lines(self) -> list[str]:
        """What was written down so far, whole lines only."""
        return (self.directory / "log").read_text(encoding="ascii").splitlines()

    def kill_one(self) -> None:
        """Kills one as it stands: mostly one who is inside by now, a command of `policy run` among them."""
        if sys.platform == "win32":
            raise NotImplementedError
        inside = [int(token.partition(".")[0]) for token in occupants(self.lines())]
        ours = [worker.pid for worker in self.workers]
        pid = self._dice.choice(inside) if inside and self._dice.random() < 0.8 else self._dice.choice(ours)
        os.write(self._log, b"K %d\n" % pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has come to its end since
        if pid in ours:
            self.workers.pop(ours.index(pid)).wait()
            self.start()

    def close(self) -> None:
        """Kills all of them, with the commands that they have started and that outlived them."""
        if sys.platform == "win32":
            raise NotImplementedError
        for group in self._groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for worker in self.workers:
            worker.wait()
        os.close(self._log)
        gate = factories.gate(self.directory / "env")
        for path in (gate, f"{gate.removesuffix('.lock')}.turn"):
            if os.path.lexists(path):
                os.unlink(path)


def work(library: Library, *, workers: int, entries: int, kills: int, seconds: float = 1800) -> list[str]:
    """Lets them read and write, and kills some of them evenly over the whole time; returns what was written down.

    Args:
        library: Where.
        workers: How many at once.
        entries: How often they are to be inside, all together.
        kills: How many of them are to be killed.
        seconds: When nothing moves any more.
    """
    for _ in range(workers):
        library.start()
    killed, end = 0, time.monotonic() + seconds
    try:
        while True:
            lines = library.lines()
            entered = sum(line[0] in "RW" for line in lines)
            if (entered >= entries and killed >= kills) or overlaps(lines):
                return lines
            assert time.monotonic() < end, f"{entered} entries, {killed} kills"
            assert all(worker.poll() is None for worker in library.workers), "one has failed"
            if killed < kills and killed * entries <= entered * kills:
                library.kill_one()
                killed += 1
            else:
                time.sleep(0.01)
    finally:
        library.close()


def occupants(lines: list[str]) -> dict[str, str]:
    """Who is inside at the end of a log, and what each does there."""
    inside: dict[str, str] = {}
    for line in lines:
        kind, _, token = line.partition(" ")
        if kind == "K":
            inside = {other: what for other, what in inside.items() if other.partition(".")[0] != token}
        elif kind in "RW":
            inside[token] = kind
        elif kind == "L":
            inside.pop(token, None)
    return inside


def hits(lines: list[str]) -> int:
    """How many were killed while they were inside, and never left."""
    left = {line.partition(" ")[2] for line in lines if line[0] == "L"}
    count = 0
    for number, line in enumerate(lines):
        if line[0] == "K":
            inside = occupants(lines[:number])
            count += any(f"K {token.partition('.')[0]}" == line for token in inside.keys() - left)
    return count


def overlaps(lines: list[str]) -> list[str]:
    """What a log says that cannot be where no writer was inside with anybody else."""
    found: list[str] = []
    inside: dict[str, str] = {}
    killed: set[str] = set()
    for line in lines:
        kind, _, token = line.partition(" ")
        if kind == "K":
            killed.add(token)
            inside = {other: what for other, what in inside.items() if other.partition(".")[0] != token}
        elif kind in "RW":
            if "W" in (kind, *inside.values()):
                found += [f"{line} entered while {what} {other} was inside" for other, what in inside.items()]
            if token.partition(".")[0] not in killed:  # it wrote that it entered between our note and its end
                inside[token] = kind
        elif kind == "L":
            inside.pop(token, None)
        else:
            found.append(line)
    return found
