from __future__ import annotations

import pytest

from policy.config import cases
from policy.config.cases import Case
from policy.errors import ConfigError
from policy.rules.conditions import CONDITIONS, Combinator
from policy.rules.supposition import FACTS
from policy.toml.diagnostic import Location

HERE = Location("a.toml", ("tests",))

WORDS = '"local", "global", "beside", "cluster", "strict" or "both"'


def diagnostics(value: object) -> list[tuple[tuple[str | int, ...], str]]:
    """Where and why a case is refused."""
    with pytest.raises(ConfigError) as caught:
        cases.CASES.parse([value], HERE)
    return [(diagnostic.location.keys[2:], diagnostic.message) for diagnostic in caught.value.diagnostics]


def test_facts() -> None:
    """Any fact that a rule can ask about can be given."""
    assert set(FACTS) == {key for key, condition in CONDITIONS.items() if not isinstance(condition, Combinator)}


def test_reads() -> None:
    """A case has a name, the facts that are given, and what is expected."""
    given = {
        "interpreter": "/nix/store/x/bin/python",
        "kind": "virtualenv",
        "writable": False,
        "env": {"CI": "true"},
        "operation": "pip install",
        "filesystem": "overlay",
    }
    value = {"name": "store", "given": given, "expect": {"lock": "global", "rule": "nix-store"}}
    (((case, location),)) = cases.CASES.parse([value], HERE)
    assert location == Location("a.toml", ("tests", 0))
    assert case == Case("store", {**given, "env": (("CI", "true"),)}, ("global",), "nix-store")


def test_least() -> None:
    """A name and the lock are enough."""
    (((case, _),)) = cases.CASES.parse([{"name": "plain", "expect": {"lock": "local"}}], HERE)
    assert (case.given, case.lock, case.rule) == ({}, ("local",), None)


@pytest.mark.parametrize(
    ("value", "keys", "message"),
    [
        ({"expect": {"lock": "local"}}, (), '"name" is missing'),
        ({"name": "x"}, (), '"expect" is missing'),
        ({"name": "x", "expect": {}}, ("expect",), '"lock" is missing'),
        (
            {"name": "x", "expect": {"lock": "x"}},
            ("expect", "lock"),
            f'expected {WORDS}, found "x"',
        ),
        (
            {"name": "x", "expect": {"lock": "local"}, "given": {"writeable": True}},
            ("given", "writeable"),
            'unknown key "writeable"; did you mean "writable"?',
        ),
        (
            {"name": "x", "expect": {"lock": "local"}, "given": {"env": {"CI": True}}},
            ("given", "env", "CI"),
            "expected a string, found true",
        ),
        (
            {"name": "x", "expect": {"lock": "local"}, "given": {"kind": ["system"]}},
            ("given", "kind"),
            'expected "virtualenv", "system", "target" or "prefix", found an array',
        ),
        ({"name": "x", "expect": {"lock": "local"}, "given": {"not": {}}}, ("given", "not"), 'unknown key "not"'),
    ],
)
def test_faults(value: object, keys: tuple[str, ...], message: str) -> None:
    """A fact is one value as it would be observed; what cannot be is an error where it stands."""
    ((at, text),) = diagnostics(value)
    assert (at, text.partition("; known here")[0]) == (keys, message)
