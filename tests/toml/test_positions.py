from __future__ import annotations

import copy
import re
import time
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
import tomlkit
from hypothesis import example, given
from hypothesis import strategies as st

from policy.toml import positions as scanner
from policy.toml.positions import BoundError, Span, scan

if TYPE_CHECKING:
    from collections.abc import Iterator

Keys = tuple[str | int, ...]

SENTINEL = "\N{CHECK MARK}"

CORPUS = {
    "rules": """\
# a comment
timeout = 60 # another
[[rules]]
name = "a"
match.interpreter = "/nix/store/*"
lock = 'global'

  [[rules]]
  name = "b" # "c" = 1
  match = { env = { CI = true, "a b" = "x" }, any = [ { kind = ["system", 'x'] }, { writable = false } ] }
  timeout = 1_000
""",
    "headers": """\
[tool.lock-policy]
timeout = 1
[tool]
other.x = 2
[ a . "b c" . 'd.e' ]
x = 1
[[a.list]]
y = 1
[[a.list]]
y = 2
[a.list.sub]
z = 3
[[a.list.deep]]
w = 4
[[a.list.deep]]
w = 5
""",
    "arrays": """\
one = [
  # [1, 2
  "a", # ]
  'b',
  [1, 2, [
    3,
  ]],
  { c = 1, d.e = [4,5] },
  1979-05-27 07:32:00, 1979-05-27, 07:32:00.5, 1979-05-27T00:32:00-07:00,
  +1.5e-3, -inf, nan, 0xdead_beef, 0o17, 0b1, true
]
two=[]
three = [ [ ], {} ]
""",
    "strings": '''\
a = """
a "quoted" \\"""
[[no]] = 1
"""
b = \'\'\'
it\'s # no comment
\'\'\'
c = """"four""""
d = """five"""""
e = \'\'\'\'four\'\'\'\'
f = """"""
g = \'\'\'\'\'\'
h = ""
i = \'\'
j = "\\\\"
k = "\\" # no"
l = """\\
  joined \\\\"""
m = ["""
x""", "y"]
n = [\'\'\'[\'\'\', "]"]
''',
    "keys": """\
a.b."c.d".'e f'.g = 1
a.b.h = 2
"" = 3
"tab\\tkey" = 4
"\\u00e9\\U0001F600" = 5
'\\u00e9' = 6
1.2 = 7
true = 8
-_- = 9
  spaced   .   out   =   10
i = { j.k.l = 1, j . "k" . m = 2, "n" = { } }
""",
    "wide": '"ü" = "中文" # ñ\nrow = [ "é", "\N{GRINNING FACE}", {"ö" = 1} ]\n',
    "empty": "",
    "blank": "\n \t\n# only a comment",
    "no end": "a = 1",
    "no end of a table": "[a]",
    "lines that are none": 'a = "\u2028\x85" # \u2029\nb = 1\n',
}
ALL = {**CORPUS, **{f"{name}, CRLF": text.replace("\n", "\r\n") for name, text in CORPUS.items()}}


