from __future__ import annotations

import sys
from typing import Any

import pytest

from policy.errors import UsageError
from policy.rules.chain import Chain
from policy.rules.decision import PlainChain
from policy.rules.plain import Setting
from policy.rules.rule import Check, Rule, Step
from tests import factories

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

LAST = Rule("global", name="last")


def test_first_match_wins() -> None:
    """The first rule that matches decides, and those before and after it are distinguished."""
    no = Rule("local", (("kind", ("system",)), ("env", (("CI", False),))), "no")
    chain = Chain((no, Rule("both", (("kind", ("virtualenv",)),), "yes"), Rule("local", name="late"), LAST))
    decision = chain.decide(factories.request())
    assert decision.rule.name == "yes"
    assert [(step.rule.name, step.outcome, [check.passed for check in step.checks]) for step in decision.steps] == [
        ("no", "no", [False, True]),
        ("yes", "matched", [True]),
        ("late", "not-reached", []),
        ("last", "not-reached", []),
    ]


def test_check() -> None:
    """A check says what the rule wants, what was seen, and whether it asks about the caller, combinators inside too."""
    match = {"kind": ["system", "target"], "any": [{"operation": "add"}]}
    ((step, _),) = [Chain((Rule("local", match), LAST)).decide(factories.request(operation="add")).steps]
    assert step == Step(
        Rule("local", match),
        "no",
        (
            Check("kind", ["system", "target"], "virtualenv", passed=False, caller=False),
            Check(
                "any",
                [{"operation": "add"}],
                None,
                passed=True,
                caller=True,
                checks=((Check("operation", "add", "add", passed=True, caller=True),),),
            ),
        ),
    )


def test_detail(tmp_path: Any) -> None:
    """A check keeps the errno's text, so that a read-only file system differs from a lack of permission."""
    asked = factories.request(root=str(tmp_path / "missing"))
    step = Chain((Rule("global", (("writable", True),)), LAST)).decide(asked).steps[0]
    assert step.checks == (Check("writable", expected=True, seen=True, passed=True, caller=False),)


def test_chain_is_its_rules() -> None:
    """Two chains of the same rules are equal, and decide alike."""
    assert Chain((LAST,)) == Chain((LAST,))
    assert "search" not in repr(Chain((LAST,)))
    asked = factories.request()
    assert Chain((LAST,)).decide(asked).plan == PlainChain((LAST,)).decide(asked).plan
    more = Chain((LAST,), {"timeout": Setting(5, "a.toml", 1, "user")}).with_settings(
        {"timeout": Setting(6, "--timeout", 0, "caller")}
    )
    assert (more.setting("timeout"), more.setting("global-dir"), more.decide(asked).timeout) == (6, None, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((),), "the last rule of a chain must match everything: leave its `match` empty"),
        (((Rule("local", {"kind": "system"}),),), "the last rule of a chain must match everything"),
        ((("local",),), "rule 1 of a chain must be a policy.Rule, not str"),
        (((LAST,), {"timeout": 5}), "setting 'timeout' of a chain must be a policy.Setting, not int"),
    ],
)
def test_validates(arguments: Any, message: str) -> None:
    """A chain that cannot decide is refused when it is made."""
    with pytest.raises(UsageError) as caught:
        Chain(*arguments)
    assert str(caught.value).startswith(message)
