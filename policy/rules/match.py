"""The shape of `match`, made from what the conditions say of themselves."""

from __future__ import annotations

from policy.rules.conditions import CONDITIONS, Combinator
from policy.toml.shapes import Shape, array, keyed, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.rules.condition import Condition, Match
    from policy.toml.diagnostic import Location

DEEPEST = 8  # combinators within combinators; a rule that needs more is two rules
REFERENCE = {"$ref": "#/definitions/match"}


def _match(depth: int) -> Shape:
    """The shape of a match table that stands inside `depth` others."""

    def inner(value: object, location: Location) -> Match:
        if depth == DEEPEST:
            message = f"any, all and not stand more than {DEEPEST} deep; write two rules instead"
            raise refuse(location, message, code="too-deep")
        return _match(depth + 1).parse(value, location)  # type: ignore[no-any-return]  # a shape gives any

    table = Shape(inner, REFERENCE)
    tables = array(table, least=1)
    shapes = {
        key: (tables if condition.several else table) if isinstance(condition, Combinator) else condition.shape
        for key, condition in CONDITIONS.items()
    }
    notes = {key: _notes(condition) for key, condition in CONDITIONS.items()}
    shape = keyed(shapes, notes, least=1)
    return Shape(lambda value, location: tuple(shape.parse(value, location).items()), shape.schema)


def _notes(condition: Condition) -> dict[str, Any]:
    notes: dict[str, Any] = {"description": condition.help}
    examples = getattr(condition, "examples", ())
    return {**notes, "examples": list(examples)} if examples else notes


def match_shape() -> Shape:
    """The shape of `match`: read as a tuple of (key, value) in the file's order."""
    return _match(0)
