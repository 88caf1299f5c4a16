from __future__ import annotations

import datetime as dt
import math

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import ConfigError
from policy.toml import shapes
from policy.toml.diagnostic import Diagnostic, Location
from policy.toml.shapes import FLAG, TEXT, Shape

HERE = Location("a.toml")
COLOR = shapes.choice(["red", "green", "blue"])
SECONDS = shapes.number(0, 10, "seconds")
NAMED = shapes.refined(TEXT, lambda text: None if text else "must not be empty", {"minLength": 1})
KEYS = {"color": COLOR.described("A colour.", "red"), "wait": SECONDS.described("Seconds.")}
TABLE = shapes.keyed(KEYS, ["color"])
ANY = shapes.keyed(KEYS, least=1)


def diagnostics(shape: Shape, value: object) -> list[tuple[tuple[str | int, ...], str]]:
    """Where and why a kind refuses a value."""
    with pytest.raises(ConfigError) as caught:
        shape.parse(value, HERE)
    return [(diagnostic.location.keys, diagnostic.message) for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        (TEXT, "a", "a"),
        (FLAG, False, False),
        (NAMED, "a", "a"),
        (COLOR, "red", "red"),
        (SECONDS, 0, 0),
        (SECONDS, 10, 10),
        (SECONDS, 2.5, 2.5),
        (shapes.several(TEXT), "a", ("a",)),
        (shapes.several(TEXT), ["a", "b"], ("a", "b")),
        (shapes.flag_or(shapes.several(TEXT), "globs"), True, True),
        (shapes.flag_or(shapes.several(TEXT), "globs"), "a", ("a",)),
        (shapes.flag_or(shapes.several(TEXT), "globs"), ["a", "b"], ("a", "b")),
        (shapes.array(TEXT), [], ()),
        (shapes.array(TEXT), ["a"], ("a",)),
        (shapes.mapping(FLAG), {"CI": True, "X Y": False}, (("CI", True), ("X Y", False))),
        (TABLE, {"wait": 1, "color": "red"}, {"wait": 1, "color": "red"}),
        (ANY, {"wait": 1}, {"wait": 1}),
    ],
)
def test_reads(shape: Shape, value: object, expected: object) -> None:
    """Each kind reads its values as plain ones, in the file's order, and its own schema allows them."""
    got = shape.parse(value, HERE)
    assert got == expected
    if isinstance(got, dict):
        assert list(got) == list(value)  # type: ignore[call-overload]  # any iterable
    jsonschema.Draft7Validator(dict(shape.schema)).validate(value)


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        (TEXT, 1, "expected a string, found 1"),
        (TEXT, True, "expected a string, found true"),
        (TEXT, ["a"], "expected a string, found an array"),
        (TEXT, {}, "expected a string, found a table"),
        (FLAG, "true", 'expected true or false, found "true"'),
        (FLAG, 1, "expected true or false, found 1"),
        (NAMED, "", "must not be empty"),
        (COLOR, "gren", 'expected "red", "green" or "blue", found "gren"; did you mean "green"?'),
        (COLOR, "x", 'expected "red", "green" or "blue", found "x"'),
        (COLOR, 1, 'expected "red", "green" or "blue", found 1'),
        (SECONDS, -0.1, "expected a number of seconds from 0 to 10, found -0.1"),
        (SECONDS, 10.5, "expected a number of seconds from 0 to 10, found 10.5"),
        (SECONDS, True, "expected a number of seconds from 0 to 10, found true"),
        (SECONDS, math.nan, "expected a number of seconds from 0 to 10, found nan"),
        (SECONDS, math.inf, "expected a number of seconds from 0 to 10, found inf"),
        (SECONDS, "5", 'expected a number of seconds from 0 to 10, found "5"'),
        (shapes.number(0, 86_400, "seconds"), 86_401, "expected a number of seconds from 0 to 86400, found 86401"),
        (shapes.several(TEXT), [], "must not be empty"),
        (shapes.several(TEXT), 1, "expected a string, found 1"),
        (shapes.flag_or(shapes.several(TEXT), "globs"), 1, "expected true, false or globs, found 1"),
        (shapes.flag_or(shapes.several(TEXT), "globs"), {}, "expected true, false or globs, found a table"),
        (shapes.array(TEXT), "a", 'expected an array, found "a"'),
        (shapes.array(TEXT, least=1), [], "must not be empty"),
        (shapes.mapping(FLAG), {}, "must not be empty"),
        (shapes.mapping(FLAG), [], "expected a table, found an array"),
        (TABLE, "red", 'expected a table, found "red"'),
        (TABLE, {}, '"color" is missing'),
        (ANY, {}, "must not be empty; known here: color, wait"),
    ],
)
def test_refuses(shape: Shape, value: object, message: str) -> None:
    """What a kind does not allow is refused in one line of TOML's own words, and by its schema too."""
    assert diagnostics(shape, value) == [((), message)]
    if value == value:  # noqa: PLR0124  (JSON has no nan, and no schema refuses it)
        assert not jsonschema.Draft7Validator(dict(shape.schema)).is_valid(value)


