from __future__ import annotations

from typing import Any

import pytest

from policy.checks.implication import Effort, TooMuchError, certain, flat, implies, impossible
from policy.rules.match import match_shape
from policy.toml.diagnostic import Location


def table(**conditions: Any) -> Any:
    """A match table as a file has it, flat."""
    return flat(match_shape().parse(conditions, Location("a.toml")))


def effort() -> Effort:
    """More than any of these questions takes."""
    return Effort(10_000, 10_000)


@pytest.mark.parametrize(
    ("premises", "goals", "expected"),
    [
        ({"environment": "/srv/app/.venv"}, {"environment": "/srv/**"}, True),
        ({"environment": "/srv/**"}, {"environment": "/srv/app/.venv"}, False),
        ({"kind": "system"}, {"kind": ["target", "system"]}, True),
        ({"writable": True}, {"not": {"writable": False}}, True),
        ({"host": "a*"}, {"any": [{"host": "a?"}, {"host": "*"}]}, True),
    ],
)
def test_implies(premises: dict[str, Any], goals: dict[str, Any], expected: bool) -> None:
    """One table follows from another exactly where no request can tell them apart in that direction."""
    assert implies(table(**premises), table(**goals), effort()) is expected


def test_impossible() -> None:
    """Conditions that contradict each other can never hold together."""
    assert impossible(table(all=[{"kind": "system"}, {"kind": "target"}]), effort())
    assert not impossible(table(kind="system", writable=True), effort())


def test_certain() -> None:
    """Only a table without a question holds always."""
    assert certain(())
    assert not certain(table(kind="system"))


def test_effort_ends() -> None:
    """A question that takes more than it may is given up, and the rest of the sum stays."""
    small = Effort(1, 10)
    with pytest.raises(TooMuchError):
        implies(table(all=[{"host": "a"}, {"user": "b"}]), table(host="a*", user="b*", kind="system"), small)
    assert small.total < 10
