from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from policy.checks.codes import CODES
from policy.checks.finding import Finding, Report
from policy.checks.lint import check
from policy.render import findings
from policy.toml.diagnostic import Diagnostic, Location
from tests import browser_page, factories
from tests.render.test_render import HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

FAULTY = 'timout = 1\n[[rules]]\nlock = "x"\n'
DEAD = '[[rules]]\nlock = "local"\n[[rules]]\nlock = "local"\nmatch.operation = "sync"\n'


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """A check of a file with two errors, and of one with a rule that is never reached."""
    files = [factories.source(tmp_path / "a.toml", FAULTY), factories.source(tmp_path / "b.toml", DEAD)]
    return check(files, together=False)


def test_every_finding_of_the_json(report: Report) -> None:
    """Each finding has its severity, place, message, what its code means, and the commands that show it."""
    told = json.loads(findings.as_json(report))["findings"]
    found = browser_page.tree(findings.as_html(report))
    items = browser_page.texts(found, ".//~ol[@class='findings']/~li")
    assert len(items) == len(told) == 3
    for item, one in zip(items, told, strict=True):
        place = f"{one['file']}:{one['line']}:{one['column']}"
        for part in (
            one["severity"],
            one["message"],
            place,
            one["code"],
            CODES[one["code"]].remedy,
            *one["examples"],
        ):
            assert part in item
    titles = browser_page.titles(found, ".//~ol[@class='findings']/~li")
    assert titles == [f"{one['file']}:{one['line']}" for one in told]


def test_the_line_and_its_caret(report: Report) -> None:
    """The line of the file stands below the message, with the caret in its place, as text has it."""
    (first, *_) = browser_page.texts(browser_page.tree(findings.as_html(report)), ".//~pre")
    assert first == "  timout = 1\n  ^^^^^^"
    assert first in findings.text(report, color=False)


def test_files_and_nothing_found(report: Report, tmp_path: Path) -> None:
    """The files that were checked are listed with their layer; a page without findings has one sentence."""
    rows = browser_page.texts(browser_page.tree(findings.as_html(report)), ".//~tbody/~tr")
    assert rows == [f"{tmp_path}/a.toml" + "project", f"{tmp_path}/b.toml" + "project"]
    empty = browser_page.tree(findings.as_html(check([], together=False)))
    assert browser_page.texts(empty, ".//~main/*") == ["No configuration file applies here: the built-in rules decide"]


def test_what_was_not_compared_is_said() -> None:
    """A report that leaves something open says so, also where a finding has no line."""
    left = Finding("not-proven", Diagnostic(Location("/p/x.toml"), "not found out", code="not-proven"))
    shown = findings.as_html(Report((), (left,), 1))
    found = browser_page.tree(shown)
    assert "not every rule was proven" in shown
    assert browser_page.titles(found, ".//~li") == ["/p/x.toml"]
    assert browser_page.texts(found, ".//~pre") == []


@given(HOSTILE)
def test_no_text_is_markup(text: str) -> None:
    """Whatever a file holds or is called, the page stays valid, has the same elements, and names no address."""

    def shown(name: str) -> str:
        one = Diagnostic(Location(f"/{name}"), f"m{name}", line=1, column=1, excerpt=f"e{name}")
        return findings.as_html(Report((), (Finding("wrong-value", one, (name,)),), 1))

    assert browser_page.shape(shown(text)) == browser_page.shape(shown("a"))
    assert shown(text).replace("\n", "").isprintable()
    assert browser_page.foreign(shown("a")) == []