def leaves(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every value in some data with what leads to it; tables and arrays too, but not the whole."""
    if keys:
        yield keys, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*keys, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*keys, number))


def replaced(data: Any, keys: Keys, new: object) -> Any:
    """The data with another value."""
    data = copy.deepcopy(data)
    holder = data
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = new
    return data


def renamed(data: Any, keys: Keys, new: str) -> Any:
    """The data with another name for one value."""
    data = copy.deepcopy(data)
    holder = data
    for key in keys[:-1]:
        holder = holder[key]
    holder[new] = holder.pop(keys[-1])
    return data


def offset(text: str, span: Span) -> int:
    """Where a spot begins, counted by hand."""
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: span.line - 1]) + span.column - 1


def same(one: object, other: object) -> bool:
    """Equality that takes nan for itself, in whatever order keys come."""
    return one == other or repr(tidy(one)) == repr(tidy(other))


def tidy(value: object) -> object:
    """Data with its keys in order."""
    if isinstance(value, dict):
        return {key: tidy(value[key]) for key in sorted(value)}
    return [tidy(inner) for inner in value] if isinstance(value, list) else value


def check(text: str) -> None:
    """Every value and every key stands where the scan says: put something else there, and tomllib finds it."""
    data = tomllib.loads(text)
    positions = scan(text)
    assert positions.understood == len(text)
    for keys, value in leaves(data):
        span = positions.value(keys)
        assert span is not None
        begin = offset(text, span)
        token = text[begin : begin + span.width]
        assert len(token) == span.width
        assert token == token.strip()
        assert "\n" not in token
        if not isinstance(value, dict | list) and not token.startswith(('"""', "'''")):
            other = f'{text[:begin]}"{SENTINEL}"{text[begin + span.width :]}'
            assert same(tomllib.loads(other), replaced(data, keys, SENTINEL)), keys
            check_name(text, data, keys, positions.key(keys))
        elif token[0] == "[" and isinstance(value, list) and not token.startswith("[["):
            assert text[begin + 1 :].lstrip()[:1] not in ("", "=")
    assert positions.lines == text.count("\n") + 1


def check_name(text: str, data: Any, keys: Keys, span: Span | None) -> None:
    """The name of a value is where the scan says."""
    assert span is not None
    key = keys[-1]
    if isinstance(key, int):
        return
    begin = offset(text, span)
    assert tomllib.loads(f"{text[begin : begin + span.width]} = 1") == {key: 1}
    other = f'{text[:begin]}"{SENTINEL}"{text[begin + span.width :]}'
    assert same(tomllib.loads(other), renamed(data, keys, SENTINEL)), keys


@pytest.mark.parametrize("name", ALL)
def test_corpus(name: str) -> None:
    """Keys and values stand where the scan says, for everything that TOML can write."""
    check(ALL[name])


@pytest.mark.parametrize("name", CORPUS)
def test_against_tomlkit(name: str) -> None:
    """A value begins where the text differs after tomlkit, which keeps the rest, has changed it."""
    text = CORPUS[name]
    positions = scan(text)
    for keys, value in leaves(tomllib.loads(text)):
        if isinstance(value, dict | list):
            continue
        document = tomlkit.parse(text)
        holder: Any = document
        for key in keys[:-1]:
            holder = holder[key]
        holder[keys[-1]] = tomlkit.string(SENTINEL, literal=True)
        changed = tomlkit.dumps(document)
        at = changed.index(SENTINEL) - 1
        if changed[:at] != text[:at]:
            continue  # tomlkit did not keep the rest, as with several headers of one table
        span = positions.value(keys)
        assert span is not None
        assert offset(text, span) == at, keys


@pytest.mark.parametrize(
    ("keys", "key", "value"),
    [
        (("rules",), Span(3, 3, 5), Span(3, 1, 9)),
        (("rules", 1), Span(8, 3, 9), Span(8, 3, 9)),
        (("rules", 1, "match"), Span(10, 3, 5), Span(10, 11, 96)),
        (("rules", 1, "match", "env"), Span(10, 13, 3), Span(10, 19, 26)),
        (("rules", 1, "match", "env", "a b"), Span(10, 32, 5), Span(10, 40, 3)),
        (("rules", 1, "match", "any", 0, "kind", 1), Span(10, 75, 3), Span(10, 75, 3)),
        (("rules", 0, "match"), Span(5, 1, 5), Span(5, 1, 5)),
        (("rules", 0, "match", "interpreter"), Span(5, 7, 11), Span(5, 21, 14)),
        (("rules", 0, "lock"), Span(6, 1, 4), Span(6, 8, 8)),
        (("rules", 0, "lock", "missing"), Span(6, 1, 4), Span(6, 1, 4)),
        (("rules", 0, "missing"), Span(3, 1, 9), Span(3, 1, 9)),
        (("rules", 7, "lock"), Span(3, 3, 5), Span(3, 3, 5)),
        (("missing",), None, None),
        ((), None, None),
    ],
)
def test_spots(keys: Keys, key: Span | None, value: Span | None) -> None:
    """Headers, inline tables and dotted keys have their places; what is missing is looked for further out."""
    positions = scan(CORPUS["rules"])
    assert positions.key(keys) == key
    assert positions.value(keys) == value


def test_spots_of_headers() -> None:
    """A header names the last of its parts, also when a longer header came first."""
    positions = scan(CORPUS["headers"])
    assert positions.key(("tool", "lock-policy")) == Span(1, 7, 11)
    assert positions.value(("tool", "lock-policy")) == Span(1, 1, 18)
    assert positions.key(("tool",)) == Span(3, 2, 4)
    assert positions.value(("tool",)) == Span(3, 1, 6)
    assert positions.key(("a", "b c")) == Span(5, 7, 5)
    assert positions.value(("a", "list", 1, "deep", 1)) == Span(15, 1, 15)
    assert positions.value(("a", "list", 1, "sub")) == Span(11, 1, 12)


def test_spots_of_lines() -> None:
    """What goes on over several lines is as wide as its first line shows."""
    positions = scan('a = [  # b\n 1,\n]\nb = """x\ny"""\nc = {}\n')
    assert positions.value(("a",)) == Span(1, 5, 1)
    assert positions.value(("b",)) == Span(4, 5, 4)
    assert positions.value(("c",)) == Span(6, 5, 2)
    assert positions.excerpt(4) == 'b = """x'
    assert positions.excerpt(4) is positions.excerpt(4)
    assert positions.excerpt(0) == positions.excerpt(8) == positions.excerpt(7) == ""


# Generated texts: data, written in whatever style the draw says.

NAMES = st.sampled_from(["a", "b", "lock-policy", "1", "a b", "", "é", 'q"', "t\t", "x.y", "true"])
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.text("\"'\\#[]{}=,\n \t", max_size=8),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
DATA = st.dictionaries(NAMES, VALUES, max_size=5)
BLANKS = st.sampled_from(["", " ", "\t", "  "])
BREAKS = st.sampled_from(["", " ", "\n", " # [ \" ' {\n", "\n\n  "])


def literal(draw: st.DrawFn, value: object) -> str:
    """A scalar in one of the ways that TOML has for it."""
    if isinstance(value, str):
        plain = not re.search(r"['\x00-\x08\x0a-\x1f\x7f]", value)
        many = not re.search(r"[\x00-\x08\x0b-\x1f\x7f\\]|\"\"\"|^\n|\"$", value)
        ways = ["basic"] + ["literal"] * plain + ["lines"] * many
        way = draw(st.sampled_from(ways))
        if way == "literal":
            return f"'{value}'"
        if way == "lines":
            return f'"""{draw(st.sampled_from(["", chr(10)]))}{value}"""'
    written = tomli_w.dumps({"x": value}).removeprefix("x = ").removesuffix("\n")
    if isinstance(value, str):
        return written
    return written.replace("T", draw(st.sampled_from(["T", " "]))) if written[:1].isdigit() else written


def name(draw: st.DrawFn, key: str) -> str:
    """A part of a key."""
    bare = re.fullmatch(r"[A-Za-z0-9_-]+", key)
    ways = ["basic"] + ["bare"] * 3 * bool(bare) + ["literal"] * (not re.search(r"['\t]", key))
    way = draw(st.sampled_from(ways))
    if way == "bare":
        return key
    return f"'{key}'" if way == "literal" else literal_basic(key)


def literal_basic(key: str) -> str:
    """A part of a key between double quotes."""
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("é", "\\u00e9") + '"'


def inline(draw: st.DrawFn, value: object) -> str:
    """A value that stands behind an equals sign."""
    if isinstance(value, list):
        elements = [f"{draw(BREAKS)}{inline(draw, inner)}{draw(BREAKS)}" for inner in value]
        last = draw(st.sampled_from(["", ","])) if value else ""
        return f"[{','.join(elements)}{last}{draw(BREAKS)}]"
    if isinstance(value, dict):
        return "{" + ",".join(pairs(draw, value)) + draw(BLANKS) + "}"
    return literal(draw, value)


def pairs(draw: st.DrawFn, table: dict[str, Any]) -> Iterator[str]:
    """The keys and values of a table, some of them dotted."""
    for key, value in table.items():
        written = f"{draw(BLANKS)}{name(draw, key)}{draw(BLANKS)}"
        if isinstance(value, dict) and value and draw(st.booleans()):
            for inner in pairs(draw, value):
                yield f"{written}.{inner}"
        else:
            yield f"{written}={draw(BLANKS)}{inline(draw, value)}"


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A TOML text."""
    data = draw(DATA)
    lines: list[str] = []
    headers: list[str] = []
    for key, value in data.items():
        end = draw(st.sampled_from(["", " # a = [", "\n", "\t"]))
        written = f"{draw(BLANKS)}{name(draw, key)}{draw(BLANKS)}"
        if isinstance(value, dict) and draw(st.booleans()):
            headers += [f"{draw(BLANKS)}[{written}]{end}", *pairs(draw, value)]
        elif isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
            for inner in value:
                headers += [f"{draw(BLANKS)}[[{written}]]{end}", *pairs(draw, inner)]
        else:
            lines += [pair + end for pair in pairs(draw, {key: value})]
    text = "\n".join(lines + headers) + draw(st.sampled_from(["", "\n"]))
    assert same(tomllib.loads(text), data)
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@given(texts())
def test_generated(text: str) -> None:
    """Whatever tomllib accepts is understood, and everything in it is found."""
    check(text)


@given(DATA, st.booleans())
def test_written_by_tomli_w(data: dict[str, Any], lines: bool) -> None:
    """What tomli_w writes is understood, and everything in it is found."""
    check(tomli_w.dumps(data, multiline_strings=lines))


@given(DATA)
def test_written_by_tomlkit(data: dict[str, Any]) -> None:
    """What tomlkit writes is understood, and everything in it is found."""
    text = tomlkit.dumps(data)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # tomlkit's own affair
    check(text)


TOKENS = [
    *"[]{}=,.#'\"\\ \t\n\r-+:0aT_",
    "[[",
    "]]",
    '"""',
    "'''",
    "1979-05-27",
    "07:32:00",
    "true",
    "inf",
    "\r\n",
    "é",
]


