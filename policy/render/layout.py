"""Text that fits a terminal: lines are broken between words only, and what follows hangs below its column."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

USUAL = 80  # columns, where nothing says how many there are
NARROWEST = 20  # below this a hanging indent leaves no room for words
_FAR = 0.6  # of the width: a column that begins further right leaves no room for words
_LEFT = 30  # columns that the names of a listing may take


def width(stream: TextIO, environ: Mapping[str, str] | None = None) -> int:
    """How many columns a stream shows; 0 where nobody looks at it, so that lines stay whole.

    Args:
        stream: Where the text goes.
        environ: Environment variables; absent: those of this process. COLUMNS stands before the terminal's own answer.
    """
    given = (os.environ if environ is None else environ).get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return max(int(given), NARROWEST)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0
    return max(columns, NARROWEST) if columns else 0  # a terminal of no size says 0


def json_text(value: object) -> str:
    """Plain data as every command prints it as JSON, with a line end."""
    import json

    return json.dumps(value, indent=2) + "\n"


def fit(text: str, columns: int, *, hang: int | None = None) -> str:
    """Breaks the lines that are too long.

    Args:
        text: Lines.
        columns: How long a line may be; 0: as long as it is.
        hang: Where what follows begins; absent: below the last column that a line has, else two further in than it.
    """
    if not columns or len(text) <= columns:
        return text
    return "\n".join(_fit(line, columns, _hang(line, columns) if hang is None else hang) for line in text.split("\n"))


def fit_messages(text: str, columns: int) -> str:
    """Breaks the lines that are too long and begin at the margin; those that are indented are quoted from a file.

    Args:
        text: Lines.
        columns: As for `fit`.
    """
    return "\n".join(line if line[:1] == " " else fit(line, columns) for line in text.split("\n"))


def _fit(line: str, columns: int, hang: int) -> str:
    if len(line) <= columns:
        return line
    first, *words = line.split(" ")  # of two spaces between words an empty word stands
    lines, current, length = [], first, visible(first)
    for word in words:
        if word and length + 1 + visible(word) > columns and length + 1 > hang:
            lines.append(current.rstrip(" "))
            current, length = " " * hang + word, hang + visible(word)
        else:
            current, length = f"{current} {word}", length + 1 + visible(word)
    return "\n".join([*lines, current])


def _hang(line: str, columns: int) -> int:
    """Where the lines that follow a line begin."""
    at, indent, column, gap = 0, -1, -1, False
    for word in line.split(" "):
        length = visible(word)
        if length and indent < 0:
            indent = at
        elif length and gap and at <= columns * _FAR:
            column = at
        at, gap = at + length + 1, not length
    return column if column >= 0 else min(indent + 2, columns // 2)


def visible(text: str) -> int:
    """How many columns a text takes, colours left out."""
    if "\033" not in text:
        return len(text)
    first, *rest = text.split("\033[")
    return len(first) + sum(len(piece.partition("m")[2]) for piece in rest)


def listing(rows: Sequence[tuple[str, str]], columns: int) -> str:
    """Names and what is said of each, in two columns; a name that is too long for its column stands alone.

    Args:
        rows: The names and the texts.
        columns: How long a line may be.
    """
    left = min(max((len(name) for name, _ in rows), default=0), _LEFT)
    lines = []
    for name, text in rows:
        begin = f"  {name}"
        if len(name) > left and text:
            lines.append(begin)
            begin = ""
        lines.append(_fit(f"{begin.ljust(left + 4)}{text}".rstrip(), columns, left + 4))
    return "\n".join(lines)
