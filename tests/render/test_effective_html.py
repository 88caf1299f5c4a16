from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from policy.config.read import load_chain
from policy.render import effective
from policy.render.effective_html import as_html, render
from policy.rules.chain import Chain
from policy.rules.plain import BUILT_IN
from policy.rules.rule import Rule
from tests import browser_page, factories
from tests.render.test_render import HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

FILE = """\
timeout = 60

[[rules]]
name = "a"
lock = ["beside", "local"]
match = { env = { CI = true }, filesystem = ["nfs*", "lustre"] }
timeout = 5
required = false
reason = "so"
"""


@pytest.fixture
def full(tmp_path: Path) -> Chain:
    """The chain of a user's file with a rule that says more than usual."""
    return load_chain([factories.source(tmp_path / "u.toml", FILE, "user")])


def page(shown: Chain) -> Any:
    """The page of a chain."""
    return browser_page.tree(as_html(shown))


def test_every_rule_of_the_json(full: Chain) -> None:
    """The rules stand on the page in JSON's order, each with its locks, and its file and line for who hovers."""
    rules = json.loads(effective.as_json(full))["rules"]
    found = page(full)
    heads = browser_page.texts(found, ".//~ol[@class='chain']/~li")
    assert len(heads) == len(rules) > len(BUILT_IN) - 1
    for head, rule in zip(heads, rules, strict=True):
        assert rule["name"] in head
        assert " and ".join(rule["lock"]) in head
        assert all(key in head for key in rule["match"])
    titles = browser_page.titles(found, ".//~ol[@class='chain']/~li")
    assert titles == [f"{rule['file']}:{rule['line']}" if rule["file"] else "built in" for rule in rules]


def test_what_a_rule_says(full: Chain) -> None:
    """A rule's conditions and what it says beyond the usual stand in its box as TOML has them, and nothing else."""
    found = page(full)
    rows = browser_page.texts(found, ".//~ol[@class='chain']/~li[1]//~tbody/~tr")
    assert rows == ["env{ CI = true }", 'filesystem["nfs*", "lustre"]']
    assert browser_page.texts(found, ".//~ol[@class='chain']/~li[1]/~div/~code") == ["timeout = 5", "required = false"]
    assert browser_page.texts(found, ".//~ol[@class='chain']/~li[2]/~div/~code") == []


def test_settings_and_their_origins(full: Chain, tmp_path: Path) -> None:
    """Each setting has its value and where it comes from; without any the page says so."""
    found = page(full)
    assert browser_page.texts(found, ".//~table[@class='checks wants']/~tbody/~tr")[0] == (
        f"timeout60user: {tmp_path}/u.toml:1"
    )
    assert "No setting is given" in as_html(load_chain([]))


def test_a_setting_that_does_not_reach_every_rule(tmp_path: Path) -> None:
    """What counts for rules of other layers in place of a setting stands below it."""
    files = [
        factories.source(tmp_path / "p/lock-policy.toml", 'global-dir = "l"\n'),
        factories.source(tmp_path / "u.toml", 'global-dir = "/u"\n', "user"),
    ]
    rows = browser_page.texts(page(load_chain(files)), ".//~tbody/~tr")
    assert rows[0].startswith("global-dir")
    assert '"/u"for rules of the layers ' in rows[1]


def test_a_long_value_takes_several_lines() -> None:
    """An array that is long stands one item a line, as in TOML, and a line end inside a text stays an escape."""
    names = ["a" * 60, "b\n" + "b" * 60]
    shown = as_html(Chain((Rule("local", {"operation": names}), Rule("global"))))
    wants = f'operation[\n  "{names[0]}",\n  "b\\n{"b" * 60}",\n]'
    assert browser_page.texts(browser_page.tree(shown), ".//~tbody/~tr") == [wants]


@given(HOSTILE)
def test_no_name_is_markup(text: str) -> None:
    """Whatever a rule is called or wants, the page stays valid, has the same elements, and names no address."""

    def shown(name: str) -> str:
        told = effective.record(Chain((Rule("local", name="n", file="/f", line=1, layer="user"),)))
        (rule,) = told["rules"]
        rule |= {"name": f"n{name}", "reason": f"r{name}", "file": f"/{name}", "match": {"operation": f"x{name}"}}
        told["settings"] = {"global_dir": {"value": name, "file": name, "line": 1, "layer": "user"}}
        return render(told)

    assert browser_page.shape(shown(text)) == browser_page.shape(shown("a"))
    assert shown(text).replace("\n", "").isprintable()
    assert browser_page.foreign(shown("a")) == []
