from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from policy.checks.coverage import Coverage, Share
from policy.checks.run_cases import run
from policy.config.read import read_file
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

RULES = """\
[[rules]]
name = "store"
match.interpreter = "/nix/store/*"
lock = "global"

[[rules]]
name = "ci"
match = { env.CI = true, any = [{ writable = true }, { not.platform = "linux" }] }
lock = "both"

[[rules]]
name = "never"
match.host = "nowhere"
lock = "local"
"""


def covered(tmp_path: Path, *given: str, rules: str = RULES) -> Coverage:
    """What tests with these facts reach."""
    tests = "".join(
        f'[[tests]]\nname = "{number}"\ngiven = {{ {facts} }}\nexpect.lock = "both"\n'
        for number, facts in enumerate(given)
    )
    return run(read_file(factories.source(tmp_path / "a.toml", rules + tests))).coverage


def test_nothing(tmp_path: Path) -> None:
    """Without a test nothing is covered: five conditions could hold and fail."""
    found = covered(tmp_path)
    assert (found.rules, found.conditions) == (Share(0, 3), Share(0, 10))
    assert [rule.name for rule in found.unreached] == ["store", "ci", "never"]
    assert found.unanswered == ()


def test_conditions(tmp_path: Path) -> None:
    """A condition is asked in tests that come as far as its rule, and counts for each answer that it gave."""
    found = covered(tmp_path, 'interpreter = "/nix/store/a/bin/python"', 'env.CI = "1"')
    assert (found.rules, found.conditions) == (Share(2, 3), Share(5, 10))
    assert [(one.rule.name, one.keys, one.missing) for one in found.unanswered] == [
        ("ci", ("env",), (False,)),
        ("ci", ("any", 0, "writable"), (False,)),
        ("ci", ("any", 1, "not", "platform"), (False,)),
    ]


def test_everything(tmp_path: Path) -> None:
    """All is covered when each rule decides, and each condition held and failed."""
    found = covered(
        tmp_path,
        'interpreter = "/nix/store/a/bin/python"',
        'env.CI = "1"',
        'env.CI = "1", writable = false, platform = "darwin"',
        'host = "nowhere"',
        "writable = false",
    )
    assert (found.rules.percent, found.conditions.percent) == (100, 100)
    assert (found.unreached, found.unanswered) == ((), ())


def test_mandatory_rules_are_asked_first(tmp_path: Path) -> None:
    """In the system file a mandatory rule stands before those above it, and so counts as it is asked."""
    text = '[[rules]]\nname = "a"\nlock = "both"\n[[rules]]\nname = "m"\nlock = "both"\nmandatory = true\n'
    tests = '[[tests]]\nname = "t"\nexpect.lock = "both"\n'
    source = factories.source(tmp_path / "a.toml", text + tests, "system")
    assert [rule.name for rule in run(read_file(source)).coverage.unreached] == ["a"]


@pytest.mark.parametrize(
    ("share", "percent"), [((0, 0), 100), ((0, 3), 0), ((1, 3), 33.3), ((3, 3), 100), ((9999, 10000), 99.9)]
)
def test_percent(share: tuple[int, int], percent: float) -> None:
    """A share has one decimal, and is 100 only where all is covered."""
    assert Share(*share).percent == percent
    assert Share(*share) + Share(1, 2) == Share(share[0] + 1, share[1] + 2)
