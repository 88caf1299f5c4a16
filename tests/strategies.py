"""Contents of configuration files, generated from the JSON Schema."""

from __future__ import annotations

from typing import Any

import jsonschema
from hypothesis import strategies as st

from policy.config.schema import file_schema
from policy.rules import globs

FILE_SCHEMA = file_schema()

CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Cn"])
DIRECTORIES = st.builds("/{}".format, st.text(CHARACTERS, max_size=5))
SPECIAL = {
    "required-version": st.just(">=0.1"),
    "global-dir": DIRECTORIES,
    "gate-dir": DIRECTORIES,
    "cluster": st.builds(
        lambda address, more: {"engine": "postgresql", **address, **more},
        st.sampled_from([{"service": "s"}, {"host": "h", "port": 5432, "dbname": "d", "user": "u"}]),
        st.sampled_from([{}, {"lease": 12, "margin": 6}, {"sync": "require", "sslmode": "verify-full"}]),
    ),
}
LITERAL = st.text("ab*?", max_size=8)
NAMES = st.text(CHARACTERS, min_size=1, max_size=5).filter(lambda name: "=" not in name)
LEVELS = 3


@st.composite
def files(draw: st.DrawFn) -> Any:
    """Contents of a file that the schema allows."""
    return _value(draw, FILE_SCHEMA, 0)


def _value(draw: st.DrawFn, part: dict[str, Any], depth: int) -> Any:
    """A value that a part of the schema allows.

    Args:
        draw: Of hypothesis.
        part: The part.
        depth: How many references were followed: the reader has a limit that JSON Schema cannot express.
    """
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return _value(draw, FILE_SCHEMA["definitions"][name], depth + name.startswith("match"))
    if "anyOf" in part:
        return _value(draw, draw(st.sampled_from(part["anyOf"])), depth)
    if "enum" in part:
        return draw(st.sampled_from(part["enum"]))
    if part["type"] == "array":
        count = draw(st.integers(part.get("minItems", 0), 3))
        return [_value(draw, part["items"], depth) for _ in range(count)]
    return _table(draw, part, depth) if part["type"] == "object" else _plain(draw, part)


def _plain(draw: st.DrawFn, part: dict[str, Any]) -> Any:
    if part["type"] == "number":
        bounds = {"min_value": part["minimum"], "max_value": part["maximum"]}
        return draw(st.one_of(st.integers(**bounds), st.floats(**bounds)))
    return draw(st.booleans() if part["type"] == "boolean" else _texts(part))


def _table(draw: st.DrawFn, part: dict[str, Any], depth: int) -> dict[str, Any]:
    least = part.get("minProperties", 0)
    if "properties" not in part:
        names = draw(st.lists(NAMES, min_size=least, max_size=3, unique=True))
        return {name: _value(draw, part["additionalProperties"], depth) for name in names}
    known = part["properties"]
    # three levels are enough: each is the same
    free = sorted(key for key in known if not (depth >= LEVELS and key in {"any", "all", "not"}))
    keys = draw(st.lists(st.sampled_from(free), min_size=least, max_size=4, unique=True))
    return {
        key: draw(SPECIAL[key]) if key in SPECIAL else _value(draw, known[key], depth)
        for key in dict.fromkeys([*part.get("required", ()), *keys])
    }


def _texts(part: dict[str, Any]) -> st.SearchStrategy[str]:
    candidates = st.one_of(
        LITERAL,
        st.text(CHARACTERS, max_size=8),
        st.builds("{}{}".format, st.sampled_from(["/", "~/", "**/", "C:/", "/a[b-d!]/", "/[!]x]"]), LITERAL),
    )
    validator = jsonschema.Draft7Validator(part)
    return candidates.filter(lambda text: validator.is_valid(text) and globs.text_problem(text) is None)
