from __future__ import annotations

import asyncio
import errno
import os
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest

from policy import acquire
from policy.errors import LockTimeout, LockUnavailable
from policy.locks.hold import Held, drive, drive_async
from policy.rules.decision import PlainChain
from policy.rules.plain import BUILT_IN
from policy.rules.rule import Rule
from tests import factories, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from policy.config.loading import Rules
    from policy.locks.backend import Pause
    from policy.rules.decision import Decision

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def refusal(path: str, number: int = errno.EROFS) -> LockUnavailable:
    """The kernel's no to a lock file."""
    return LockUnavailable(path, number, remedy="change something")


def deciding(*rules: Rule) -> Rules:
    """Some rules, and then the built-in ones."""
    return cast("Rules", PlainChain([*rules, *BUILT_IN], {}))


@pytest.fixture
def root(tmp_path: Path) -> str:
    """An environment that can be written."""
    return str(factories.virtualenv(tmp_path / "env"))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_corrects(root: str, number: int) -> None:
    """Where the kernel refuses a local file that seemed writable, the rules are asked once more, and it shows."""
    asked = factories.request(root=root)
    rules = deciding()
    first = rules.decide(asked)
    assert (first.lock, asked.facts["writable"]) == (("local",), True)
    again = acquire.correct(first, refusal(f"{root}/.lock", number), rules)
    assert again is not None
    assert (again.lock, again.rule.name, asked.facts["writable"]) == (("global",), "read-only", False)
    assert again.corrected == f"{root}/.lock seemed writable, but could not be created: {os.strerror(number)}"
    (check,) = next(step for step in again.steps if step.outcome == "matched").checks
    assert (check.key, check.seen, check.detail) == ("writable", False, os.strerror(number))


def test_corrects_once(root: str) -> None:
    """The fact is corrected once: a second no is an error."""
    asked = factories.request(root=root)
    rules = deciding()
    first = rules.decide(asked)
    assert acquire.correct(first, refusal(f"{root}/.lock"), rules) is not None
    assert acquire.correct(first, refusal(f"{root}/.lock"), rules) is None


@pytest.mark.parametrize(
    ("path", "number"), [("/elsewhere/.lock", errno.EROFS), ("{root}/.lock", errno.ENOSPC), ("{root}/.lock", 0)]
)
def test_says_nothing_about_writable(root: str, path: str, number: int) -> None:
    """Another file, a full disk or a hostile file say nothing about the fact."""
    asked = factories.request(root=root)
    rules = deciding()
    error = LockUnavailable(path.format(root=root), number, "reason")
    assert acquire.correct(rules.decide(asked), error, rules) is None
    assert asked.facts["writable"] is True


def test_same_plan_again(root: str) -> None:
    """Where the rules want the same file whatever is writable, there is nothing to correct."""
    asked = factories.request(root=root)
    rules = deciding(Rule("local", name="mine"))
    assert acquire.correct(rules.decide(asked), refusal(f"{root}/.lock"), rules) is None


class Taking:
    """Takes nothing as often as there are errors, then as if all were held.

    Args:
        errors: What goes wrong, in this order.
    """

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self, held: Held, **options: Any) -> Generator[Pause, None, None]:
        """Stands in for `hold.take`."""
        assert not held.taken
        assert options["environ"] == {}
        if self.errors:
            raise self.errors.pop(0)
        yield from ()


@pytest.fixture
def take(root: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Decision, Held, list[str]]]:
    """Carries out a decision, in a thread or in a task; gives what was warned of, too."""

    def taken(taking: Taking, *rules: Rule, way: str) -> tuple[Decision, Held, list[str]]:
        monkeypatch.setattr(acquire, "take", taking)
        warnings: list[str] = []
        decide, held = deciding(*rules), Held()
        steps = acquire.steps(held, decide, decide.decide(factories.request(root=root)), warn=warnings.append)
        decision = drive(held, steps) if way == "thread" else asyncio.run(drive_async(held, steps))
        return decision, held, warnings

    return taken


