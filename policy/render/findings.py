"""What `policy check` found, as text, JSON or the commands that GitHub's runner turns into annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from policy.checks.lint import ERROR, WARNING
from policy.escape import printable
from policy.render.record import shorten
from policy.render.style import BOLD, RED, YELLOW, paint
from policy.toml.diagnostic import Place
from policy.toml.document import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.checks.lint import Finding, Report

VERSION = 1
COLORS = {ERROR: RED, WARNING: YELLOW}


def text(report: Report, *, color: bool) -> str:
    """Each finding as `FILE:LINE:COLUMN: error: MESSAGE`, with the line and a caret."""
    return "".join(_text(finding, color=color) + "\n" for finding in report.findings)


def _text(finding: Finding, *, color: bool) -> str:
    fault, severity = finding.fault, finding.severity
    told = show(evolve(fault, place=Place(shorten(fault.place.file), fault.place.keys)), severity)
    if not color:
        return told
    where, word, rest = told.partition(f" {severity}: ")
    return paint(where, BOLD, color=True) + paint(word, BOLD, COLORS[severity], color=True) + rest


def summary(report: Report) -> str:
    """One line: how much was checked, and what was found."""
    errors, warnings = report.count(ERROR), report.count(WARNING)
    files, rules = _count(len(report.sources), "file"), _count(report.rules, "rule")
    if not report.sources:
        return "No configuration file applies here: the built-in rules decide"
    if not errors and not warnings:
        return f"All good: {files}, {rules}"
    found = [_count(number, noun) for number, noun in ((errors, "error"), (warnings, "warning")) if number]
    return f"Found {' and '.join(found)} in {files}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_json(report: Report) -> str:
    """Version 1."""
    import json

    record = {
        "version": VERSION,
        "files": [{"file": source.path, "layer": source.layer} for source in report.sources],
        "rules": report.rules,
        "findings": [_record(finding) for finding in report.findings],
        "errors": report.count(ERROR),
        "warnings": report.count(WARNING),
        "complete": report.complete,
    }
    return json.dumps(record, indent=2) + "\n"


def _record(finding: Finding) -> dict[str, Any]:
    fault = finding.fault
    located = fault.line > 0
    return {
        "severity": finding.severity,
        "code": finding.code,
        "file": fault.place.file,
        "line": fault.line if located else None,
        "column": fault.column if located else None,
        "end_column": fault.column + fault.width if located else None,
        "key": list(fault.place.keys),
        "message": fault.message,
    }


def as_github(report: Report) -> str:
    """Workflow commands: one line for each finding."""
    return "".join(_command(finding) + "\n" for finding in report.findings)


def _command(finding: Finding) -> str:
    fault = finding.fault
    properties = {"file": shorten(fault.place.file)}
    if fault.line:
        properties |= {"line": str(fault.line), "col": str(fault.column), "endColumn": str(fault.column + fault.width)}
    properties["title"] = f"policy check ({finding.code})"
    fields = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"::{finding.severity} {fields}::{_escaped(printable(fault.message))}"


def _escaped(value: str, more: str = "") -> str:
    """As GitHub's toolkit escapes: `%`, line ends, and in properties `:` and `,` too."""
    for character in "%\r\n" + more:
        value = value.replace(character, f"%{ord(character):02X}")
    return value


FORMATS: dict[str, Callable[[Report], str]] = {"json": as_json, "github": as_github}
