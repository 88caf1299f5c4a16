"""A TOML shape: its reader and its JSON Schema in one value.

Readers return plain values (strings, numbers, tuples), so that what they read can be kept in a cache file. Nothing here
imports attrs, because the conditions, which `policy run` needs, declare their kinds with it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from policy.errors import ConfigError
    from policy.toml.diagnostic import Fault, Place


class Kind:
    """A TOML shape.

    Args:
        read: From a value of tomllib and its place to a plain value; raises ConfigError with every fault in it.
        schema: The same shape as JSON Schema (draft-07).
    """

    __slots__ = ("read", "schema")

    def __init__(self, read: Callable[[object, Place], Any], schema: Mapping[str, Any]) -> None:
        self.read = read
        self.schema = schema


def refuse(place: Place, message: str, *, of_key: bool = False) -> ConfigError:
    """One fault as an error that can be raised."""
    from policy.errors import ConfigError
    from policy.toml.diagnostic import Fault

    return ConfigError([Fault(place, message, of_key)])


MOST = 1_000  # faults of one file; a file of 256 KiB could have 120,000, which take 200 MB to tell


def gather(read: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Reads every item, and raises the faults of all of them together; from `MOST` on it reads no further.

    Args:
        read: From an item to a value; raises ConfigError.
        items: What to read.

    Returns:
        The values, in order.

    Raises:
        ConfigError: With every fault.
    """
    from policy.errors import ConfigError

    values: list[Any] = []
    faults: list[Fault] = []
    for item in items:
        try:
            values.append(read(item))
        except ConfigError as error:
            faults += error.faults
            if len(faults) >= MOST:
                break
    if faults:
        raise ConfigError(faults)
    return values


def shown(value: object) -> str:
    """A TOML value as a message quotes it: in TOML's words, and short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "..."  # noqa: PLR2004  (what fits a line)
        return f'"{text}"'
    return str(value)


def _plain(of: type, noun: str, schema: Mapping[str, Any]) -> Kind:
    def read(value: object, place: Place) -> object:
        if type(value) is not of:
            raise refuse(place, f"expected {noun}, found {shown(value)}")
        return value

    return Kind(read, schema)


TEXT = _plain(str, "a string", {"type": "string"})
FLAG = _plain(bool, "true or false", {"type": "boolean"})


def refined(kind: Kind, fault: Callable[[Any], str | None], schema: Mapping[str, Any] | None = None) -> Kind:
    """A kind that refuses some of another's values.

    Args:
        kind: The other kind.
        fault: From a value to what is wrong with it, or None.
        schema: What JSON Schema can say of the limit.
    """

    def read(value: object, place: Place) -> object:
        got = kind.read(value, place)
        message = fault(got)
        if message:
            raise refuse(place, message)
        return got

    return Kind(read, {**kind.schema, **(schema or {})})


def choice(names: Iterable[str]) -> Kind:
    """One of some names."""
    allowed = tuple(names)

    def read(value: object, place: Place) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise refuse(place, f"expected {listed(allowed)}, found {shown(value)}{nearest(value, allowed)}")
        return value

    return Kind(read, {"enum": list(allowed)})


def number(least: float, most: float, unit: str) -> Kind:
    """A finite number between two others, both allowed."""

    def read(value: object, place: Place) -> float:
        # bool is an int in Python, not in TOML; nan compares false with everything
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise refuse(place, f"expected a number of {unit} from {least:g} to {most:g}, found {shown(value)}")
        return value

    return Kind(read, {"type": "number", "minimum": least, "maximum": most})


def several(kind: Kind) -> Kind:
    """One value, or a non-empty array of them; read as a tuple."""
    items = array(kind, least=1)

    def read(value: object, place: Place) -> tuple[Any, ...]:
        if isinstance(value, list):
            return items.read(value, place)  # type: ignore[no-any-return]
        return (kind.read(value, place),)

    return Kind(read, {"anyOf": [kind.schema, items.schema]})


def flag_or(kind: Kind, noun: str) -> Kind:
    """`true` or `false`, or else another kind."""

    def read(value: object, place: Place) -> object:
        if isinstance(value, bool):
            return value
        if not isinstance(value, (str, list)):
            raise refuse(place, f"expected true, false or {noun}, found {shown(value)}")
        return kind.read(value, place)

    return Kind(read, {"anyOf": [FLAG.schema, *kind.schema.get("anyOf", [kind.schema])]})


def array(kind: Kind, least: int = 0) -> Kind:
    """An array of one kind; read as a tuple."""

    def read(value: object, place: Place) -> tuple[Any, ...]:
        if not isinstance(value, list):
            name = place.keys[-1] if place.keys else ""
            tables = isinstance(value, dict) and kind.schema.get("type") == "object"
            mend = f"; write [[{name}]], with two brackets" if tables else ""
            raise refuse(place, f"expected an array, found {shown(value)}{mend}")
        if len(value) < least:
            raise refuse(place, "must not be empty")

        def item(index: int) -> Any:
            return kind.read(value[index], place.at(index))

        return tuple(gather(item, range(len(value))))

    schema: dict[str, Any] = {"type": "array", "items": kind.schema}
    if least:
        schema["minItems"] = least
    return Kind(read, schema)


def mapping(kind: Kind) -> Kind:
    """A non-empty table with names of the user's choice; read as a tuple of pairs."""

    def read(value: object, place: Place) -> tuple[tuple[str, Any], ...]:
        if not isinstance(value, dict):
            raise refuse(place, f"expected a table, found {shown(value)}")
        if not value:
            raise refuse(place, "must not be empty")

        def item(name: str) -> tuple[str, Any]:
            if not name or "=" in name or "\0" in name:
                raise refuse(place.at(name), "is no name of an environment variable", of_key=True)
            return name, kind.read(value[name], place.at(name))

        return tuple(gather(item, value))

    names = {"minLength": 1, "pattern": "^[^=\\u0000]+$"}
    return Kind(
        read, {"type": "object", "additionalProperties": kind.schema, "propertyNames": names, "minProperties": 1}
    )


