from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from policy.checks.run_cases import run
from policy.config.read import read_file
from policy.render import cases
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
name = "unused"
match.host = "nowhere"
lock = "local"

[[tests]]
name = "right"
given.interpreter = "/nix/store/a/bin/python"
expect.lock = "global"

[[tests]]
name = "wrong <&>"
expect = { lock = "global", rule = "store" }
"""


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    """A run of a test that passes and one that fails."""
    monkeypatch.chdir(tmp_path)
    return run(read_file(factories.source(tmp_path / "a.toml", FILE)))


def test_text(results: Results) -> None:
    """A failure shows what was expected, what came and why; rules without a test are named, and the sum is last."""
    shown = cases.as_text([results], color=False, verbose=False)
    assert "FAIL a.toml:16: wrong <&>" in shown
    assert "does not match" in shown
    assert "unused" in shown
    assert shown.splitlines()[-1] == "1 failed, 1 passed in 1 file"
    assert "right" not in shown
    assert "right" in cases.as_text([results], color=False, verbose=True)


def test_json(results: Results) -> None:
    """JSON has each test with what was expected and decided, and the steps of those that fail."""
    shown = json.loads(cases.as_json([results]))
    (file,) = shown["files"]
    assert (shown["passed"], shown["failed"]) == (1, 1)
    assert [(one["name"], one["passed"], "steps" in one) for one in file["tests"]] == [
        ("right", True, False),
        ("wrong <&>", False, True),
    ]
    assert [one["name"] for one in file["unreached"]] == ["unused"]


def test_junit(results: Results) -> None:
    """The XML is well formed whatever the names are, with a failure where one is."""
    root = ET.fromstring(cases.as_junit([results]))  # noqa: S314  (our own text)
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    found = {case.get("name"): case.find("failure") is not None for case in root.iter("testcase")}
    assert found == {"right": False, "wrong <&>": True}


def test_github(results: Results) -> None:
    """GitHub's runner gets an error for each test that fails, and a warning for each rule that no test reaches."""
    error, warning = cases.as_github([results]).splitlines()
    assert error.startswith("::error file=a.toml,line=16,title=wrong <&>::expected ")
    assert warning.startswith("::warning file=a.toml,line=")
    assert warning.endswith(",title=policy test::no test reaches rule unused")
