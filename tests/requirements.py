"""What a test needs of the machine: it skips with the reason where that is missing, and fails on CI."""

from __future__ import annotations

import os

import pytest


def need(available: bool, reason: str) -> None:
    """Skips the running test unless something is available; with `CI` set its absence is a failure.

    Args:
        available: Whether the machine has it.
        reason: What is missing, as the skip shows it.
    """
    if available:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must provide this: {reason}")
    pytest.skip(reason)


def need_root() -> None:
    """Skips unless the test runs as root, who alone can become another user and mount."""
    need(hasattr(os, "geteuid") and os.geteuid() == 0, "needs root")
