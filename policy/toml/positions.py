"""Where everything stands in a TOML text, and whether the text is small enough to be parsed.

tomllib tells neither. It also takes time that grows with the square of a dotted key's length, recurses for every nested
array and keeps about a kilobyte for each part of a key, so its input is measured here before it sees it.

The scan understands all that tomllib accepts, and more: it judges no value and no name, that is tomllib's part. Where
it understands nothing it stops, and `Positions.understood` says how far tomllib may be let.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from typing import TypeAlias

from attrs import define, field, frozen

PARTS = 32
"""Parts of one dotted key."""

NESTING = 64
"""Arrays and inline tables inside each other; a condition takes two for each `any`, `all` or `not`."""

DEPTH = 128
"""Keys and indices that lead to one value."""

NUMBER = 128
"""Characters of a number or a date."""

KEYS = 50_000
"""Parts of keys in a whole text, or one for every five characters of a longer one: tomllib keeps 1 kB for each."""

WIDEST = 500
"""Characters of an array or an inline table that are looked at for its width."""


@frozen
class Span:
    """A stretch of one line.

    Args:
        line: Counted from 1.
        column: Counted from 1, in characters.
        width: In characters, at least 1.
    """

    line: int
    column: int
    width: int


class BoundError(Exception):
    """A text that would cost too much to parse.

    Args:
        message: Which bound it breaks.
        span: Where.
    """

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message, span)
        self.message = message
        self.span = span


@define(eq=False)
class _Table:
    """A table: its keys, each with the offset of its name. A value that holds no others is no more than its offset."""

    at: int
    children: dict[str, tuple[int, _Node]] = field(factory=dict)


@define(eq=False)
class _Array:
    """Elements of an array."""

    at: int
    children: list[_Node] = field(factory=list)
    of_headers: bool = False


_Node: TypeAlias = "_Table | _Array | int"


@define(eq=False)
class Positions:
    """Where the keys and the values of one text stand.

    Args:
        text: The text.
        understood: Up to which offset the scan understood it; its length if there was nothing that it did not.
    """

    text: str
    understood: int = 0
    _root: _Table = field(factory=lambda: _Table(0))
    _starts: list[int] = field(factory=list)
    _excerpts: dict[int, str] = field(factory=dict)

    def key(self, keys: tuple[str | int, ...]) -> Span | None:
        """Where the last of some keys is named.

        An element of an array has no name: it stands where its header does, or its value. A key that is not there is
        looked for further out.

        Args:
            keys: The path of keys and indices.

        Returns:
            None when nothing of the path is there.
        """
        return self._find(keys, of_key=True)

    def value(self, keys: tuple[str | int, ...]) -> Span | None:
        """Where the value begins to which some keys lead, and its width on that line; a table's is its header.

        Args:
            keys: The path of keys and indices.

        Returns:
            None when nothing of the path is there.
        """
        return self._find(keys, of_key=False)

    def span(self, offset: int, width: int = 1) -> Span:
        """A stretch that begins at an offset of the text."""
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return Span(line, offset - starts[line - 1] + 1, max(width, 1))

    def excerpt(self, line: int) -> str:
        """A line of the text, counted from 1, without its end. Every call for one line gives the same object."""
        if line not in self._excerpts:
            starts = self._line_starts()
            if not 1 <= line <= len(starts):
                return ""
            end = starts[line] - 1 if line < len(starts) else len(self.text)
            self._excerpts[line] = self.text[starts[line - 1] : end].removesuffix("\r")
        return self._excerpts[line]

    @property
    def lines(self) -> int:
        """How many lines the text has."""
        return len(self._line_starts())

    def _line_starts(self) -> list[int]:
        if not self._starts:
            self._starts = [0, *(found.end() for found in _NEWLINE.finditer(self.text))]
        return self._starts

    def _find(self, keys: tuple[str | int, ...], *, of_key: bool) -> Span | None:
        node: _Node = self._root
        name: int | None = None
        found = 0
        for key in keys:
            if isinstance(node, _Table) and isinstance(key, str) and key in node.children:
                name, node = node.children[key]
            elif isinstance(node, _Array) and isinstance(key, int) and -1 < key < len(node.children):
                of_headers = node.of_headers
                node = node.children[key]
                name = node.at if of_headers and isinstance(node, _Table) else None
            else:
                break
            found += 1
        if not found:
            return None
        at = node if isinstance(node, int) else node.at
        if name is not None and (of_key or found < len(keys)):
            at = name
        return self.span(at, self._width(at, of_key=at == name))

    def _width(self, at: int, *, of_key: bool) -> int:
        """How wide a key or a value is on the line where it begins, in characters."""
        bare = _BARE.match(self.text, at) if of_key else None
        end = bare.end() if bare else _end_of_token(self.text, at)
        newline = self.text.find("\n", at, end)
        return len(self.text[at : end if newline < 0 else newline].rstrip())


_NEWLINE = re.compile(r"\n")
_BLANK = re.compile(r"[ \t]*")
_BLANKS = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r"#[^\n]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SIMPLE = re.compile(r"""[ \t]*([A-Za-z0-9_-]+)[ \t]*=[ \t]*""")
_STRING = re.compile(r""""(?!"")[^"\\\n]*"|'(?!'')[^'\n]*'""")
_ESCAPE_OR_END = re.compile(r'["\\\n]')
_ESCAPE_OR_ENDS = re.compile(r'\\|"{3,5}')
_QUOTES = re.compile(r"'{3,5}")
# a date may have a space before its time
_SCALAR = re.compile(r"[^,\[\]{}#=\"'\s]+(?:(?<=[0-9]{4}-[0-9][0-9]-[0-9][0-9]) [0-9][^,\[\]{}#=\"'\s]*)?")
# an element that holds no others and is no date with a space; one match where the general way needs four
_ELEMENT = re.compile(r"""([^,\[\]{}#="'\s]+|"(?!"")[^"\\\n]*"|'(?!'')[^'\n]*')[ \t\r\n]*,[ \t\r\n]*""")
_NUMERIC = re.compile(r"[+-]?[0-9]")
_ESCAPES = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


