from __future__ import annotations

import sys
from typing import Any

import attrs
import pytest

from policy.errors import ConfigError
from policy.rules import rule as rules
from policy.rules.chain import Chain
from policy.rules.engine import Program, decide
from policy.rules.rule import Check, Rule, Step
from policy.toml.diagnostic import Location
from tests import factories

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

HERE = Location("a.toml")
LAST = Rule("global", name="last")


def read(value: object) -> Rule:
    """A rule as a file has it."""
    ((fields, location),) = rules.RULES.parse([value], HERE)
    assert location == Location("a.toml", (0,))
    return Rule(**fields)


def messages(value: object) -> list[tuple[tuple[str | int, ...], str]]:
    """Where and why a rule is refused."""
    with pytest.raises(ConfigError) as caught:
        rules.RULES.parse([value], HERE)
    return [(diagnostic.location.keys[1:], diagnostic.message) for diagnostic in caught.value.diagnostics]


def test_reads_every_key() -> None:
    """A rule has the keys of the design."""
    assert list(rules.KEYS) == ["lock", "match", "name", "timeout", "required", "reason", "mandatory"]
    everything = {
        "lock": "both",
        "match": {"kind": "system", "env": {"CI": True}},
        "name": "ci",
        "timeout": 1.5,
        "required": False,
        "reason": "because",
        "mandatory": True,
    }
    expected = Rule(
        "both",
        (("kind", ("system",)), ("env", (("CI", True),))),
        "ci",
        1.5,
        required=False,
        reason="because",
        mandatory=True,
    )
    assert read(everything) == expected


def test_defaults() -> None:
    """Only `lock` must be said; the rest is: matches everything, waits as the file says, is required."""
    rule = read({"lock": "local"})
    assert (rule.match, rule.name, rule.timeout, rule.required, rule.reason, rule.mandatory) == (
        (),
        "",
        None,
        True,
        "",
        False,
    )
    assert (rule.file, rule.line, rule.layer) == ("built-in", 0, "built-in")


@pytest.mark.parametrize(
    ("value", "keys", "message"),
    [
        ({}, (), '"lock" is missing'),
        ({"lock": "globl"}, ("lock",), 'expected "local", "global" or "both", found "globl"; did you mean "global"?'),
        ({"lock": "local", "lokc": 1}, ("lokc",), 'unknown key "lokc"; did you mean "lock"?'),
        ({"lock": "local", "name": ""}, ("name",), "must be 1 to 100 printable characters"),
        ({"lock": "local", "name": "a" * 101}, ("name",), "must be 1 to 100 printable characters"),
        ({"lock": "local", "name": "a\u202eb"}, ("name",), "must be 1 to 100 printable characters"),
        ({"lock": "local", "timeout": -1}, ("timeout",), "expected a number of seconds from 0 to 86400, found -1"),
        (
            {"lock": "local", "timeout": 86401},
            ("timeout",),
            "expected a number of seconds from 0 to 86400, found 86401",
        ),
        ({"lock": "local", "timeout": True}, ("timeout",), "expected a number of seconds from 0 to 86400, found true"),
        ({"lock": "local", "required": "no"}, ("required",), 'expected true or false, found "no"'),
        ({"lock": "local", "file": "x"}, ("file",), 'unknown key "file"; did you mean "name"?'),
    ],
)
def test_faults(value: object, keys: tuple[str, ...], message: str) -> None:
    """A fault is placed at the key or the value that is wrong."""
    assert [(at, text.partition("; known here")[0]) for at, text in messages(value)] in (
        [(keys, message)],
        [(keys, message.partition("; did you mean")[0])],
    )


@pytest.mark.parametrize("timeout", [float("inf"), float("nan")])
def test_no_endless_timeout(timeout: float) -> None:
    """A timeout is finite: TOML has inf and nan."""
    ((keys, message),) = messages({"lock": "local", "timeout": timeout})
    assert keys == ("timeout",)
    assert message == f"expected a number of seconds from 0 to 86400, found {timeout}"


def test_label() -> None:
    """A rule goes by its name, and one without by where it is written."""
    assert Rule("local", name="ci", file="/p/a.toml", line=3).label == "ci"
    assert Rule("local", file="/p/a.toml", line=3).label == "/p/a.toml:3"


def test_row() -> None:
    """A rule and its plain form are the same."""
    rule = read({"lock": "local", "match": {"not": {"kind": "system"}}})
    assert Rule(*rule.row) == rule
    assert len(rule.row) == len(attrs.fields(Rule))


def test_first_match_wins() -> None:
    """The first rule that matches decides, and those before and after it are told apart."""
    no = Rule("local", (("kind", ("system",)), ("env", (("CI", False),))), "no")
    chain = Chain((no, Rule("both", (("kind", ("virtualenv",)),), "yes"), Rule("local", name="late"), LAST))
    decision = chain.decide(factories.request())
    assert decision.rule.name == "yes"
    assert [(step.rule.name, step.outcome, [check.passed for check in step.checks]) for step in decision.steps] == [
        ("no", "no", [False, True]),
        ("yes", "matched", [True]),
        ("late", "not-reached", []),
        ("last", "not-reached", []),
    ]


def test_check() -> None:
    """A check says what the rule wants, what was seen, and whether it asks about the caller, combinators inside too."""
    match = read({"lock": "local", "match": {"kind": ["system", "target"], "any": [{"operation": "add"}]}}).match
    ((step, _),) = [Chain((Rule("local", match), LAST)).decide(factories.request(operation="add")).steps]
    assert step == Step(
        Rule("local", match),
        "no",
        (
            Check("kind", ["system", "target"], "virtualenv", passed=False, caller=False),
            Check(
                "any",
                [{"operation": "add"}],
                None,
                passed=True,
                caller=True,
                checks=((Check("operation", "add", "add", passed=True, caller=True),),),
            ),
        ),
    )


def test_detail(tmp_path: Any) -> None:
    """A check keeps the errno's text, so that a read-only file system is told from a lack of permission."""
    asked = factories.request(root=str(tmp_path / "missing"))
    step = Chain((Rule("global", (("writable", True),)), LAST)).decide(asked).steps[0]
    assert step.checks == (
        Check("writable", expected=True, seen=False, passed=False, caller=False, detail="No such file or directory"),
    )


def test_chain_is_its_rules() -> None:
    """Two chains of the same rules are equal, and decide alike."""
    assert Chain((LAST,)) == Chain((LAST,))
    assert "program" not in repr(Chain((LAST,)))
    asked = factories.request()
    assert Chain((LAST,)).decide(asked).plan == decide(Program([LAST.row], {}), asked).plan
