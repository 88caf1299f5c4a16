from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)

from tests import processes, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Starts a child, a grandchild, one that left the session, and one whose parent has ended; each writes its number.
TREE = r"""
echo $$ >> {log}
sh -c 'echo $$ >> {log}; sh -c "echo \$\$ >> {log}; exec sleep 60" & wait' &
setsid sh -c 'echo $$ >> {log}; exec sleep 60' &
(setsid sh -c 'echo $$ >> {log}; exec sleep 60' &)
wait
"""

# The guard of the command: it does what it is told, and says which processes it found.
GUARD = """
import signal, subprocess, sys
from policy.locks import guard
guard.adopt_orphans()
command = subprocess.Popen(["sh", "-c", sys.argv[1]], start_new_session=True)
for line in sys.stdin:
    found = eval(line, {**vars(guard), "child": command.pid, "signal": signal})
    print(*sorted(found), flush=True)
"""


class Tree:
    """A command that started others, and its guard.

    Args:
        log: Where each of them writes its number.
    """

    def __init__(self, log: Path) -> None:
        log.touch()
        self.guard = subprocess.Popen(
            [sys.executable, "-c", GUARD, TREE.format(log=log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=processes.environment(),
        )
        running.wait_until(lambda: len(log.read_text().split()) == 5, "not all of them have started")
        self.pids = [int(word) for word in log.read_text().split()]

    def tell(self, call: str) -> set[int]:
        """Has the guard call a function; answers the processes that it names."""
        assert self.guard.stdin is not None
        self.guard.stdin.write(call + "\n")
        self.guard.stdin.flush()
        return set(map(int, running.line(self.guard).split()))

    def states(self) -> set[str]:
        """What the processes do."""
        return {running.state(pid) for pid in self.pids}


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """A command with all that it started."""
    made = Tree(tmp_path / "log")
    yield made
    for pid in made.pids:
        running.killed(pid)
    made.guard.communicate(timeout=60)  # its input ends, and so does it


def test_all_that_a_command_started_is_found(tree: Tree) -> None:
    """The command and what it started, whichever group, session and parent they have by now; nobody else."""
    found = tree.tell("descendants(child)")
    assert set(tree.pids) <= found
    assert not {os.getpid(), tree.guard.pid} & found


def test_a_tree_is_stopped(tree: Tree) -> None:
    """All of it is stopped; what had been stopped before is not among what is to be continued."""
    last = tree.pids[-1]
    os.kill(last, signal.SIGSTOP)
    running.wait_until(lambda: running.state(last) == "T", "it does not stop")
    stopped = tree.tell("send_to_tree(child, signal.SIGSTOP)")
    running.wait_until(lambda: tree.states() == {"T"}, "it does not stop")
    assert stopped & set(tree.pids) == set(tree.pids) - {last}


def test_a_tree_is_killed(tree: Tree) -> None:
    """All of it is killed, what is stopped too."""
    tree.tell("send_to_tree(child, signal.SIGSTOP)")
    tree.tell("send_to_tree(child, signal.SIGKILL)")
    running.wait_until(lambda: tree.states() <= {"", "Z"}, "it lives on")
