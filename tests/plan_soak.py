"""Callers whose rules, layers, spellings, users and ways to lock differ, in one environment, and what judges them.

Each writes to one log when it is inside and before it leaves, and locks a witness of its own with flock(2), in the way
in which it is inside: `E token` and `L token` for writing, `S token` and `s token` for reading, `! token` where the
witness says that somebody else is inside. Who kills a process appends `K process` before that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from tests import factories, processes, real_uv

if TYPE_CHECKING:
    import random
    from pathlib import Path

# By the way in which a caller gets its rule: those of another layer are not seen by others.
RULES = {
    "local": 'lock = "local"',
    "global": 'lock = "global"',
    "beside": 'lock = "beside"',
    "both": 'lock = "both"',
    "all": 'lock = ["beside", "global", "local"]',
    "shared": 'lock = ["beside", "local"]\nshared = true',
}
USERS = (processes.ANNA, processes.BEN)

# Its standard input is the witness: the lowest descriptor is the first that the kernel closes when it is killed.
COMMAND = """
exec >>"$LOG"
flock -n $1 0 || echo "! $$"
echo "$2 $$"
$4
echo "$3 $$"
flock -u 0
"""
EXCLUSIVE = ("-x", "E", "L")
SHARED = ("-s", "S", "s")

LIBRARY = """
import fcntl, importlib, json, os, pkgutil, random, sys, time
import policy
directory, callers, user = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
if user:  # who may not be able to read this Python, or this checkout
    for module in pkgutil.walk_packages(policy.__path__, "policy."):
        try:
            importlib.import_module(module.name)
        except ImportError:
            pass
    import pwd, subprocess, selectors
    os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
log = os.open(directory + "/log", os.O_WRONLY | os.O_APPEND)
os.dup2(os.open(directory + "/witness", os.O_RDWR), 0)
loaded = [policy.load(**options) for _, options, _ in callers]
turn = 0
while True:
    turn += 1
    number = random.randrange(len(callers))
    spelling, _, environ = callers[number]
    reads = random.random() < 0.2
    try:
        with policy.lock(spelling, rules=loaded[number], environ=environ, shared=reads) as held:
            reads = all(lock.shared for lock in held.locks)
            operation, enter, leave = (fcntl.LOCK_SH, "S", "s") if reads else (fcntl.LOCK_EX, "E", "L")
            token = f"{os.getpid()}.{turn}"
            try:
                fcntl.flock(0, operation | fcntl.LOCK_NB)
            except BlockingIOError:
                os.write(log, f"! {token}\\n".encode())
            os.write(log, f"{enter} {token}\\n".encode())
            if random.random() < 0.1:
                time.sleep(0.002)
            if not reads and random.random() < 0.02:
                try:
                    os.unlink(directory + "/work/env/.lock")  # as `uv venv --clear` does
                except OSError:
                    pass
            os.write(log, f"{leave} {token}\\n".encode())
            fcntl.flock(0, fcntl.LOCK_UN)
    except policy.LockLost:
        pass
