from __future__ import annotations

import attrs
import pytest

from policy.toml.diagnostic import Fault, Place


def test_grows_outward() -> None:
    """A place knows the whole path of keys that leads to it, and one further in leaves it as it is."""
    outer = Place("a.toml").at("rules").at(1)
    inner = outer.at("match")
    assert outer == Place("a.toml", ("rules", 1))
    assert inner == Place("a.toml", ("rules", 1, "match"))


def test_values() -> None:
    """Places and faults are values: equal when they say the same, and never changed."""
    fault = Fault(Place("a.toml"), "wrong")
    assert fault == Fault(Place("a.toml"), "wrong")
    assert (fault.line, fault.column, fault.width, fault.source, fault.of_key) == (0, 0, 1, "", False)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        fault.line = 3  # type: ignore[misc]
