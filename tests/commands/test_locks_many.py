"""`policy locks` where many environments are locked, and the files by which those who wait take their turn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from policy.commands import locks
from policy.environment import identity
from policy.locks import proc
from policy.rules.gate import turn
from tests import factories, processes
from tests.commands.test_locks import Host, host, need_proc  # noqa: F401  (host is a fixture)
from tests.running import ended, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock", allow_module_level=True)

# Names its environment as `policy run` does for its command.
HOLDING = """
from policy.rules.gate import path
root = os.environ["LOCK_POLICY_ENVIRONMENT"]
with locks.hold([path("/tmp", root), root + "/.lock"]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold_many(tmp_path: Path) -> Iterator[Callable[[int], dict[int, str]]]:
    """Starts processes that hold an environment each, and answers which holds which."""
    started: list[subprocess.Popen[str]] = []
    gates: list[str] = []

    def start(count: int) -> dict[int, str]:
        held = {}
        for number in range(count):
            root = factories.virtualenv(tmp_path / f"env{len(started)}")
            process = subprocess.Popen(
                processes.command(HOLDING),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**processes.environment(), "LOCK_POLICY_ENVIRONMENT": str(root)},
            )
            started.append(process)
            gates.append(factories.gate(root))
            held[process.pid] = str(root)
            del number
        for process in started:
            if process.pid in held:
                assert process.stdout is not None
                assert process.stdout.readline() == "held\n"
        return held

    yield start
    ended(*started)
    for gate in gates:
        os.unlink(gate)


@pytest.mark.slow
def test_many(
    host: Host,
    hold_many: Callable[[int], dict[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a list costs grows with the number of locks: each holder is asked as often, whoever else there is."""
    need_proc()
    asked: Counter[str] = Counter()

    def counted(opens: Any) -> Any:
        def call(path: Any, *more: Any, **options: Any) -> Any:
            if not isinstance(path, int):
                asked[os.fsdecode(path)] += 1
            return opens(path, *more, **options)

        return call

    monkeypatch.setattr(os, "open", counted(os.open))
    monkeypatch.setattr("builtins.open", counted(open))

    def listed(held: dict[int, str]) -> tuple[dict[int, int], int, int]:
        """How often each holder, the kernel's tables and the files of /proc together were read."""
        asked.clear()
        identity._known.clear()  # as in a program that has just begun
        locks._named.cache_clear()
        rows = host.rows()
        for pid, root in held.items():
            of_holder = [row for row in rows if row["holders"] and row["holders"][0]["pid"] == pid]
            assert {row["environment"] for row in of_holder} == {root}
        of = {pid: sum(count for path, count in asked.items() if path.startswith(f"/proc/{pid}/")) for pid in held}
        return of, asked["/proc/locks"], asked["/proc/self/mountinfo"]

    few = hold_many(2)
    of_few, tables, mounts = listed(few)
    more = hold_many(12)
    of_more, tables_again, mounts_again = listed({**few, **more})
    assert all(of_few.values())
    assert {pid: of_more[pid] for pid in few} == of_few
    assert len(set(of_more.values())) == 1
    assert tables_again == tables
    assert mounts_again - mounts <= 2 * len(more)


def test_incomplete(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another PID namespace text and JSON say that locks, holders and environments may be missing."""
    need_proc()
    host.file()
    assert "PID namespace" not in host.text("--all")
    monkeypatch.setattr(proc, "sees_all", lambda: False)
    assert "are visible from here; `policy locks ENV` finds" in " ".join(host.text("--all").split())
    assert '"complete": false' in host.text("--output-format", "json")


def test_prune_turns(host: Host) -> None:
    """--prune removes the turn of those who wait for a gate where nobody waits; while somebody does, it stays."""
    need_proc()
    gate = factories.gate(host.place.root)
    root = str(host.place.root)
    holder = host.place.start(host.place.words("sh", "-c", "echo in; read word"), stdin=subprocess.PIPE)
    waiters: list[subprocess.Popen[str]] = []

    def queued() -> int:
        """How many wait for the gate or for their turn."""
        files = (proc.identity(gate), proc.identity(turn(gate)))
        return sum(len(pids) for file, pids in proc.waiters().items() if file in files)

    def waits() -> subprocess.Popen[str]:
        before = queued()
        waiters.append(host.place.start(host.place.words("sh", "-c", "echo in; read word"), stdin=subprocess.PIPE))
        wait_until(lambda: queued() > before, "it does not wait")
        return waiters[-1]

    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in\n"
        first = waits()
        host.text(root, "--prune")
        assert os.path.exists(turn(gate))  # the one who waits has it
        second = waits()
        holder.communicate("\n", timeout=factories.TIMEOUT)
        assert first.stdout is not None
        assert first.stdout.readline() == "in\n"
        assert host.place.run("true", options=("--timeout", "0")).returncode == 124
        first.communicate("\n", timeout=factories.TIMEOUT)
        assert second.stdout is not None
        assert second.stdout.readline() == "in\n"
        second.communicate("\n", timeout=factories.TIMEOUT)
    finally:
        ended(holder, *waiters)
    assert os.path.exists(turn(gate))
    host.text(root, "--prune")
    assert not os.path.exists(turn(gate))
    assert not os.path.exists(gate)
    # what is left of a gate that was pruned before
    orphan = host.directory / "lock-policy-0123456789abcdef.turn"
    orphan.touch()
    assert host.states("--all") == {}
    assert host.states("--prune") == {str(orphan): "removed"}
