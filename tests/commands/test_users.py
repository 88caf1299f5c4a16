"""`policy users`, and `policy run --unused`."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import pytest

from tests import factories
from tests.running import Place, ended, line, wait_until

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)

SLEEP = "import sys; print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A directory with a real environment, `real`."""
    place = Place(tmp_path)
    venv.create(tmp_path / "real", symlinks=True)
    return place


def serve(place: Place) -> subprocess.Popen[str]:
    """A program that runs from it, and knows nothing of locks."""
    words = [str(place.directory / "real" / "bin" / "python"), "-c", SLEEP]
    process = place.start(words, stdin=subprocess.PIPE)
    assert line(process) == "ready"
    return process


def test_lists(place: Place) -> None:
    """Who runs from it, as text and as JSON."""
    root = place.directory / "real"
    process = serve(place)
    try:
        text = place.call([*factories.PROGRAM, "users", str(root)])
        record = place.call([*factories.PROGRAM, "users", str(root), "--output-format", "json"])
    finally:
        ended(process)
    assert (text.returncode, text.stderr) == (0, "")
    first, second = text.stdout.splitlines()
    assert first.startswith(f"pid {process.pid} (")
    assert second == f"  uses {root}/bin/python"
    told = json.loads(record.stdout)
    assert (told["version"], told["environment"]) == (1, str(root))
    (user,) = told["users"]
    assert (user["pid"], user["uses"]) == (process.pid, f"{root}/bin/python")
    assert set(user) >= {"pid", "user", "command", "since", "uses"}


def test_nobody(place: Place) -> None:
    """Where nothing runs, that is said."""
    done = place.call([*factories.PROGRAM, "users", str(place.root)])
    assert (done.returncode, done.stdout) == (0, f"nothing runs from {place.root}\n")
    done = place.call([*factories.PROGRAM, "users", str(place.root), "--output-format", "json"])
    assert json.loads(done.stdout)["users"] == []


def run(place: Place, *words: str) -> list[str]:
    """A command line that runs under the lock of the real environment."""
    return [*factories.PROGRAM, "run", "--python", str(place.directory / "real"), *words]


def test_unused_refuses(place: Place) -> None:
    """With --unused and no time, a program that runs from the environment is a reason to refuse."""
    process = serve(place)
    try:
        done = place.call(run(place, "--unused", "--timeout", "0", "--", "echo", "inside"))
        without = place.call(run(place, "--timeout", "0", "--", "echo", "inside"))
    finally:
        ended(process)
    assert (done.returncode, done.stdout) == (124, "")
    assert f"still in use after 0 s, by pid {process.pid} (" in done.stderr
    assert without.stdout == "inside\n"
    assert place.call(run(place, "--unused", "--timeout", "0", "--", "echo", "inside")).stdout == "inside\n"


@pytest.mark.slow
def test_unused_waits(place: Place) -> None:
    """Without a timeout it waits, says for whom, and runs when the program has ended."""
    process = serve(place)
    waiting = place.start(run(place, "--unused", "--", "echo", "inside"))
    try:
        assert waiting.stderr is not None
        told = waiting.stderr.readline()
        assert f"held by pid {process.pid} (" in told
        assert waiting.poll() is None
        ended(process)
        wait_until(lambda: waiting.poll() is not None, "the waiter goes on")
        assert waiting.returncode == 0
    finally:
        ended(process, waiting)


def test_rule(place: Place) -> None:
    """A rule's `unused = true` asks for the same."""
    factories.written(place.directory / "lock-policy.toml", '[[rules]]\nlock = "local"\nunused = true\n')
    process = serve(place)
    try:
        done = place.call(run(place, "--timeout", "0", "--", "true"))
    finally:
        ended(process)
    assert done.returncode == 124
    assert "still in use" in done.stderr