"""


class Plans:
    """A directory with an environment, rules of several layers, spellings, a log and a witness.

    Args:
        directory: Where it is made.
        dice: What is chosen by chance.

    Attributes:
        entered: How often somebody was inside so far.
        killed: The processes that were killed.
    """

    def __init__(self, directory: Path, dice: random.Random) -> None:
        self.directory = directory
        self.dice = dice
        self.killed: set[int] = set()
        self.entered = 0
        self.root = directory / "work" / "env"
        real_uv.virtualenv(self.root)  # of a Python that other users may run
        for name in ("work", "work/env", "global"):
            (directory / name).mkdir(exist_ok=True)
            (directory / name).chmod(0o777)
        (directory / "global").chmod(0o1777)
        factories.open_to_all(directory)
        (directory / "work" / "link").symlink_to(self.root)
        for name in ("log", "witness"):
            (directory / name).touch()
            (directory / name).chmod(0o666)
        for name, rule in RULES.items():
            text = f"[[rules]]\n{rule}\n"
            factories.written(directory / "files" / f"{name}.toml", text)
            factories.written(directory / "users" / name / "lock-policy" / "lock-policy.toml", text)
            factories.written(directory / "projects" / name / "lock-policy.toml", text)
        self._log = os.open(directory / "log", os.O_WRONLY | os.O_APPEND)
        self._lines: list[str] = []
        self._read = 0

    @property
    def spellings(self) -> list[str]:
        """Names of the environment."""
        root = str(self.root)
        return [
            root,
            f"{root}/bin/python",
            str(self.directory / "work" / "link"),
            f"{self.directory}//work/../work/env",
        ]

    def environ(self, layer: str, rule: str) -> dict[str, str]:
        """The variables of a caller whose rule stands in a layer: `user`, `file`, or another one that needs none."""
        environ = {**factories.alone(self.directory), "LOCK_POLICY_GLOBAL_DIR": str(self.directory / "global")}
        if layer == "user":
            environ["XDG_CONFIG_HOME"] = str(self.directory / "users" / rule)
        if layer == "file":
            environ["LOCK_POLICY_CONFIG_FILE"] = str(self.directory / "files" / f"{rule}.toml")
        return environ

    def library(self) -> subprocess.Popen[str]:
        """Starts a program that takes the locks of one caller after the other with `policy.lock()`, forever."""
        callers: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        for rule in RULES:
            for layer in ("user", "file", "project", "none"):
                options: dict[str, Any] = {"no_config": True} if layer == "none" else {}
                if layer == "project":
                    options["project"] = str(self.directory / "projects" / rule)
                callers.append((self.dice.choice(self.spellings), options, self.environ(layer, rule)))
        user = self.dice.choice((0, *USERS)) if sys.platform != "win32" and os.geteuid() == 0 else 0
        with (self.directory / "errors").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-c", LIBRARY, str(self.directory), json.dumps(callers), str(user)],
                env={**os.environ, "PYTHONPATH": str(factories.CHECKOUT)},
                cwd=self.directory,
                stderr=errors,
                text=True,
            )

    def command(self) -> subprocess.Popen[bytes]:
        """Starts one `policy run` of a caller."""
        rule, layer = self.dice.choice(list(RULES)), self.dice.choice(("user", "file", "project", "none"))
        shared = rule == "shared" and layer != "none"
        options = ["--python", self.dice.choice(self.spellings)]
        if layer == "project":
            options += ["--project", str(self.directory / "projects" / rule)]
        if layer == "none":
            options += ["--no-config"]
        if self.dice.random() < 0.2:
            shared, options = True, [*options, "--shared"]
        work = self.dice.choice((":", ":", "sleep 0.01"))
        words = ["sh", "-c", COMMAND, "sh", *(SHARED if shared else EXCLUSIVE), work]
        with (self.directory / "witness").open("r+b") as witness:
            return subprocess.Popen(
                [*factories.PROGRAM, "run", *options, "--", *words],
                env={
                    **self.environ(layer, rule),
                    "PYTHONPATH": str(factories.CHECKOUT),
                    "LOG": str(self.directory / "log"),
                },
                cwd=self.directory,
                stdin=witness,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )

    def kill(self, process: subprocess.Popen[Any]) -> None:
        """Kills a process as it stands, and notes it before."""
        if sys.platform == "win32":
            raise NotImplementedError
        self.killed.add(process.pid)
        os.write(self._log, b"K %d\n" % process.pid)
        process.kill()

    def lines(self) -> list[str]:
        """What was written down so far; whole lines, each read once."""
        with (self.directory / "log").open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        found = whole.decode().splitlines()
        self.entered += sum(line[0] in "ES" for line in found)
        self._lines += found
        return self._lines

    def errors(self) -> str:
        """What programs said that failed."""
        return (self.directory / "errors").read_text()


class Runner(threading.Thread):
    """Starts one `policy run` after the other until it is stopped.

    Args:
        plans: Where.

    Attributes:
        running: The one that runs now.
        faults: What ended otherwise than with 0, or by being killed.
        stopped: Set when it is to end.
    """

    def __init__(self, plans: Plans) -> None:
        super().__init__(daemon=True)
        self.plans = plans
        self.running: subprocess.Popen[bytes] | None = None
        self.faults: list[str] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        """Works."""
        while not self.stopped.is_set():
            self.running = self.plans.command()
            _, errors = self.running.communicate()
            if self.running.returncode and self.running.pid not in self.plans.killed:
                self.faults.append(f"{self.running.returncode}: {errors.decode()}")


def violations(lines: list[str]) -> list[str]:
    """The lines of a log that cannot be where nobody was inside beside a writer.

    The kernel closes what a killed process had open in an order of its own: until somebody gets the witness again, it
    may still be that process's.
    """
    found: list[str] = []
    inside: dict[str, str] = {}
    killed: set[str] = set()
    doubted, dying = "", False
    for line in lines:
        kind, _, token = line.partition(" ")
        pid = token.partition(".")[0]
        if kind == "K":
            dying = True  # inside, or on its way out
            killed.add(pid)
            inside.pop(pid, None)
        elif kind in {"E", "S"}:
            others = {other: how for other, how in inside.items() if "E" in {kind, how}}
            if others:
                found.append(f"{token} entered ({kind}) while these were inside: {others}")
            if pid not in killed:  # what was noted as killed is gone soon, whatever it still writes
                inside[pid] = kind
            if kind == "E":  # a reader gets the witness beside a killed reader, too
                dying = dying and doubted == token
        elif kind in {"L", "s"}:
            inside.pop(pid, None)
        else:
            doubted = token
            if not dying:
                found.append(line)
    return found


def inside(lines: list[str]) -> set[str]:
    """The processes that are inside by now, as far as the last lines say."""
    found: set[str] = set()
    for line in lines[-40:]:
        kind, _, token = line.partition(" ")
        (found.add if kind in {"E", "S"} else found.discard)(token.partition(".")[0])
    return found


def hits(lines: list[str]) -> list[str]:
    """The processes that were killed while they were inside."""
    return [line[2:] for at, line in enumerate(lines) if line[0] == "K" and line[2:] in inside(lines[:at])]
