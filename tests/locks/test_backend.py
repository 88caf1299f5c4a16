from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests import factories, processes, socket_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs Unix sockets", allow_module_level=True)

REGISTER = "import sys, tests.socket_lock; tests.socket_lock.register()\n"
COMMAND = [sys.executable, "-c", REGISTER + "from policy.__main__ import main; sys.exit(main(sys.argv[1:]))"]
HOLD = ["sh", "-c", "echo held; cat"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An environment whose rule wants the server's lock, then the local one."""
    factories.written(tmp_path / "lock-policy.toml", '[[rules]]\nname = "served"\nlock = "socket"\n')
    return factories.virtualenv(tmp_path / "env")


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables that name a running server."""
    address = str(tmp_path / "socket")
    path = {"PYTHONPATH": str(factories.CHECKOUT)}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.socket_lock", address],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **path},
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "serving\n"
    yield {**factories.alone(tmp_path), **path, socket_lock.SERVER: address}
    server.kill()
    server.communicate()


def run(environ: dict[str, str], *words: Any) -> subprocess.CompletedProcess[str]:
    """Runs `policy` where this kind of lock is known."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=processes.TIMEOUT,
    )


def holding(environ: dict[str, str], root: Path, command: Sequence[str] = HOLD) -> subprocess.Popen[str]:
    """A `policy run` whose command runs by now, until its standard input ends."""
    process = subprocess.Popen(
        [*COMMAND, "run", "--python", str(root), "--", *command],
        env=environ,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_explain(root: Path, environ: dict[str, str]) -> None:
    """A lock of another kind says in its own words what it is, and JSON has its entry."""
    address = environ[socket_lock.SERVER]
    assert re.search(f"{re.escape(address)} +held by a little server", run(environ, "explain", root).stdout)
    shown = json.loads(run(environ, "explain", root, "--output-format", "json").stdout)
    assert {"purpose": "cluster", "kind": "socket", "key": address} in shown["plan"]
    assert address not in run(environ, "explain", root, "--output-format", "path").stdout


def test_run_excludes(root: Path, environ: dict[str, str]) -> None:
    """`policy run` holds it as long as its command runs; another one times out, and says who holds it."""
    holder = holding(environ, root)
    late = run(environ, "run", "--python", root, "--timeout", "0.2", "--", "true")
    assert late.returncode == 124
    assert f"held by pid {holder.pid} (" in late.stderr
    assert processes.end(holder) == 0
    assert run(environ, "run", "--python", root, "--timeout", "0", "--", "true").returncode == 0


def test_waits(root: Path, environ: dict[str, str]) -> None:
    """A waiter gets it when the holder has ended."""
    holder = holding(environ, root)
    with subprocess.Popen([*COMMAND, "run", "--python", root, "--", "true"], env=environ) as waiter:
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.wait(0.5)
        processes.end(holder)
        assert waiter.wait(processes.TIMEOUT) == 0


def test_nested(root: Path, environ: dict[str, str]) -> None:
    """A nested `policy run` joins what its ancestor holds."""
    nested = [*COMMAND, "run", "--python", str(root), "--timeout", "0", "--", "echo", "inside"]
    done = run(environ, "run", "--python", root, "--", *nested)
    assert (done.returncode, done.stdout) == (0, "inside\n"), done.stderr


def test_locks(root: Path, environ: dict[str, str]) -> None:
    """`policy locks ENV` lists it with the one who holds it."""

    def state() -> tuple[str, list[int]]:
        rows = json.loads(run(environ, "locks", root, "--output-format", "json").stdout)["locks"]
        (row,) = (row for row in rows if row["kind"] == "socket")
        return row["state"], [holder["pid"] for holder in row["holders"]]

    assert state() == ("free", [])
    holder = holding(environ, root)
    assert state() == ("locked", [holder.pid])
    processes.end(holder)


IN_PROGRAM = """
import asyncio, os, policy
root = sys.argv[1]
with policy.lock(root) as held:
    print(*(lock.kind for lock in held.locks if lock.purpose == "cluster"))
    try:
        policy.lock(root, timeout=0.1).acquire()
    except policy.LockTimeout as error:
        print([holder.pid for holder in error.holders] == [os.getpid()])

async def late():
    async with policy.lock(root, timeout=0.1):
        return "entered"

async def enter():
    async with policy.lock(root):
        return "entered"

async def work():
    async with policy.lock(root):
        print(*await asyncio.gather(late(), return_exceptions=True))
        waiting = asyncio.create_task(enter())
        await asyncio.sleep(0.1)
        print(waiting.done())
    print(await waiting)

asyncio.run(work())
"""


def test_program(root: Path, environ: dict[str, str]) -> None:
    """`policy.lock` holds it, in a thread and in a task, and times out behind another one."""
    done = subprocess.run(
        [sys.executable, "-c", REGISTER + IN_PROGRAM, root],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=processes.TIMEOUT,
    )
    kind, named, late, done_early, entered = done.stdout.splitlines()
    assert (kind, named, done_early, entered) == ("socket", "True", "False", "entered"), done.stderr
    assert ": timed out after 0.1 s: held by pid " in late


def test_no_server(root: Path, environ: dict[str, str]) -> None:
    """Without a server there is no lock and no work, in one line."""
    seen = run({**environ, socket_lock.SERVER: "/nowhere"}, "run", "--python", root, "--", "true")
    assert seen.returncode == 125
    assert seen.stderr.splitlines() == [
        "policy: error: /nowhere: cannot be locked (rule served): No such file or directory; start the server"
    ]


def test_unknown(root: Path, environ: dict[str, str]) -> None:
    """Where nobody can say whether it is held, `policy locks` lists it as unknown."""
    seen = run({**environ, socket_lock.SERVER: "/nowhere"}, "locks", root, "--output-format", "json")
    assert [row["state"] for row in json.loads(seen.stdout)["locks"] if row["kind"] == "socket"] == ["unknown"]


@pytest.mark.parametrize("command", ["explain", "run"])
def test_location_that_lacks_something(command: str, root: Path, environ: dict[str, str]) -> None:
    """A location that cannot say which lock is meant ends a command in one line."""
    words = ["--python", root, "--", "true"] if command == "run" else [root]
    seen = run({**environ, socket_lock.SERVER: ""}, command, *words)
    assert seen.returncode == 125
    assert seen.stderr.splitlines()[0].startswith("policy: error: socket: cannot be locked")
    assert len(seen.stderr.splitlines()) == 1
    assert seen.stderr.endswith("no server is named; set LOCK_POLICY_TEST_SERVER\n")
