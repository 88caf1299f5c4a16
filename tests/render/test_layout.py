"""Lines that fit a terminal."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.render.layout import NARROWEST, fit, fit_messages, listing, visible, width
from policy.render.style import BOLD, paint

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = st.lists(st.text("ab/-", min_size=1, max_size=12), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("short", "short"),
        ("one two three four five", "one two three four\n  five"),
        ("  one two three four five", "  one two three four\n    five"),
        ("  key    some words that go on", "  key    some words\n         that go on"),
        ("  + key  wants x  saw a longer thing", "  + key  wants x  saw\n         a longer\n         thing"),
        ("/a/path/that/is/longer/than/that x", "/a/path/that/is/longer/than/that\n  x"),
        ("  key  /a/path/that/is/longer/than/that", "  key  /a/path/that/is/longer/than/that"),
        ("a line\nthat is followed by another one", "a line\nthat is followed by\n  another one"),
        ("", ""),
    ],
)
def test_fit(line: str, expected: str) -> None:
    """A long line is broken between words, and goes on below its second column or two columns further in."""
    assert fit(line, 20 if line[:1] != " " else 21) == expected


@given(WORDS, st.integers(NARROWEST, 100), st.integers(0, 8))
def test_no_word_is_broken(words: list[str], columns: int, indent: int) -> None:
    """Whatever the text: the same words in the same order, and no line is too long where a break would shorten it."""
    fitted = fit(" " * indent + " ".join(words), columns)
    assert fitted.split() == words
    for line in fitted.split("\n"):
        before_last_word = len(line.rpartition(" ")[0])  # what follows a break begins two columns further in
        assert len(line) <= columns or len(line.split()) == 1 or before_last_word < indent + 2
        assert line == line.rstrip()


@given(WORDS, st.integers(NARROWEST, 100))
def test_colours_take_no_room(words: list[str], columns: int) -> None:
    """A line breaks where it breaks without colours."""
    painted = fit(" ".join(paint(word, BOLD, color=True) for word in words), columns)
    assert [line.count("\033[1m") for line in painted.split("\n")] == [
        len(line.split()) for line in fit(" ".join(words), columns).split("\n")
    ]


def test_hangs_below_a_painted_column() -> None:
    """What follows hangs below the second column, padded inside of its colour or not."""
    line = f"  {paint('name    ', BOLD, color=True)}  {paint('one two three four', BOLD, color=True)}"
    assert [visible(one) for one in fit(line, 24).split("\n")] == [19, 22]
    assert fit(line, 24).split("\n")[1].startswith(" " * 12 + "three")
    dim = paint("  one two three four five", BOLD, color=True)
    assert fit(dim, 22).split("\n")[1] == "    five\033[0m"


def test_nobody_looks() -> None:
    """Where no terminal reads, lines stay whole."""
    assert fit("word " * 100, 0) == "word " * 100


def test_quoted_lines_stay() -> None:
    """Of a message about a file only the message is broken, never the line of the file nor the caret below it."""
    quoted = "  a line of a file that is long\n       ^^^^ ^^^^^^^^^^^^^^^^^^^^"
    text = f"file.toml:1:1: error: a message that is long\n{quoted}"
    assert fit_messages(text, 30) == f"file.toml:1:1: error: a\n  message that is long\n{quoted}"
    assert fit_messages(text, 0) == text


def test_visible() -> None:
    """Colours are not counted."""
    assert visible(paint("word", BOLD, "32", color=True) + " x") == 6
    assert visible("word") == 4


class Screen(io.StringIO):
    """A stream that says it is a terminal, and has the number of a real one or of none."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.descriptor = descriptor

    def isatty(self) -> bool:
        """It is one."""
        return True

    def fileno(self) -> int:
        """The number."""
        return self.descriptor


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({"COLUMNS": "100"}, 100), ({"COLUMNS": "5"}, NARROWEST), ({"COLUMNS": "x"}, 0), ({"COLUMNS": "0"}, 0), ({}, 0)],
)
def test_width_without_a_terminal(environ: Mapping[str, str], expected: int) -> None:
    """COLUMNS says how wide; without it there is no width where nobody looks."""
    assert width(io.StringIO(), environ) == expected


def test_width_of_a_terminal() -> None:
    """A terminal says how wide it is, and COLUMNS stands before it."""
    if sys.platform == "win32":
        pytest.skip("needs POSIX")
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 91, 0, 0))
        assert width(Screen(slave), {}) == 91
        assert width(Screen(slave), {"COLUMNS": "70"}) == 70
    finally:
        os.close(master)
        os.close(slave)
    assert width(Screen(master), {}) == 0


def test_listing() -> None:
    """Names stand in one column, what is said of them in another; a name that is too long stands alone."""
    rows = [("a", "some words that go on and on"), ("name", ""), ("n" * 31, "far")]
    assert listing(rows, 60).split("\n") == [
        f"  a{' ' * 31}some words that go on and",
        f"{' ' * 34}on",
        "  name",
        f"  {'n' * 31}",
        f"{' ' * 34}far",
    ]
