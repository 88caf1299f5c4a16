from __future__ import annotations

import json
import sys

import pytest

from policy.checks.diff import Difference, diff
from policy.render.differences import as_json, as_markdown, text
from policy.rules.chain import Chain
from policy.rules.rule import Rule

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def _found(name: str = "a") -> Difference:
    old = Rule("local", {"user": "u"}, name="a")
    new = Rule("beside", {"user": "u"}, name=name, timeout=5)
    return diff(Chain((old, Rule("global"))), Chain((new, Rule("global"))), "/")


def test_text() -> None:
    """Text says which rules, both plans, who is kept out then and now, what else differs, and how to see it."""
    shown = text(_found())
    assert shown.startswith("a (built in) decided, now a (built in) does\n  old plan      gate ")
    assert "\n  old kept out  lock-policy (this host), uv (this environment)" in shown
    assert "\n  new kept out  lock-policy (this host), pipx (this environment)" in shown
    assert "\n  timeout       none, now 5 s\n  example       policy explain " in shown
    assert shown.endswith("\nchanged: rule a (built in)\n1 difference in what is locked, or how\n")
    assert text(_found(), color=True).startswith("\033[1ma (built in)")


def test_json() -> None:
    """JSON has both sides of each region, and the rules that differ."""
    found = json.loads(as_json(_found()))
    (region,) = found["regions"]
    assert [region[side]["rule"]["lock"] for side in ("old", "new")] == [["local"], ["beside"]]
    assert [region[side]["timeout"] for side in ("old", "new")] == [None, 5]
    assert (found["differs"], found["complete"], found["not_proven"]) == (True, True, [])
    assert [edit["what"] for edit in found["rules"]] == ["changed"]


def test_markdown_of_any_name() -> None:
    """Markdown is a table for each difference, and no name of a rule becomes markup, a mention or a cell."""
    shown = as_markdown(_found("<b>|`x`* @all #1"))
    assert "<b>" not in shown
    assert "@all" not in shown
    assert "&#60;b&#62;&#124;&#96;x&#96;&#42; " in shown
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    assert [row.count("|") for row in rows] == [3] * len(rows)
    assert "```console\n$ policy explain " in shown


def test_nothing_and_not_proven() -> None:
    """No difference is one sentence; what was not proven is never called the same."""
    assert text(Difference((), (), ())) == "No difference: every environment and every caller gets the same as before\n"
    rule = Rule("local", name="a")
    left = text(Difference((), ((rule, rule),), ()))
    assert left.startswith("not proven: whether a (built in) and then a (built in) decide\nNot proven: ")
    assert "too many rules" in as_markdown(Difference((), (), (), complete=False))
    assert json.loads(as_json(Difference((), (), (), complete=False)))["complete"] is False