class _Lost(Exception):  # noqa: N818  (it never leaves this module)
    """Something that is not valid TOML.

    Args:
        at: Its offset; the end of the text when something is not closed.
    """

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def scan(text: str) -> Positions:
    """Measures a TOML text and notes where everything in it stands, in time that is proportional to its length.

    Args:
        text: It may have any line ends.

    Raises:
        BoundError: The text has a key, a number or a nesting beyond the bounds above.
    """
    return _Scan(text).run()


def _end_of_token(text: str, at: int) -> int:
    """Where a string, a part of a key, a scalar, or an array or table that begins at an offset ends."""
    character = text[at : at + 1]
    if character in ('"', "'"):
        return _end_of_string(text, at)
    if character not in ("[", "{"):
        found = _SCALAR.match(text, at)
        return found.end() if found else at + 1
    depth = 0
    last = min(len(text), at + WIDEST)
    while at < last:
        character = text[at]
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
            if not depth:
                return at + 1
        elif character in "\"'":
            at = _end_of_string(text, at)
            continue
        elif character in "#\n":
            return at  # nobody asks beyond the line
        at += 1
    return at


def _end_of_string(text: str, at: int) -> int:
    """Where a string ends that begins at an offset.

    Raises:
        _Lost: It does not.
    """
    found = _STRING.match(text, at)
    if found:
        return found.end()
    if text[at : at + 3] in ('"""', "'''"):
        return _end_of_lines(text, at)
    if text[at] == '"':
        at += 1
        while found := _ESCAPE_OR_END.search(text, at):
            if found[0] == '"':
                return found.end()
            if found[0] == "\n":
                break
            at = found.end() + 1
    raise _Lost(at)


