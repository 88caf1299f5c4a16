"""Whether two were inside at once: what the workers write down, and how it is judged.

Each worker appends `E process.thread.number` to one log when it is inside, and `L ...` before it leaves; who kills a
process appends `K process` before that. Appending is atomic, so the order of the lines is the order of what happened.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests import processes

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

WORKER = """
import fcntl, random
directory, count, broken, *ways = sys.argv[1:]
count = int(count)
spellings = ["env/.lock", "link/.lock", "/env//.lock", "env/bin/../.lock"]
log = os.open(directory + "/log", os.O_WRONLY | os.O_APPEND)
counter = os.open(directory + "/counter", os.O_RDWR)

def inside(thread, number, path):
    token = f"{os.getpid()}.{thread}.{number}"
    os.write(log, f"E {token}\\n".encode())
    seen = int.from_bytes(os.pread(counter, 8, 0), "little")
    other = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(log, f"! {token} the kernel says that nobody holds it\\n".encode())
    except BlockingIOError:
        pass
    os.close(other)
    if broken or random.random() < 0.1:
        time.sleep(0.002)
    os.pwrite(counter, (seen + 1).to_bytes(8, "little"), 0)
    os.write(log, f"L {token}\\n".encode())

def release(held, path):
    if broken == "unlink":
        os.unlink(path)
    try:
        held.release()
    except errors.LockLost:
        if broken != "unlink":
            raise

def work(thread, way):
    options = {"blocking": {}, "child": {"timeout": 600}, "thread": {"timeout": 600, "disposable": True}}[way]
    for number in range(count):
        path = f"{directory}/{random.choice(spellings)}"
        held = locks.hold([path], near=[path], **options)
        inside(thread, number, path)
        release(held, path)

async def task(thread):
    for number in range(count):
        path = f"{directory}/{random.choice(spellings)}"
        held = await locks.hold_async([path], near=[path])
        inside(thread, number, path)
        release(held, path)
        await asyncio.sleep(0)

async def tasks(thread):
    await asyncio.gather(task(f"{thread}a"), task(f"{thread}b"))

def begin(thread, way):
    asyncio.run(tasks(thread)) if way == "task" else work(thread, way)

if broken == "no lock":
    open_file.attempt = lambda descriptor, shared=False: True
if broken == "unlink":
    file.FileLock.is_current = lambda lock: True
while not os.path.exists(directory + "/go"):
    time.sleep(0.001)
threads = [threading.Thread(target=begin, args=item) for item in enumerate(ways)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


class Arena:
    """A directory with an environment, several spellings of it, a log and a counter.

    Args:
        directory: Where it is made.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "env" / "bin").mkdir(parents=True)
        (directory / "link").symlink_to("env")
        (directory / "log").touch()
        (directory / "counter").write_bytes(bytes(8))
        self._log = os.open(directory / "log", os.O_WRONLY | os.O_APPEND)

    def worker(self, count: int, *ways: str, broken: str = "") -> subprocess.Popen[str]:
        """Starts a process with a thread for each way of waiting; a `task` is two tasks of one event loop."""
        return processes.start(WORKER, str(self.directory), str(count), broken, *ways)

    def go(self) -> None:
        """Lets the workers begin, those that are started later at once."""
        (self.directory / "go").touch()

    def killing(self, pid: int) -> None:
        """Notes that a process is about to be killed."""
        os.write(self._log, b"K %d\n" % pid)

    def lines(self) -> list[str]:
        """What was written down so far."""
        return (self.directory / "log").read_text().splitlines()

    def close(self) -> None:
        """No more killing."""
        os.close(self._log)

    def faults(self) -> list[str]:
        """What shows that two were inside at once; empty when nothing does."""
        lines = self.lines()
        found = violations(lines)
        entered, left = (sum(line.startswith(letter) for line in lines) for letter in "EL")
        counted = int.from_bytes((self.directory / "counter").read_bytes(), "little")
        if not left <= counted <= entered:
            found.append(f"{entered} entered and {left} left, but {counted} were counted")
        return found


def violations(lines: list[str]) -> list[str]:
    """The lines of a log that cannot be where nobody was inside at once."""
    found: list[str] = []
    killed: set[str] = set()
    inside = ""
    for line in lines:
        kind, _, token = line.partition(" ")
        if kind == "K":
            killed.add(token)
        elif kind == "E":
            if inside and inside.partition(".")[0] not in killed:
                found.append(f"{token} entered while {inside} was inside")
            inside = token
        elif kind == "L":
            if token != inside:
                found.append(f"{token} left while {inside or 'nobody'} was inside")
            inside = ""
        else:
            found.append(line)
    return found


def hits(lines: list[str]) -> int:
    """How many processes were killed while they were inside: they entered, and never left."""
    open_tokens: dict[str, str] = {}
    killed: set[str] = set()
    for line in lines:
        kind, _, token = line.partition(" ")
        pid = token.partition(".")[0]
        if kind == "K":
            killed.add(pid)
        elif kind == "E":
            open_tokens[pid] = token
        elif kind == "L":
            open_tokens.pop(pid, None)
    return len(killed & open_tokens.keys())
