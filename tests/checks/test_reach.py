"""Brute force: chains of random rules, and requests enough to reach whatever can be reached."""

from __future__ import annotations

import random
import sys
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from policy.checks import languages
from policy.checks import reach as reaching
from policy.checks.reach import Reach
from policy.rules import condition, conditions
from policy.rules.excludes import reached
from policy.rules.rule import Rule
from policy.rules.supposition import CWD, HOME, PLAIN_HOME, complete, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.rules.request import Request

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
HOMES = ["/home/user", "/x"]
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
        "home": rnd.choice(HOMES),
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


def first(rules: Sequence[Rule], asked: Request) -> int:
    """The rule that decides, found by asking each."""
    return next(number for number, rule in enumerate(rules) if condition.holds(rule.match, asked))


def brute_force(seed: int, chains: int, requests: int) -> Counter[str]:
    """Asserts of random chains that nothing of what is said of them is wrong, and counts what was said."""
    rnd = random.Random(seed)  # noqa: S311  (a test that can be repeated)
    asked = [request(facts(rnd)) for _ in range(requests)]
    said: Counter[str] = Counter()
    for _ in range(chains):
        rules = planted(rnd, [Rule("local", table(rnd)) for _ in range(rnd.randint(2, 6))])
        reach = Reach([*rules, Rule("global")])
        decided = {first(reach.rules, one) for one in asked}
        for number in range(len(rules)):
            answer = reach.of(number)
            said["rules"] += 1
            if answer.decides:
                assert reach.decider(answer.examples[0]) == number
                assert number < len(rules) - 1, "a planted rule was missed"
            elif answer.proven:
                said["dead"] += 1
                said["planted and found"] += number == len(rules) - 1
                assert number not in decided
                for example in answer.examples:
                    assert condition.holds(reach.rules[number].match, request(example.facts))
                    assert reach.decider(example) < number
            else:
                said["not proven"] += 1
    return said


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_brute_force(seed: int) -> None:
    """No rule is called dead that a request reaches, every planted rule is, and every example is decided as it says."""
    said = brute_force(seed, 40, 400)
    assert said["planted and found"] >= 39
    assert said["dead"] > said["planted and found"]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_brute_force_for_long(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for 2,000 chains, each asked 2,000 requests."""
    said = brute_force(seed, 200, 2_000)
    tell(capsys, "reach", seed, said)
    assert not said["not proven"]


FOLDERS = ["/", *("/" + "/".join(names) for length in (1, 2, 3) for names in product("ab", repeat=length))]
ROUND_HOMES = {
    "PATHS": [*FOLDERS, "/home/user", "/home/user/a", "/a/b/c", "/c/a"],
    "HOMES": [*FOLDERS, "/home/user", "/a/b/c", "/a/a/a/a", "/c"],
    "PATTERNS": [
        *("~", "~/a", "~/*", "~/a/*", "~/**/b", "~/[!a]*"),
        *("/a", "/a/*", "/[!a]*", "/a?*", "**/a", "**/[!a]*", "**/a?*", "/*/a", "/a/*/b", "/*/*", "/"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(400, 403))
def test_brute_force_round_homes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where home directories lie above, below and beside what other patterns name."""
    for name, values in ROUND_HOMES.items():
        monkeypatch.setitem(globals(), name, values)
    assert brute_force(seed, 40, 800)["planted and found"] == 40
    assert brute_force_by_caller(seed, 30, 800)["flagged"]


def tell(capsys: pytest.CaptureFixture[str], what: str, seed: int, said: Counter[str]) -> None:
    """Prints the counts of a long run."""
    with capsys.disabled():
        sys.stdout.write(f"\n{what} {seed}: {dict(said)}\n")


def differs(rules: list[Rule]) -> Any:
    """Whether a rule keeps out fewer than another one."""

    def asked(kind: str, one: int, other: int) -> bool:
        return bool(reached(rules[other].lock, kind) - reached(rules[one].lock, kind))

    return asked


CALLERS = frozenset(key for key, condition in conditions.CONDITIONS.items() if condition.caller) | {HOME, CWD}


def brute_force_by_caller(seed: int, chains: int, requests: int) -> Counter[str]:
    """The same of what is said of callers."""
    rnd = random.Random(seed)  # noqa: S311  (a test that can be repeated)
    pairs = []
    for _ in range(requests // 2):
        one, other = facts(rnd), facts(rnd)
        given = one, {**one, **{key: other[key] for key in CALLERS if key in other}}
        pairs.append((str(one["kind"]), [request(side) for side in given]))
    said: Counter[str] = Counter()
    for _ in range(chains):
        made = [Rule(rnd.choice(["local", "global"]), table(rnd), layer="project") for _ in range(rnd.randint(1, 4))]
        rules = [*made, Rule("global")]
        reach = Reach(rules)
        decided = [[first(rules, side) for side in sides] for _, sides in pairs]
        for number, rule in enumerate(rules):
            answer = reach.by_caller(number, differs(rules))
            said["rules"] += 1
            if answer is None:
                for deciders, (kind, sides) in zip(decided, pairs, strict=True):
                    for here, there in ((0, 1), (1, 0)):
                        if deciders[here] == number and not condition.holds(rule.match, sides[there]):
                            assert reached(rules[deciders[there]].lock, kind) <= reached(rule.lock, kind)
            elif answer.proven:
                said["flagged"] += 1
                pair, instead = answer.examples, answer.rules[0]
                assert [reach.decider(example) for example in pair] == [number, instead]
                assert number != instead
                assert differs(rules)(pair[0].kind, number, instead)
                alike = [complete(side.facts) for side in pair]
                assert {key for key in alike[0] if alike[0][key] != alike[1][key]} <= CALLERS
            else:
                said["not proven"] += 1
    return said


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_brute_force_by_caller(seed: int) -> None:
    """What is flagged has a pair of callers of one environment; for the rest no two requests show otherwise."""
    assert brute_force_by_caller(seed, 40, 300)["flagged"]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(200, 210))
def test_brute_force_by_caller_for_long(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for 2,000 chains, each asked 2,000 requests."""
    said = brute_force_by_caller(seed, 200, 2_000)
    tell(capsys, "callers", seed, said)
    assert not said["not proven"]


def test_no_home_matters() -> None:
    """What is dead wherever the home directory lies is called dead, also where other patterns are absolute."""
    rules = [Rule("local", {"environment": ["~/w", "/a"]}), Rule("both", {"environment": "~/w/x"}), Rule("global")]
    assert Reach(rules).of(1).rules == (0,)
    apart = [Rule("local", {"environment": "/home/*"}), Rule("both", {"environment": "~/w"}), Rule("global")]
    assert Reach(apart).of(1).decides


@pytest.mark.parametrize(
    "match",
    [
        {"interpreter": ["/*", "~/w"]},
        {"environment": "~/w/*", "interpreter": "~/w", "not": {"environment": "/home/**", "project": "~"}},
    ],
)
def test_copies_at_home(match: dict[str, Any]) -> None:
    """A copy of a rule about home directories is dead, whatever stands between the two."""
    between = {"any": [{"interpreter": "/*"}, {"not": {"environment": ["~/w/*", "**/x"], "host": "a*"}}]}
    reach = Reach([Rule("local", match), Rule("local", between), Rule("both", match), Rule("global")])
    assert reach.of(2).rules == (0,)


IN_A, IN_B = (["/[!a]*", "/a?*"], ["/[!b]*", "/b?*"])
NEITHER_X_NOR_B = ["**/[!xb]*", "**/[xb]?*", "/b", "**/b/*"]


@pytest.mark.parametrize(
    ("matches", "home"),
    [
        ([{"environment": "/home/**"}, {"environment": "~/w"}], "/x/x"),
        ([{"environment": "~/**"}, {"environment": "/a/*"}], PLAIN_HOME),
        ([{"environment": IN_A}, {"environment": "~/w", "project": "~/w"}], "/a"),
        ([{"environment": IN_A}, {"project": IN_B}, {"environment": "~/w", "project": "~/w"}], None),
        (  # every such environment lies below /x
            [
                {"environment": NEITHER_X_NOR_B},
                {"project": NEITHER_X_NOR_B},
                {"environment": "~"},
                {"environment": "**/b", "project": "~/b"},
            ],
            "/x/x",
        ),
    ],
)
def test_where_the_home_lies(matches: list[dict[str, Any]], home: str | None) -> None:
    """A rule that decides only where the home directory lies in some place is shown with one; else it is dead."""
    reach = Reach([*(Rule("local", match) for match in matches), Rule("global")])
    answer = reach.of(len(matches) - 1)
    assert answer.proven
    assert answer.decides is (home is not None)
    if home is not None:
        assert complete(answer.examples[0].facts)[HOME] == home


@pytest.mark.parametrize(
    ("match", "home"),
    [
        ({"project": "~/work/**"}, "/x/x"),
        ({"env": {"HOME": "/root"}, "environment": "~/w"}, "/root"),
        ({"env": {"HOME": "/srv/a"}, "environment": "/srv/a/z/*"}, "/srv/a"),
        ({"env": {"HOME": "/home/a"}, "environment": "~/z"}, None),
    ],
)
def test_the_variable_of_the_home_directory(match: dict[str, Any], home: str | None) -> None:
    """Where rules ask about HOME, it is what `~` stands for, in every example."""
    reach = Reach([Rule("local", {"env": {"HOME": "/home/*"}}), Rule("global", match), Rule("global")])
    answer = reach.of(1)
    (example,) = reach.shown(1, answer)
    homes = [word for word in example.options() if word.startswith("HOME=")]
    assert answer.proven
    assert answer.rules == (() if home else (0,))
    assert homes == [f"HOME={home or '/home/a'}"]
    assert "HOME" not in example.unset


def test_the_user_database_knows_another_home() -> None:
    """What a rule decides where HOME is unset depends on the machine, so that is not proven, unless it decides more."""
    match = {"env": {"HOME": False}, "environment": "~/w"}
    reach = Reach([Rule("local", match), Rule("global")])
    assert not reach.of(0).proven
    answer = reach.by_caller(0, differs(list(reach.rules)))
    assert answer is not None
    assert not answer.proven
    assert Reach([Rule("local", {"any": [match, {"host": "a"}]}), Rule("global")]).of(0).decides


def test_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a case is left open, that is said."""
    monkeypatch.setattr(reaching, "GUESSES", 0)
    rules = [Rule("local", {"host": "a*"}), Rule("both", {"any": [{"host": "ab"}]}), Rule("global")]
    assert Reach(rules).of(1).proven is False


def test_not_proven_of_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of what a rule changes for callers, and of whether others cover it."""
    reach = Reach([Rule("global", {"environment": "~/w"}), Rule("global")])
    assert reach.of(0).decides
    assert reach.covered(0, [1])
    monkeypatch.setattr(reaching, "GUESSES", 0)
    answer = reach.by_caller(0, lambda *_asked: True)
    assert answer is not None
    assert not answer.proven
    monkeypatch.setattr(languages, "MOST_STEPS", 0)
    assert not Reach(reach.rules).covered(0, [1])
