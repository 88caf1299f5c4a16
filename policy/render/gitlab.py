"""What `policy check` found as a Code Quality report of GitLab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policy.checks.codes import ERROR
from policy.escape import escape
from policy.render.layout import json_text
from policy.render.record import shorten

if TYPE_CHECKING:
    from policy.checks.finding import Finding, Report


def as_gitlab(report: Report) -> str:
    """A list of violations; each keeps its fingerprint while the lines before it change.

    Args:
        report: What was found.
    """
    seen: dict[tuple[object, ...], int] = {}
    return json_text([_violation(finding, seen) for finding in report.findings])


def _violation(finding: Finding, seen: dict[tuple[object, ...], int]) -> dict[str, Any]:
    from hashlib import sha256

    diagnostic = finding.diagnostic
    path = shorten(diagnostic.location.file)
    what = (finding.code, path, diagnostic.message)
    seen[what] = seen.get(what, -1) + 1
    identity = "\0".join(map(str, (*what, seen[what]))).encode("utf-8", "surrogateescape")
    return {
        "description": escape(diagnostic.message),
        "check_name": finding.code,
        "fingerprint": sha256(identity).hexdigest(),
        "severity": "critical" if finding.severity == ERROR else "minor",
        "location": {"path": escape(path), "lines": {"begin": max(diagnostic.line, 1)}},
    }
