from __future__ import annotations

from policy.checks.codes import ERROR, WARNING
from policy.checks.finding import Finding, Report
from policy.toml.diagnostic import Diagnostic, Location


def test_counts() -> None:
    """A report counts its findings by severity, which follows from their codes."""
    one = Diagnostic(Location("a.toml"), "wrong")
    findings = tuple(Finding(code, one) for code in ("syntax", "subsumed", "duplicate-name"))
    report = Report((), findings, 3)
    assert [finding.severity for finding in findings] == [ERROR, WARNING, WARNING]
    assert (report.count(ERROR), report.count(WARNING)) == (1, 2)
