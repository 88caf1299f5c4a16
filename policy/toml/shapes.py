"""A TOML shape: its reader and its JSON Schema in one value.

Readers return plain values (strings, numbers, tuples), so that what they read can be kept in a cache file. Nothing here
imports attrs, because the conditions, which `policy run` needs, declare their shapes with it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from policy.errors import ConfigError
    from policy.toml.diagnostic import Diagnostic, Location


class Shape:
    """A TOML shape.

    Args:
        parse: From a value of tomllib and its location to a plain value; raises ConfigError with every fault in it.
        schema: The same shape as JSON Schema (draft-07).
    """

    __slots__ = ("parse", "schema")

    def __init__(self, parse: Callable[[object, Location], Any], schema: Mapping[str, Any]) -> None:
        self.parse: Callable[[object, Location], Any] = parse
        self.schema: Mapping[str, Any] = schema

    def described(self, description: str, *examples: object) -> Shape:
        """The same shape, with what its schema says to people.

        Args:
            description: A sentence about the key that has this shape.
            examples: Values as TOML would have them.
        """
        notes = {"description": description, "examples": list(examples)} if examples else {"description": description}
        return Shape(self.parse, {**self.schema, **notes})


def refuse(
    location: Location,
    message: str,
    *,
    of_key: bool = False,
    code: str = "wrong-value",
    unknown: tuple[object, Iterable[str]] = ("", ()),
) -> ConfigError:
    """One fault as an error that can be raised.

    Args:
        location: Where it is.
        message: What is wrong and what to do about it.
        of_key: Whether the key is at fault, not its value.
        code: Which kind of thing is wrong.
        unknown: A name that is not known, and those that are; the message ends with the one that was probably meant.
    """
    from policy.errors import ConfigError
    from policy.toml.diagnostic import Diagnostic

    meant = closest(*unknown) if unknown[0] else ""
    name = str(unknown[0]) if meant else ""
    message += _did_you_mean(meant)
    return ConfigError([Diagnostic(location, message, of_key, code=code, suggested_for=name, suggestion=meant)])


MOST = 1_000  # faults of one file; a file of 256 KiB could have 120,000, which take 200 MB to tell


def gather(parse: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Reads every item, and raises the faults of all of them together; from `MOST` on it reads no further.

    Args:
        parse: From an item to a value; raises ConfigError.
        items: What to read.

    Returns:
        The values, in order.

    Raises:
        ConfigError: With every fault.
    """
    from policy.errors import ConfigError

    values: list[Any] = []
    diagnostics: list[Diagnostic] = []
    for item in items:
        try:
            values.append(parse(item))
        except ConfigError as error:
            diagnostics += error.diagnostics
            if len(diagnostics) >= MOST:
                break
    if diagnostics:
        raise ConfigError(diagnostics)
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


def _plain(of: type, noun: str, schema: Mapping[str, Any]) -> Shape:
    def parse(value: object, location: Location) -> object:
        if type(value) is not of:
            raise refuse(location, f"expected {noun}, found {shown(value)}", code="wrong-type")
        return value

    return Shape(parse, schema)


# Controls, and what moves or hides other characters: soft hyphen, bidirectional and zero-width ones, line separators.
UNSEEN = r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
END = r"(?![\s\S])"  # `$` of Python's re also matches before a line end at the end; this means the same everywhere

TEXT = _plain(str, "a string", {"type": "string"})
FLAG = _plain(bool, "true or false", {"type": "boolean"})


def refined(
    shape: Shape,
    problem: Callable[[Any], str | None],
    schema: Mapping[str, Any] | None = None,
    code: str = "wrong-value",
) -> Shape:
    """A shape that refuses some of another's values.

    Args:
        shape: The other shape.
        problem: From a value to what is wrong with it, or None.
        schema: What JSON Schema can say of the limit.
        code: Which kind of thing is wrong with what is refused.
    """

    def parse(value: object, location: Location) -> object:
        got = shape.parse(value, location)
        message = problem(got)
        if message:
            raise refuse(location, message, code=code)
        return got

    return Shape(parse, {**shape.schema, **(schema or {})})


def _code(value: object, of: type | tuple[type, ...]) -> str:
    """Whether a value that is refused is of the right type; a boolean is a number in Python, and none in TOML."""
    return "wrong-value" if isinstance(value, of) and not isinstance(value, bool) else "wrong-type"


def matching(pattern: str, problem: str) -> Shape:
    """Text that matches a regular expression, which the reader and the schema share.

    Args:
        pattern: Of the whole text.
        problem: What is wrong with another text.
    """
    import re

    return refined(TEXT, lambda text: None if re.fullmatch(pattern, text) else problem, {"pattern": pattern})


def line(most: int, forbidden: str = "", named: str = "") -> Shape:
    """Text that people see on one line: without controls and other characters that cannot be seen.

    Args:
        most: How many characters it may have.
        forbidden: Characters that it may not have either.
        named: What those are called.
    """
    import re

    pattern = f"^[^{UNSEEN}{forbidden}]+{END}"
    without = f" without {named}" if named else ""

    def problem(text: str) -> str | None:
        known = len(text) <= most and re.match(pattern, text)
        return None if known else f"must be 1 to {most} printable characters{without}"

    return refined(TEXT, problem, {"minLength": 1, "maxLength": most, "pattern": pattern})


def choice(names: Iterable[str]) -> Shape:
    """One of some names."""
    allowed = tuple(names)

    def parse(value: object, location: Location) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise refuse(
                location,
                f"expected {listed(allowed)}, found {shown(value)}",
                code=_code(value, str),
                unknown=(value, allowed),
            )
        return value

    return Shape(parse, {"enum": list(allowed)})