def keyed(
    kinds: Mapping[str, Kind], notes: Mapping[str, Mapping[str, Any]], required: Iterable[str] = (), least: int = 0
) -> Kind:
    """A table whose keys are known, and whose every fault is reported; read as a dict.

    Args:
        kinds: The keys and their kinds.
        notes: For each key what the schema says besides: description, examples, default.
        required: The keys that must be there.
        least: How many keys must be there at the least.
    """
    needed = tuple(required)

    def read(value: object, place: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refuse(place, f"expected a table, found {shown(value)}")

        def item(name: str) -> tuple[str, Any]:
            if name not in kinds:
                close = nearest(name, kinds)
                known = close or f"; known here: {', '.join(kinds)}"
                raise refuse(place.at(name), f'unknown key "{name}"{known}', of_key=True)
            return name, kinds[name].read(value[name], place.at(name))

        def missing(name: str) -> tuple[str, Any]:
            raise refuse(
                place, f'"{name}" is missing' if name else f"must not be empty; known here: {', '.join(kinds)}"
            )

        absent = [name for name in needed if name not in value]
        if len(value) < least:
            absent.append("")
        tasks = [(item, name) for name in value] + [(missing, name) for name in absent]
        return dict(gather(lambda task: task[0](task[1]), tasks))

    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {**kind.schema, **notes[name]} for name, kind in kinds.items()},
    }
    if least:
        schema["minProperties"] = least
    if needed:
        schema["required"] = list(needed)
    return Kind(read, schema)


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them: `"a", "b" or "c"`."""
    quoted = [f'"{name}"' for name in names]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))


def nearest(name: object, known: Iterable[str]) -> str:
    """`; did you mean "…"?` where a known name is close, else nothing."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), 1) if isinstance(name, str) else []
    return f'; did you mean "{close[0]}"?' if close else ""
