from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given

from policy.checks.diff import Difference, diff
from policy.render.differences import as_html, as_json
from policy.render.differences_html import render
from policy.rules.chain import Chain
from policy.rules.rule import Rule
from tests import browser_page
from tests.render.test_render import HOSTILE

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def _found(name: str = "a") -> Difference:
    old = Rule("local", {"user": "u"}, name="a", file="/p/old.toml", line=3, layer="user")
    new = Rule("beside", {"user": "u"}, name=name, timeout=5, file="/p/new.toml", line=4, layer="user")
    return diff(Chain((old, Rule("global"))), Chain((new, Rule("global"))), "/")


def page(difference: Difference) -> Any:
    """The page of a difference."""
    return browser_page.tree(as_html(difference))


def test_both_sides_of_the_json() -> None:
    """Each difference has both rules with file and line, both plans, who was and is kept out, and how to see it."""
    found = page(_found())
    (region,) = json.loads(as_json(_found()))["regions"]
    titles = browser_page.titles(found, ".//~section//~b")
    assert titles == [f"{region[side]['rule']['file']}:{region[side]['rule']['line']}" for side in ("old", "new")]
    plans = browser_page.texts(found, ".//~ol[@class='locks']/~li/~code")
    assert plans == [entry["path"] for side in ("old", "new") for entry in region[side]["plan"]]
    who = browser_page.texts(found, ".//~ol[@class='who']/~li")
    assert who == [*region["old"]["excluded"], *region["new"]["excluded"]]
    assert browser_page.texts(found, ".//~pre") == [region["example"]]


def test_what_changed_is_marked() -> None:
    """What differs carries a mark of its own, what is the same does not."""
    found = page(_found())
    assert browser_page.texts(found, ".//~td[@class='changed']")[0] == "beside"
    assert browser_page.texts(found, ".//~td[@class='changed']")[-1] == "5 s"
    assert browser_page.texts(found, ".//~tr[1]/~td[@class='changed']") == []


def test_rules_that_differ_and_what_is_open() -> None:
    """Rules that were edited and pairs of which nothing is proven are listed; no difference is one sentence."""
    assert browser_page.texts(page(_found()), ".//~main/~div//~tr") == ["changeda (/p/new.toml:4)"]
    rule = Rule("local", name="a")
    left = page(Difference((), ((rule, rule),), ()))
    assert browser_page.texts(left, ".//~ol[@class='open']/~li") == [
        "whether a (built in) and then a (built in) decide"
    ]
    assert "too many rules" in as_html(Difference((), (), (), complete=False))
    assert browser_page.texts(page(Difference((), (), ())), ".//~h1")[0].startswith("No difference")


@pytest.mark.slow
@given(HOSTILE)
def test_no_name_is_markup(name: str) -> None:
    """Whatever a rule is called, the page stays valid, has the same elements, and names no address."""

    def shown(text: str) -> str:
        told = json.loads(as_json(_found()))
        (region,) = told["regions"]
        region["example"] = text
        for rule in (region["old"]["rule"], region["new"]["rule"], told["rules"][0]["rule"]):
            rule |= {"name": f"n{text}", "file": f"/{text}"}
        region["new"]["plan"][0]["path"] = f"/{text}"
        region["new"]["excluded"] = [f"x{text}"]
        return render(told, f"s{text}")

    assert browser_page.shape(shown(name)) == browser_page.shape(shown("a"))
    assert shown(name).replace("\n", "").isprintable()
    assert browser_page.foreign(as_html(_found())) == []
