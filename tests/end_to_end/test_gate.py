"""Two callers of one environment never miss each other, whatever their rules, users, variables and spellings are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.locks.open_file import attempt
from tests import factories, gate_cases, gate_uv_cases, processes, requirements
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
        _, errors = self.process.communicate(timeout=processes.TIMEOUT)
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
        timeout=processes.TIMEOUT,
    )
    assert done.returncode in (0, 124, 125), done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode == 0) or "inside" not in done.stdout
    return done.returncode


@pytest.mark.slow
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


# Takes a lock, lets the test change something, and takes it again; perhaps of an Environment that it keeps.
AGAIN = """
import sys, policy
rules = policy.load()
env = sys.argv[1]
if sys.argv[2] == "kept":
    env = policy.find_environment(env)
    rules.decide(policy.Request(env))
with policy.lock(env, rules=rules):
    pass
print("known", flush=True)
sys.stdin.readline()
try:
    with policy.lock(env, rules=rules, timeout=0):
        print("inside", flush=True)
        sys.stdin.readline()
except policy.LockTimeout:
    print("kept out", flush=True)
"""


class Program:
    """A program that has taken the lock once, and is about to take it again.

    Args:
        world: Where.
        root: What it locks; absent: the environment of the world.
        keep: Whether it goes on with the Environment that it has found.
        prefix: A command that starts it.
    """

    def __init__(
        self, world: World, root: Path | None = None, *, keep: bool = False, prefix: tuple[str, ...] = ()
    ) -> None:
        program = (sys.executable, "-c", AGAIN, root or world.root, "kept" if keep else "named")
        words = world.words(Caller(None, program=program, prefix=prefix), "0")
        self.process = subprocess.Popen(**words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.says() == "known"

    def says(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        line: str = self.process.stdout.readline()
        return line.strip()

    def proceed(self) -> None:
        """Lets it do the next thing."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Waits for its end."""
        self.process.communicate(timeout=processes.TIMEOUT)
        assert self.process.returncode == 0


def gate_alone(world: World) -> None:
    """Writes a rule by which nothing is held but the gate: no file in the environment makes up for another gate."""
    world.rule("lock-policy.toml", '[[rules]]\nlock = "global"\n')


def move(world: World) -> None:
    """Puts a link in the place of the folder above the environment."""
    (world.directory / "work").rename(world.directory / "moved")
    (world.directory / "work").symlink_to("moved")


@pytest.mark.parametrize("keep", [False, True])
def test_moved_while_a_program_runs(world: World, inside: Callable[[Caller], Inside], *, keep: bool) -> None:
    """A program that knew an environment meets all others where a folder above it has become a link, in both orders."""
    gate_alone(world)
    program, late = Program(world, keep=keep), Program(world, keep=keep)
    move(world)
    program.proceed()
    assert program.says() == "inside"
    for spelling in (world.root, world.directory / "moved" / "env"):
        assert contender(world, Caller(spelling)) == 124
    program.proceed()
    program.end()
    entered = inside(Caller(world.directory / "moved" / "env"))
    late.proceed()
    assert late.says() == "kept out"
    late.end()
    entered.leave()


@pytest.mark.parametrize("keep", [False, True])
def test_link_swapped_while_a_program_runs(world: World, inside: Callable[[Caller], Inside], *, keep: bool) -> None:
    """A program whose environment is a link meets those in the one to which it leads by then, in both orders."""
    first, second = world.root, factories.virtualenv(world.directory / "work" / "second")
    link = world.directory / "work" / "current"
    link.symlink_to(first)
    gate_alone(world)
    program, late = Program(world, link, keep=keep), Program(world, link, keep=keep)
    entered = inside(Caller(first))
    link.unlink()
    link.symlink_to(second)
    program.proceed()
    assert program.says() == "inside"
    assert contender(world, Caller(second)) == 124
    program.proceed()
    program.end()
    entered.leave()
    entered = inside(Caller(second))
    late.proceed()
    assert late.says() == "kept out"
    late.end()
    entered.leave()


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("shown", ["itself", "the folder above", "another"])
def test_mounted_while_a_program_runs(
    world: World, inside: Callable[[Caller], Inside], shown: str, *, keep: bool
) -> None:
    """A program meets those in the environment that a mount shows in the place of its own by then, in both orders."""
    own = ("unshare", "--mount")
    requirements.need_root()
    requirements.need(subprocess.run([*own, "true"], check=False).returncode == 0, "needs mount namespaces")
    gate_alone(world)
    program, late = Program(world, keep=keep, prefix=own), Program(world, keep=keep, prefix=own)
    place = world.root.parent if shown == "the folder above" else world.root
    source = place.with_name("moved")
    if shown == "another":
        factories.virtualenv(source)
    else:
        place.rename(source)
        place.mkdir()
    for one in (program, late):
        words = ["nsenter", "--target", str(one.process.pid), "--mount", "mount", "--bind", str(source), str(place)]
        subprocess.run(words, check=True)
    there = Caller(source / world.root.relative_to(place))
    program.proceed()
    assert program.says() == "inside"
    assert contender(world, there) == 124
    program.proceed()
    program.end()
    entered = inside(there)
    late.proceed()
    assert late.says() == "kept out"
    late.end()
    entered.leave()


def test_rule_changed_while_a_program_runs(world: World) -> None:
    """A program takes what the rules say by then: who holds uv's own file is met after a rule for that, not before."""
    file = world.rule("work/lock-policy.toml", '[[rules]]\nlock = "global"\n')
    lock = world.root / ".lock"
    before, after = Program(world), Program(world)
    with lock.open("w") as held:
        assert attempt(held.fileno())
        before.proceed()
        assert before.says() == "inside"
        before.proceed()
        before.end()
        file.write_text('[[rules]]\nlock = "local"\n', encoding="utf-8")
        after.proceed()
        assert after.says() == "kept out"
        after.end()
