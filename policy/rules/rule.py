"""A rule, and the trace of what rules answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from policy.rules.conditions import match_shape
from policy.rules.plan import LOCATIONS
from policy.toml.shapes import FLAG, TEXT, Shape, array, choice, keyed, number, refined
from policy.variables import MAX_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policy.rules.conditions import Match
    from policy.toml.diagnostic import Location

TIMEOUT = number(0, MAX_TIMEOUT, "seconds")


def _name_fault(name: str) -> str | None:
    return None if name and name.isprintable() and len(name) <= 100 else "must be 1 to 100 printable characters"  # noqa: PLR2004


def key(shape: Shape, help: str, *, default: Any = attrs.NOTHING, **notes: Any) -> Any:  # noqa: A002
    """An attrs field that is also a key of a TOML table."""
    return attrs.field(default=default, metadata={"shape": shape, "notes": {"description": help, **notes}})


@frozen
class Rule:
    """Conditions, and what to do when all of them hold.

    Args:
        lock: `local`, `global` or `both`.
        match: The conditions, (key, value) in the file's order; empty matches everything.
        name: What people call it.
        timeout: How long to wait, in seconds; None: what the file's own setting says.
        required: False goes on without a lock that cannot be had.
        reason: A sentence for whoever reads the explanation.
        mandatory: Stands before every other layer.
        file: Where it is written; `built-in` for ours.
        line: Counted from 1; 0 for ours.
        layer: `file`, `project`, `user`, `system` or `built-in`.
    """

    lock: str = key(choice(LOCATIONS), "Where the lock lives: in the environment, outside it, or both.")
    match: Match = key(
        match_shape(), "What must hold for this rule to decide; without it the rule always does.", default=()
    )
    name: str = key(
        refined(TEXT, _name_fault, {"minLength": 1, "maxLength": 100, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"}),
        "What people call this rule.",
        default="",
    )
    timeout: float | None = key(TIMEOUT, "How long to wait for the lock, in seconds.", default=None, examples=[60])
    required: bool = key(FLAG, "False: go on without a lock that cannot be had, and say so on stderr.", default=True)
    reason: str = key(TEXT, "A sentence for whoever reads the explanation.", default="")
    mandatory: bool = key(
        FLAG, "Stands before the rules of every other file; only the system file may hold such a rule.", default=False
    )
    file: str = "built-in"
    line: int = 0
    layer: str = "built-in"

    @property
    def label(self) -> str:
        """The rule as messages name it."""
        return self.name or f"{self.file}:{self.line}"

    @property
    def row(self) -> tuple[Any, ...]:
        """The plain form that decides and that a cache file can hold."""
        return attrs.astuple(self, recurse=False)


KEYS = {field.name: field for field in attrs.fields(Rule) if "shape" in field.metadata}


def _rule_shape() -> Shape:
    shape = keyed(
        {name: field.metadata["shape"] for name, field in KEYS.items()},
        {name: field.metadata["notes"] for name, field in KEYS.items()},
        [name for name, field in KEYS.items() if field.default is attrs.NOTHING],
    )

    def parse(value: object, location: Location) -> tuple[dict[str, Any], Location]:
        return shape.parse(value, location), location

    return Shape(parse, shape.schema)


RULES = array(_rule_shape())


@frozen
class Check:
    """A condition, answered.

    Args:
        key: The condition's name.
        expected: What the rule wants.
        seen: What was observed.
        passed: Whether it holds.
        caller: Whether the answer may differ between two callers.
        detail: More about what was seen: an errno's text, the path of a marker.
        checks: The answers inside a combinator, one tuple for each table.
    """

    key: str
    expected: Any
    seen: Any
    passed: bool
    caller: bool
    detail: str = ""
    checks: tuple[tuple[Check, ...], ...] = ()

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Check:
        """From the plain form."""
        inside = tuple(tuple(map(cls.of, table)) for table in record.get("checks", ()))
        return cls(**{**record, "checks": inside})


@frozen
class Step:
    """A rule, tried.

    Args:
        rule: The rule.
        outcome: `no`, `matched` or `not-reached`.
        checks: Its conditions, answered; empty for a rule that was not reached.
    """

    rule: Rule
    outcome: str
    checks: tuple[Check, ...]
