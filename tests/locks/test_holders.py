from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from policy import errors
from policy.locks import holders, proc
from policy.locks.holders import Holder
from tests import acquiring as hold
from tests import processes, requirements

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs other users, signals and /proc", allow_module_level=True)

linux = pytest.mark.skipif(not proc.has_locks(), reason="needs /proc/locks")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A lock file to be made."""
    return str(tmp_path / "lock-policy-1.lock")


@linux
def test_holder(path: str) -> None:
    """A holder is named by pid, user, command line and the time since when it runs; a free file has none."""
    before = time.time()
    other = processes.holder(path)
    (found,) = holders.holders(path)
    assert (found.pid, found.user) == (other.pid, holders._user(os.geteuid()))
    assert "python" in found.command
    assert found.since is not None
    assert before - 2 < found.since < time.time() + 2
    assert re.fullmatch(rf"pid {other.pid} \([^,]+, .*, since [\d:]+\)", str(found))
    processes.end(other)
    assert holders.holders(path) == ()


def test_user_names() -> None:
    """A user is shown by name, and by number where the host knows none."""
    assert holders._user(0) == "root"
    assert holders._user(processes.ANNA) == "uid 65011"


@linux
def test_holder_of_another_user() -> None:
    """An unprivileged user learns who holds a file, other users included."""
    requirements.need_root()
    code = "print([str(holder) for holder in holders.holders(sys.argv[1])])"
    directory = next(crossroads := processes.crossroads())
    shared = f"{directory}/lock-policy-1.lock"
    with hold.hold([shared]):
        asking = processes.start(code, shared, user=processes.ANNA)
        text, _ = asking.communicate(timeout=processes.TIMEOUT)
    next(crossroads, None)
    assert f"pid {os.getpid()} (root, " in text


@linux
def test_taker_has_ended(path: str) -> None:
    """Where the process that took the lock has ended, or was a helper that waited, those who have it now are named."""
    held = hold.hold([path])
    held.inherit()
    command = subprocess.Popen(["sleep", "1000"], pass_fds=held.descriptors)
    held.release()
    assert [str(command.pid) in str(holder) for holder in holders.holders(path)] == [True]
    assert holders.holders(path)[0].command == "sleep 1000"
    command.kill()
    command.wait()
    first = processes.holder(path)
    code = """
with locks.hold([sys.argv[1]], timeout=100):
    print("held", flush=True)
    sys.stdin.read()
"""
    second = processes.start(code, path)
    time.sleep(0.5)
    processes.end(first)
    assert second.stdout is not None
    second.stdout.readline()
    assert [holder.pid for holder in holders.holders(path)] == [second.pid]
    processes.end(second)


@linux
def test_command_line(path: str) -> None:
    """A long command line is shortened, and credentials in it are left out."""
    command = subprocess.Popen(
        [
            "bash",
            "-c",
            'exec 9>>"$0"; flock 9; echo; read',
            path,
            "https://anna:secret@example.org/",
            "\x1b" + "x" * 200,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert command.stdout is not None
    command.stdout.readline()
    (found,) = holders.holders(path)
    command.communicate()
    assert len(found.command) <= 80
    assert "\x1b" not in found.command
    assert "secret" not in found.command


def test_shown() -> None:
    """A holder reads as in the documentation, with the date where it is not today's."""
    midday = time.mktime((*time.localtime()[:3], 12, 31, 4, 0, 0, -1))
    assert str(Holder(4711, "anna", "uv sync", midday)) == "pid 4711 (anna, uv sync, since 12:31:04)"
    assert str(Holder(4711, "anna", "uv sync")) == "pid 4711 (anna, uv sync)"
    assert re.search(r"since \d{4}-\d\d-\d\d 12:31:04\)", str(Holder(1, "anna", "uv", midday - 5 * 86400)))


@linux
def test_locks_of_directories(tmp_path: Path) -> None:
    """The lock files of a directory are listed with their holders, other files are not."""
    for name in ("lock-policy-1.lock", "uv-2.lock", "other.lock", "lock-policy-3.txt"):
        (tmp_path / name).touch()
    (tmp_path / "env").mkdir()
    local = str(tmp_path / "env" / ".lock")
    with hold.hold([str(tmp_path / "uv-2.lock"), local]):
        found = holders.locks((str(tmp_path), str(tmp_path / "missing")), local, str(tmp_path / "missing.lock"))
    assert [(os.path.basename(lock.name), lock.locked) for lock in found] == [
        ("lock-policy-1.lock", False),
        ("uv-2.lock", True),
        (".lock", True),
    ]
    assert [[holder.pid for holder in lock.holders] for lock in found] == [[], [os.getpid()], [os.getpid()]]


@linux
def test_locked_environments(tmp_path: Path) -> None:
    """The locks that are held now are found wherever they lie: uv's in environments, and those for global locks."""
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "elsewhere").mkdir()
    paths = [str(tmp_path / name) for name in ("env/.lock", "lock-policy-1.lock", "elsewhere/.lock")]
    with hold.hold(paths):
        found = {lock.name: lock for lock in holders.locked() if lock.name.startswith(str(tmp_path))}
    assert sorted(found) == sorted(paths[:2])
    assert [holder.pid for holder in found[paths[0]].holders] == [os.getpid()]
    assert not [lock for lock in holders.locked() if lock.name.startswith(str(tmp_path))]


def test_cannot_be_known(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel cannot be asked nobody is named, and the error says so."""
    monkeypatch.setattr(proc, "lines", lambda _: [])
    monkeypatch.setattr(proc, "has_locks", lambda: False)
    monkeypatch.setattr(proc, "identity", lambda *_: None)
    with hold.hold([path]):
        assert holders.holders(path) == ()
        assert holders.locks((os.path.dirname(path),)) == (holders.Found(path, None),)
        with pytest.raises(errors.LockTimeout, match="cannot tell who holds it"):
            hold.hold([path], timeout=0)


@linux
def test_ended_meanwhile(path: str) -> None:
    """A process that ends while it is looked at is left out."""
    other = processes.holder(path)
    file = proc.identity(path)
    assert file is not None
    other.send_signal(signal.SIGKILL)
    other.communicate()
    look = holders.Look()
    look.known = {file: (other.pid,)}
    assert look.holders(file) == ()


@linux
def test_each_process_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many locks a process holds, its descriptors are read once."""
    paths = [str(tmp_path / f"lock-policy-{number}.lock") for number in range(50)]
    asked: list[int] = []
    files = proc.files

    def counting(pid: int) -> dict[proc.Identity, str] | None:
        asked.append(pid)
        return files(pid)

    monkeypatch.setattr(proc, "files", counting)
    with hold.hold(paths):
        found = [lock.name for lock in holders.locked() if lock.name.startswith(str(tmp_path))]
    assert sorted(found) == sorted(paths)
    assert asked.count(os.getpid()) == 1
