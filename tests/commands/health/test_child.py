"""Checks in children that can be given up."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from policy.commands.health.child import examine
from policy.commands.health.finding import Finding, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform == "win32":
    pytest.skip("there checks run in this process", allow_module_level=True)

HERE = Surroundings({}, "/", "/tmp", None)
FINDING = Finding("clock-differs", "caf\u00e9 \udcff", "true")


def finds(surroundings: Surroundings) -> list[Finding]:
    """One finding."""
    assert surroundings is HERE
    return [FINDING]


def nothing(_: Surroundings) -> Iterator[Finding]:
    """No finding."""
    yield from ()


def hangs(_: Surroundings) -> list[Finding]:
    """Never comes to its end, and has a child of its own."""
    if not os.fork():
        time.sleep(1000)
    time.sleep(1000)
    return []


def fails(_: Surroundings) -> list[Finding]:
    """Goes wrong."""
    raise ValueError("a reason")


def dies(_: Surroundings) -> list[Finding]:
    """Is killed."""
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def much(_: Surroundings) -> list[Finding]:
    """More than a pipe holds."""
    return [FINDING] * 5000


@pytest.mark.slow
def test_examine() -> None:
    """Each check's findings come back; one that hangs, dies or fails stops no other, and nothing of them is left."""
    checks = {"finds": finds, "nothing": nothing, "hangs": hangs, "fails": fails, "dies": dies, "much": much}
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    results = examine(checks, HERE, seconds=3.0)
    assert list(results) == list(checks)
    assert (results["finds"], results["nothing"]) == ([FINDING], [])
    assert (results["hangs"], results["dies"]) == (None, None)
    failed, *_ = results["fails"] or []
    assert (failed.code, failed.message) == ("no-answer", "a check failed: ValueError: a reason")
    assert results["much"] == [FINDING] * 5000
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    if before:
        assert set(os.listdir("/proc/self/fd")) == before
