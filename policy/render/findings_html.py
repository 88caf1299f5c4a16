"""What `policy check` found, as one page for a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policy.checks.codes import CODES
from policy.render.page import code, command, listed, page, table, text
from policy.render.record import shorten
from policy.toml.document import show

if TYPE_CHECKING:
    from policy.checks.finding import Finding, Report


def render(report: Report, summary: str) -> str:
    """The report as a document of HTML.

    Args:
        report: What was found.
        summary: It in one sentence.
    """
    body = [listed("findings", map(_finding, report.findings))] if report.findings else []
    files = [f"<tr><td>{code(shorten(one.path))}</td><td>{text(one.layer.name)}</td></tr>" for one in report.sources]
    if files:
        body += ["<h2>Files that were checked</h2>", table(files, name="checks", head=("file", "layer"))]
    if not report.complete:
        body.append('<p role="note"><b>note:</b> not every rule was proven: see the findings named not-proven</p>')
    return page(summary, body)


def _finding(finding: Finding) -> str:
    diagnostic, kind = finding.diagnostic, CODES[finding.code]
    file = diagnostic.location.file
    place = f":{diagnostic.line}:{diagnostic.column}" if diagnostic.line else ""
    title = f"{file}:{diagnostic.line}" if diagnostic.line else file
    excerpt = "\n".join(map(text, show(diagnostic, finding.severity).split("\n")[1:]))
    examples = map(command, finding.examples)
    means = text(f"{kind.summary} {kind.remedy}")
    parts = [
        f'<li class="card {finding.severity}" title="{text(title)}">',
        f'<span class="answer">{finding.severity}</span>',
        f"<h3>{text(diagnostic.message)}</h3>",
        f"<div>{code(shorten(file) + place)}</div>",
        f"<pre>{excerpt}</pre>" if excerpt else "",
        f'<span class="dim"><b>{text(finding.code)}</b>: {means}</span>',
        *(['<span class="dim">To see it:</span>', *examples] if finding.examples else []),
        "</li>",
    ]
    return "\n".join(filter(None, parts))
