from __future__ import annotations

import attrs
import pytest

from policy.toml.diagnostic import Diagnostic, Location


def test_grows_outward() -> None:
    """A place knows the whole path of keys that leads to it, and one further in leaves it as it is."""
    outer = Location("a.toml").at("rules").at(1)
    inner = outer.at("match")
    assert outer == Location("a.toml", ("rules", 1))
    assert inner == Location("a.toml", ("rules", 1, "match"))


def test_values() -> None:
    """Places and faults are values: equal when they say the same, and never changed."""
    diagnostic = Diagnostic(Location("a.toml"), "wrong")
    assert diagnostic == Diagnostic(Location("a.toml"), "wrong")
    assert (diagnostic.line, diagnostic.column, diagnostic.width, diagnostic.excerpt, diagnostic.of_key) == (
        0,
        0,
        1,
        "",
        False,
    )
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        diagnostic.line = 3  # type: ignore[misc]  # that it is refused is the test
