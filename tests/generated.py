"""Contents of configuration files, each from a seed: those that the JSON Schema allows, and ones with odd things."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import jsonschema

from policy.config.schema import file_schema

SCHEMA = file_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
WORDS = (
    "/nix/store/*",
    "/opt/**",
    "~/x",
    "~",
    "**/a",
    "/a[b-d!]?/*",
    "C:/a",
    "/",
    "a",
    "ci-*",
    "é",
    "b[!x]",
    ">=0.1",
    ">=0.1, <99",
    "store",
    "rule 1",
    "/run/lock",
    "/mnt/envs",
    "system",
    "/etc/ca.pem",
    "linux",
    "sync",
)  # fmt: skip  (a table)
ODD: tuple[Any, ...] = (
    True,
    -1,
    0,
    0.5,
    86_401,
    "",
    "a\n",
    "\u202e",
    "[z-a]",
    "[a",
    "/a/../b",
    "~x/y",
    "C:\\a",
    "a" * 1_025,
    ">=0.1,,<99",
    ">= 0.1 , <99",
    "~=1",
    "==1.*",
    ">=1.*",
    "===1",
    "\u00a0>=0.1",
    [],
    {},
    ["", "/a"],
    {"": "x"},
    {"A=B": "x"},
    {"any": []},
    "both",
    ["both", "local"],
    {"name": "a", "root": "b"},
    {"name": "a\n", "root": "/"},
    {"host": "a"},
)  # fmt: skip  (a table)
LEVELS = 3  # of match tables inside each other: deeper ones are like these

_known: dict[str, tuple[str, ...]] = {}


def right(seed: int) -> Any:
    """A content that the schema allows."""
    return _value(Random(seed), SCHEMA, 0)  # noqa: S311  (chance, no secret)


def _value(random: Random, part: Any, depth: int) -> Any:
    """A value that a part of the schema allows, inside as many match tables."""
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return _value(random, SCHEMA["definitions"][name], depth + name.startswith("match"))
    if part.get("type") == "object":
        return _table(random, part, depth)
    if "anyOf" in part:
        return _value(random, random.choice(part["anyOf"]), depth)
    if part.get("type") == "array":
        least = part.get("minItems", 0)
        return [_value(random, part["items"], depth) for _ in range(random.randint(least, least + 1))]
    return random.choice(_plain(part))


def _plain(part: Any) -> tuple[Any, ...]:
    """Values of a part that holds no others."""
    if "enum" in part:
        return tuple(part["enum"])
    if part["type"] == "boolean":
        return True, False
    if part["type"] == "string":
        return _texts(part)
    return part["minimum"], part["maximum"], *((4.5,) if part["type"] == "number" else ())


def _texts(part: Any) -> tuple[str, ...]:
    key = json.dumps(part, sort_keys=True)
    if key not in _known:
        validator = jsonschema.Draft7Validator(part)
        _known[key] = tuple(word for word in WORDS if validator.is_valid(word))
    return _known[key]


def _table(random: Random, part: Any, depth: int) -> Any:
    least = part.get("minProperties", 0)
    if "properties" not in part:
        names = random.sample(["CI", "HOME", "A B", "é"], max(least, random.randint(0, 2)))
        return {name: _value(random, part["additionalProperties"], depth) for name in names}
    free = [key for key in part["properties"] if not (depth >= LEVELS and key in {"any", "all", "not"})]
    keys = random.sample(free, min(len(free), random.randint(least, max(least, 3))))
    if "anyOf" in part:  # either of two keys is required
        keys += random.choice(part["anyOf"])["required"]
    wanted = dict.fromkeys([*part.get("required", ()), *keys])
    return {key: _value(random, part["properties"][key], depth) for key in wanted}


def odd(seed: int) -> Any:
    """A content in which up to two values were exchanged for odd ones, or keys misspelled."""
    random = Random(seed)  # noqa: S311  (chance, no secret)
    content = _value(random, SCHEMA, 0)
    for _ in range(random.randint(0, 2)):
        places = [place for place in _places(content) if place]
        if not places:
            break
        *path, last = random.choice(places)
        inner = content
        for key in path:
            inner = inner[key]
        if isinstance(last, str) and random.random() < 0.25:
            inner[last + random.choice(["x", "_", " ", "\n"])] = inner.pop(last)
        else:
            inner[last] = json.loads(json.dumps(random.choice(ODD)))
    return content


def _places(value: Any, keys: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of keys and indices to everything in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [keys, *(place for key, one in inner for place in _places(one, (*keys, key)))]
