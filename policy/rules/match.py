"""The shape of `match`, made from what the conditions say of themselves."""

from __future__ import annotations

from policy.rules.conditions import CONDITIONS, Combinator
from policy.toml.shapes import Shape, array, keyed, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.rules.condition import Match
    from policy.toml.diagnostic import Location

DEEPEST = 8  # combinators within combinators; a rule that needs more is two rules


def _match(depth: int) -> Shape:
    """The shape of a match table that stands inside `depth` others."""

    def inner(value: object, location: Location) -> Match:
        if depth == DEEPEST:
            message = f"any, all and not stand more than {DEEPEST} deep; write two rules instead"
            raise refuse(location, message, code="too-deep")
        return _match(depth + 1).parse(value, location)  # type: ignore[no-any-return]  # a shape gives any

    table = Shape(inner, _reference(_level(depth + 1)))
    tables = array(table, least=1)
    shapes: dict[str, Shape] = {}
    for key, condition in CONDITIONS.items():
        if isinstance(condition, Combinator):
            shapes[key] = (tables if condition.several else table).described(condition.help)
        else:
            shapes[key] = Shape(condition.shape.parse, _reference(key))
    shape = keyed(shapes, least=1)
    schema = dict(shape.schema)
    if depth == DEEPEST:
        schema["properties"] = {key: _reference(key) for key in CONDITIONS if not _combines(key)}
    return Shape(lambda value, location: tuple(shape.parse(value, location).items()), schema)


def _combines(key: str) -> bool:
    return isinstance(CONDITIONS[key], Combinator)


def _level(depth: int) -> str:
    return f"match-{depth}"


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{name}"}


def definitions() -> dict[str, Any]:
    """What the schema of `match` refers to: each condition, and a match table of each depth."""
    leaves = {key: one for key, one in CONDITIONS.items() if not _combines(key)}
    return {
        **{key: one.shape.described(one.help, *one.examples).schema for key, one in leaves.items()},
        **{
            _level(depth): {"title": "conditions, all of which must hold", **_match(depth).schema}
            for depth in range(1, DEEPEST + 1)
        },
    }


def match_shape() -> Shape:
    """The shape of `match`: read as a tuple of (key, value) in the file's order."""
    return _match(0)
