"""Brute force: chains of random rules, random edits of them, and requests enough to meet most differences."""

from __future__ import annotations

import random
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from policy.checks import diff as diffing
from policy.checks import reach
from policy.checks.diff import Difference, diff, edits
from policy.config.read import BUILT_IN
from policy.rules.chain import Chain
from policy.rules.effect import effect
from policy.rules.plain import Setting
from policy.rules.rule import Rule
from policy.rules.supposition import request
from tests.checks.test_reach import facts, first, table, tell

if TYPE_CHECKING:
    from policy.rules.request import Request

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

FOLDER = "/srv/app"


def _rule(rnd: random.Random, match: Any = None) -> Rule:
    return Rule(
        rnd.choice(["local", "global", "both", "beside"]),
        table(rnd) if match is None else match,
        required=rnd.random() < 0.85,
        confined=rnd.random() < 0.5,
        timeout=rnd.choice([None, None, 5]),
        layer="project",
    )


def _edited(rnd: random.Random, rules: list[Rule]) -> list[Rule]:
    """The rules after up to three random edits."""
    made = list(rules)
    for _ in range(rnd.choice([0, 1, 2, 3])):
        how = rnd.choice(["insert", "delete", "move", "effect", "match"])
        if how == "insert" or not made:
            made.insert(rnd.randint(0, len(made)), _rule(rnd))
            continue
        one = made.pop(at := rnd.randrange(len(made)))
        if how == "move":
            made.insert(rnd.randint(0, len(made)), one)
        elif how != "delete":
            made.insert(at, _rule(rnd, one.match if how == "effect" else None))
    return made


def _effect(chain: Chain, asked: Request) -> tuple[Rule, Any]:
    """The rule that decides a request, found by asking each, and what it does there."""
    number = first(chain.rules, asked)
    environment = asked.environment
    spelled: Any = asked.facts.get("environment", environment.root)
    inside = f"{spelled[-1] if isinstance(spelled, tuple) else spelled}/".startswith(f"{FOLDER}/")
    return chain.rules[number], effect(
        chain.rules[number], chain.settings, system=environment.kind == "system", inside=inside
    )


def brute_force(seed: int, edits: int, requests: int) -> Counter[str]:
    """Asserts of random edits that no witness is wrong and no difference missed, and counts them."""
    rnd = random.Random(seed)  # noqa: S311  (a test that can be repeated)
    asked = [request(facts(rnd)) for _ in range(requests)]
    said: Counter[str] = Counter()
    for _ in range(edits):
        rules = [_rule(rnd) for _ in range(rnd.randint(1, 5))]
        old, new = Chain((*rules, *BUILT_IN)), Chain((*_edited(rnd, rules), *BUILT_IN))
        found = diff(old, new, FOLDER)
        known = {(id(one), id(other)) for one, other in found.open}
        said["not proven"] += len(known)
        for region in found.regions:
            before, after = (_effect(chain, request(region.example.facts)) for chain in (old, new))
            assert before == (region.before.rule, region.before.effect)
            assert after == (region.after.rule, region.after.effect)
            assert before[1] != after[1]
            known.add((id(region.before.rule), id(region.after.rule)))
            said["witnesses"] += 1
        for one in asked:
            before, after = _effect(old, one), _effect(new, one)
            said["decisions"] += 1
            if before[1] != after[1]:
                said["decisions that differ"] += 1
                assert (id(before[0]), id(after[0])) in known
    return said


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_brute_force(seed: int) -> None:
    """Every witness shows a difference, and every difference that a request shows is known."""
    assert brute_force(seed, 20, 150)["decisions that differ"]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(300, 310))
def test_brute_force_for_long(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for 2,000 edits, each asked 2,000 requests."""
    said = brute_force(seed, 200, 2_000)
    tell(capsys, "diff", seed, said)
    assert not said["not proven"]


def _diff(old: list[Rule], new: list[Rule], **more: Any) -> Difference:
    return diff(Chain((*old, Rule("global"))), Chain((*new, Rule("global")), **more), FOLDER)


def test_same() -> None:
    """A copy differs in nothing, and neither do two rules that exchange places where no request meets both."""
    one, other = Rule("local", {"user": "a"}), Rule("beside", {"user": "b"})
    assert not _diff([one, other], [one, other]).differs
    found = _diff([one, other], [other, one])
    assert not found.differs
    assert [edit.what for edit in found.edits] == ["moved"]


def test_setting() -> None:
    """A setting that moves a lock changes what each rule does that takes it, and a witness shows both plans."""
    settings = {"global-dir": Setting("/run/lock", "x.toml", 1, "project")}
    (region,) = _diff([], [], settings=settings).regions
    assert [entry["purpose"] for entry in region.before.plan] == ["gate"]
    assert [entry["purpose"] for entry in region.after.plan] == ["gate", "global"]


def test_global_of_a_virtual_environment() -> None:
    """Where two rules lead to the same plan for every kind of environment that they decide, nothing differs."""
    match = {"kind": "virtualenv"}
    assert not _diff([Rule("local", match)], [Rule("both", match)]).differs
    assert _diff([Rule("local", {"user": "a"})], [Rule("both", {"user": "a"})]).differs


def test_not_required_below_the_checkout() -> None:
    """`required = false` of a checkout changes what happens below its folder only, and the witness lies there."""
    old, new = Rule("local", {"kind": "virtualenv"}), Rule("local", {"kind": "virtualenv"}, required=False)
    (region,) = _diff([old], [_confined(new)]).regions
    assert f"{request(region.example.facts).environment.root}/".startswith(f"{FOLDER}/")
    elsewhere = {"kind": "virtualenv", "not": {"environment": [FOLDER, f"{FOLDER}/**"]}}
    both = Rule("local", elsewhere), _confined(Rule("local", elsewhere, required=False))
    assert not _diff([both[0]], [both[1]]).differs


def _confined(rule: Rule) -> Rule:
    return Rule(rule.lock, rule.match, required=rule.required, confined=True)


def test_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left open is said, and counts as a difference."""
    monkeypatch.setattr(reach, "GUESSES", 0)
    found = _diff([Rule("local", {"user": "a"})], [Rule("beside", {"user": "a"})])
    assert found.differs
    assert found.open
    monkeypatch.setattr(diffing, "PAIRS", 0)
    found = _diff([Rule("local", {"user": "a"})], [Rule("beside", {"user": "a"})])
    assert found.differs
    assert not found.complete


def test_edits() -> None:
    """Rules are new, gone, changed or moved; those between which one was put have not moved."""
    a, b, c = (Rule("local", {"user": name}, name=name) for name in "abc")
    changed = Rule("global", {"user": "b"}, name="b")
    assert [(edit.what, edit.rule) for edit in edits([a, b], [c, a, changed])] == [("new", c), ("changed", changed)]
    assert [(edit.what, edit.rule) for edit in edits([a, b, c], [c, a])] == [("moved", c), ("gone", b)]
