from __future__ import annotations

import re
import sys
from typing import Any

import html5lib
import pytest
from hypothesis import given

from policy.render import render
from policy.render.html import STYLE
from tests.render.test_render import HOSTILE, hostile, plain, rich

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

NAMESPACE = "{http://www.w3.org/1999/xhtml}"


def page(record: dict[str, Any]) -> Any:
    """The page of a record as a tree, read by a parser that takes no fault."""
    return html5lib.HTMLParser(strict=True).parse(render("html", record))


def texts(tree: Any, path: str) -> list[str]:
    """The text of each element that a path leads to."""
    return ["".join(found.itertext()) for found in tree.iterfind(path.replace("~", NAMESPACE))]


@pytest.mark.parametrize("make", [plain, rich])
def test_the_whole_decision(make: Any) -> None:
    """The plan in its order, the rule that decides, and every rule that was asked stand on the page."""
    record = make()
    tree = page(record)
    plan = texts(tree, ".//~ol[@class='plan']/~li/~code")
    assert plan == [entry["path"] for entry in record["plan"]]
    assert len(texts(tree, ".//~ol[@class='chain']/~li")) == len(record["steps"])
    (decides,) = texts(tree, ".//~li[@class='matched']")
    assert (record["rule"]["name"] or "") in decides


def test_where_a_rule_stands() -> None:
    """Hovering a rule shows its file and line."""
    tree = page(rich())
    chain = tree.iterfind(f".//{NAMESPACE}ol[@class='chain']/{NAMESPACE}li")
    assert [item.get("title") for item in chain][:3] == ["/p/lock-policy.toml:3", "/p/lock-policy.toml:8", "built in"]


def test_who_is_kept_out() -> None:
    """Those who are kept out and those who are not are listed, with the reason and the remedy."""
    excludes = [
        {"who": "lock-policy", "where": "this host", "excluded": True, "because": "gate"},
        {"who": "uv", "where": "this <host>", "excluded": False, "because": "no lock", "remedy": 'lock = "local"'},
    ]
    rows = texts(page({**plain(), "excludes": excludes}), ".//~tr")
    assert "lock-policy, this hostkept outgate" in rows
    assert 'uv, this <host>not kept outno locklock = "local"' in rows


def test_self_contained() -> None:
    """The page loads nothing, runs nothing and names no address; it has colours for a light and a dark screen."""
    shown = render("html", rich())
    assert not re.search(r"https?:|//[a-z]|<script|<link|<img|@import|url\(|\bon\w+=", shown)
    assert "prefers-color-scheme: dark" in STYLE


@given(HOSTILE)
def test_no_text_is_markup(text: str) -> None:
    """Whatever a name holds, the page stays well formed, and has the same elements as with another name."""
    assert len(texts(page(hostile(text)), ".//~li")) == len(texts(page(hostile("a")), ".//~li"))
    assert render("html", hostile(text)).replace("\n", "").isprintable()


def test_a_command() -> None:
    """What is different for a command has a section; one that changes nothing has a page that says so."""
    command = {"left_to_uv": ["/r/.lock"], "environ": {"A": "<b>"}, "notes": ["a note"], "uncertain": "perhaps"}
    rows = texts(page({**plain(), "command": command}), ".//~tr")
    ours = ("left", "set for", "note", "uncertain")
    assert [row for row in rows if row.startswith(ours)] == [
        "left to uv/r/.lock",
        "set for itA=<b>",
        "notea note",
        "uncertainperhaps",
    ]
    apart = page({"environment": None, "command": {"apart": "uvx changes no environment"}})
    assert texts(apart, ".//~p") == ["uvx changes no environment"]
