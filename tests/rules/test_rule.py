from __future__ import annotations

import sys
from typing import Any

import pytest

from policy.errors import ConfigError, UsageError
from policy.rules import rule as rules
from policy.rules.plain import PlainRule
from policy.rules.rule import Rule
from policy.toml.diagnostic import Location

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

HERE = Location("a.toml")
LAST = Rule("global", name="last")

WORDS = '"local", "global", "beside", "cluster", "strict" or "both"'


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
    assert list(rules.KEYS) == [
        "lock",
        "match",
        "name",
        "timeout",
        "required",
        "shared",
        "unused",
        "cluster-key",
        "reason",
        "mandatory",
    ]
    everything = {
        "lock": "both",
        "match": {"kind": "system", "env": {"CI": True}},
        "name": "ci",
        "timeout": 1.5,
        "required": False,
        "unused": True,
        "cluster-key": {"name": "team-envs", "root": "/mnt/envs"},
        "reason": "because",
        "mandatory": True,
    }
    expected = Rule(
        "both",
        (("kind", ("system",)), ("env", (("CI", True),))),
        "ci",
        1.5,
        required=False,
        unused=True,
        cluster_key=("team-envs", "/mnt/envs"),
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
        (
            {"lock": "globl"},
            ("lock",),
            f'expected {WORDS}, found "globl"; did you mean "global"?',
        ),
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


def test_twins() -> None:
    """A rule and its slotted twin have the same fields with the same defaults, and one is made from the other."""
    rule = read({"lock": "local", "match": {"not": {"kind": "system"}}})
    fields = {name: getattr(rule, name) for name in rules.FIELDS}
    twin = PlainRule(**fields)
    assert Rule.of(twin) == rule
    assert twin.label == rule.label
    assert sorted(PlainRule.__slots__) == sorted(rules.FIELDS)
    assert Rule.of(PlainRule(("local",))) == Rule("local")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("locl",),
            f'lock of a rule: expected {WORDS}, found "locl"; did you mean "local"?',
        ),
        (((),), "lock of a rule: must not be empty"),
        ((1,), f"lock of a rule: expected {WORDS}, found 1"),
        (
            ("local", {"operatoin": "sync"}),
            'match.operatoin of a rule: unknown key "operatoin"; did you mean "operation"?',
        ),
        (("local", (("operatoin", "sync"),)), "match of a rule: expected a table, or what another rule has as `match`"),
        (("local", {"environment": "srv/*"}), "match.environment of a rule: a path pattern must be absolute"),
        (("local", 7), "match of a rule: expected a table, found 7"),
        (("local", (), ""), None),
        (("local", (), 7), "name of a rule: expected a string, found 7"),
        (("local", (), "", -1), "timeout of a rule: expected a number of seconds from 0 to 86400, found -1"),
        (("local", (), "", None, 1), "required of a rule: expected true or false, found 1"),
        (("local", (), "", None, True, "no"), 'shared of a rule: expected true or false, found "no"'),
    ],
)
def test_validates(arguments: tuple[Any, ...], message: str | None) -> None:
    """A rule that a program makes is held to what a file may say."""
    if message is None:
        Rule(*arguments)
        return
    with pytest.raises(UsageError) as caught:
        Rule(*arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("match", [{"operation": "sync"}, (("operation", "sync"),), (("operation", ("sync",)),)])
def test_match_forms(match: Any) -> None:
    """`match` is a table as a file has it, or the pairs of another rule; a single pattern is one pattern."""
    assert Rule("local", match).match == (("operation", ("sync",)),)
