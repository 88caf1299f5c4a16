from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.render.page import STYLE, code, command, listed, named, page, pairs, table, text, where
from tests import browser_page

RULE = {"name": "<b>", "file": '/p/"x".toml', "line": 3}


def test_a_page_is_complete() -> None:
    """A page has a title, a heading, a language, a width for phones, colours for light and dark, and loads nothing."""
    shown = page("a < b", ["", "<p>x</p>"])
    found = browser_page.tree(shown)
    assert browser_page.texts(found, ".//~title") == browser_page.texts(found, ".//~h1") == ["a < b"]
    assert found.get("lang") == "en"
    assert "width=device-width" in shown
    assert "prefers-color-scheme: dark" in STYLE
    assert browser_page.foreign(shown) == []


@given(st.text(st.characters()))
def test_text_is_only_text(value: str) -> None:
    """Whatever a text holds, it is no markup, ends no attribute, and moves or hides nothing beside it."""
    shown = page(value, [f'<p title="{text(value)}">{text(value)}</p>', code(value), command(value)])
    assert browser_page.shape(shown) == browser_page.shape(page("a", ["<p>a</p>", code("a"), command("a")]))
    assert shown.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("given_text", "shown"), [("<script>", "&lt;script&gt;"), ('"', "&quot;"), ("\u202eab\x1b", r"\u202eab\x1b")]
)
def test_hostile_text(given_text: str, shown: str) -> None:
    """Tags, quotes, and what reorders or steers a terminal are shown as they are written."""
    assert text(given_text) == shown


def test_a_rule_says_where_it_stands() -> None:
    """A rule is called by its name and place; hovering shows the file in full, and that a rule is built in."""
    found = browser_page.tree(page("t", [named(RULE), f'<p title="{where({**RULE, "file": None})}">x</p>']))
    assert browser_page.texts(found, ".//~b") == ['<b> (/p/"x".toml:3)']
    assert browser_page.titles(found, ".//~b") == ['/p/"x".toml:3']
    assert browser_page.titles(found, ".//~p") == ["built in"]


def test_tables_and_lists() -> None:
    """A table has its columns' titles, one without rows is left out, and yes, no and unknown are words."""
    shown = page(
        "t", [pairs([("a_b", True), ("c", False), ("d", None)]), table([], head=("x",)), listed("l", ["<li>1</li>"])]
    )
    found = browser_page.tree(shown)
    assert browser_page.texts(found, ".//~tr") == ["a byes", "cno", "dunknown"]
    assert browser_page.texts(found, ".//~ol[@class='l']/~li") == ["1"]
    headed = browser_page.tree(page("t", [table(["<tr><td>1</td></tr>"], name="n", head=("<x>",))]))
    assert browser_page.texts(headed, ".//~table[@class='n']/~thead//~th") == ["<x>"]