def _end_of_lines(text: str, at: int) -> int:
    """The same for a string of several lines; up to two more quotes at its end belong to it."""
    if text[at] == "'":
        found = _QUOTES.search(text, at + 3)
        if found:
            return found.end()
    else:
        at += 3
        while found := _ESCAPE_OR_ENDS.search(text, at):
            if found[0] != "\\":
                return found.end()
            at = found.end() + 1
    raise _Lost(len(text))


def _unescape(found: re.Match[str]) -> str:
    """What an escape in a basic string stands for."""
    digits = found[1] or found[2] or found[3]
    if not digits:
        return _ESCAPED.get(found[4], found[0])
    number = int(digits, 16)
    return chr(number) if number <= sys.maxunicode else found[0]


class _Scan:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.positions = Positions(text)
        self.keys = 0
        self.most_keys = max(KEYS, len(text) // 5)

    def run(self) -> Positions:
        """The whole text, as far as it is understood."""
        try:
            self.statements()
            self.positions.understood = len(self.text)
        except _Lost as lost:
            self.positions.understood = lost.at
        return self.positions

    def statements(self) -> None:
        """Header after header, pair after pair."""
        text = self.text
        root = table = self.positions._root  # noqa: SLF001  (made here, hidden from others)
        depth = 0
        at = 0
        while (at := self.skip(at)) < len(text):
            if text[at] == "[":
                table, depth, at = self.header(at, root)
            else:
                at = self.pair(at, table, depth, 0)
            at = _BLANK.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if text[at : at + 1] not in ("", "\n", "\r", "#"):
                raise _Lost(at)

    def bound(self, message: str, at: int, width: int = 1) -> BoundError:
        """A bound that is broken at an offset."""
        return BoundError(message, self.positions.span(at, width))

    def skip(self, at: int) -> int:
        """Past blanks, line ends and comments."""
        text = self.text
        while True:
            at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if text[at : at + 1] != "#":
                return at
            at = _COMMENT.match(text, at).end()  # type: ignore[union-attr]  # the # is there

    def key(self, at: int) -> tuple[list[tuple[str, int]], int]:
        """The parts of a key with their offsets, and where the key ends."""
        text = self.text
        parts: list[tuple[str, int]] = []
        while True:
            at = _BLANK.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if len(parts) == PARTS:
                raise self.bound(f"a key may have {PARTS} parts, this one has more", at)
            found = _BARE.match(text, at)
            if found:
                parts.append((found[0], at))
                at = found.end()
            elif text[at : at + 1] in ("'", '"'):
                end = _end_of_string(text, at)
                name = text[at + 1 : end - 1]
                if text[at] == '"' and "\\" in name:
                    name = _ESCAPES.sub(_unescape, name)
                parts.append((name, at))
                at = end
            else:
                raise _Lost(at)
            at = _BLANK.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if text[at : at + 1] != ".":
                break
            at += 1
        self.count(len(parts), parts[0][1])
        return parts, at

    def count(self, parts: int, at: int) -> None:
        """Adds parts of a key to those of the whole text."""
        self.keys += parts
        if self.keys > self.most_keys:
            raise self.bound(f"a file of this size may have {self.most_keys} keys, this one has more", at)

    def header(self, start: int, root: _Table) -> tuple[_Table, int, int]:
        """A header: the table that it opens, how deep that lies, and where it ends."""
        text = self.text
        double = text.startswith("[[", start)
        parts, at = self.key(start + 1 + double)
        if text[at : at + 1] != "]":
            raise _Lost(at)
        at += 1
        if double:
            if text[at : at + 1] != "]":
                raise _Lost(at)
            at += 1
        table = root
        for name, offset in parts[:-1]:
            table = self.step(table, name, offset)
        name, offset = parts[-1]
        if not double:
            inner = self.step(table, name, offset)
            inner.at = start
            if table.children[name][1] is inner:  # a dotted key or a longer header may have named it before
                table.children[name] = offset, inner
            return inner, len(parts), at
        held = table.children.get(name)
        array = held[1] if held is not None else None
        if not isinstance(array, _Array):
            array = _Array(start, of_headers=True)
            table.children.setdefault(name, (offset, array))
        inner = _Table(start)
        array.children.append(inner)
        return inner, len(parts) + 1, at

    def step(self, table: _Table, name: str, offset: int) -> _Table:
        """The table under a name; in an array of tables the last one. It is made if it is not there."""
        held = table.children.get(name)
        node = held[1] if held is not None else None
        if isinstance(node, _Array):
            node = node.children[-1] if node.children else None
        if isinstance(node, _Table):
            return node
        made = _Table(offset)
        if held is None:  # what is there and is no table is tomllib's to complain of
            table.children[name] = offset, made
        return made

    def pair(self, at: int, table: _Table, depth: int, nesting: int) -> int:
        """A key and its value; gives where the value ends."""
        text = self.text
        found = _SIMPLE.match(text, at)
        if found:
            name, offset = found[1], found.start(1)
            at = found.end()
            self.count(1, offset)
            depth += 1
        else:
            parts, at = self.key(at)
            if text[at : at + 1] != "=":
                raise _Lost(at)
            at = _BLANK.match(text, at + 1).end()  # type: ignore[union-attr]  # it matches nothing, too
            for name, offset in parts[:-1]:
                table = self.step(table, name, offset)
            name, offset = parts[-1]
            depth += len(parts)
        node, at = self.value(at, depth, nesting)
        table.children.setdefault(name, (offset, node))
        return at

    def value(self, at: int, depth: int, nesting: int) -> tuple[_Node, int]:
        """A value and where it ends."""
        text = self.text
        character = text[at : at + 1]
        if character in ('"', "'"):
            return at, _end_of_string(text, at)
        if character in ("[", "{"):
            if nesting == NESTING:
                raise self.bound(f"arrays and inline tables may be nested {NESTING} deep, these are deeper", at)
            if depth >= DEPTH:
                raise self.bound(f"a value may lie {DEPTH} keys deep, this one lies deeper", at)
            if character == "[":
                return self.array(at, depth + 1, nesting + 1)
            return self.inline_table(at, depth, nesting + 1)
        found = _SCALAR.match(text, at)
        if not found:
            raise _Lost(at)
        width = found.end() - at
        if width > NUMBER and _NUMERIC.match(text, at):
            raise self.bound(f"a number may have {NUMBER} characters, this one has {width}", at, width)
        return at, found.end()

    def array(self, start: int, depth: int, nesting: int) -> tuple[_Node, int]:
        """An array and where it ends."""
        text = self.text
        array = _Array(start)
        children = array.children
        at = self.skip(start + 1)
        while text[at : at + 1] != "]":
            found = _ELEMENT.match(text, at)
            if found and (found.end(1) - at <= NUMBER or text[at] in "\"'"):
                children.append(at)
                at = self.skip(found.end()) if text[found.end() : found.end() + 1] == "#" else found.end()
                continue
            node, at = self.value(at, depth, nesting)
            children.append(node)
            at = self.skip(at)
            if text[at : at + 1] == ",":
                at = self.skip(at + 1)
            elif text[at : at + 1] != "]":
                raise _Lost(at)
        return array, at + 1

    def inline_table(self, start: int, depth: int, nesting: int) -> tuple[_Node, int]:
        """An inline table and where it ends."""
        text = self.text
        table = _Table(start)
        at = self.skip(start + 1)
        while text[at : at + 1] != "}":
            at = self.skip(self.pair(at, table, depth, nesting))
            if text[at : at + 1] == ",":
                at = self.skip(at + 1)
            elif text[at : at + 1] != "}":
                raise _Lost(at)
        return table, at + 1