def number(least: float, most: float, unit: str) -> Shape:
    """A finite number between two others, both allowed."""
    return _bounded((int, float), "number", least, most, f"a number of {unit} from {least:g} to {most:g}")


def whole(least: int, most: int) -> Shape:
    """A whole number between two others, both allowed."""
    return _bounded((int,), "integer", least, most, f"a whole number from {least} to {most}")


def _bounded(types: tuple[type, ...], name: str, least: float, most: float, wanted: str) -> Shape:
    def parse(value: Any, location: Location) -> Any:
        known = isinstance(value, types) and not isinstance(value, bool)  # bool is an int in Python, not in TOML
        if not (known and least <= value <= most):  # nan compares false with everything
            raise refuse(location, f"expected {wanted}, found {shown(value)}", code=_code(value, types))
        return value

    return Shape(parse, {"type": name, "minimum": least, "maximum": most})


def several(shape: Shape) -> Shape:
    """One value, or a non-empty array of them; read as a tuple."""
    items = array(shape, least=1)

    def parse(value: object, location: Location) -> tuple[Any, ...]:
        if isinstance(value, list):
            return items.parse(value, location)  # type: ignore[no-any-return]  # a shape gives any
        return (shape.parse(value, location),)

    return Shape(parse, {"anyOf": [shape.schema, items.schema]})


def flag_or(shape: Shape, noun: str) -> Shape:
    """`true` or `false`, or else another shape."""

    def parse(value: object, location: Location) -> object:
        if isinstance(value, bool):
            return value
        if not isinstance(value, (str, list)):
            raise refuse(location, f"expected true, false or {noun}, found {shown(value)}", code="wrong-type")
        return shape.parse(value, location)

    return Shape(parse, {"anyOf": [FLAG.schema, *shape.schema.get("anyOf", [shape.schema])]})


def array(shape: Shape, least: int = 0) -> Shape:
    """An array of one shape; read as a tuple."""

    def parse(value: object, location: Location) -> tuple[Any, ...]:
        if not isinstance(value, list):
            name = location.keys[-1] if location.keys else ""
            tables = isinstance(value, dict) and shape.schema.get("type") == "object"
            mend = f"; write [[{name}]], with two brackets" if tables else ""
            raise refuse(location, f"expected an array, found {shown(value)}{mend}", code="wrong-type")
        if len(value) < least:
            raise refuse(location, "must not be empty", code="empty")

        def item(index: int) -> Any:
            return shape.parse(value[index], location.at(index))

        return tuple(gather(item, range(len(value))))

    schema: dict[str, Any] = {"type": "array", "items": shape.schema}
    if least:
        schema["minItems"] = least
    return Shape(parse, schema)


def mapping(shape: Shape) -> Shape:
    """A non-empty table with names of the user's choice; read as a tuple of pairs."""

    def parse(value: object, location: Location) -> tuple[tuple[str, Any], ...]:
        if not isinstance(value, dict):
            raise refuse(location, f"expected a table, found {shown(value)}", code="wrong-type")
        if not value:
            raise refuse(location, "must not be empty", code="empty")

        def item(name: str) -> tuple[str, Any]:
            if not name or "=" in name or "\0" in name:
                raise refuse(location.at(name), "is not the name of an environment variable", of_key=True)
            return name, shape.parse(value[name], location.at(name))

        return tuple(gather(item, value))

    names = {"minLength": 1, "pattern": "^[^=\\u0000]+$"}
    return Shape(
        parse, {"type": "object", "additionalProperties": shape.schema, "propertyNames": names, "minProperties": 1}
    )


def keyed(shapes: Mapping[str, Shape], required: Iterable[str] = (), least: int = 0) -> Shape:
    """A table whose keys are known, and whose every fault is reported; read as a dict.

    Args:
        shapes: The keys and their shapes.
        required: The keys that must be there.
        least: How many keys must be there at the least.
    """
    needed = tuple(required)

    def parse(value: object, location: Location) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refuse(location, f"expected a table, found {shown(value)}", code="wrong-type")

        def item(name: str) -> tuple[str, Any]:
            if name not in shapes:
                known = "" if closest(name, shapes) else f"; known here: {', '.join(shapes)}"
                message = f'unknown key "{name}"{known}'
                raise refuse(location.at(name), message, of_key=True, code="unknown-key", unknown=(name, shapes))
            return name, shapes[name].parse(value[name], location.at(name))

        def missing(name: str) -> tuple[str, Any]:
            if name:
                raise refuse(location, f'"{name}" is missing', code="missing-key")
            raise refuse(location, f"must not be empty; known here: {', '.join(shapes)}", code="empty")

        absent = [name for name in needed if name not in value]
        if len(value) < least:
            absent.append("")
        tasks = [(item, name) for name in value] + [(missing, name) for name in absent]
        return dict(gather(lambda task: task[0](task[1]), tasks))

    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: shape.schema for name, shape in shapes.items()},
    }
    if least:
        schema["minProperties"] = least
    if needed:
        schema["required"] = list(needed)
    return Shape(parse, schema)


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them: `"a", "b" or "c"`."""
    quoted = [f'"{name}"' for name in names]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))


def closest(name: object, known: Iterable[str]) -> str:
    """The known name that is close to another one, "" where none is."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), 1) if isinstance(name, str) else []
    return close[0] if close else ""


def nearest(name: object, known: Iterable[str]) -> str:
    """`; did you mean "…"?` where a known name is close, else nothing."""
    return _did_you_mean(closest(name, known))


def _did_you_mean(name: str) -> str:
    return f'; did you mean "{name}"?' if name else ""
