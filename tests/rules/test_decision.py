from __future__ import annotations

import marshal
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.config import loading
from policy.config.loading import Rules
from policy.render.record import record
from policy.rules import index
from policy.rules.chain import Chain
from policy.rules.conditions import CONDITIONS
from policy.rules.decision import PlainChain
from policy.rules.index import Search
from policy.rules.plain import Setting
from policy.rules.request import Caller, Request
from policy.rules.rule import Rule
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

Table = dict[str, Any]

# A naive evaluation: it knows the few patterns that are drawn, and nothing of how globs work.

PATTERNS: dict[str, Callable[[list[str]], bool]] = {
    "/a": lambda parts: parts[0] == "a",
    "/a/*": lambda parts: parts[0] == "a" and len(parts) > 1,
    "/a/x/**": lambda parts: parts[:2] == ["a", "x"] and len(parts) > 2,
    "/b/x": lambda parts: parts[:2] == ["b", "x"],
    "**/x": lambda parts: "x" in parts,
    "**/x/*": lambda parts: "x" in parts[:-1],
    "/*/[xy]": lambda parts: len(parts) > 1 and parts[1] in {"x", "y"},
    "**": lambda _: True,
}
TEXTS: dict[str, Callable[[str], bool]] = {
    "add": lambda text: text == "add",
    "*": lambda _: True,
    "a*": lambda text: text.startswith("a"),
    "?": lambda text: len(text) == 1,
}
WORDS = {"1": True, "true": True, "0": False, "off": False}


def naive(table: Table, facts: dict[str, Any], environ: dict[str, str]) -> bool:
    """Whether a match table holds, by the words of the design."""
    return all(naive_one(key, wanted, facts, environ) for key, wanted in table.items())


def naive_one(key: str, wanted: Any, facts: dict[str, Any], environ: dict[str, str]) -> bool:  # noqa: PLR0911  (one branch for each condition)
    """Whether one key of a match table holds."""
    if key == "any":
        return any(naive(table, facts, environ) for table in wanted)
    if key == "all":
        return all(naive(table, facts, environ) for table in wanted)
    if key == "not":
        return not naive(wanted, facts, environ)
    if key == "env":
        return all(naive_variable(wanted[name], environ.get(name)) for name in wanted)
    if isinstance(wanted, bool):
        return bool(wanted == facts[key])
    if key == "kind":
        return bool(facts[key] in wanted)
    if key in {"interpreter", "environment", "base-interpreter"}:
        return any(PATTERNS[pattern](facts[key][1:].split("/")) for pattern in wanted)
    return any(TEXTS[pattern](facts[key]) for pattern in wanted)


def naive_variable(wanted: Any, value: str | None) -> bool:
    """Whether a variable holds."""
    if isinstance(wanted, bool):
        return (False if value is None else WORDS.get(value)) == wanted
    return value is not None and any(TEXTS[pattern](value) for pattern in wanted)


def plain(table: Table) -> Any:
    """A match table as the reader hands it on."""
    of: dict[str, Callable[[Any], Any]] = {
        "any": lambda tables: tuple(map(plain, tables)),
        "all": lambda tables: tuple(map(plain, tables)),
        "not": plain,
        "env": lambda variables: tuple(variables.items()),
    }
    return tuple((key, of[key](value) if key in of else value) for key, value in table.items())


def some(values: Any) -> st.SearchStrategy[tuple[str, ...]]:
    """One or two of some values."""
    return st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=2, unique=True).map(tuple)


SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "interpreter": some(PATTERNS),
    "environment": some(PATTERNS),
    "base-interpreter": some(PATTERNS),
    "kind": some(["virtualenv", "system", "target", "prefix"]),
    "writable": st.booleans(),
    "operation": some(TEXTS),
    "host": some(TEXTS),
    "env": st.dictionaries(st.sampled_from("AB"), st.booleans() | some(TEXTS), min_size=1),
}
LEAVES = st.fixed_dictionaries({}, optional=SIMPLE).filter(bool)
TABLES = st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            **SIMPLE,
            "any": st.lists(inner, min_size=1, max_size=2),
            "all": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ).filter(bool),
    max_leaves=4,
)
PATHS = st.lists(st.sampled_from(["a", "b", "x", "y"]), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
FACTS = st.fixed_dictionaries(
    {
        "interpreter": PATHS,
        "environment": PATHS,
        "base-interpreter": PATHS,
        "kind": st.sampled_from(["virtualenv", "system", "target", "prefix"]),
        "writable": st.booleans(),
        "operation": st.sampled_from(["add", "a", "", "sync"]),
        "host": st.sampled_from(["a", "add", "h"]),
    }
)
ENVIRON = st.dictionaries(st.sampled_from("AB"), st.sampled_from(["1", "true", "0", "off", "", "add", "a"]))
CHAINS = st.lists(st.tuples(TABLES | st.just({}), st.sampled_from(["local", "global", "both"])), max_size=6)


def asked(facts: dict[str, Any], environ: dict[str, str], *, given_facts: bool) -> Request:
    """A request with these facts: given beforehand, or to be observed as far as they can be."""
    found = factories.environment(facts["environment"], facts["kind"], facts["interpreter"], facts["base-interpreter"])
    observed = {"writable", "host"}
    known = facts if given_facts else {key: facts[key] for key in observed}
    return Request(found, Caller(environ, "/", facts["operation"]), known)


@given(chain=CHAINS, facts=FACTS, environ=ENVIRON, given_facts=st.booleans())
def test_agrees_with_naive(
    chain: list[tuple[Table, str]],
    facts: dict[str, Any],
    environ: dict[str, str],
    given_facts: bool,
) -> None:
    """Deciding, deciding by the index, the trace and a naive evaluation agree on every chain and request."""
    tables = [table for table, _ in chain] + [{}]
    rows = [Rule(lock, plain(table), str(number)) for number, (table, lock) in enumerate(chain)]
    rows.append(Rule("global", name="last"))
    expected = next(number for number, table in enumerate(tables) if naive(table, facts, environ))
    decision = PlainChain(rows, {}).decide(asked(facts, environ, given_facts=given_facts))
    indexed = PlainChain(rows, {}, Search(rows, index.build(rows))).decide(
        asked(facts, environ, given_facts=given_facts)
    )
    assert decision.index == indexed.index == expected
    assert decision.plan == indexed.plan
    outcomes = [step.outcome for step in decision.steps]
    assert outcomes == ["no"] * expected + ["matched"] + ["not-reached"] * (len(rows) - expected - 1)
    for step, table in zip(decision.steps, tables, strict=True):
        if step.outcome == "not-reached":
            assert step.checks == ()
            continue
        assert [(check.key, check.passed) for check in step.checks] == [
            (key, naive_one(key, wanted, facts, environ)) for key, wanted in table.items()
        ]
        assert all(check.passed for check in step.checks) is (step.outcome == "matched")


def thawed(chain: Chain) -> PlainChain:
    """The slotted twin of a chain, as a cache file gives it back."""
    kept, _, built = marshal.loads(marshal.dumps(loading.frozen(chain)))  # noqa: S302  (written here)
    rules = loading.Thawed(kept)
    return PlainChain(rules, {}, Search(rules, built))


@pytest.mark.slow
@given(chain=CHAINS, seed=st.integers(0, 2**32))
@settings(max_examples=100)
def test_twins_decide_alike(chain: list[tuple[Table, str]], seed: int) -> None:
    """The attrs chain, its twin thawed from a cache and a naive evaluation agree on 10,000 requests to 100 chains."""
    tables = [table for table, _ in chain] + [{}]
    rules = [Rule(lock, plain(table), str(number)) for number, (table, lock) in enumerate(chain)]
    ours = Chain((*rules, Rule("global", name="last")))
    twin = thawed(ours)
    rnd = random.Random(seed)  # noqa: S311  (a test that can be repeated)
    for _ in range(100):
        known: dict[str, Any] = {
            key: "/" + "/".join(rnd.choices("abxy", k=rnd.randint(1, 4)))
            for key in ("interpreter", "environment", "base-interpreter")
        }
        known |= {"kind": rnd.choice(["virtualenv", "system", "target", "prefix"]), "writable": rnd.random() < 0.5}
        known |= {"operation": rnd.choice(["add", "a", "", "sync"]), "host": rnd.choice(["a", "add", "h"])}
        environ = {name: rnd.choice(["1", "true", "0", "", "add", "a"]) for name in "AB" if rnd.random() < 0.7}
        expected = next(number for number, table in enumerate(tables) if naive(table, known, environ))
        mine = ours.decide(asked(known, environ, given_facts=True))
        theirs = twin.decide(asked(known, environ, given_facts=True))
        assert mine.index == theirs.index == expected
        assert mine.rule == theirs.rule
        assert (mine.lock, mine.timeout, mine.required, mine.shared) == (
            theirs.lock,
            theirs.timeout,
            theirs.required,
            theirs.shared,
        )


def test_index_keeps_order() -> None:
    """Of a thousand rules the first that matches decides, with what the index looks up and what it cannot."""
    rows = [Rule("local", (("environment", (f"/srv/app-{number}/**",)),), f"app-{number}") for number in range(1000)]
    rows.insert(500, Rule("both", (("env", (("CI", True),)),), "ci"))
    rows.append(Rule("global", name="last"))
    program = PlainChain(rows, {})
    for root, environ, expected in [
        ("/srv/app-7/env", {}, "app-7"),
        ("/srv/app-7/env", {"CI": "1"}, "app-7"),
        ("/srv/app-700/env", {}, "app-700"),
        ("/srv/app-700/env", {"CI": "1"}, "ci"),
        ("/srv/app-1000/env", {}, "last"),
        ("/srv/app-1000/env", {"CI": "1"}, "ci"),
    ]:
        assert program.decide(factories.request(environ, root=root)).rule.name == expected


def test_index_knows_dots() -> None:
    """A `.` in a pattern is no name that a path has, so the index does not look for it."""
    rows = [Rule("local", (("environment", ("**/./*/.",)),), "dots"), Rule("global", name="last")]
    assert PlainChain(rows, {}, Search(rows, index.build(rows))).decide(factories.request()).rule.name == "dots"


def program(timeout: float | None = None, settings: dict[str, Setting] | None = None) -> PlainChain:
    """One rule with a name, and the last one."""
    rule = Rule("local", (), "mine", timeout=timeout, file="/p/a.toml", line=3, layer="project")
    return PlainChain([rule, Rule("global", name="last")], settings or {})


FILE, OPTION = Setting(20, "/p/a.toml", 1, "project"), Setting(10, "--timeout", 0, "caller")


@pytest.mark.parametrize(
    ("own", "settings", "expected"),
    [
        (None, {}, None),
        (None, {"timeout": FILE}, 20),
        (30, {}, 30),
        (30, {"timeout": FILE}, 30),
        (0, {"timeout": FILE}, 0),
        (30, {"timeout": OPTION}, 10),
        (None, {"timeout": OPTION}, 10),
    ],
)
def test_timeout(own: float | None, settings: dict[str, Setting], expected: float | None) -> None:
    """The caller's timeout stands before the rule's, the rule's before the setting; with none it waits forever."""
    assert program(own, settings).decide(factories.request()).timeout == expected


def test_decision() -> None:
    """A decision says the rule, the lock, whether it is required, and what is to be locked."""
    asked = factories.request()
    decision = program().decide(asked)
    assert decision.rule.label == decision.label == "mine"
    assert (decision.lock, decision.required, decision.corrected) == (("local",), True, "")
    assert decision.environment is asked.environment
    assert [lock.name for lock in decision.plan] == [factories.gate("/srv/app/.venv"), "/srv/app/.venv/.lock"]


def test_label_without_name() -> None:
    """A rule without a name goes by file and line."""
    assert Rule("local", file="/p/a.toml", line=3).label == "/p/a.toml:3"


def test_global_dir() -> None:
    """Global locks lie in the directory of the setting, else in the default one."""
    rows = [Rule("global")]
    setting = {"global-dir": Setting("/g", "/p/a.toml", 1, "user")}
    assert PlainChain(rows, setting).decide(factories.request()).plan[1].name.startswith("/g/lock-policy-")
    assert [lock.purpose for lock in PlainChain(rows, {}).decide(factories.request()).plan] == ["gate"]
    more = PlainChain(rows, setting).with_settings({"global-dir": Setting("/h", "--global-dir", 0, "caller")})
    assert more.decide(factories.request()).plan[1].name.startswith("/h/lock-policy-")


def test_observed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deciding, explaining, comparing with the other caller and all hints together observe each fact at most once."""
    root = factories.virtualenv(tmp_path / "env")
    looked: list[str] = []
    for key, condition in CONDITIONS.items():

        def counting(request: Request, key: str = key, observe: Any = condition.observe) -> object:
            looked.append(key)
            return observe(request)

        monkeypatch.setattr(condition, "observe", counting)
    factories.written(
        root / "lock-policy.toml",
        """\
[[rules]]
match = { env = { CI = true }, filesystem = "nothing", user = "nobody-*" }
lock = "both"
[[rules]]
match = { env = { CI = true }, any = [{ host = "*" }, { writable = true }] }
lock = "global"
[[rules]]
match = { writable = true, externally-managed = false, project = "**", base-interpreter = "**", operation = "*" }
lock = "local"
""",
    )
    found = factories.environment(str(root), interpreter=f"{root}/bin/python")
    asked = Request(found, Caller({**factories.alone(tmp_path), "CI": "1"}, str(tmp_path)))
    decision = Rules().decide(asked)
    shown = record(decision)
    assert decision.steps
    assert shown["steps"]
    assert sorted(looked) == sorted(set(looked))
    assert {"filesystem", "user", "host", "writable"} <= set(looked)
