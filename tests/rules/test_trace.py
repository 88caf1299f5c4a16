from __future__ import annotations

import sys

import pytest

from policy.rules.conditions import toml
from policy.rules.decision import PlainChain
from policy.rules.rule import Rule
from policy.rules.trace import trace
from tests import factories

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def test_trace_of_some() -> None:
    """Of a long chain only the beginning, the rules around the decision and the next ones are shown, if so wanted."""
    rules = [Rule("local", {"kind": "system"}, str(number)) for number in range(100)]
    rules += [Rule("global", name=f"end-{number}") for number in range(100)]
    decision = PlainChain(rules).decide(factories.request())
    names = [rule.name for rule, _, _ in trace(rules, decision.index, decision.request, 4)]
    assert names == ["0", "1", "99", "end-0", "end-1", "end-2", "end-3", "end-4"]
    assert len(trace(rules, decision.index, decision.request)) == len(decision.steps) == 200


def test_expected() -> None:
    """What a rule wants is shown as TOML has it."""
    match = (("not", (("kind", ("system",)),)), ("any", ((("env", (("A", True), ("B", ("x", "y")))),),)))
    expected = {"not": {"kind": "system"}, "any": [{"env": {"A": True, "B": ["x", "y"]}}]}
    assert toml(match) == expected
    (first, _) = trace((Rule("local", match), Rule("global")), 0, factories.request())
    assert {check["key"]: check["expected"] for check in first[2]} == expected
