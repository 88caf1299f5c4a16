"""`policy locks --watch`: real holders and waiters that come and go."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.commands import live
from policy.locks.holders import Found, Holder
from policy.render.listing import Row
from tests import factories
from tests.running import Place, Terminal, ended, line, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs /proc/locks", allow_module_level=True)

ONE, TWO = Holder(1, "anna", "uv sync", 5.0), Holder(2, "bob", "pip install x", 6.0)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A directory with an environment."""
    return Place(tmp_path)


def lock(*holders: Holder, waiters: tuple[Holder, ...] = (), locked: bool | None = True) -> Row:
    """A lock as it was seen."""
    return Row(Found("/x/.lock", locked, holders), "/x", waiters=waiters)


def told(before: list[Row] | None, now: list[Row]) -> list[str]:
    """The lines without the time."""
    return [text[10:] for text in live.changes(before, now, color=False)]


def test_changes() -> None:
    """A line for each holder and waiter that is new, and for a lock that became free."""
    held, waited = lock(ONE), lock(ONE, waiters=(TWO,))
    assert told(None, []) == ["no environment is locked"]
    assert told([], []) == []
    assert told(None, [held]) == [f"held     /x/.lock  {ONE}"]
    assert told([held], [held]) == []
    assert told([held], [waited]) == [f"waits    /x/.lock  {TWO}, number 1 in the queue"]
    assert told([waited], [lock(TWO)]) == [f"held     /x/.lock  {TWO}"]
    assert told([held], []) == ["free     /x/.lock"]
    assert told([held], [lock(locked=False)]) == ["free     /x/.lock"]
    assert told(None, [lock()]) == ["held     /x/.lock  a process that is not visible from here"]
    assert told([lock()], [lock()]) == []
    assert told(None, [lock(locked=False)]) == []


def test_queue() -> None:
    """Waiters stand in the order in which they will get the lock."""
    three = Holder(3, "eve", "make", 7.0)
    assert told([lock(ONE)], [lock(ONE, waiters=(TWO, three))]) == [
        f"waits    /x/.lock  {TWO}, number 1 in the queue",
        f"waits    /x/.lock  {three}, number 2 in the queue",
    ]


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """What the test starts."""
    started: list[subprocess.Popen[str]] = []
    yield started
    ended(*started)


def holder(place: Place, *words: str) -> subprocess.Popen[str]:
    """A `policy run` that lives until its input is closed."""
    return place.start(place.words("sh", "-c", "echo inside; read x; true", options=words), stdin=subprocess.PIPE)


@pytest.mark.slow
def test_lines(place: Place, processes: list[subprocess.Popen[str]]) -> None:
    """Holders and waiters appear as they come, a free lock when all have gone, and Ctrl-C ends it with 0."""
    watcher = place.start([*factories.PROGRAM, "locks", str(place.root), "--watch"])
    processes.append(watcher)
    first = holder(place)
    processes.append(first)
    assert line(first) == "inside"
    assert f"held     {place.lock}  pid {first.pid} (" in until(watcher, f"held .*{first.pid}.*", place.lock)
    second = holder(place)
    processes.append(second)
    waits = until(watcher, "waits .*number 1 in the queue", "")
    assert f"pid {second.pid} (" in waits
    assert first.stdin is not None
    first.stdin.close()
    first.stdin = None
    until(watcher, f"held .*pid {second.pid} ", place.lock)
    assert second.stdin is not None
    second.stdin.close()
    second.stdin = None
    until(watcher, "free ", place.lock)
    watcher.send_signal(signal.SIGINT)
    _, stderr = watcher.communicate(timeout=factories.TIMEOUT)
    assert (watcher.returncode, stderr) == (0, "")


def until(watcher: subprocess.Popen[str], pattern: str, name: str) -> str:
    """The next line that matches and names a lock."""
    while True:
        text = line(watcher)
        assert text, "the watcher ended"
        if re.search(pattern, text) and name in text:
            return text


def test_json(place: Place, processes: list[subprocess.Popen[str]]) -> None:
    """As JSON every change is the whole list in a line."""
    watcher = place.start([*factories.PROGRAM, "locks", str(place.root), "--watch", "--output-format", "json"])
    processes.append(watcher)
    assert {lock["state"] for lock in json.loads(line(watcher))["locks"]} == {"free"}
    first = holder(place)
    processes.append(first)
    while True:
        seen = json.loads(line(watcher))
        if {lock["state"] for lock in seen["locks"]} == {"locked"}:
            break
    assert {one["pid"] for lock in seen["locks"] for one in lock["holders"]} == {first.pid}
    assert seen["time"] > 0


def test_terminal(place: Place, processes: list[subprocess.Popen[str]]) -> None:
    """On a terminal the list is drawn in its place, and Ctrl-C leaves the last picture."""
    first = holder(place)
    processes.append(first)
    assert line(first) == "inside"
    words = [*factories.PROGRAM, "locks", str(place.root), "--watch"]
    terminal = Terminal(words, {**place.environ, "TERM": "xterm", "COLUMNS": "200"}, place.directory)
    try:
        terminal.read("Ctrl-C ends")
        terminal.read(f"pid {first.pid} ")
        terminal.read(r"\x1b\[[0-9]*A")  # the cursor goes up: it is drawn again
        terminal.press(b"\x03")
        assert terminal.told() == "ended 0"
    finally:
        terminal.close()


def test_without_rich(place: Place, processes: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """Without rich a terminal gets lines, too."""
    (tmp_path / "hide" / "rich").mkdir(parents=True)
    (tmp_path / "hide" / "rich" / "__init__.py").write_text("raise ImportError\n", encoding="utf-8")
    first = holder(place)
    processes.append(first)
    assert line(first) == "inside"
    path = f"{tmp_path / 'hide'}{os.pathsep}{place.environ['PYTHONPATH']}"
    words = [*factories.PROGRAM, "locks", str(place.root), "--watch"]
    terminal = Terminal(words, {**place.environ, "TERM": "xterm", "PYTHONPATH": path}, place.directory)
    try:
        terminal.read(rf"held .*\s+pid\s+{first.pid}\s")
        terminal.press(b"\x03")
        assert terminal.told() == "ended 0"
        assert "Ctrl-C ends" not in terminal.drain()
    finally:
        terminal.close()


def test_not_while_pruning(place: Place) -> None:
    """Watching removes nothing."""
    done = place.call([*factories.PROGRAM, "locks", "--watch", "--prune"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "policy: error: --watch only looks; run `policy locks --prune` by itself\n"


def test_list_has_waiters(place: Place, processes: list[subprocess.Popen[str]]) -> None:
    """The plain list has who waits, too, in text and in JSON."""
    first = holder(place)
    processes.append(first)
    assert line(first) == "inside"
    second = holder(place)
    processes.append(second)

    def waiters() -> set[int]:
        done = place.call([*factories.PROGRAM, "locks", str(place.root), "--output-format", "json"])
        return {one["pid"] for lock in json.loads(done.stdout)["locks"] for one in lock["waiters"]}

    wait_until(lambda: waiters() == {second.pid}, "the second waits")
    text = place.call([*factories.PROGRAM, "locks", str(place.root)]).stdout
    assert f"\n         waits: pid {second.pid} (" in text
