from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from policy.errors import ConfigError
from policy.rules import shapes
from policy.toml.diagnostic import Location
from policy.toml.shapes import FLAG

HERE = Location("a.toml")


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        (shapes.PATHS, "/nix/*", ("/nix/*",)),
        (shapes.PATHS, ["/nix/*", "~/x"], ("/nix/*", "~/x")),
        (shapes.TEXTS, "a*", ("a*",)),
        (shapes.PATH, "~/x", "~/x"),
        (FLAG, True, True),
        (shapes.VARIABLES, {"CI": True, "X": "a*"}, (("CI", True), ("X", ("a*",)))),
        (shapes.GIVEN_VARIABLES, {"CI": "1"}, (("CI", "1"),)),
        (shapes.names(["a", "b"])[0], ["b"], ("b",)),
        (shapes.names(["a", "b"])[1], "b", "b"),
    ],
)
def test_reads(shape: Any, value: object, expected: object) -> None:
    """What is read is plain, and the schema allows it."""
    assert shape.parse(value, HERE) == expected
    jsonschema.Draft7Validator(dict(shape.schema)).validate(value)


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (shapes.PATHS, "nix/*"),
        (shapes.PATHS, "/a/[b"),
        (shapes.TEXTS, "[b"),
        (shapes.PATH, "x"),
        (FLAG, "true"),
        (shapes.VARIABLES, {}),
        (shapes.GIVEN_VARIABLES, {"CI": True}),
        (shapes.names(["a", "b"])[1], ["a"]),
    ],
)
def test_refuses(shape: Any, value: object) -> None:
    """What is refused, the schema refuses too."""
    with pytest.raises(ConfigError):
        shape.parse(value, HERE)
    assert not jsonschema.Draft7Validator(dict(shape.schema)).is_valid(value)
