from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import factories, processes
from tests.running import MODES, Place

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

modes = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where the command runs."""
    return Place(tmp_path)


def once(place: Place, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs `policy once` to its end."""
    return place.call([*factories.PROGRAM, "once", *map(str, words)])


@pytest.mark.slow
@modes
def test_only_where_it_is_missing(place: Place, mode: str) -> None:
    """The command runs where PATH is missing, and not where it is there; its exit code is the exit code."""
    close = ("--close",) if mode == "close" else ()
    words = (*close, "--python", place.root, "--unless", "made", "--", "sh", "-c", "echo ran; touch made; exit 3")
    first = once(place, *words)
    assert (first.returncode, first.stdout, first.stderr) == (3, "ran\n", "")
    second = once(place, *words)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert place.is_free()


def test_unless_the_environment_exists(place: Place) -> None:
    """Without --unless it is the environment's interpreter that must be missing."""
    assert once(place, "--python", place.root, "--", "echo", "ran").stdout == ""
    assert once(place, "--python", place.directory / "new", "--", "echo", "ran").stdout == "ran\n"


def test_looks_when_it_holds_the_lock(place: Place) -> None:
    """What another makes while one waits is seen: the look comes after the wait, which has run's timeout."""
    words = ("--python", place.root, "--unless", "made", "--", "echo", "ran")
    holder = processes.holder(place.lock)
    try:
        assert once(place, "--timeout", "0.1", *words).returncode == 124
        waiting = place.start([*factories.PROGRAM, "once", *map(str, words)])
        (place.directory / "made").touch()
    finally:
        processes.end(holder)
    out, errors = waiting.communicate(timeout=factories.TIMEOUT)
    assert (waiting.returncode, out) == (0, ""), errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a command: policy once [--unless PATH] -- COMMAND"),
        (("--unless", "", "--", "true"), "--unless: an empty path"),
        (("--unless", "x", "--", "nox"), "nox works in environments of its own, so nothing is held"),
    ],
)
def test_faults(place: Place, words: tuple[str, ...], said: str) -> None:
    """125 and one line for what is wrong with the command line."""
    done = once(place, *words)
    assert done.returncode == 125
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


MAKE = "test -e made/done && echo twice >>log; mkdir -p made; echo made >>log; sleep 0.05; touch made/done"


def test_many_at_once(place: Place) -> None:
    """Of many who want to make the same exactly one makes it, and all come to their end when it is there."""
    words = ["once", "--python", str(place.root), "--unless", "made/done", "--", "sh", "-c", MAKE]
    running = [place.start([*factories.PROGRAM, *words]) for _ in range(8)]
    for process in running:
        _, errors = process.communicate(timeout=factories.TIMEOUT)
        assert process.returncode == 0, errors
    assert (place.directory / "log").read_text() == "made\n"
    assert os.path.exists(place.directory / "made" / "done")
