from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from policy.checks.proposals import proposals
from policy.checks.run_cases import run
from policy.config.read import read_file
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

    from policy.config.cases import Case

RULES = """\
[[rules]]
name = "store"
match.interpreter = "/nix/store/*"
lock = "global"

[[rules]]
name = "ci"
match = { env = { CI = true }, any = [{ writable = false }, { not.platform = "linux" }] }
lock = "both"

[[rules]]
match.environment = ["~/shared/**", "/srv/[a-c]*/?x"]
lock = "both"

[[rules]]
name = "dead"
match.interpreter = "/nix/store/abc"
lock = "local"
"""


def proposed(tmp_path: Path, text: str) -> list[Case]:
    """The tests that a file lacks."""
    file = read_file(factories.source(tmp_path / "a.toml", text))
    return list(proposals(file, run(file)))


def test_each_reaches_its_rule(tmp_path: Path) -> None:
    """Each rule that can decide gets a test, and by it that rule decides; a dead one gets none."""
    cases = proposed(tmp_path, RULES)
    assert [case.name for case in cases] == ["store decides", "ci decides", "rule 3 decides"]
    assert [case.rule for case in cases] == ["store", "ci", None]
    from policy.render.cases import as_tables

    file = read_file(factories.source(tmp_path / "b.toml", f"{RULES}\n{as_tables(cases, ())}"))
    results = run(file)
    assert results.failed == 0
    assert [rule.name for rule in results.coverage.unreached] == ["dead"]


def test_only_what_is_missing(tmp_path: Path) -> None:
    """A rule that a test reaches needs no other one, and no name is given twice."""
    test = '[[tests]]\nname = "ci decides"\ngiven.interpreter = "/nix/store/x"\nexpect.lock = "global"\n'
    assert [case.name for case in proposed(tmp_path, RULES + test)] == ["ci decides 2", "rule 3 decides"]


@pytest.mark.parametrize("text", ["", '[[tests]]\nname = "t"\nexpect.lock = "local"\n'])
def test_nothing_to_propose(tmp_path: Path, text: str) -> None:
    """A file without rules needs no tests."""
    assert proposed(tmp_path, text) == []
