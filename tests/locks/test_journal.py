"""What is written about locks, and that nothing of it stops one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from policy.errors import LockLost, LockTimeout
from policy.locks import journal
from policy.locks.file import FileLock
from policy.locks.hold import Held
from tests import factories, processes
from tests.acquiring import taken
from tests.running import Place, ended, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)


def lines(file: Path) -> list[dict[str, Any]]:
    """What was written about locks."""
    written = [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]
    return [line for line in written if line["event"] in journal.EVENTS]


def events(file: Path) -> list[str]:
    """The events, in order."""
    return [line["event"] for line in lines(file)]


def lock(folder: Path, name: str = "a.lock") -> FileLock:
    """A lock file."""
    return FileLock("global", str(folder / name), words="")


def test_events(tmp_path: Path) -> None:
    """A lock that is taken and released, with who, what and when."""
    log = tmp_path / "log"
    with taken([lock(tmp_path)], environ={"LOCK_POLICY_LOG": str(log)}):
        assert events(log) == ["acquired"]
    first, second = lines(log)
    assert second["event"] == "released"
    assert (first["lock"], first["kind"], first["purpose"]) == (str(tmp_path / "a.lock"), "file", "global")
    assert (first["pid"], first["shared"]) == (os.getpid(), False)
    assert first["time"] <= second["time"]
    assert first["seconds"] >= 0
    assert log.stat().st_mode & 0o777 == 0o600


def test_timeout(tmp_path: Path) -> None:
    """A lock that another holds: a wait and its end, and no release of what was never held."""
    log = tmp_path / "log"
    holder = processes.holder(str(tmp_path / "b.lock"))
    try:
        with pytest.raises(LockTimeout):
            taken([lock(tmp_path), lock(tmp_path, "b.lock")], timeout=0, environ={"LOCK_POLICY_LOG": str(log)})
    finally:
        processes.end(holder)
    seen = [(line["event"], os.path.basename(line["lock"])) for line in lines(log)]
    assert seen == [("acquired", "a.lock"), ("wait", "b.lock"), ("timeout", "b.lock"), ("released", "a.lock")]


def test_lost(tmp_path: Path) -> None:
    """A lock file that is deleted under its holder is a loss, then a release."""
    log = tmp_path / "log"
    held = taken([lock(tmp_path)], environ={"LOCK_POLICY_LOG": str(log)})
    (tmp_path / "a.lock").unlink()
    with pytest.raises(LockLost):
        held.release()
    assert events(log) == ["acquired", "lost", "released"]


def test_without(tmp_path: Path) -> None:
    """Without the variable, or with an empty one, nothing is written and nothing imported for it."""
    for environ in ({}, {"LOCK_POLICY_LOG": ""}):
        held = taken([lock(tmp_path)], environ=environ)
        assert held.journal is None
        held.release()
    assert os.listdir(tmp_path) == ["a.lock"]
    assert Held().journal is None


def test_run(tmp_path: Path) -> None:
    """Two `policy run`: the second waits, and is inside only after the first has released; nested ones join."""
    place, log = Place(tmp_path), tmp_path / "log"
    place.environ["LOCK_POLICY_LOG"] = str(log)
    first = place.start(place.words("sh", "-c", "echo inside; read x; true", mode="close"), stdin=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stdin is not None
    assert first.stdout.readline() == "inside\n"
    second = place.start(place.words(*factories.PROGRAM, "run", "--python", place.root, "--", "true", mode="close"))
    try:
        wait_until(lambda: any(line["event"] == "wait" and line["pid"] == second.pid for line in lines(log)), "a wait")
        first.stdin.close()
        assert (first.wait(factories.TIMEOUT), second.wait(factories.TIMEOUT)) == (0, 0)
    finally:
        first.stdin = None
        ended(first, second)
    gate = lines(log)[0]["lock"]
    told = [(line["pid"], line["event"]) for line in lines(log) if line["lock"] == gate]
    order = [told.index(one) for one in ((first.pid, "acquired"), (second.pid, "wait"), (second.pid, "acquired"))]
    assert order == sorted(order)
    assert (first.pid, "released") in told
    assert [event for pid, event in told if pid not in {first.pid, second.pid}] == ["joined"]


def fifo(folder: Path) -> str:
    """A pipe that nobody reads."""
    path = str(folder / "fifo")
    os.mkfifo(path)
    return path


HOSTILE: dict[str, Callable[[Path], str]] = {
    "missing": lambda folder: str(folder / "no" / "such" / "folder"),
    "folder": str,
    "full": lambda _: "/dev/full",
    "fifo": fifo,
    "unwritable": lambda _: "/proc/version",
    "nul": lambda _: "a\0b",
    "long": lambda _: "x" * 10_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_never_in_the_way(tmp_path: Path, kind: str) -> None:
    """Whatever the variable names, the lock is taken and released as without it."""
    path, file = HOSTILE[kind](tmp_path), str(tmp_path / "a.lock")
    with taken([lock(tmp_path)], environ={"LOCK_POLICY_LOG": path}):
        assert processes.probe(file, near=[file])["outcome"] != "held"
    assert processes.probe(file, near=[file])["outcome"] == "held"


def test_full_pipe(tmp_path: Path) -> None:
    """A pipe whose reader has stopped reading takes no line, and delays nothing."""
    path = fifo(tmp_path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(BlockingIOError):
            _ = [os.write(writing, b"x" * 4096) for _ in range(1000)]
        taken([lock(tmp_path)], environ={"LOCK_POLICY_LOG": path}).release()
    finally:
        os.close(reading)
        os.close(writing)


def test_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is no longer than what the kernel appends as a whole, and a file that is full makes room for a new one."""
    log = tmp_path / "log"
    entry = journal.Journal(str(log))
    named = FileLock("global", "/" + "\udcff" * 20_000, words="")
    entry.write("wait", named)
    assert not log.exists()
    monkeypatch.setattr(journal, "LARGEST", 1000)
    for _ in range(20):
        entry.write("wait", lock(tmp_path))
    assert log.with_name("log.1").stat().st_size <= 1500
    assert not log.exists() or log.stat().st_size <= 1500
    assert all(line["event"] == "wait" for line in lines(log.with_name("log.1")))


def test_record(tmp_path: Path) -> None:
    """A line about anything else has the time and the process; one that is too long is left out, and that is said."""
    entry = journal.Journal(str(tmp_path / "log"))
    assert entry.record("decided", facts={"user": "a"})
    assert not entry.record("decided", facts={"user": "a" * journal.LONGEST})
    (line,) = (tmp_path / "log").read_text(encoding="ascii").splitlines()
    record = json.loads(line)
    assert (record["event"], record["pid"], record["facts"]) == ("decided", os.getpid(), {"user": "a"})
    assert journal.Journal(str(tmp_path / "no" / "log")).record("decided")


def test_whole_lines(tmp_path: Path) -> None:
    """Lines of many writers at once stay whole."""
    log = tmp_path / "log"
    code = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "from policy.locks.journal import Journal; from policy.locks.file import FileLock\n"
        "for _ in range(200): Journal(sys.argv[1]).write('wait', FileLock('global', sys.argv[2] * 500, words=''))"
    )
    paths = [str(factories.CHECKOUT), *filter(None, sys.path)]
    writers = [subprocess.Popen([sys.executable, "-c", code, log, f"/{number}", *paths]) for number in range(4)]
    assert [writer.wait(factories.TIMEOUT) for writer in writers] == [0] * 4
    assert len(lines(log)) == 800
