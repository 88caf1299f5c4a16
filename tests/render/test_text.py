from __future__ import annotations

import re

from policy.render import render
from policy.render.text import answered, conditions
from tests.render.test_render import plain, rich


def test_order() -> None:
    """The locks come first, then who decided and why, then the environment, then the rules."""
    shown = render("text", rich())
    places = [shown.index(word) for word in ("global lock", "decided by ci", "\nenvironment\n", "rules, in the order")]
    assert places == sorted(places)


def test_waiting() -> None:
    """How long one waits is said, and that there is no limit where there is none."""
    assert "waits at most 90 s" in render("text", rich())
    assert "waits as long as" in render("text", plain())


def test_a_command_that_changes_nothing() -> None:
    """Where nothing is held one line says why."""
    shown = render("text", {"environment": None, "command": {"apart": "uvx changes no environment"}})
    assert shown == "no lock: uvx changes no environment"


CHECK = {"key": "kind", "expected": ["system", "target"], "seen": "prefix", "passed": False}


def test_conditions() -> None:
    """A condition says whether it holds, what it wants and what was seen; those inside others are indented."""
    assert answered(CHECK, 0) == [(False, "kind", "system or target", "prefix")]
    nested = {"key": "not", "passed": True, "checks": [[CHECK]]}
    assert [row[1] for row in answered(nested, 0)] == ["not", "  kind"]
    lines = conditions([nested], color=True)
    assert [re.sub(r"\033\[[0-9;]*m", "", line).split()[0] for line in lines] == ["+", "x"]