def test_places() -> None:
    """A fault in a table or an array is placed at the very key or item that is wrong, and all of them are reported."""
    shape = shapes.array(shapes.keyed({"color": COLOR, "env": shapes.mapping(FLAG)}))
    value = [{"color": "red"}, {"color": 1, "env": {"CI": 2}}, {"colour": "red"}, 5]
    assert diagnostics(shape, value) == [
        ((1, "color"), 'expected "red", "green" or "blue", found 1'),
        ((1, "env", "CI"), "expected true or false, found 2"),
        ((2, "colour"), 'unknown key "colour"; did you mean "color"?'),
        ((3,), "expected a table, found 5"),
    ]


def test_unknown_key() -> None:
    """An unknown key is itself at fault, and where no known one is near all are named."""
    with pytest.raises(ConfigError) as caught:
        TABLE.parse({"color": "red", "zzz": 1}, HERE)
    assert caught.value.diagnostics == (
        Diagnostic(
            Location("a.toml", ("zzz",)), 'unknown key "zzz"; known here: color, wait', of_key=True, code="unknown-key"
        ),
    )


@pytest.mark.parametrize("name", ["", "A=B", "A\0B"])
def test_no_variable(name: str) -> None:
    """A name that no environment variable can have is refused, by the schema too."""
    shape = shapes.mapping(FLAG)
    assert diagnostics(shape, {name: True}) == [((name,), "is not the name of an environment variable")]
    assert not jsonschema.Draft7Validator(dict(shape.schema)).is_valid({name: True})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        ("a" * 60, '"' + "a" * 60 + '"'),
        ("a" * 61, '"' + "a" * 57 + '..."'),
        (1.5, "1.5"),
        (dt.date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_shown(value: object, expected: str) -> None:
    """A value is quoted as TOML has it, and long ones are cut."""
    assert shapes.shown(value) == expected


@pytest.mark.parametrize(
    ("names", "expected"), [(["a"], '"a"'), (["a", "b"], '"a" or "b"'), (["a", "b", "c"], '"a", "b" or "c"')]
)
def test_listed(names: list[str], expected: str) -> None:
    """Names are listed as in a sentence."""
    assert shapes.listed(names) == expected


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(["red", "color", "wait"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["color", "wait", "x", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    value=VALUES,
    shape=st.sampled_from([TEXT, FLAG, COLOR, SECONDS, TABLE, ANY, shapes.array(TABLE), shapes.several(COLOR)]),
)
def test_reader_and_schema_agree(value: object, shape: Shape) -> None:
    """Whatever the value, the reader and the schema of a kind give the same verdict."""
    try:
        shape.parse(value, HERE)
        accepted = True
    except ConfigError:
        accepted = False
    assert jsonschema.Draft7Validator(dict(shape.schema)).is_valid(value) == accepted


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("a", True),
        ("a b é 中 🔒", True),
        ("", False),
        ("a\n", False),
        ("a\u202eb", False),
        ("a\u00adb", False),
        ("a,b", False),
    ],
)
def test_line(text: str, *, allowed: bool) -> None:
    """A line has no control, none that hides or moves others, and none that is forbidden; so says the schema."""
    shape = shapes.line(20, ",", "a comma")
    assert jsonschema.Draft7Validator(dict(shape.schema)).is_valid(text) is allowed
    if allowed:
        assert shape.parse(text, HERE) == text
    else:
        assert diagnostics(shape, text) == [((), "must be 1 to 20 printable characters without a comma")]
    assert diagnostics(shape, "a" * 21)


@pytest.mark.parametrize("value", [1, 3])
def test_whole(value: int) -> None:
    """A whole number is within its bounds."""
    assert shapes.whole(1, 3).parse(value, HERE) == value


@pytest.mark.parametrize("value", [0, 4, True, 2.0, "2"])
def test_not_whole(value: object) -> None:
    """A number beyond the bounds, a fraction, a boolean and a text are refused."""
    ((keys, message),) = diagnostics(shapes.whole(1, 3), value)
    assert (keys, message.partition(", found")[0]) == ((), "expected a whole number from 1 to 3")
