from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from policy.locks import strict_claims
from policy.locks.strict import StrictLock
from tests import claims, factories, processes
from tests.running import PYTHON, Place, Terminal, killed, line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)

HOLD = ("sh", "-c", "echo $$; exec sleep 600")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An environment whose rule wants the strict lock."""
    factories.written(tmp_path / "lock-policy.toml", '[[rules]]\nname = "hpc"\nlock = ["strict", "local"]\n')
    return Place(tmp_path)


def broken(place: Place, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Runs `policy locks --break`."""
    words = [*factories.PROGRAM, "locks", "--break", str(place.root), *options]
    return place.call(words, stdin=subprocess.DEVNULL, **more)


@pytest.fixture
def orphan(place: Place) -> Iterator[int]:
    """A command whose `policy run` was killed."""
    process = place.start(place.words(*HOLD))
    pid = int(line(process))
    process.kill()
    process.wait()
    yield pid
    killed(pid)
    process.communicate()  # its output is the command's, too


def left(place: Place) -> int:
    """Lets a process die that holds the lock; answers its number."""
    code = (
        "import os, signal, sys; from policy.locks.strict import StrictLock\n"
        "lock = StrictLock(sys.argv[1])\nassert lock.attempt()\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    process = place.start([PYTHON, "-c", code, str(place.root)])
    process.communicate()
    return process.pid


def test_nothing_there(place: Place) -> None:
    """Without a lock there is nothing to remove, which is no fault."""
    done = broken(place)
    assert done.returncode == 0
    assert "there is nothing to remove" in done.stderr
    assert done.stdout.startswith("free ")


def test_dead(place: Place) -> None:
    """What a dead process left is removed at the answer that an option gives, and the lock is free."""
    pid = left(place)
    assert len(claims.records(place.root)) == 2
    done = broken(place, "--yes")
    assert (done.returncode, claims.records(place.root)) == (0, [])
    assert f"pid {pid} (" in done.stderr
    assert strict_claims.ENDED in done.stderr
    assert done.stdout.startswith("removed ")
    assert place.run("true", options=("--timeout", "0")).returncode == 0


def test_json(place: Place) -> None:
    """In JSON it is a lock like any other, with the state `removed`."""
    left(place)
    (lock,) = json.loads(broken(place, "-y", "--output-format", "json").stdout)["locks"]
    assert (lock["kind"], lock["state"], lock["path"]) == ("strict", "removed", StrictLock(str(place.root)).name)
    assert (lock["environment"], lock["holders"]) == (str(place.root), [])


def test_no_terminal(place: Place) -> None:
    """Without a terminal and without an answer nothing is removed."""
    left(place)
    done = broken(place)
    assert done.returncode == 2
    assert "add --yes" in done.stderr
    assert len(claims.records(place.root)) == 2


@pytest.mark.parametrize(("answer", "stays"), [("y", 0), ("no", 2), ("", 2)])
def test_asks(place: Place, answer: str, stays: int) -> None:
    """On a terminal it asks, and only a yes removes."""
    left(place)
    words = [*factories.PROGRAM, "locks", "--break", str(place.root)]
    terminal = Terminal(words, place.environ, place.directory)
    terminal.read(r"\[y/N\] ")
    terminal.press(f"{answer}\n".encode())
    assert terminal.told() == f"ended {1 if stays else 0}"
    terminal.close()
    assert len(claims.records(place.root)) == stays


def test_alive(place: Place) -> None:
    """While its owner runs on this host it is not removed, whatever the answer."""
    process = place.start(place.words(*HOLD))
    pid = int(line(process))
    done = broken(place, "--yes")
    assert done.returncode == 1
    assert f"pid {process.pid} (" in done.stderr
    assert "still runs on this host; end it first" in done.stderr
    assert len(claims.records(place.root)) == 2
    os.kill(pid, signal.SIGTERM)
    process.communicate(timeout=processes.TIMEOUT)
    assert claims.records(place.root) == []


def test_what_it_left_behind(place: Place, orphan: int) -> None:
    """While a command of the dead owner runs on this host the lock is not removed; once it has ended it is."""
    done = broken(place, "--yes")
    assert done.returncode == 1
    assert f"the gate is held on this host by pid {orphan} (" in done.stderr
    assert len(claims.records(place.root)) == 2
    killed(orphan)
    assert broken(place, "--yes").returncode == 0
    assert claims.records(place.root) == []


@pytest.mark.slow
def test_while_somebody_waits(place: Place) -> None:
    """Who waits for the lock holds the gate, and is served when the lock is removed."""
    left(place)
    waiter = place.start(place.words("echo", "inside"))
    assert waiter.stderr is not None
    assert f"`policy locks --break {place.root}` removes the lock" in waiter.stderr.readline()
    assert broken(place, "--yes").returncode == 0
    assert waiter.communicate(timeout=processes.TIMEOUT)[0] == "inside\n"
    assert waiter.returncode == 0
    assert claims.records(place.root) == []


def test_another_host(place: Place) -> None:
    """Of an owner on another host it says what it cannot know, and wants the answer."""
    claims.publish(place.root, "node-7", os.getpid(), 1, ("intent", "held"))
    refused = broken(place)
    assert refused.returncode == 2
    told = f"held by node-7 pid {os.getpid()} ("
    assert told in refused.stderr
    assert "this host cannot tell whether it still runs" in refused.stderr
    assert len(claims.records(place.root)) == 2
    done = broken(place, "--yes")
    assert done.returncode == 0
    assert told in done.stderr
    assert claims.records(place.root) == []


@pytest.mark.slow
def test_two_breakers(place: Place) -> None:
    """Two that remove at once both succeed, and who takes the lock meanwhile keeps it."""
    words = [*factories.PROGRAM, "locks", "--break", str(place.root), "--yes"]
    for _ in range(2):
        left(place)
        waiter = place.start(place.words("sh", "-c", "echo inside; cat"), stdin=subprocess.PIPE)
        assert waiter.stderr is not None
        waiter.stderr.readline()
        breakers = [place.start(words) for _ in range(2)]
        codes = {(breaker.communicate(timeout=processes.TIMEOUT), breaker.returncode)[1] for breaker in breakers}
        assert codes <= {0, 1}  # 1: the waiter is inside by then, and runs
        assert 0 in codes
        assert line(waiter) == "inside"
        assert len(claims.records(place.root)) == 2
        waiter.communicate(timeout=processes.TIMEOUT)
        assert (waiter.returncode, claims.records(place.root)) == (0, [])


def test_damaged(place: Place) -> None:
    """What is no lock of filelock's is told in one line, and is not touched."""
    claims.publish(place.root, "node-7", 1)
    odd = factories.written(claims.folder(place.root) / "odd", "hello\n")
    done = broken(place, "--yes")
    assert done.returncode == 125
    assert "unknown claim name" in done.stderr
    assert odd.exists()


def test_environment_is_gone(place: Place) -> None:
    """The lock of an environment that was deleted can be removed."""
    left(place)
    place.root.rename(place.directory / "away")
    assert broken(place, "--yes").returncode == 0
    assert claims.records(place.root) == []


@pytest.mark.parametrize("options", [("--watch",), ("--prune",), ("--all",)])
def test_not_together(place: Place, options: tuple[str, ...]) -> None:
    """Options that list or remove other locks contradict it."""
    done = broken(place, *options)
    assert done.returncode == 2
    assert f"--break and {options[0]} cannot be used together" in done.stderr


def test_an_environment_must_be_named(place: Place) -> None:
    """It removes no lock of an environment that was merely found."""
    done = place.call([*factories.PROGRAM, "locks", "--break", "--yes"])
    assert done.returncode == 2
    assert "policy locks --break ENV" in done.stderr
