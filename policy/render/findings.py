"""What `policy check` found, as text, JSON or the commands that GitHub's runner turns into annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from policy.checks.codes import ERROR, WARNING
from policy.escape import printable
from policy.render.record import shorten
from policy.render.style import BOLD, RED, YELLOW, paint
from policy.toml.diagnostic import Location
from policy.toml.document import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.checks.finding import Finding, Report

VERSION = 1
COLORS = {ERROR: RED, WARNING: YELLOW}


def text(report: Report, *, color: bool) -> str:
    """Each finding as `FILE:LINE:COLUMN: error: MESSAGE`, with the line and a caret."""
    return "".join(_text(finding, color=color) + "\n" for finding in report.findings)


def _text(finding: Finding, *, color: bool) -> str:
    diagnostic, severity = finding.diagnostic, finding.severity
    told = show(
        evolve(diagnostic, location=Location(shorten(diagnostic.location.file), diagnostic.location.keys)), severity
    )
    if not color:
        return told
    where, word, rest = told.partition(f" {severity}: ")
    return paint(where, BOLD, color=True) + paint(word, BOLD, COLORS[severity], color=True) + rest


def summary(report: Report) -> str:
    """One line: how much was checked, and what was found."""
    errors, warnings = report.count(ERROR), report.count(WARNING)
    files, rules = _count(len(report.sources), "file"), _count(report.rules, "rule")
    found = [_count(number, noun) for number, noun in ((errors, "error"), (warnings, "warning")) if number]
    nothing = "o configuration file applies here: the built-in rules decide"
    if found:
        return f"Found {' and '.join(found)} in {files}" if report.sources else f"Found {found[0]}; n{nothing}"
    if not report.sources:
        return f"N{nothing}"
    if not report.complete:
        return f"Nothing found in {files}, but not all of the {rules} were compared"
    return f"All good: {files}, {rules}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_json(report: Report) -> str:
    """Version 1."""
    import json

    record = {
        "version": VERSION,
        "files": [{"file": source.path, "layer": source.layer.name} for source in report.sources],
        "rules": report.rules,
        "findings": [_record(finding) for finding in report.findings],
        "errors": report.count(ERROR),
        "warnings": report.count(WARNING),
        "complete": report.complete,
    }
    return json.dumps(record, indent=2) + "\n"


def _record(finding: Finding) -> dict[str, Any]:
    diagnostic = finding.diagnostic
    located = diagnostic.line > 0
    return {
        "severity": finding.severity,
        "code": finding.code,
        "file": diagnostic.location.file,
        "line": diagnostic.line if located else None,
        "column": diagnostic.column if located else None,
        "end_column": diagnostic.column + diagnostic.width if located else None,
        "key": list(diagnostic.location.keys),
        "message": diagnostic.message,
    }


def as_github(report: Report) -> str:
    """Workflow commands: one line for each finding."""
    return "".join(_command(finding) + "\n" for finding in report.findings)


def _command(finding: Finding) -> str:
    diagnostic = finding.diagnostic
    properties = {"file": shorten(diagnostic.location.file)}
    if diagnostic.line:
        properties |= {
            "line": str(diagnostic.line),
            "col": str(diagnostic.column),
            "endColumn": str(diagnostic.column + diagnostic.width),
        }
    properties["title"] = f"policy check ({finding.code})"
    fields = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"::{finding.severity} {fields}::{_escaped(printable(diagnostic.message))}"


def _escaped(value: str, more: str = "") -> str:
    """As GitHub's toolkit escapes: `%`, line ends, and in properties `:` and `,` too."""
    for character in "%\r\n" + more:
        value = value.replace(character, f"%{ord(character):02X}")
    return value


FORMATS: dict[str, Callable[[Report], str]] = {"json": as_json, "github": as_github}
