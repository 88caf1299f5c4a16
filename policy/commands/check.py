"""`policy check`: every fault of configuration files, and every rule that looks wrong."""

from __future__ import annotations

import os
import sys

from policy.commands import files, options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.checks.finding import Report
    from policy.commands.reading import Arguments, Parser

FINDING, INVALID = 1, 2


def arguments(parser: Parser) -> None:
    """The options of the command."""
    from policy.render.findings import FINDING_FORMATS

    files.arguments(parser, "judge these, each as if it were alone; absent: those that apply here, together")
    parser.add_argument("--strict", action="store_true", help="a warning is a finding: exit code 1")
    parser.add_argument("--output-format", choices=("text", *FINDING_FORMATS), default="text", help="default: text")
    options.configuration(parser)
    options.color(parser)
    options.quiet(parser)


def main(arguments: Arguments) -> int:
    """Prints what was found."""
    from policy.checks.codes import ERROR, WARNING
    from policy.checks.lint import check

    sources, notices = files.chosen(arguments)
    report = check(sources, together=not arguments.files, notices=notices)
    if not report.complete and not arguments.quiet:
        options.note("there are so many rules that not all of them were compared")
    code = INVALID if report.count(ERROR) else 0
    if not code and arguments.strict and (report.count(WARNING) or not report.complete):
        code = FINDING
    try:
        _print(report, arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough, and the exit code is what it was
        options.silence(sys.stdout)
    return code


def _print(report: Report, arguments: Arguments) -> None:
    """Text: faults and warnings where every command says them, the sum where results go; else all where results go."""
    from policy.render import findings
    from policy.render.style import wanted

    if arguments.output_format != "text":
        sys.stdout.write(findings.FINDING_FORMATS[arguments.output_format](report))
        return
    sys.stderr.write(findings.text(report, color=wanted(arguments.color, sys.stderr, os.environ)))
    sys.stderr.flush()
    if not arguments.quiet:
        sys.stdout.write(findings.summary(report) + "\n")
