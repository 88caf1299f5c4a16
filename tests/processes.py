"""Real processes of real users for the tests of locks: what one of them does with a lock file, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import requirements

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
ANNA, BEN, CLEO, DAVE = 65011, 65012, 65013, 65014  # users without an entry anywhere
TIMEOUT = 60  # seconds after which a test counts as hung; no test waits for this

# Becomes another user only when all is imported: the user may not be able to read this Python, or this checkout.
_PRELUDE = """
import asyncio, json, os, pwd, selectors, shlex, shutil, signal, subprocess, sys, threading, time
from policy import errors
from filelock import StrictSoftFileLock
from policy.locks import file, holders, open_file, strict_claims, wait
from tests import acquiring as locks
"".encode("unicode_escape")
if user := int(os.environ.pop("LOCK_POLICY_TEST_USER", "0")):
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
"""

PROBE = """
options = json.loads(sys.argv[2])
answer = {"outcome": "held", "errno": 0, "text": "", "left": []}
before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
try:
    held = locks.hold([sys.argv[1]], **options)
except errors.LockUnavailable as error:
    answer.update(outcome="LockUnavailable", errno=error.errno, text=str(error))
except errors.LockTimeout as error:
    answer.update(outcome="LockTimeout", text=str(error))
else:
    # Another process asks, whose system calls no test lets fail.
    other = ["flock", "--nonblock", sys.argv[1], "true"]
    if not shutil.which("flock"):
        code = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        other = [sys.executable, "-I", "-S", "-c", code, sys.argv[1]]
    if not subprocess.run(other, stderr=subprocess.DEVNULL, check=False).returncode:
        answer["outcome"] = "not locked"
    try:
        held.release()
    except errors.LockLost:
        answer["outcome"] = "lost"
answer["left"] = sorted(set(os.listdir("/proc/self/fd")) - before) if before else []
print(json.dumps(answer), flush=True)
"""


def environment(user: int | None = None) -> dict[str, str]:
    """The variables of a process that imports this checkout, and then becomes a user."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "LOCK_POLICY_TEST_USER": str(user or 0)}


def command(code: str, *arguments: str) -> list[str]:
    """A command line that runs code with this Python."""
    return [sys.executable, "-c", _PRELUDE + code, *arguments]


def probe(
    path: str,
    *,
    user: int | None = None,
    umask: int = -1,
    wrapper: Sequence[str] = (),
    timeout: float | None = 0,
    preexec: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """Lets another process hold a lock file for a moment, and says what came of it.

    Args:
        path: The lock file.
        user: Whose process; None: ours.
        umask: The process's; -1: ours.
        wrapper: A command that runs the process, such as strace with its options.
        timeout: Seconds that it waits.
        preexec: Called in the process before its program begins.
        **options: Further ones of `acquiring.hold`.
    """
    words = [*wrapper, *command(PROBE, path, json.dumps({"timeout": timeout, **options}))]
    result = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
        umask=umask,
        cwd="/",
        env=environment(user),
        preexec_fn=preexec,
    )
    assert result.stdout, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def start(code: str, *arguments: str, user: int | None = None, **options: Any) -> subprocess.Popen[str]:
    """Starts a process that runs code; its standard streams are pipes."""
    return subprocess.Popen(
        command(code, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(user),
        **options,
    )


HOLDER = """
with locks.hold(sys.argv[1:]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(*paths: str, user: int | None = None) -> subprocess.Popen[str]:
    """A process that holds lock files by the time this returns, until its standard input ends."""
    process = start(HOLDER, *paths, user=user)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> int:
    """Lets a process come to its end, and answers its exit code."""
    process.communicate(timeout=TIMEOUT)
    return process.returncode


def waits_in_kernel(process: subprocess.Popen[Any]) -> bool:
    """Whether a process blocks in flock, as /proc/locks shows it: `1: -> FLOCK ADVISORY WRITE PID ...`."""
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until and process.poll() is None:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        if any("->" in line and f" {process.pid} " in line for line in lines):
            return True
        time.sleep(0.02)
    return False


def need_users() -> None:
    """Skips unless the test can become other users."""
    requirements.need_root()


def crossroads() -> Iterator[str]:
    """A directory like /tmp: root's (or ours), sticky, for everybody."""
    directory = tempfile.mkdtemp(prefix="crossroads-", dir="/tmp" if os.path.isdir("/tmp") else None)
    os.chmod(directory, 0o1777)  # noqa: S103  (for everybody, as what is tested)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
