"""What `policy check` found, as text, and in the formats that machines read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from policy.checks.codes import ERROR, WARNING
from policy.manual import anchor, command
from policy.render.differences import aligned
from policy.render.github import annotation
from policy.render.gitlab import as_gitlab
from policy.render.junit import Case, document
from policy.render.layout import fit, json_text
from policy.render.record import shorten
from policy.render.sarif import as_sarif
from policy.render.style import BOLD, RED, YELLOW, paint
from policy.toml.diagnostic import Location
from policy.toml.document import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.checks.finding import Finding, Report

VERSION = 1
SHOWN = ("example", "other caller")  # what the requests that show a finding are
COLORS = {ERROR: RED, WARNING: YELLOW}


def text(report: Report, *, color: bool, verbose: bool = False, columns: int = 0) -> str:
    """Each finding as `FILE:LINE:COLUMN: error: MESSAGE`, with the line, a caret, and requests that show it.

    Args:
        report: What was found.
        color: Whether to colour it.
        verbose: Whether to name its code, by the command that explains it.
        columns: How long a line about a request may be; 0: as long as it is.
    """
    parts = []
    for finding in report.findings:
        parts.append(_text(finding, color=color) + "\n")
        parts += [fit(line, columns) + "\n" for line in aligned(list(zip(SHOWN, finding.examples, strict=False)))]
        if verbose:
            parts.append(f"    = {paint(command(finding.code), BOLD, color=color)}\n")
    return "".join(parts)


def _text(finding: Finding, *, color: bool) -> str:
    diagnostic, severity = finding.diagnostic, finding.severity
    shown = show(
        evolve(diagnostic, location=Location(shorten(diagnostic.location.file), diagnostic.location.keys)), severity
    )
    if not color:
        return shown
    where, word, rest = shown.partition(f" {severity}: ")
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
    record = {
        "version": VERSION,
        "files": [{"file": source.path, "layer": source.layer.name} for source in report.sources],
        "rules": report.rules,
        "findings": [_record(finding) for finding in report.findings],
        "errors": report.count(ERROR),
        "warnings": report.count(WARNING),
        "complete": report.complete,
    }
    return json_text(record)


def _record(finding: Finding) -> dict[str, Any]:
    diagnostic = finding.diagnostic
    located = diagnostic.line > 0
    return {
        "severity": finding.severity,
        "code": finding.code,
        "anchor": anchor("code", finding.code),
        "file": diagnostic.location.file,
        "line": diagnostic.line if located else None,
        "column": diagnostic.column if located else None,
        "end_column": diagnostic.column + diagnostic.width if located else None,
        "key": list(diagnostic.location.keys),
        "message": diagnostic.message,
        "examples": list(finding.examples),
    }


def as_html(report: Report) -> str:
    """One page for a browser."""
    from policy.render.findings_html import render

    return render(report, summary(report)) + "\n"


def as_github(report: Report) -> str:
    """Workflow commands: one line for each finding."""
    return "".join(
        annotation(finding.severity, finding.diagnostic, f"policy check ({finding.code})")
        for finding in report.findings
    )


def as_junit(report: Report) -> str:
    """A suite for each file, in which each finding fails; a file without one has a case that passes."""
    suites: dict[str, list[Case]] = {source.path: [] for source in report.sources}
    for finding in report.findings:
        diagnostic = finding.diagnostic
        name = ".".join(map(str, diagnostic.location.keys)) or "file"
        case = Case(f"{name} ({finding.code})", diagnostic.line, finding.code, diagnostic.message, show(diagnostic))
        suites.setdefault(diagnostic.location.file, []).append(case)
    return document("policy check", {file: cases or [Case("file")] for file, cases in suites.items()})


FINDING_FORMATS: dict[str, Callable[[Report], str]] = {
    "json": as_json,
    "github": as_github,
    "gitlab": as_gitlab,
    "sarif": as_sarif,
    "junit": as_junit,
    "html": as_html,
}
"""The formats besides text; a new one is a module here and a line in this table."""
