"""What `policy check` found as SARIF 2.1.0, which code scanning of GitHub, GitLab and Azure reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from policy import __version__
from policy.checks.codes import CODES
from policy.escape import escape
from policy.render.layout import json_text
from policy.render.record import shorten

if TYPE_CHECKING:
    from policy.checks.codes import Code
    from policy.checks.finding import Finding, Report

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_sarif(report: Report) -> str:
    """One run, with a rule for each code that was found.

    Args:
        report: What was found.
    """
    used = [code for code in CODES.values() if any(finding.code == code.name for finding in report.findings)]
    numbers = {code.name: number for number, code in enumerate(used)}
    driver = {"name": "policy", "semanticVersion": __version__, "rules": [_rule(code) for code in used]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, numbers) for finding in report.findings],
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.name,
        "shortDescription": {"text": code.summary},
        "help": {"text": f"{code.summary} {code.remedy}"},
        "defaultConfiguration": {"level": code.severity},
    }


def _result(finding: Finding, numbers: dict[str, int]) -> dict[str, Any]:
    diagnostic = finding.diagnostic
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(shorten(diagnostic.location.file))}}
    if diagnostic.line:
        start, width = max(diagnostic.column, 1), diagnostic.width
        place["region"] = {"startLine": diagnostic.line, "startColumn": start, "endColumn": start + width}
    return {
        "ruleId": finding.code,
        "ruleIndex": numbers[finding.code],
        "level": finding.severity,
        "message": {"text": escape(diagnostic.message)},
        "locations": [{"physicalLocation": place}],
    }


def _uri(path: str) -> str:
    """A path as a URI reference: relative where it lies below the working directory."""
    quoted = quote(path.replace("\\", "/").encode("utf-8", "surrogateescape"))
    return f"file://{quoted}" if quoted.startswith("/") else quoted
