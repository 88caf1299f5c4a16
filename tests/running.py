"""`policy run` in a place of its own: environments, variables, commands that tell what they were given, a terminal."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import factories, processes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

PYTHON = sys.executable
MODES = ("exec", "close")

# Tells every signal that it gets, and ends with SIGUSR2.
LISTENER = """
import os, signal, sys, time
def tell(number, frame):
    os.write(1, b"got %d\\n" % number)
    if number == signal.SIGUSR2:
        os._exit(0)
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, tell)
os.write(1, b"ready %d\\n" % os.getpid())
while True:
    time.sleep(60)
"""

# Tells what a process is given, as JSON into the file that its argument names.
WITNESS = """
import json, os, stat, sys
fds = {}
for number in os.listdir("/dev/fd"):
    try:
        fds[int(number)] = os.readlink("/dev/fd/" + number) if os.path.islink("/dev/fd/" + number) else "open"
        os.fstat(int(number))
    except OSError:
        fds.pop(int(number), None)
told = {"pid": os.getpid(), "ppid": os.getppid(), "group": os.getpgrp(), "session": os.getsid(0), "fds": fds,
        "environ": dict(os.environ)}
with open(sys.argv[1], "w") as file:
    json.dump(told, file)
"""

# A shell's part: has a terminal, runs one job in the foreground, tells when it stops, and continues it when told to.
SHELL = """
import fcntl, os, signal, sys, termios
report, control = int(sys.argv[1]), int(sys.argv[2])
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[3], sys.argv[3:])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        break
    os.write(report, b"stopped\\n")
    os.read(control, 1)
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
os.write(report, b"ended %d\\n" % os.waitstatus_to_exitcode(status))
"""


class Place:
    """A directory with two virtual environments, and variables under which nothing else of this machine counts.

    Args:
        directory: Where it is made.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = factories.virtualenv(directory / "env")
        self.other = factories.virtualenv(directory / "other")
        self.environ = {**factories.alone(directory), "PYTHONPATH": str(factories.CHECKOUT)}
        self.lock = str(self.root / ".lock")

    def words(self, *command: str | Path, options: tuple[str | Path, ...] = (), mode: str = "exec") -> list[str]:
        """The command line that runs a command under the lock of the environment."""
        more = ("--close",) if mode == "close" else ()
        return [
            str(word) for word in (*factories.PROGRAM, "run", "--python", self.root, *more, *options, "--", *command)
        ]

    def run(
        self, *command: str | Path, options: tuple[str | Path, ...] = (), mode: str = "exec", **more: Any
    ) -> subprocess.CompletedProcess[Any]:
        """Runs a command under the lock of the environment, to its end."""
        return self.call(self.words(*command, options=options, mode=mode), **more)

    def call(self, words: list[str], **more: Any) -> subprocess.CompletedProcess[Any]:
        """Runs any command line here, to its end."""
        if not {"stdout", "stderr", "capture_output"} & more.keys():
            more["capture_output"] = True
        options = {"text": True, "timeout": factories.TIMEOUT, "env": self.environ, **more}
        return subprocess.run(words, cwd=self.directory, check=False, **options)

    def start(self, words: list[str], **more: Any) -> subprocess.Popen[str]:
        """Starts any command line here; its output is a pipe."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(words, cwd=self.directory, env=self.environ, text=True, **options)

    def is_free(self, path: str = "") -> bool:
        """Whether another process could have the lock now."""
        path = path or self.lock
        return bool(processes.probe(path, near=[path])["outcome"] == "held")


def wait_until(condition: Any, what: str, seconds: float = factories.TIMEOUT) -> None:
    """Waits for something that is bound to happen."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


def line(process: subprocess.Popen[str]) -> str:
    """The next line of a process's output."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def state(pid: int) -> str:
    """The kernel's letter for what a process does: S sleeps, T is stopped, Z has ended; "" where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(") ")[2][:1]
    except OSError:
        return ""


class Terminal:
    """A program on a terminal of its own, as the foreground job of something like a shell.

    Args:
        words: The command line.
        environ: Its environment variables.
        cwd: Its working directory.
    """

    def __init__(self, words: list[str], environ: Mapping[str, str], cwd: Path) -> None:
        self._master, slave = os.openpty()
        self._report, report = os.pipe()
        control, self._control = os.pipe()
        self.seen = ""
        try:
            self._shell = subprocess.Popen(
                [PYTHON, "-c", SHELL, str(report), str(control), *words],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                pass_fds=(report, control),
                env=environ,
                cwd=cwd,
            )
        finally:
            for descriptor in (slave, report, control):
                os.close(descriptor)

    def read(self, pattern: str) -> re.Match[str]:
        """Waits until the terminal shows something."""
        until = time.monotonic() + factories.TIMEOUT
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < until, self.seen
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._master, 4096).decode(errors="replace")
                except OSError:  # EIO: everybody has closed the other side
                    assert re.search(pattern, self.seen), self.seen
        return found

    def drain(self) -> str:
        """All that was shown, when the program has ended."""
        while select.select([self._master], [], [], 0.1)[0]:
            try:
                self.seen += os.read(self._master, 4096).decode(errors="replace")
            except OSError:
                break
        return self.seen

    def press(self, key: bytes) -> None:
        """Presses a key."""
        os.write(self._master, key)

    def told(self) -> str:
        """What the shell tells next: `stopped`, or `ended` and the exit code."""
        text = b""
        while not text.endswith(b"\n"):
            assert select.select([self._report], [], [], factories.TIMEOUT)[0], self.drain()
            text += os.read(self._report, 1)
        return text.decode().strip()

    def resume(self) -> None:
        """What `fg` does."""
        os.write(self._control, b"x")

    def close(self) -> None:
        """Ends whatever is left."""
        self._shell.kill()
        self._shell.wait()
        for descriptor in (self._master, self._report, self._control):
            os.close(descriptor)


def ended(*running: subprocess.Popen[str]) -> None:
    """Ends processes that a test has started, whatever they do."""
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def killed(pid: int) -> None:
    """Kills a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
