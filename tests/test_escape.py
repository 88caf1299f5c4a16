from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.escape import escape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 中 \N{GRINNING FACE}", "plain é 中 \N{GRINNING FACE}"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("\udcff", "\\udcff"),
        ("\u2028\u200b\ufeff\xa0", "\\u2028\\u200b\\ufeff\\xa0"),
        ("\U000e0041", "\\U000e0041"),
        ("", ""),
    ],
)
def test_escape(text: str, expected: str) -> None:
    """What would move the cursor, reorder the line or not be seen is escaped, letters of any script are not."""
    assert escape(text) == expected


@given(st.text())
def test_always_printable(text: str) -> None:
    """Whatever comes in, what goes out is one line that can be printed and encoded."""
    shown = escape(text)
    assert shown.isprintable()
    shown.encode()
