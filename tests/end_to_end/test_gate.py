"""Two callers of one environment never miss each other, whatever their rules, users, variables and spellings are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import gate_cases, gate_uv_cases, processes
from tests.gate_cases import Caller, Pair, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock, users and links", allow_module_level=True)

CASES = [
    *(pytest.param(case, id=f"{line}-{case.__name__}") for line, cases in gate_cases.LINES.items() for case in cases),
    *(pytest.param(case, id=f"11-{case.__name__}", marks=pytest.mark.slow) for case in gate_uv_cases.LINE),
]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An environment of its own."""
    return World(tmp_path.resolve())


class Inside:
    """A caller whose command runs by now, and goes on until it is let go.

    Args:
        world: Where.
        caller: Who.
    """

    def __init__(self, world: World, caller: Caller) -> None:
        self.caller = caller
        self.process = subprocess.Popen(
            **world.words(caller, "30"),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        if caller.build:
            caller.build.wait(self.process)
            return
        said = self.process.stdout.readline()
        assert said == "inside\n", said + self.process.communicate()[1]

    def leave(self) -> None:
        """Lets it come to its end."""
        if self.caller.build:
            self.caller.build.proceed()
        _, errors = self.process.communicate(timeout=processes.PATIENCE)
        assert self.process.returncode == 0, errors


@pytest.fixture
def inside(world: World) -> Iterator[Callable[[Caller], Inside]]:
    """Lets callers in; none stays inside when the test ends."""
    entered: list[Inside] = []

    def enter(caller: Caller) -> Inside:
        entered.append(Inside(world, caller))
        return entered[-1]

    yield enter
    for one in entered:
        if one.process.poll() is None:
            one.leave()


def contender(world: World, caller: Caller) -> int:
    """What comes of a caller that does not wait: 124 where somebody is inside."""
    done = subprocess.run(
        **world.words(caller, "0"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=processes.PATIENCE,
    )
    assert done.returncode in (0, 124, 125), done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode == 0) or "inside" not in done.stdout
    return done.returncode


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("case", CASES)
def test_meet(world: World, inside: Callable[[Caller], Inside], case: Callable[[World], Pair], order: str) -> None:
    """While one is inside the other is kept out, whoever came first; afterwards it gets in."""
    pair = case(world)
    holder, other = pair if order == "first" else reversed(pair)
    if holder.refused:
        assert contender(world, holder) == 125  # no lock, no work
        return
    entered = inside(holder)
    assert contender(world, other) == 124
    entered.leave()
    if other.build:
        other.build.proceed()
    assert contender(world, other) == (125 if other.refused else 0)
