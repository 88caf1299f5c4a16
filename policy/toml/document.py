"""TOML files, read so that no file can hang the program, exhaust its memory or end it with a traceback."""

from __future__ import annotations

import errno
import os
import re
import tomllib
import unicodedata
from typing import Any

from attrs import evolve, frozen

from policy import host
from policy.errors import ConfigError
from policy.escape import escape, escaped
from policy.toml.diagnostic import Diagnostic, Location
from policy.toml.positions import BoundError, Positions, Span, scan
from policy.variables import MAX_SIZE

TRIES = 3
"""How often a file is read that changes meanwhile; an editor that puts another file in its place does so once."""


@frozen(eq=False)
class Document:
    """A TOML file that has been read.

    Args:
        file: The file as it is shown to people.
        data: What tomllib made of it.
        text: Its text, line ends as they are.
        positions: Where everything in it stands.
    """

    file: str
    data: dict[str, Any]
    text: str
    positions: Positions


def read(path: str, *, limit: int = MAX_SIZE) -> Document:
    """Reads a TOML file.

    Args:
        path: The file; also how it is shown.
        limit: How many bytes it may have.

    Raises:
        ConfigError: The file is not there, cannot be read or is not valid TOML, with one located fault.
    """
    try:
        content = _content(path, limit)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        raise _refusal(path, "no such file") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refusal(path, "cannot be read: its symbolic links lead in a circle") from None
        raise _refusal(path, f"cannot be read: {error.strerror or error}") from None
    return parsed(path, content)


def parsed(path: str, content: bytes) -> Document:
    """A TOML file whose bytes are known.

    Args:
        path: How it is shown.
        content: The bytes.

    Raises:
        ConfigError: They are not valid TOML, with one located fault.
    """
    text = _decode(path, content)
    positions = _measure(path, text)
    return Document(path, _parse(path, text, positions), text, positions)


def locate(document: Document, diagnostic: Diagnostic) -> Diagnostic:
    """Fills in the line, the column, the width and the source of a fault from its place's keys.

    Where the keys lead to nothing, such as a key that is missing, the nearest thing around it is meant.

    Args:
        document: The file that the fault is in.
        diagnostic: One that has its line already is returned as it is.
    """
    if diagnostic.line:
        return diagnostic
    keys = diagnostic.location.keys
    span = document.positions.key(keys) if diagnostic.of_key else document.positions.value(keys)
    return diagnostic if span is None else _at(document.positions, diagnostic, span)


def _at(positions: Positions, diagnostic: Diagnostic, span: Span) -> Diagnostic:
    excerpt = positions.excerpt(span.line)
    return evolve(diagnostic, line=span.line, column=span.column, width=span.width, excerpt=excerpt)


def _refusal(path: str, message: str) -> ConfigError:
    """A fault of the whole file."""
    return ConfigError([Diagnostic(Location(path), message, code="unreadable")])


def _located(path: str, text: str, message: str, span: Span) -> ConfigError:
    """A fault of a text that could not be parsed."""
    return ConfigError([_at(Positions(text), Diagnostic(Location(path), message, code="syntax"), span)])