@given(st.lists(st.sampled_from(TOKENS) | st.sampled_from(["a=1\n", "b=[", "c={", "[d]\n"]), max_size=14).map("".join))
@example("a = 1979-05-27 07:32:00\n")
@example("a = 1979-05-27 # 07\n")
@example('a = """\\\r\n"""')
@example("a = [1,#\n#\n]")
@example("a = 1 b = 2")
@example('"""a""" = 1')
@example("a = 'x\n'")
@example("a = [1, [")
@example("[a")
@example("[[a]")
@example("[[a] ]")
@example("a.b = 1\na = 2")
@example("a = [1]\n[[a]]\nb = 1")
@example("a = []\n[a]\nb = 1\n[a.b]\n")
@example("a = 1\n[a]\n[a.b]\n[[a]]\n")
def test_not_toml(text: str) -> None:
    """A text that is not understood is none that tomllib accepts, not even up to the line where the scan stopped."""
    positions = scan(text)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        pass
    else:
        check(text)
    if positions.understood < len(text):
        end = text.find("\n", positions.understood)
        with pytest.raises(tomllib.TOMLDecodeError):
            tomllib.loads(text if end < 0 else text[: end + 1])


@pytest.mark.parametrize(
    ("text", "message", "span"),
    [
        ("x = 1\n" + ".".join(["a"] * 33) + " = 1", "a key may have 32 parts, this one has more", Span(2, 65, 1)),
        ("[" + ".".join(["a"] * 33) + "]", "a key may have 32 parts, this one has more", Span(1, 66, 1)),
        ("a = {" + ".".join(["a"] * 33) + " = 1}", "a key may have 32 parts, this one has more", Span(1, 70, 1)),
        (
            "a = [\n" + "[" * 64 + "]" * 65,
            "arrays and inline tables may be nested 64 deep, these are deeper",
            Span(2, 64, 1),
        ),
        ("a = " + "{a=[" * 33, "arrays and inline tables may be nested 64 deep, these are deeper", Span(1, 133, 1)),
        (
            "a = " + ("{" + ".".join(["a"] * 32) + "=") * 5,
            "a value may lie 128 keys deep, this one lies deeper",
            Span(1, 265, 1),
        ),
        ("a = -1" + "0" * 127, "a number may have 128 characters, this one has 129", Span(1, 5, 129)),
        ("a = [1, 0x" + "0" * 127 + ", 2]", "a number may have 128 characters, this one has 129", Span(1, 9, 129)),
        (
            "a=1\n" * 50_001,
            "a file of this size may have 50000 keys, this one has more",
            Span(50_001, 1, 1),
        ),
    ],
)
def test_bounds(text: str, message: str, span: Span) -> None:
    """A text beyond a bound is refused at the place where it breaks it."""
    with pytest.raises(BoundError) as caught:
        scan(text)
    assert caught.value.message == message
    assert caught.value.span == span


