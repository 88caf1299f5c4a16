"""The registry of checks."""

from __future__ import annotations

from policy.commands.health.checks import CHECKS, UNANSWERED
from policy.commands.health.finding import CODES


def test_registry() -> None:
    """Each check has a name, and a code that says what its silence means."""
    assert len(CHECKS) >= 10
    assert UNANSWERED.keys() <= CHECKS.keys()
    assert set(UNANSWERED.values()) <= CODES.keys()
