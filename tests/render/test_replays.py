from __future__ import annotations

import json
import sys

import pytest
from attrs import evolve

from policy.checks.replay import Change, Decider, Replay
from policy.render.replays import as_json, text, unreadable
from policy.rules.rule import Rule
from tests.checks.test_replay import chain, logged

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def _found(*, lines: int = 1) -> Replay:
    taken = logged(chain(Rule("local", name="a")), {"user": "u"})
    decider = Decider(chain(Rule("beside", {"user": "u"}, name="b", timeout=5)))
    change = Change(list(range(1, lines + 1)), taken, *decider.shown(decider.decide(taken)))
    return Replay(1, (change,), {"the log does not say host": [70, 80]}, [(3, "not JSON")])


def test_text() -> None:
    """Text says which rules, both plans, who is kept out then and now, which lines, and how to see it."""
    shown = text(_found())
    assert shown.startswith("1 decision of a (built in): now b (built in) decides\n  old plan      gate ")
    assert "\n  new kept out  lock-policy (this host), pipx (this environment)" in shown
    assert "\n  timeout       none, now 5 s\n  lines         1\n  example       policy explain " in shown
    assert shown.endswith(
        "\nnot known, as the log does not say host: lines 70, 80\n"
        "4 decisions: 1 would change, 2 not known, 1 would not\n"
    )
    assert text(_found(), color=True).startswith("\033[1m1 decision")
    assert "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 1,990 more\n" in text(_found(lines=2_000))
    assert text(Replay(2, ())) == "No difference: 2 decisions, each the same as before\n"


def test_hostile_names() -> None:
    """What a log says of names is no colour and no second line."""
    found = _found()
    before = evolve(found.changes[0].before, rule={"name": "a\033[31m\nb", "file": "\udcff\n", "line": 1})
    shown = text(Replay(0, (evolve(found.changes[0], before=before),), {"\033": [1]}))
    assert "\033" not in shown
    assert shown.encode()
    assert len(shown.splitlines()) == len(text(Replay(0, found.changes, {"x": [1]})).splitlines())


def test_json() -> None:
    """JSON has every line, and both sides of each change in one shape."""
    found = json.loads(as_json(_found(lines=20)))
    (change,) = found["changes"]
    assert change["lines"] == list(range(1, 21))
    assert change["old"].keys() == change["new"].keys()
    assert (found["changed"], found["same"], found["differs"]) == (20, 1, True)
    assert found["not_known"] == [{"because": "the log does not say host", "lines": [70, 80]}]
    assert found["unreadable"] == [{"line": 3, "because": "not JSON"}]


def test_unreadable() -> None:
    """Lines that are no decisions are one line of text."""
    assert unreadable(_found()) == "1 line was left out: line 3 (not JSON)"
    assert unreadable(Replay(1, ())) == ""
    several = Replay(1, (), unreadable=[(4, "cut off"), (9, "not JSON")])
    assert unreadable(several) == "2 lines were left out, the first of them line 4 (cut off)"
