from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from policy.checks.lint import check
from policy.render import findings
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

    from policy.checks.finding import Report

FAULTY = 'timout = 1\n[[rules]]\nlock = "x"\n'


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """A check of a file with two errors, below the working directory."""
    monkeypatch.chdir(tmp_path)
    return check([factories.source(tmp_path / "a,b.toml", FAULTY)], together=False)


def test_text(report: Report) -> None:
    """Each finding is a line with its place, the line of the file and a caret; colours add nothing but codes."""
    shown = findings.text(report, color=False)
    assert shown.startswith('a,b.toml:1:1: error: unknown key "timout"')
    assert shown.count("^") > 1
    assert "\033[" in findings.text(report, color=True)


def test_summary(report: Report, tmp_path: Path) -> None:
    """One line says how much was found in how much."""
    assert findings.summary(report) == "Found 2 errors in 1 file"
    good = check(
        [factories.source(tmp_path / name, '[[rules]]\nlock = "both"\n') for name in ("b.toml", "c.toml")],
        together=False,
    )
    assert findings.summary(good) == "All good: 2 files, 2 rules"
    assert (
        findings.summary(check([], together=False)) == "No configuration file applies here: the built-in rules decide"
    )


def test_json(report: Report) -> None:
    """JSON has the version, the counts, and each finding with its place."""
    shown = json.loads(findings.as_json(report))
    assert (shown["version"], shown["errors"], shown["warnings"], shown["complete"]) == (1, 2, 0, True)
    assert [(one["line"], one["column"], one["key"]) for one in shown["findings"]] == [
        (1, 1, ["timout"]),
        (3, 8, ["rules", 0, "lock"]),
    ]


def test_github(report: Report) -> None:
    """Each finding is one workflow command, in which commas of a file's name are escaped."""
    first, second = findings.as_github(report).splitlines()
    assert first.startswith("::error file=a%2Cb.toml,line=1,col=1,")
    assert second.startswith("::error file=a%2Cb.toml,line=3,col=8,")


def test_junit(report: Report, tmp_path: Path) -> None:
    """Each finding is a case that fails, and a file without one has a case that passes."""
    from xml.etree import ElementTree as ET

    failing = ET.fromstring(findings.as_junit(report))  # noqa: S314  (our own text)
    assert (failing.get("tests"), failing.get("failures")) == ("2", "2")
    assert [case.get("name") for case in failing[0]] == ["timout (unknown-key)", "rules.0.lock (wrong-value)"]
    passing = ET.fromstring(findings.as_junit(check([factories.source(tmp_path / "b.toml", "")], together=False)))  # noqa: S314  (our own text)
    assert (passing.get("tests"), passing.get("failures")) == ("1", "0")