def _content(path: str, limit: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        ConfigError: It is another kind of file, too large, or changes whenever it is read.
        OSError: It cannot be read.
    """
    for _ in range(TRIES):
        found = _attempt(path, limit)
        if found is not None:
            return found
    raise _refusal(path, "changed while it was read; try again")


def _attempt(path: str, limit: int) -> bytes | None:
    """The same, once; None when the file changed meanwhile."""
    try:
        descriptor, before = host.open_regular(path)
    except host.IrregularError as error:
        raise _refusal(path, str(error)) from None
    try:
        size = before.st_size
        data = host.content(descriptor, limit + 1) if size <= limit else b""
        if size > limit or len(data) > limit:
            more = f"at least {max(size, len(data))}"
            raise _refusal(path, f"too large: {more} bytes, {limit} are allowed; LOCK_POLICY_MAX_SIZE can allow more")
        changed = _state(before) != _state(os.fstat(descriptor)) or (size and len(data) != size)
    finally:
        os.close(descriptor)
    return None if changed else data


def _state(status: os.stat_result) -> tuple[int, ...]:
    """What tells one state of a file from another, through one descriptor."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_uid, status.st_mode


def _decode(path: str, content: bytes) -> str:
    """The text of a file: UTF-8 without a byte order mark and without NUL (TOML 1.0, section "Spec")."""
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
        message = "begins with a byte order mark; save it as UTF-8 without BOM"
        raise _located(path, content[:1000].decode("utf-8", "backslashreplace"), message, Span(1, 1, 1))
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _located(path, "", "is UTF-16, not UTF-8; save it as UTF-8 without BOM", Span(1, 1, 1))
    at = content.find(b"\0")
    message = "a NUL byte is not allowed; a TOML file is UTF-8 text"
    if at < 0:
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            at = error.start
            message = f"byte 0x{content[at]:02x} is not valid UTF-8 ({error.reason})"
    start = content.rfind(b"\n", 0, at) + 1
    line = content.count(b"\n", 0, at) + 1
    column = len(content[start:at].decode("utf-8", "backslashreplace")) + 1
    end = content.find(b"\n", at)
    excerpt = content[start : end if end >= 0 else len(content)].decode("utf-8", "backslashreplace").removesuffix("\r")
    raise ConfigError([Diagnostic(Location(path), message, line=line, column=column, excerpt=excerpt, code="syntax")])


def _measure(path: str, text: str) -> Positions:
    """Scans a text.

    Raises:
        ConfigError: It breaks a bound.
    """
    try:
        return scan(text)
    except BoundError as error:
        raise _located(path, text, error.message, error.span) from None
    except RecursionError:  # the caller's stack is nearly used up
        raise _located(path, text, "not valid TOML: nested too deeply", Span(1, 1, 1)) from None


_POSITION = re.compile(r"(.*) \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)", re.DOTALL)


def _parse(path: str, text: str, positions: Positions) -> dict[str, Any]:
    """What tomllib makes of a text.

    Args:
        path: How the file is shown.
        text: The text.
        positions: Its scan. Where that understood nothing more, tomllib gets no more than the line: the bounds have not
            been measured beyond.

    Raises:
        ConfigError: tomllib refuses it.
    """
    understood = positions.understood
    if understood < len(text):
        end = text.find("\n", understood)
        text = text if end < 0 else text[: end + 1]
    span = positions.span(understood)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _POSITION.fullmatch(str(error))
        message = found[1] if found else str(error)
        if found and found[2]:
            span = Span(int(found[2]), int(found[3]), 1)
        raise _located(path, positions.text, f"not valid TOML: {message}", span) from None
    except RecursionError:
        raise _located(path, positions.text, "not valid TOML: nested too deeply", Span(1, 1, 1)) from None
    except ValueError as error:
        raise _located(path, positions.text, f"not valid TOML: {error}", Span(1, 1, 1)) from None
    if understood < len(positions.text):
        raise _located(path, positions.text, "not valid TOML: this cannot be understood", span)
    return data


TAB = 4
"""Columns from one tab stop to the next."""

WIDTH = 100
"""Columns of a source line that are shown; a longer line is cut around the caret."""

BEFORE = 40
"""Columns that are left before the caret when a line is cut."""


def show(diagnostic: Diagnostic, severity: str = "error") -> str:
    """A fault as people see it: file, line, column and message, then the line of the file and a caret below it.

    Args:
        diagnostic: It.
        severity: What it is called: `error` or `warning`.
    """
    file = escape(diagnostic.location.file)
    message = escape(diagnostic.message)
    if not diagnostic.line:
        return f"{file}: {severity}: {message}"
    headline = f"{file}:{diagnostic.line}:{diagnostic.column}: {severity}: {message}"
    if not diagnostic.excerpt.strip():
        return headline
    line, indent, width = _window(diagnostic.excerpt, diagnostic.column - 1, diagnostic.width)
    return f"{headline}\n  {line}\n  {' ' * indent}{'^' * width}"


def _window(excerpt: str, at: int, width: int) -> tuple[str, int, int]:
    """The part of a line around a caret.

    Args:
        excerpt: The whole line.
        at: Which character the caret points to, counted from 0.
        width: How many characters it underlines.

    Returns:
        What is printed, the columns before the caret and the columns of the caret.
    """
    columns, glyphs = _glyphs(excerpt[max(0, at - WIDTH) : at])
    ellipsis = "\N{HORIZONTAL ELLIPSIS}"
    fits = len(excerpt) <= WIDTH and _glyphs(excerpt)[0] <= WIDTH
    if not fits and (at > WIDTH or columns > WIDTH - BEFORE):
        first = 0
        while columns > BEFORE:
            columns -= glyphs[first][1]
            first += 1
        glyphs[:first] = [(ellipsis, 1)]
        columns += 1
    line = "".join(shown for shown, _ in glyphs)
    begin = end = columns
    for number, character in enumerate(excerpt[at : at + WIDTH]):
        if columns >= WIDTH:
            line += ellipsis
            break
        shown, wide = _glyph(character, columns)
        line += shown
        columns += wide
        if number < width:
            end = columns
    return line.rstrip(), begin, max(end - begin, 1)


def _glyphs(text: str) -> tuple[int, list[tuple[str, int]]]:
    """How many columns a text takes, and its glyphs."""
    columns = 0
    glyphs = []
    for character in text:
        glyphs.append(_glyph(character, columns))
        columns += glyphs[-1][1]
    return columns, glyphs


def _glyph(character: str, column: int) -> tuple[str, int]:
    """A character as it is printed and the columns that it takes on a terminal.

    Args:
        character: It.
        column: Where it begins.
    """
    if character == "\t":
        wide = TAB - column % TAB
        return " " * wide, wide
    if not character.isprintable():
        text = escaped(character)
        return text, len(text)
    if unicodedata.east_asian_width(character) in "WF":
        return character, 2
    return character, 0 if unicodedata.category(character) in ("Mn", "Me") else 1
