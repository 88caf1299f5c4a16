from __future__ import annotations

import pytest

from policy.render import DECISION_FORMATS, render
from policy.render.record import record
from policy.rules.chain import Chain
from policy.rules.rule import Rule
from tests import factories


@pytest.mark.parametrize("name", DECISION_FORMATS)
def test_every_format(name: str) -> None:
    """Each name is a module that makes text of any decision, which names the lock."""
    decision = Chain((Rule("local"),)).decide(factories.request())
    shown = render(name, record(decision))
    assert "/srv/app/.venv/.lock" in shown
    assert not shown.endswith("\n")


def test_unknown_format() -> None:
    """A name without a module is no format."""
    with pytest.raises(ImportError):
        render("poem", {})
