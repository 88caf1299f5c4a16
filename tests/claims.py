"""Records of strict locks for the tests: those of a process that ended, of another host, of an earlier boot."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

from policy.locks.strict import StrictLock
from tests import factories

# Becomes a host of another name with a gate of its own: no two hosts share /tmp.
_ANOTHER_HOST = 'hostname "$0" && mount --bind "$1" "$2" && shift 2 && exec "$@"'


def folder(root: str | Path) -> Path:
    """Where the records are."""
    return Path(StrictLock(str(root)).name + ".filelock", "claims")


def records(root: str | Path) -> list[str]:
    """The names of the records that are there."""
    return sorted(os.listdir(folder(root))) if folder(root).is_dir() else []


def publish(
    root: str | Path, host: str, pid: int, start: int | None = None, states: tuple[str, ...] = ("held",)
) -> str:
    """Writes records as filelock does.

    Args:
        root: The environment's.
        host: Its name.
        pid: The process's number there.
        start: When it was started; None: not said.
        states: Which records.

    Returns:
        Their token.
    """
    lock = StrictLock(str(root))
    if not folder(root).is_dir():
        assert lock.attempt()
        lock.release()
    token = secrets.token_hex(16)
    text = f"filelock-strict-v1\n{token}\n{pid}\n{host.encode().hex()}\n{'' if start is None else start}\n"
    for state in states:
        factories.written(folder(root) / f"{state}-v1-{token}.claim", text)
    return token


def own(root: str | Path) -> tuple[str, int]:
    """How filelock names this host, and when it says that this process was started."""
    lock = StrictLock(str(root))
    assert lock.attempt()
    try:
        name = records(root)[0]
        words = (folder(root) / name).read_text(encoding="ascii").split("\n")
    finally:
        lock.release()
    return bytes.fromhex(words[3]).decode(), int(words[4])


def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def another_host(name: str, gate: Path, root: str | Path) -> list[str]:
    """What starts a command on a host of another name.

    Args:
        name: The host's.
        gate: The file that is the environment's gate there.
        root: The environment's.
    """
    ours = Path(factories.gate(root))
    for path in (gate, ours):
        path.touch()
        path.chmod(0o666)
    return ["unshare", "--uts", "--mount", "sh", "-c", _ANOTHER_HOST, name, str(gate), str(ours)]