BOTH_WAYS = pytest.mark.parametrize("way", ["thread", "task"])


@BOTH_WAYS
def test_takes(take: Any, way: str) -> None:
    """What was decided is held."""
    decision, held, warnings = take(Taking(), way=way)
    assert (decision.lock, held.locks, warnings, decision.corrected) == (("local",), decision.plan, [], "")


@BOTH_WAYS
def test_takes_corrected(root: str, take: Any, way: str) -> None:
    """After a correction the new plan is held."""
    decision, held, warnings = take(Taking(refusal(f"{root}/.lock")), way=way)
    assert (decision.lock, held.locks, warnings) == (("global",), decision.plan, [])
    assert decision.corrected


@BOTH_WAYS
def test_fails_closed(root: str, take: Any, way: str) -> None:
    """No lock, no work: the error names the file, the rule, the reason and the remedy."""
    with pytest.raises(LockUnavailable) as caught:
        take(Taking(refusal(f"{root}/.lock", errno.ENOSPC)), Rule("local", name="mine"), way=way)
    text = os.strerror(errno.ENOSPC)
    assert str(caught.value) == f"{root}/.lock: cannot be locked (rule mine): {text}; change something"
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(LockTimeout):
        take(Taking(LockTimeout(f"{root}/.lock", 1)), Rule("local", name="mine"), way=way)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LockTimeout("/l", 1.5), "/l: timed out after 1.5 s: cannot tell who holds it"),
        (LockUnavailable("/l", 0, "it is a FIFO"), "/l: cannot be locked (rule mine): it is a FIFO"),
    ],
)
def test_not_required(take: Any, error: Any, message: str, way: str) -> None:
    """A rule that does not require the lock continues without it, and says so in one line."""
    rule = Rule("local", name="mine", required=False)
    decision, held, warnings = take(Taking(error), rule, way=way)
    assert (decision.rule, held.locks) == (rule, ())
    assert warnings == [f"continuing without a lock, as rule mine allows: {message}"]
    held.release()


def test_correction_before_doing_without(root: str, take: Any) -> None:
    """A rule that does not require the lock is corrected first: a better plan is better than none."""
    writable = Rule("local", (("writable", True),), "mine", required=False)
    decision, held, warnings = take(Taking(refusal(f"{root}/.lock")), writable, way="thread")
    assert (decision.lock, held.locks, warnings) == (("global",), decision.plan, [])


def test_some_only_free(root: str) -> None:
    """What is left to the command is waited for by the same deadline, and not held."""
    rules = deciding(Rule("both", timeout=0.2))
    decision = rules.decide(factories.request(root=root))
    ours, left = decision.plan[:-1], decision.plan[-1:]

    def carry_out() -> Held:
        held = Held()
        drive(held, acquire.steps(held, rules, decision, warn=print, adapt=lambda _: (ours, left)))
        return held

    with carry_out() as held:
        assert held.taken == list(ours)
        assert processes.probe(left[0].name, near=[left[0].name])["outcome"] == "held"
    holder = processes.holder(left[0].name)
    with pytest.raises(LockTimeout) as caught:
        carry_out()
    processes.end(holder)
    assert caught.value.path == left[0].name
    assert processes.probe(ours[0].name)["outcome"] == "held"


@pytest.mark.parametrize(("kind", "expected"), [("virtualenv", ["gate"]), ("target", ["gate", "local"])])
def test_empty_folder(tmp_path: Path, kind: str, expected: list[str]) -> None:
    """An empty folder stays empty for who makes an environment there; one that uv installs into is locked."""
    folder = tmp_path / "empty"
    folder.mkdir()
    rules, held = deciding(), Held()
    drive(held, acquire.steps(held, rules, rules.decide(factories.request(root=str(folder), kind=kind)), warn=print))
    with held:
        assert [lock.purpose for lock in held.taken] == expected
        assert os.listdir(folder) == ([".lock"] if "local" in expected else [])
