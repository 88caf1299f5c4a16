from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given

from policy.render import render
from tests import browser_page
from tests.render.test_render import HOSTILE, hostile, plain, rich

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def page(record: dict[str, Any]) -> Any:
    """The page of a record."""
    return browser_page.tree(render("html", record))


@pytest.mark.parametrize("make", [plain, rich])
def test_the_whole_decision(make: Any) -> None:
    """The plan in its order, the rule that decides, and every rule that was asked stand on the page."""
    record = make()
    tree = page(record)
    plan = browser_page.texts(tree, ".//~ol[@class='plan']/~li/~code")
    assert plan == [entry["path"] for entry in record["plan"]]
    assert len(browser_page.texts(tree, ".//~ol[@class='chain']/~li")) == len(record["steps"])
    (decides,) = browser_page.texts(tree, ".//~li[@class='matched']")
    assert (record["rule"]["name"] or "") in decides


def test_where_a_rule_stands() -> None:
    """Hovering a rule shows its file and line."""
    titles = browser_page.titles(page(rich()), ".//~ol[@class='chain']/~li")
    assert titles[:3] == ["/p/lock-policy.toml:3", "/p/lock-policy.toml:8", "built in"]


def test_who_is_kept_out() -> None:
    """Those who are kept out and those who are not are listed, with the reason and the remedy."""
    excludes = [
        {"who": "lock-policy", "where": "this host", "excluded": True, "because": "gate"},
        {"who": "uv", "where": "this <host>", "excluded": False, "because": "no lock", "remedy": 'lock = "local"'},
    ]
    rows = browser_page.texts(page({**plain(), "excludes": excludes}), ".//~tr")
    assert "lock-policy, this hostkept outgate" in rows
    assert 'uv, this <host>not kept outno locklock = "local"' in rows


def test_self_contained() -> None:
    """The page loads nothing, runs nothing and names no address."""
    assert browser_page.foreign(render("html", rich())) == []


@pytest.mark.slow
@given(HOSTILE)
def test_no_text_is_markup(text: str) -> None:
    """Whatever a name holds, the page stays well formed, and has the same elements as with another name."""
    shown = (render("html", hostile(one)) for one in (text, "a"))
    assert len({tuple(browser_page.shape(one)) for one in shown}) == 1
    assert render("html", hostile(text)).replace("\n", "").isprintable()


def test_a_command() -> None:
    """What is different for a command has a section; one that changes nothing has a page that says so."""
    command = {
        "left_to_uv": ["/r/.lock"],
        "environ": {"A": "<b>"},
        "notes": ["a note"],
        "uncertain": "perhaps",
        "shared": True,
    }
    rows = browser_page.texts(page({**plain(), "command": command}), ".//~tr")
    ours = ("held", "left", "set for", "note", "uncertain")
    assert [row for row in rows if row.startswith(ours)] == [
        "heldfor reading: others may read at the same time",
        "left to uv/r/.lock",
        "set for itA=<b>",
        "notea note",
        "uncertainperhaps",
    ]
    apart = page({"environment": None, "command": {"apart": "uvx changes no environment"}})
    assert browser_page.texts(apart, ".//~p") == ["uvx changes no environment"]
