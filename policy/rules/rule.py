"""A rule, and what a rule answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from policy.errors import ConfigError, UsageError
from policy.rules.conditions import toml
from policy.rules.match import match_shape
from policy.rules.plain import BUILT_IN_LAYER, PlainRule
from policy.rules.plan import LOCATIONS
from policy.toml.diagnostic import Location
from policy.toml.shapes import END, FLAG, TEXT, Shape, array, choice, keyed, line, matching, number, several
from policy.variables import MAX_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Protocol, TypeAlias

    from policy.rules.condition import Match

TIMEOUT = number(0, MAX_TIMEOUT, "seconds")
BOTH = "both"  # another word for global and local


def _lock_shape() -> Shape:
    """One location, or a list of them; read as a tuple of locations, each once."""
    words = several(choice((*LOCATIONS, BOTH)))

    def parse(value: object, location: Location) -> tuple[str, ...]:
        named = [("global", "local") if word == BOTH else (word,) for word in words.parse(value, location)]
        return tuple(dict.fromkeys(location for locations in named for location in locations))

    return Shape(parse, words.schema)


LOCK = _lock_shape()
NAME_LENGTH = 100  # characters


_CLUSTER_KEY = keyed(
    {
        "name": matching(
            rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}{END}",
            "must be 1 to 100 letters, digits, dots, dashes and underscores",
        ).described("The same on every host."),
        "root": matching(r"^(/|~/|[A-Za-z]:[/\\])[^\u0000]*$", "must be an absolute path, or begin with ~/").described(
            "Where this host has the folder that they share."
        ),
    },
    ["name", "root"],
)


def _parse_cluster_key(value: object, location: Location) -> tuple[str, str]:
    found = _CLUSTER_KEY.parse(value, location)
    return found["name"], found["root"]


CLUSTER_KEY = Shape(_parse_cluster_key, _CLUSTER_KEY.schema)


def _cluster_key(value: object) -> tuple[str, str] | None:
    if value is None:
        return None
    if isinstance(value, tuple):
        value = dict(zip(("name", "root"), value, strict=True))
    return _checked(CLUSTER_KEY, "cluster-key", value)  # type: ignore[no-any-return]  # CLUSTER_KEY reads pairs


class Checked(tuple[Any, ...]):
    """A value of a rule that was read from a file or thawed from a checked cache, and need not be checked again."""

    __slots__ = ()


def _checked(shape: Shape, name: str, value: object) -> Any:
    """A value that a program gives, read as if it stood in a file.

    Raises:
        UsageError: With the first fault in it.
    """
    try:
        return shape.parse(value, Location("", (name,)))
    except ConfigError as error:
        diagnostic = error.diagnostics[0]
        raise UsageError(f"{'.'.join(map(str, diagnostic.location.keys))} of a rule: {diagnostic.message}") from None


def _lock(value: object) -> tuple[str, ...]:
    if isinstance(value, Checked):
        return tuple(value)
    return _checked(LOCK, "lock", list(value) if isinstance(value, tuple) else value)  # type: ignore[no-any-return]  # LOCK reads tuples of names


def _match(value: object) -> Match:
    if isinstance(value, Checked):
        return tuple(value)
    if isinstance(value, tuple):
        try:
            value = toml(value)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise UsageError("match of a rule: expected a table, or what another rule has as `match`") from None
    if value == {}:
        return ()
    return _checked(match_shape(), "match", value)  # type: ignore[no-any-return]  # its shape reads tuples of pairs


KEYS = {
    "lock": LOCK.described("Where the lock lives: one location, or a list of them.", "local", "both"),
    "match": match_shape().described("What must hold for this rule to decide; without it the rule always does."),
    "name": line(NAME_LENGTH).described("The name of the rule, shown in explanations."),
    "timeout": TIMEOUT.described("How long to wait for the lock, in seconds.", 60),
    "required": FLAG.described("If false, continue without the lock when it cannot be acquired, and print a warning."),
    "shared": FLAG.described("If true, take the locks for reading: many readers at once, and no writer."),
    "unused": FLAG.described("If true, wait until no process runs from the environment."),
    "cluster-key": CLUSTER_KEY.described(
        "What a lock on a server is named after on every host: this name, and the path below this host's root.",
        {"name": "team-envs", "root": "/mnt/envs"},
    ),
    "reason": TEXT.described("A sentence for the reader of an explanation."),
    "mandatory": FLAG.described(
        "Stands before the rules of every other file; only the system file may hold such a rule."
    ),
}
"""The keys of `[[rules]]`; each is a field of Rule."""

KEY_FIELDS = {key: key.replace("-", "_") for key in KEYS}


def _value(rule: Rule, attribute: attrs.Attribute[Any], value: object) -> None:
    """Refuses what no file may hold."""
    del rule
    if value != attribute.default or type(value) is not type(attribute.default):
        _checked(KEYS[attribute.name], attribute.name, value)


@frozen
class Rule:
    """Conditions, and what to do when all of them hold.

    Args:
        lock: `local`, `global` or another location, or several of them; `both` for global and local.
        match: The conditions, as a table of the file or as (key, value) in its order; empty matches everything.
        name: What people call it.
        timeout: How long to wait, in seconds; None: what the file's own setting says.
        required: If false, continue without the lock when it cannot be acquired, and print a warning.
        shared: Take the locks for reading.
        unused: Wait until no process runs from the environment.
        cluster_key: The name of a lock on a server, and the folder below which paths are counted.
        reason: A sentence for the reader of an explanation.
        mandatory: Stands before every other layer.
        file: Where it is written; `built-in` for ours.
        line: Counted from 1; 0 for ours.
        layer: `file`, `project`, `user`, `system` or `built-in`.
        confined: Whether `required = false` counts below the folder of its file only.

    Raises:
        UsageError: When a value is one that no file may hold.
    """

    lock: tuple[str, ...] = field(converter=_lock)
    match: Match = field(default=(), converter=_match)
    name: str = field(default="", validator=_value)
    timeout: float | None = field(default=None, validator=_value)
    required: bool = field(default=True, validator=_value)
    shared: bool = field(default=False, validator=_value)
    unused: bool = field(default=False, validator=_value)
    cluster_key: tuple[str, str] | None = field(default=None, converter=_cluster_key)
    reason: str = field(default="", validator=_value)
    mandatory: bool = field(default=False, validator=_value)
    file: str = BUILT_IN_LAYER
    line: int = 0
    layer: str = BUILT_IN_LAYER
    confined: bool = False

    @classmethod
    def of(cls, twin: AnyRule) -> Rule:
        """A rule from its slotted twin.

        Args:
            twin: It, or a rule.
        """
        if isinstance(twin, Rule):
            return twin
        fields = {name: getattr(twin, name) for name in FIELDS}
        return cls(**{**fields, "lock": Checked(twin.lock), "match": Checked(twin.match)})

    @property
    def label(self) -> str:
        """The rule as messages name it."""
        return self.name or f"{self.file}:{self.line}"


AnyRule: TypeAlias = "Rule | PlainRule"

if TYPE_CHECKING:

    class AnyRules(Protocol):
        """Rules by their number, the strongest first."""

        def __len__(self) -> int: ...
        def __getitem__(self, number: int, /) -> AnyRule: ...
        def __iter__(self) -> Iterator[AnyRule]: ...


FIELDS = tuple(one.name for one in attrs.fields(Rule))


def _rule_shape() -> Shape:
    shape = keyed(KEYS, ["lock"])

    def parse(value: object, location: Location) -> tuple[dict[str, Any], Location]:
        fields = shape.parse(value, location)
        return {
            KEY_FIELDS[name]: Checked(held) if isinstance(held, tuple) else held for name, held in fields.items()
        }, location

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
