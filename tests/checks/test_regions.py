from __future__ import annotations

import sys
from typing import Any

import pytest

from policy.checks import languages
from policy.checks.languages import TooMuchError
from policy.checks.regions import Example, Solver, formula
from policy.rules import condition, supposition
from policy.rules.match import match_shape
from policy.toml.diagnostic import Location

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def match(table: dict[str, Any]) -> Any:
    """A match table, read."""
    return match_shape().parse(table, Location("a.toml"))


@pytest.mark.parametrize(
    ("table", "possible"),
    [
        ({"writable": True, "not": {"writable": True}}, False),
        ({"kind": "system", "all": [{"kind": "virtualenv"}]}, False),
        ({"kind": ["system", "target"], "not": {"kind": "system"}}, True),
        ({"host": "a", "all": [{"host": "b*"}]}, False),
        ({"host": "a*", "all": [{"host": "*b"}]}, True),
        ({"environment": "/srv/**", "all": [{"environment": "/opt/*"}]}, True),  # through a link
        ({"base-interpreter": "/srv/**", "all": [{"base-interpreter": "/opt/*"}]}, False),  # a real path
        ({"env": {"CI": True}, "all": [{"env": {"CI": "off"}}]}, False),
        ({"env": {"CI": False}, "all": [{"env": {"CI": "*"}}]}, True),
        ({"env": {"CI": False}, "not": {"env": {"CI": ["0", "n*", "f*", "off"]}}}, True),  # it is unset
        ({"not": {"env": {"CI": False}}, "all": [{"not": {"env": {"CI": True}}}]}, True),  # it is no boolean
        ({"any": [{"host": "a"}, {"host": "b"}], "not": {"host": ["a", "b"]}}, False),
        ({"not": {"host": "*"}}, False),
        ({"not": {"project": "**"}}, True),  # there is none
        ({"not": {"environment": "**"}}, False),
    ],
)
def test_solve(table: dict[str, Any], possible: bool) -> None:
    """Facts are found exactly where a table can hold, and it holds for them."""
    facts = Solver().solve([formula(match(table))])
    assert (facts is not None) is possible
    if facts is not None:
        assert condition.holds(match(table), supposition.request(Example.of(facts).facts))
    negated = Solver().solve([formula(match(table), positive=False)])
    if negated is not None:
        assert not condition.holds(match(table), supposition.request(Example.of(negated).facts))


def test_options() -> None:
    """An example is a command line that can be pasted."""
    facts = {"environment": ("/a b", "/c"), "writable": False, "env": (("CI", "1"),), "home": "/h"}
    assert str(Example(facts)) == (
        "policy explain --assume 'environment=/a b' --assume environment=/c --assume writable=false --env CI=1 "
        "--env HOME=/h"
    )
    assert Example({"user": "root", "host": "h"}).anybody() == Example({"host": "h"})


def test_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that would take too long says so."""
    monkeypatch.setattr(languages, "MOST_STEPS", 400)
    with pytest.raises(TooMuchError):
        Solver().solve([formula(match({"host": "a", "user": "b", "operation": "c"}))])
