"""The cases of docs/reliability.md, at a small size, so that the script that writes it cannot rot."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if sys.platform != "linux":
    pytest.skip("asks /proc/locks, strace and flock(1)", allow_module_level=True)

from tests import exclusion_cases, hostile_cases, requirements
from tests.outcomes import Effort, NotHere
from tests.subjects import FLOCK, POLICY, SUBJECTS, UV, Stage

if TYPE_CHECKING:
    from types import ModuleType

    from tests.outcomes import Case
    from tests.subjects import Subject

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SMALL = Effort(times=2, acquisitions=50, starts=5, seconds=6, races=20)

REFUSED = "nothing ran: exit 125, says so"
EXPECTED: list[tuple[Case, str]] = [
    (exclusion_cases.overlaps, "0 of 200"),
    (exclusion_cases.wrapper_killed, "kept 2 of 2"),
    (exclusion_cases.holder_killed, "free 2 of 2"),
    (exclusion_cases.fork_ends, "still held 2 of 2"),
    (exclusion_cases.fork_lives, "free 2 of 2"),
    (exclusion_cases.saturated, r"2 of 2, behind at most \d+ others"),
    (exclusion_cases.timed_out, "exit 124, does not run, holder named"),
    (exclusion_cases.deleted, r"noticed: `lock\(\)` 2 of 2, `run --close` 2 of 2, `run` 0 of 2"),
    (exclusion_cases.deleted_under_waiter, "two inside 0 of 1"),
    (hostile_cases.symlink, f"not followed, victim unchanged; {REFUSED}"),
    (hostile_cases.dangling, f"no file made; {REFUSED}"),
    (hostile_cases.hard_link, f"not locked, victim unchanged; {REFUSED}"),
    (hostile_cases.fifo, REFUSED),
    (hostile_cases.anothers, REFUSED),
    (hostile_cases.first_creation, "0 of 80 refused"),
    (hostile_cases.read_only, "excludes"),
    (hostile_cases.no_inodes, REFUSED),
    (hostile_cases.no_flock, REFUSED),
    (hostile_cases.descriptors, r"\d+ locked, \d+ refused"),
    (hostile_cases.temporary_directories, "excludes"),
    (hostile_cases.spellings, "excludes"),
    (hostile_cases.real_uv_beside, "uv kept out"),
]


def seen(case: Case, subject: Subject) -> str:
    """What a case answers about a subject."""
    with Stage() as stage:
        try:
            return case(subject, stage, SMALL)
        except NotHere:
            requirements.need(available=False, reason="needs root, mount, strace or prlimit")
            raise


@pytest.mark.parametrize(("case", "expected"), EXPECTED, ids=[case.__name__ for case, _ in EXPECTED])
def test_lock_policy(case: Case, expected: str) -> None:
    """What the page says of lock-policy still holds."""
    assert re.fullmatch(expected, seen(case, POLICY))


def test_share() -> None:
    """Three of lock-policy get at least a quarter of the acquisitions beside three real uv."""
    ours, of = map(int, re.findall(r"\d+", seen(exclusion_cases.share, POLICY))[:2])
    assert 4 * ours >= of > 0


@pytest.mark.parametrize("subject", SUBJECTS[:3], ids=lambda one: str(one.name).strip("`").partition("(")[0])
def test_others(subject: Subject) -> None:
    """The cases run for the others, too: none of them lets two in while nothing goes wrong."""
    requirements.need(subject is not FLOCK or shutil.which("flock") is not None, "needs flock(1)")
    assert seen(exclusion_cases.overlaps, subject).startswith("0 of ")
    assert seen(exclusion_cases.holder_killed, subject) == "free 2 of 2"


def test_uv_goes_on_unlocked() -> None:
    """The cases can tell: with different TMPDIRs two uv are inside at once."""
    assert seen(hostile_cases.temporary_directories, UV) == "**two inside**, exit 0, silent"


def test_overlaps_are_seen() -> None:
    """Where nobody locks, the count of overlaps is not zero."""
    with Stage() as stage:
        assert not exclusion_cases.nothing_locked(stage, SMALL).startswith("0 of ")


def script() -> ModuleType:
    """docs/reliability.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("reliability", ROOT / "docs" / "reliability.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def test_page_has_every_case() -> None:
    """Each case is a row of the page, with a cell for each subject."""
    groups: dict[str, tuple[str, dict[str, Any]]] = script().GROUPS
    rows = [line.split(" | ") for line in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()]
    found = {row[0].removeprefix("| "): len(row) - 1 for row in rows if len(row) > 1}
    assert {name: found.get(name) for _, cases in groups.values() for name in cases} == {
        name: len(SUBJECTS) for _, cases in groups.values() for name in cases
    }


def test_page_says_nothing_of_the_machine() -> None:
    """No path and no name of the machine on which the page was written stands in it."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|work|usr|tmp/)\b", text)
    assert os.uname().nodename not in text