def test_within_bounds() -> None:
    """What is just within the bounds is understood, and tomllib takes it."""
    check("x." + ".".join(["a"] * 31) + " = 1")
    check("a = " + "[" * 64 + "]" * 64)
    check("a = 1" + "0" * 127)
    check("a = '" + "0" * 1000 + "'\nb = ['" + "0" * 1000 + "', 2]")


COSTLY = {
    "elements": "a=[" + "1," * 130_000 + "]",
    "tables": "a=[" + "{}," * 85_000 + "]",
    "nested": "a=" + "[" * 60 + "1," * 130_000 + "]" * 60,
    "keys": "".join(f"k{number}=1\n" for number in range(30_000)),
    "headers": "[[a]]\n" * 40_000,
    "comments": "#\n" * 130_000,
    "escapes": 'a="' + "\\n" * 130_000 + '"',
    "lines": 'a="""' + "\\n" * 130_000 + '"""',
    "not closed": 'a="' + "\\n" * 130_000,
    "lines not closed": 'a="""' + '""\\"' * 60_000,
    "quotes": "a='''" + "''x" * 80_000 + "'''",
    "blanks": "a = [" + " " * 260_000,
    "dates": "a = [" + "1979-05-27 " * 20_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COSTLY)
def test_time(name: str) -> None:
    """A text of the greatest size is measured in a fraction of a second, whatever is in it."""
    start = time.process_time()
    scan(COSTLY[name])
    assert time.process_time() - start < 3  # 0.3 s; a quadratic scan takes minutes


def test_many_rules() -> None:
    """Ten thousand rules are measured in a fraction of a second, and found at once."""
    text = '[[rules]]\nname = "r"\nmatch.interpreter = "/nix/store/*"\nlock = "global"\nreason = "x y z"\n' * 10_000
    start = time.process_time()
    positions = scan(text)
    assert positions.value(("rules", 9_999, "lock")) == Span(49_999, 8, 8)
    assert time.process_time() - start < 3
    assert scanner.KEYS >= 50_000
