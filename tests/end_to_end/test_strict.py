"""The strict lock under `policy run`: across hosts, across kills, in nested runs and in programs."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.locks import strict_claims
from policy.locks.strict import StrictLock
from tests import claims, factories, processes, requirements
from tests.running import PYTHON, Place, killed, line, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs namespaces and /proc", allow_module_level=True)

HOLD = ("sh", "-c", "echo $$; exec sleep 600")

# A command that sees by itself whether another one is inside.
WITNESS = 'mkdir "$0" || { echo overlap; exit; }; sleep 0.01; rmdir "$0"; echo alone'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An environment whose rule wants the strict lock, then uv's."""
    factories.written(tmp_path / "lock-policy.toml", '[[rules]]\nname = "hpc"\nlock = ["local", "strict"]\n')
    return Place(tmp_path)


def test_explained(place: Place) -> None:
    """It stands after the gate and before uv's lock, and keeps out other hosts and other mount namespaces."""
    record = json.loads(place.call([*factories.PROGRAM, "explain", str(place.root), "--output-format", "json"]).stdout)
    assert [lock["purpose"] for lock in record["plan"]] == ["gate", "strict", "local"]
    reasons = {(one["who"], one["where"]): one["because"] for one in record["excludes"] if one["excluded"]}
    assert reasons["lock-policy", "other hosts"] == "strict"
    assert reasons["lock-policy", "other mount namespaces"] == "strict"


def test_as_long_as_the_command(place: Place) -> None:
    """The records are there while the command runs, and its exit code is the program's."""
    count = ("sh", "-c", 'ls "$0" | wc -l; exit 7', str(claims.folder(place.root)))
    done = place.run(*count)
    assert (done.stdout.strip(), done.returncode) == ("2", 7)
    assert claims.records(place.root) == []
    assert place.run("no-such-program").returncode == 127
    assert claims.records(place.root) == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["exec", "close"])
def test_killed(place: Place, mode: str) -> None:
    """SIGKILL leaves it: the next one times out, is told who died, and with which command to remove it."""
    process = place.start(place.words(*HOLD, mode=mode))
    command = int(line(process))
    process.kill()
    process.wait()
    killed(command)
    process.communicate()
    done = place.run("true", options=("--timeout", "1"))
    assert done.returncode == 124
    assert f"pid {process.pid} (" in done.stderr
    assert strict_claims.ENDED in done.stderr
    assert f"`policy locks --break {place.root}` removes the lock" in done.stderr


@pytest.mark.slow
def test_killed_while_the_command_goes_on(place: Place) -> None:
    """A command that lost its `policy run` keeps the gate, so nobody else gets in on this host."""
    process = place.start(place.words(*HOLD))
    command = int(line(process))
    process.kill()
    process.wait()
    done = place.run("true", options=("--timeout", "1"))
    assert (done.returncode, f"pid {command} (" in done.stderr) == (124, True)
    killed(command)
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ended_by_a_signal(place: Place, number: signal.Signals) -> None:
    """A signal ends the command, and nothing of the lock is left."""
    process = place.start(place.words(*HOLD))
    line(process)
    process.send_signal(number)
    process.communicate(timeout=processes.TIMEOUT)
    assert process.returncode == 128 + number
    assert claims.records(place.root) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ended_while_it_waits(place: Place, number: signal.Signals) -> None:
    """Who is ended while waiting leaves nothing but what was there."""
    claims.publish(place.root, "node-7", 1)
    process = place.start(place.words("true"))
    assert process.stderr is not None
    assert "held by node-7 pid 1 (" in process.stderr.readline()
    process.send_signal(number)
    process.communicate(timeout=processes.TIMEOUT)
    assert process.returncode == 128 + number
    assert len(claims.records(place.root)) == 1


@pytest.mark.slow
def test_ended_at_any_moment(place: Place) -> None:
    """Whenever a signal comes, nothing of the lock is left."""
    seconds = random.Random(12)  # noqa: S311  (moments, no secrets)
    for _ in range(25):
        process = place.start(place.words("sleep", "0.05"))
        try:
            process.wait(seconds.uniform(0, 0.4))
        except subprocess.TimeoutExpired:
            process.send_signal(seconds.choice((signal.SIGTERM, signal.SIGHUP, signal.SIGINT)))
        process.communicate(timeout=processes.TIMEOUT)
        assert claims.records(place.root) == []


