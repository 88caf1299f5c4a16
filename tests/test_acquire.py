from __future__ import annotations

import asyncio
import errno
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from policy import acquire
from policy.errors import LockTimeout, LockUnavailable
from policy.locks import hold as locks
from policy.rules.decision import PlainChain
from policy.rules.plain import BUILT_IN
from policy.rules.rule import Rule
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from policy.locks.hold import Held
    from policy.rules.decision import Decision
    from policy.rules.request import Request

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def refusal(path: str, number: int = errno.EROFS) -> LockUnavailable:
    """The kernel's no to a lock file."""
    return LockUnavailable(path, number, remedy="change something")


def deciding(asked: Request, *rules: Rule) -> Callable[[], Decision]:
    """Asks some rules, and then the built-in ones."""
    program = PlainChain([*(rule for rule in rules), *BUILT_IN], {})
    return lambda: program.decide(asked)


@pytest.fixture
def root(tmp_path: Path) -> str:
    """An environment that can be written."""
    return str(factories.virtualenv(tmp_path / "env"))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_corrects(root: str, number: int) -> None:
    """Where the kernel refuses a local file that seemed writable, the rules are asked once more, and it shows."""
    asked = factories.request(root=root)
    decide = deciding(asked)
    first = decide()
    assert (first.lock, asked.facts["writable"]) == (("local",), True)
    again = acquire.correct(first, refusal(f"{root}/.lock", number), decide)
    assert again is not None
    assert (again.lock, again.rule.name, asked.facts["writable"]) == (("global",), "read-only", False)
    assert again.corrected == f"{root}/.lock could not be made although it seemed so: {os.strerror(number)}"
    (check,) = next(step for step in again.steps if step.outcome == "matched").checks
    assert (check.key, check.seen, check.detail) == ("writable", False, os.strerror(number))


def test_corrects_once(root: str) -> None:
    """The fact is corrected once: a second no is an error."""
    asked = factories.request(root=root)
    decide = deciding(asked)
    first = decide()
    assert acquire.correct(first, refusal(f"{root}/.lock"), decide) is not None
    assert acquire.correct(first, refusal(f"{root}/.lock"), decide) is None


@pytest.mark.parametrize(
    ("path", "number"), [("/elsewhere/.lock", errno.EROFS), ("{root}/.lock", errno.ENOSPC), ("{root}/.lock", 0)]
)
def test_says_nothing_about_writable(root: str, path: str, number: int) -> None:
    """Another file, a full disk or a hostile file say nothing about the fact."""
    asked = factories.request(root=root)
    decide = deciding(asked)
    error = LockUnavailable(path.format(root=root), number, "reason")
    assert acquire.correct(decide(), error, decide) is None
    assert asked.facts["writable"] is True


def test_same_plan_again(root: str) -> None:
    """Where the rules want the same file whatever is writable, there is nothing to correct."""
    asked = factories.request(root=root)
    decide = deciding(asked, Rule("local", name="mine"))
    assert acquire.correct(decide(), refusal(f"{root}/.lock"), decide) is None


def refusing(*errors: Exception) -> Callable[[Decision], Held]:
    """Takes nothing as often as there are errors, then an empty plan."""
    left = list(errors)

    def hold(decision: Decision) -> Held:
        if left:
            raise left.pop(0)
        return locks.Held(acquire.paths(decision), ())

    return hold


def take(root: str, hold: Callable[[Decision], Held], *rules: Rule, way: str) -> tuple[Decision, Held, list[str]]:
    """Decides and takes, by `take` or `take_async`; gives what was warned of, too."""
    warnings: list[str] = []
    decide = deciding(factories.request(root=root), *rules)
    if way == "take":
        return *acquire.take(decide(), decide, hold, warnings.append), warnings

    async def hold_async(decision: Decision) -> Held:
        await asyncio.sleep(0)
        return hold(decision)

    return *asyncio.run(acquire.take_async(decide(), decide, hold_async, warnings.append)), warnings


BOTH_WAYS = pytest.mark.parametrize("way", ["take", "take_async"])


@BOTH_WAYS
def test_takes(root: str, way: str) -> None:
    """What was decided is held."""
    decision, held, warnings = take(root, refusing(), way=way)
    assert (decision.lock, held.files, warnings, decision.corrected) == (("local",), (f"{root}/.lock",), [], "")


@BOTH_WAYS
def test_takes_corrected(root: str, way: str) -> None:
    """After a correction the new plan is held."""
    decision, held, warnings = take(root, refusing(refusal(f"{root}/.lock")), way=way)
    assert (decision.lock, held.files, warnings) == (("global",), acquire.paths(decision), [])
    assert decision.corrected


@BOTH_WAYS
def test_fails_closed(root: str, way: str) -> None:
    """No lock, no work: the error names the file, the rule, the reason and the remedy."""
    with pytest.raises(LockUnavailable) as caught:
        take(root, refusing(refusal(f"{root}/.lock", errno.ENOSPC)), Rule("local", name="mine"), way=way)
    text = os.strerror(errno.ENOSPC)
    assert str(caught.value) == f"{root}/.lock: cannot be locked (rule mine): {text}; change something"
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(LockTimeout):
        take(root, refusing(LockTimeout(f"{root}/.lock", 1)), Rule("local", name="mine"), way=way)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LockTimeout("/l", 1.5), "/l: not locked within 1.5 s: who holds it cannot be known from here"),
        (LockUnavailable("/l", 0, "it is a FIFO"), "/l: cannot be locked (rule mine): it is a FIFO"),
    ],
)
def test_not_required(root: str, error: Any, message: str, way: str) -> None:
    """A rule that does not require the lock goes on without it, and says so in one line."""
    rule = Rule("local", name="mine", required=False)
    decision, held, warnings = take(root, refusing(error), rule, way=way)
    assert (decision.rule, held.files) == (rule, ())
    assert warnings == [f"going on without a lock, as rule mine allows: {message}"]
    held.release()


def test_correction_before_doing_without(root: str) -> None:
    """A rule that does not require the lock is corrected first: a better plan is better than none."""
    writable = Rule("local", (("writable", True),), "mine", required=False)
    decision, held, warnings = take(root, refusing(refusal(f"{root}/.lock")), writable, way="take")
    assert (decision.lock, held.files, warnings) == (("global",), acquire.paths(decision), [])


def test_options(tmp_path: Path) -> None:
    """The local file is told from the others, and /tmp is not made."""
    asked = factories.request(root=str(tmp_path))
    decision = deciding(asked, Rule("both"))()
    assert acquire.options(decision)["local"] == (f"{tmp_path}/.lock",)
    assert acquire.options(decision)["make"] == ""
    assert acquire.paths(decision) == tuple(file.path for file in decision.plan)
