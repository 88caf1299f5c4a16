from __future__ import annotations

import tomllib

from policy.render import render


def test_nulls_are_left_out() -> None:
    """TOML has no null: a key without a value is left out, in tables inside tables too."""
    shown = render("toml", {"a": None, "b": {"c": None, "d": 1}, "e": [{"f": None}]})
    assert tomllib.loads(shown) == {"b": {"d": 1}, "e": [{}]}


def test_what_is_not_printable() -> None:
    """Characters that cannot be seen are escaped as TOML escapes them, and read back."""
    shown = render("toml", {"a": "x\u200by"})
    assert "\u200b" not in shown
    assert tomllib.loads(shown) == {"a": "x\u200by"}


def test_bytes_that_are_no_text() -> None:
    """A byte that is no UTF-8 is shown as an escape, since TOML cannot hold it."""
    assert tomllib.loads(render("toml", {"a": "x\udcff"})) == {"a": "x\\udcff"}