def test_ignored_hangup(place: Place) -> None:
    """What `nohup` ignores stays ignored."""
    process = place.start(["nohup", *place.words("sh", "-c", "echo $$; read line; echo $line")], stdin=subprocess.PIPE)
    line(process)
    process.send_signal(signal.SIGHUP)
    assert process.communicate("on\n", timeout=processes.TIMEOUT)[0] == "on\n"
    assert claims.records(place.root) == []


def test_nested(place: Place) -> None:
    """A nested run joins, whether descriptors came through or not, and the records stay until the outer one ends."""
    inner = place.words("sh", "-c", 'ls "$0" | wc -l', str(claims.folder(place.root)), options=("--timeout", "0"))
    closing = ("python3", "-c", "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)")
    for between in ((), closing):
        done = place.run(*between, *inner)
        assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr
        assert claims.records(place.root) == []


def test_nested_in_an_orphan(place: Place) -> None:
    """A command whose `policy run` was killed still holds what that left, so a nested run of it goes on."""
    inner = place.words("echo", "inside", options=("--timeout", "0"))
    process = place.start(place.words("sh", "-c", 'echo $$; read line; exec "$@"', "sh", *inner), stdin=subprocess.PIPE)
    line(process)
    process.kill()
    process.wait()
    assert process.communicate("on\n", timeout=processes.TIMEOUT)[0] == "inside\n"


@pytest.mark.slow
def test_readers(place: Place) -> None:
    """Taken for reading it is exclusive, which is said."""
    first = place.start(place.words(*HOLD, options=("--shared",)))
    command = int(line(first))
    done = place.run("true", options=("--shared", "--timeout", "1"))
    assert done.returncode == 124
    assert f"{StrictLock(str(place.root)).name}: timed out" in done.stderr
    killed(command)
    _, told = first.communicate()
    assert "a strict lock has no readers" in told
    quiet = place.run("true", options=("--shared", "--quiet"))
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_listed(place: Place) -> None:
    """It is listed with its host, for one environment and for all that are in use."""
    process = place.start(place.words(*HOLD))
    command = int(line(process))
    for words in (("locks", str(place.root)), ("locks",)):
        done = place.call([*factories.PROGRAM, *words, "--output-format", "json"])
        (lock,) = (
            lock
            for lock in json.loads(done.stdout)["locks"]
            if (lock["kind"], lock["environment"]) == ("strict", str(place.root))
        )
        assert (lock["path"], lock["state"]) == (StrictLock(str(place.root)).name, "locked")
        (holder,) = lock["holders"]
        assert (holder["host"], holder["pid"]) == (claims.own(place.directory / "x")[0], process.pid)
    killed(command)
    process.communicate(timeout=processes.TIMEOUT)


