from __future__ import annotations

import pytest

from policy.errors import ConfigError
from policy.rules import condition
from policy.rules.match import DEEPEST, match_shape
from policy.toml.diagnostic import Location
from tests import factories

MATCH = match_shape()
HERE = Location("a.toml")
TRUE = {"kind": "virtualenv"}


def nested(depth: int, innermost: object) -> object:
    """A match table that stands inside as many others."""
    for number in range(depth):
        innermost = [{"not": innermost}, {"any": [innermost]}, {"all": [innermost]}][number % 3]
    return innermost


def test_depth() -> None:
    """Combinators stand at most eight deep; one more is an error that says what to do, placed at the table too many."""
    assert condition.holds(MATCH.parse(nested(DEEPEST, TRUE), HERE), factories.request()) is False
    with pytest.raises(ConfigError) as caught:
        MATCH.parse(nested(DEEPEST + 1, TRUE), HERE)
    (diagnostic,) = caught.value.diagnostics
    keys, message = diagnostic.location.keys, diagnostic.message
    assert message == "any, all and not stand more than 8 deep; write two rules instead"
    assert len([key for key in keys if isinstance(key, str)]) == DEEPEST + 1
