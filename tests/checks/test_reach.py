"""Brute force: chains of random rules, and requests enough to reach whatever can be reached."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest

from policy.checks import reach as reaching
from policy.checks.reach import Reach
from policy.rules import conditions
from policy.rules.excludes import reached
from policy.rules.rule import Rule
from policy.rules.supposition import request

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

PATHS = ["/a", "/a/b", "/a/b/c", "/b", "/b/x", "/home/user/w", "/home/user/w/x", "/x/w", "/srv/app/env", "/srv/lib/env"]
PATTERNS = [
    "/a",
    "/a/*",
    "/a/**",
    "**/b",
    "**/x",
    "/*/x",
    "/*",
    "**",
    "/b/[x-z]",
    "~/w",
    "~/w/*",
    "/home/**",
    "/srv/a*",
]
TEXTS = ["a", "ab", "abc", "b", "x", "sync", ""]
GLOBS = ["a*", "*b", "a", "ab", "?", "*", "[ab]*", "x", "sync", "*c"]
VALUES = [None, "1", "TRUE", "0", "no", "maybe", "ab", ""]
KINDS = ["virtualenv", "system", "target", "prefix"]
FLAGS = ("writable", "externally-managed")
PATH_KEYS = ("environment", "interpreter", "project", "base-interpreter")
TEXT_KEYS = ("host", "operation", "user")


def table(rnd: random.Random, depth: int = 0) -> dict[str, Any]:
    """A match table."""
    made: dict[str, Any] = {}
    for key in rnd.sample(
        [*PATH_KEYS, *TEXT_KEYS, *FLAGS, "kind", "env", "any", "all", "not"], rnd.choice([1, 1, 2, 3])
    ):
        if key in PATH_KEYS:
            made[key] = rnd.sample(PATTERNS, rnd.choice([1, 1, 2]))
        elif key in TEXT_KEYS:
            made[key] = rnd.sample(GLOBS, rnd.choice([1, 1, 2]))
        elif key in FLAGS:
            made[key] = rnd.random() < 0.5
        elif key == "kind":
            made[key] = rnd.sample(KINDS, rnd.randint(1, 3))
        elif key == "env":
            wanted: list[Any] = [True, False, "a*", "1", "*"]
            made[key] = {name: rnd.choice(wanted) for name in rnd.sample("AB", rnd.randint(1, 2))}
        elif depth < 2:
            made[key] = table(rnd, depth + 1) if key == "not" else [table(rnd, depth + 1) for _ in range(2)]
    return made or {"writable": True}


def facts(rnd: random.Random) -> dict[str, Any]:
    """All facts of a request."""
    given: dict[str, Any] = {key: rnd.choice([(path,), (path, rnd.choice(PATHS))]) for key, path in _paths(rnd)}
    given["base-interpreter"] = rnd.choice([*PATHS, ""])
    if rnd.random() < 0.3:
        given["project"] = ""
    given |= {key: rnd.choice(TEXTS) for key in TEXT_KEYS} | {key: rnd.random() < 0.5 for key in FLAGS}
    variables = {name: value for name in "AB" if (value := rnd.choice(VALUES)) is not None}
    return {
        **given,
        "kind": rnd.choice(KINDS),
        "env": tuple(variables.items()),
        "home": rnd.choice(["/home/user", "/x"]),
    }


def _paths(rnd: random.Random) -> list[tuple[str, str]]:
    return [(key, rnd.choice(PATHS)) for key in PATH_KEYS]


def planted(rnd: random.Random, rules: list[Rule]) -> list[Rule]:
    """A rule that can never decide after these: a copy, a permutation, a specialisation, or covered by two together."""
    at = rnd.randrange(len(rules))
    base = conditions.toml(rules[at].match)
    how = rnd.choice(["copy", "permutation", "specialisation", "together"])
    if how == "copy":
        return [*rules, Rule("global", base)]
    if how == "permutation":
        items = list(base.items())
        rnd.shuffle(items)
        return [*rules, Rule("global", dict(items))]
    key = next((key for key in FLAGS if key not in base), None)
    if how == "specialisation" or key is None:
        return [*rules, Rule("global", {"kind": "system", "operation": "sync", **base})]
    rules[at : at + 1] = [Rule("local", {**base, key: True}), Rule("local", {**base, key: False})]
    return [*rules, Rule("global", base)]


@pytest.mark.parametrize("seed", range(4))
def test_brute_force(seed: int) -> None:
    """No rule is called dead that a request reaches, every planted rule is, and every example is decided as it says."""
    rnd = random.Random(seed)  # noqa: S311  (a test that can be repeated)
    asked = [request(facts(rnd)) for _ in range(400)]
    for _ in range(40):
        rules = planted(rnd, [Rule("local", table(rnd)) for _ in range(rnd.randint(2, 6))])
        reach = Reach([*rules, Rule("global")])
        decided = {
            next(number for number, rule in enumerate(reach.rules) if conditions.holds(rule.match, one))
            for one in asked
        }
        for number in range(len(rules)):
            answer = reach.of(number)
            if answer.decides:
                assert reach.decider(answer.examples[0]) == number
                assert number < len(rules) - 1, "a planted rule was missed"
            elif answer.proven:
                assert number not in decided
                for example in answer.examples:
                    assert conditions.holds(reach.rules[number].match, request(example.facts))
                    assert reach.decider(example) < number


def first_of(rules: list[Rule], given: dict[str, Any]) -> int:
    """The rule that decides, found by asking each."""
    asked = request(given)
    return next(number for number, rule in enumerate(rules) if conditions.holds(rule.match, asked))


def differs(rules: list[Rule]) -> Any:
    """Whether a rule keeps out fewer than another one."""

    def asked(example: Any, one: int, other: int) -> bool:
        kind = str(example.facts.get("kind", "virtualenv"))
        return bool(reached(rules[other].lock, kind) - reached(rules[one].lock, kind))

    return asked


@pytest.mark.parametrize("seed", range(3))
def test_brute_force_by_caller(seed: int) -> None:
    """Where all callers are said to get the same, no two requests about one environment show otherwise."""
    rnd = random.Random(seed)  # noqa: S311  (a test that can be repeated)
    caller = [key for key, condition in conditions.CONDITIONS.items() if condition.caller] + ["home"]
    for _ in range(40):
        made = [Rule(rnd.choice(["local", "global"]), table(rnd), layer="project") for _ in range(rnd.randint(1, 4))]
        rules = [*made, Rule("global")]
        reach = Reach(rules)
        pairs = []
        for _ in range(150):
            one, other = facts(rnd), facts(rnd)
            pairs.append((one, {**one, **{key: other[key] for key in caller}}))
        decided = [[first_of(rules, side) for side in pair] for pair in pairs]
        for number, rule in enumerate(rules):
            answer = reach.by_caller(number, differs(rules))
            if answer is None:
                for deciders, pair in zip(decided, pairs, strict=True):
                    for here, there in ((0, 1), (1, 0)):
                        if deciders[here] == number and not conditions.holds(rule.match, request(pair[there])):
                            kind = pair[0]["kind"]
                            assert reached(rules[deciders[there]].lock, kind) <= reached(rule.lock, kind)
            elif answer.proven:
                assert reach.decider(answer.examples[0]) == number
                assert reach.decider(answer.examples[1]) == answer.rules[0] != number


def test_no_home_matters() -> None:
    """What is dead wherever the home directory lies is called dead, also where other patterns are absolute."""
    rules = [Rule("local", {"environment": ["~/w", "/a"]}), Rule("both", {"environment": "~/w/x"}), Rule("global")]
    assert Reach(rules).of(1).rules == (0,)
    apart = [Rule("local", {"environment": "/home/*"}), Rule("both", {"environment": "~/w"}), Rule("global")]
    assert Reach(apart).of(1).decides


def test_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a case is left open, that is said."""
    monkeypatch.setattr(reaching, "GUESSES", 0)
    rules = [Rule("local", {"host": "a*"}), Rule("both", {"any": [{"host": "ab"}]}), Rule("global")]
    assert Reach(rules).of(1).proven is False