PROGRAM = """
import asyncio, subprocess, sys
import policy
root, how = sys.argv[1:]
nested = [sys.executable, "-m", "policy", "run", "--timeout", "0", "--python", root, "--", "echo", "nested"]

def inside(held):
    assert [lock.purpose for lock in held.locks] == ["gate", "strict", "local"], held.locks
    subprocess.run(nested, env=held.environ, check=True)
    with policy.lock(root, timeout=0):
        print("again", flush=True)
    print("held", flush=True)
    sys.stdin.readline()

async def main():
    async with policy.lock(root, timeout=5) as held:
        inside(held)

if how == "async":
    asyncio.run(main())
else:
    with policy.lock(root, timeout=5) as held:
        inside(held)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["sync", "async"])
def test_programs(place: Place, how: str) -> None:
    """A program holds it, enters again, lets its commands join, and keeps `policy run` out."""
    process = place.start([PYTHON, "-c", PROGRAM, str(place.root), how], stdin=subprocess.PIPE)
    assert [line(process) for _ in range(3)] == ["nested", "again", "held"]
    assert len(claims.records(place.root)) == 2
    assert place.run("true", options=("--timeout", "0.2")).returncode == 124
    process.communicate("\n", timeout=processes.TIMEOUT)
    assert (process.returncode, claims.records(place.root)) == (0, [])


def test_a_program_that_just_ends(place: Place) -> None:
    """A program that ends without releasing leaves nothing."""
    code = "import policy, sys\nlock = policy.lock(sys.argv[1])\nlock.acquire()\nsys.exit(3)"
    assert place.call([PYTHON, "-c", code, str(place.root)]).returncode == 3
    assert claims.records(place.root) == []


def hosts(place: Place, *names: str) -> list[list[str]]:
    """What starts a command on each of some hosts."""
    requirements.need_root()
    wrappers = [claims.another_host(name, place.directory / f"gate-{name}", place.root) for name in names]
    done = place.call([*wrappers[0], "hostname"])
    requirements.need(done.stdout == f"{names[0]}\n", f"needs namespaces: {done.stderr}")
    return wrappers


def on(host: Sequence[str], place: Place, *command: str, options: tuple[str, ...] = ()) -> list[str]:
    """The command line that runs a command under the lock on a host."""
    return [*host, *place.words(*command, options=options)]


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_hosts(place: Place, order: tuple[int, int]) -> None:
    """Who holds it on one host keeps the other host out, is named there, and lets the other in when it has ended."""
    factories.written(place.directory / "lock-policy.toml", '[[rules]]\nlock = "strict"\n')
    wrappers = hosts(place, "node-1", "node-2")
    here, there = (wrappers[number] for number in order)
    process = place.start(on(here, place, *HOLD))
    command = int(line(process))
    done = place.call(on(there, place, "true", options=("--timeout", "1")))
    assert done.returncode == 124
    assert f"held by node-{order[0] + 1} pid {process.pid} (" in done.stderr
    waiter = place.start(on(there, place, "echo", "inside"))
    assert waiter.stderr is not None
    assert f"held by node-{order[0] + 1} pid" in waiter.stderr.readline()
    killed(command)
    process.communicate(timeout=processes.TIMEOUT)
    assert waiter.communicate(timeout=processes.TIMEOUT)[0] == "inside\n"
    assert claims.records(place.root) == []


def test_it_is_not_the_gate(place: Place) -> None:
    """Without the strict lock the same two hosts do not exclude each other, so that the test above proves something."""
    factories.written(place.directory / "lock-policy.toml", '[[rules]]\nlock = "global"\n')
    here, there = hosts(place, "node-1", "node-2")
    process = place.start(on(here, place, *HOLD))
    command = int(line(process))
    assert place.call(on(there, place, "true", options=("--timeout", "0"))).returncode == 0
    killed(command)
    process.communicate(timeout=processes.TIMEOUT)


@pytest.mark.slow
def test_many_on_two_hosts(place: Place) -> None:
    """Commands of two hosts that come again and again are never inside together."""
    factories.written(place.directory / "lock-policy.toml", '[[rules]]\nlock = "strict"\n')
    wrappers = hosts(place, "node-1", "node-2")
    inside = str(place.directory / "inside")
    words = (place.words("sh", "-c", WITNESS, inside), place.words("sh", "-c", WITNESS, inside))
    loop = 'for _ in 1 2 3 4 5 6; do "$@" || exit; done'
    running = [place.start([*host, "sh", "-c", loop, "sh", *command]) for host in wrappers for command in words]
    told = [process.communicate(timeout=2 * processes.TIMEOUT)[0].split() for process in running]
    assert told == [["alone"] * 6] * 4
    assert claims.records(place.root) == []


@pytest.mark.slow
def test_broken_from_another_host(place: Place) -> None:
    """What a host left that died is removed from another one, which says that it cannot know, and wants the answer."""
    here, there = hosts(place, "node-1", "node-2")
    process = place.start(on(here, place, *HOLD))
    command = int(line(process))
    process.kill()
    process.wait()
    killed(command)
    process.communicate()
    words = [*there, *factories.PROGRAM, "locks", "--break", str(place.root)]
    refused = place.call(words, stdin=subprocess.DEVNULL)
    assert refused.returncode == 2
    assert f"held by node-1 pid {process.pid} (" in refused.stderr
    assert "this host cannot tell whether it still runs" in refused.stderr
    assert place.call([*words, "--yes"]).returncode == 0
    wait_until(lambda: claims.records(place.root) == [], "the records are removed")
    assert place.call(on(here, place, "true", options=("--timeout", "1"))).returncode == 0


@pytest.mark.slow
def test_imported_only_where_it_is_wanted(place: Place) -> None:
    """Without a strict lock in the plan, `policy run` does not import filelock."""
    for rule in ("local", "strict"):
        factories.written(place.directory / "lock-policy.toml", f'[[rules]]\nlock = "{rule}"\n')
        done = place.run("true", env={**place.environ, "PYTHONPROFILEIMPORTTIME": "1"})
        assert (done.returncode, "filelock" in done.stderr) == (0, rule == "strict")
