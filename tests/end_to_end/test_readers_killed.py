"""Readers and writers who are killed at any moment: no writer is ever inside with anybody else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("needs flock and signals", allow_module_level=True)

from tests.readers import Library, hits, overlaps, work

if TYPE_CHECKING:
    from pathlib import Path


ENTRIES, KILLS = 1000, 100


def entries(lines: list[str]) -> dict[str, int]:
    """How many readers were inside, and how many writers."""
    return {kind: sum(line.startswith(kind) for line in lines) for kind in "RW"}


def together(lines: list[str]) -> int:
    """How often a reader entered while another one was inside."""
    count = inside = 0
    for line in lines:
        if line[0] in "RL":
            count += line[0] == "R" and inside > 0
            inside += 1 if line[0] == "R" else -1
        elif line[0] in "WK":
            inside = 0  # nobody else, or nobody knows
    return count


def test_readers_and_writers(tmp_path: Path) -> None:
    """Through `policy.lock()` and `policy run`, under two rules that share only the gate, with kills: no overlap."""
    lines = work(Library(tmp_path), workers=3, entries=60, kills=6)
    assert overlaps(lines) == []
    assert all(entries(lines).values())


@pytest.mark.soak
def test_thousand(tmp_path: Path) -> None:
    """A thousand entries with a hundred kills: no overlap, and readers are together."""
    lines = work(Library(tmp_path), workers=6, entries=ENTRIES, kills=KILLS)
    seen = entries(lines)
    figures = seen["R"], seen["W"], together(lines), KILLS, hits(lines), len(overlaps(lines))
    print("%d readers, %d writers, %d together, %d kills, %d inside, %d overlaps" % figures)  # noqa: T201, UP031  (the figures of docs/reliability.md)
    assert overlaps(lines) == []
    assert together(lines) > 0


def test_witnesses_notice(tmp_path: Path) -> None:
    """Locks that keep nobody out are found out."""
    assert overlaps(work(Library(tmp_path, broken=True), workers=3, entries=1000, kills=0))


def test_judge() -> None:
    """Readers may be inside together; a writer with nobody; who was killed before counts no more."""
    assert overlaps(["R 1.1", "R 2.1", "L 1.1", "L 2.1", "W 3.1", "L 3.1"]) == []
    assert overlaps(["R 1.1", "W 2.1"]) == ["W 2.1 entered while R 1.1 was inside"]
    assert overlaps(["W 1.1", "R 2.1"]) == ["R 2.1 entered while W 1.1 was inside"]
    assert overlaps(["W 1.1", "K 1", "W 2.1", "L 2.1", "R 3.1"]) == []
    assert overlaps(["R 1.1", "K 1", "R 1.2", "W 2.1"]) == []
    assert overlaps(["! 1.1 somebody wrote meanwhile"]) == ["! 1.1 somebody wrote meanwhile"]
