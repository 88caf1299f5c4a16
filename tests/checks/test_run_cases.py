from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from policy.checks.run_cases import run
from policy.config.read import read_file
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

    from policy.checks.run_cases import Results

FILE = """\
[[rules]]
name = "store"
match.interpreter = "/nix/store/*"
lock = "global"

[[rules]]
name = "never"
match.host = "nowhere"
lock = "local"

[[tests]]
name = "right"
given.interpreter = "/nix/store/a/bin/python"
expect = { lock = "global", rule = "store" }

[[tests]]
name = "another lock"
expect.lock = "global"

[[tests]]
name = "another rule"
expect = { lock = "local", rule = "store" }

[[tests]]
name = "no such rule"
expect = { lock = "local", rule = "missing" }
"""


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """A file whose tests fail in each way."""
    return run(read_file(factories.source(tmp_path / "a.toml", FILE)))


def test_passed(results: Results) -> None:
    """A test passes when the lock is the expected one, and the rule where one is named."""
    assert [result.passed for result in results.results] == [True, False, False, False]
    assert (results.failed, results.coverage.rules.total) == (3, 2)


def test_wanted(results: Results) -> None:
    """The rule that should have decided is known where it exists and another one decided."""
    assert [result.wanted.name if result.wanted else None for result in results.results] == [None, None, "store", None]
    (check,) = results.results[2].checks(results.results[2].wanted)  # type: ignore[arg-type]  # it is known, see above
    assert (check["key"], check["passed"]) == ("interpreter", False)


def test_unreached(results: Results) -> None:
    """The rules of the file that decide none of its tests are known; built-in ones do not count."""
    assert [rule.name for rule in results.coverage.unreached] == ["never"]
