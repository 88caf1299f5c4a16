"""`policy check`: every fault of configuration files, and every rule that looks wrong."""

from __future__ import annotations

import sys

from policy.commands import files, options
from policy.commands.reading import Arguments, Parser, either
from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.checks.finding import Report
    from policy.config.layers import Source

FINDING, INVALID = 1, 2


def arguments(parser: Parser) -> None:
    """The options of the command."""
    from policy.render.findings import FINDING_FORMATS

    files.arguments(parser, "check each of these files by itself; default: the files that apply here, together")
    parser.add_argument("--strict", action="store_true", help="treat warnings as findings: exit code 1")
    parser.add_argument("--fix", action="store_true", help="apply the safe fixes to FILE, then check it")
    parser.add_argument("--diff", action="store_true", help="print what --fix would change, and change nothing")
    formats = ("text", *FINDING_FORMATS)
    told = f"{either(formats)}; default: text"
    parser.add_argument("--output-format", metavar="FORMAT", choices=formats, default="text", help=told)
    options.configuration(parser)
    options.color(parser)
    options.quiet(parser)
    options.verbose(parser)


def main(arguments: Arguments) -> int:
    """Prints what was found.

    Raises:
        UsageError: When --fix or --diff is given without a file, or a file cannot be written.
    """
    from policy.checks.codes import ERROR, WARNING
    from policy.checks.lint import check

    if (arguments.fix or arguments.diff) and not arguments.files:
        raise UsageError("--fix and --diff need the name of a FILE")
    sources, notices = files.chosen(arguments)
    if arguments.diff:
        return _diff(sources)
    if arguments.fix:
        _fix(sources, arguments)
    report = check(sources, together=not arguments.files, notices=notices)
    if not report.complete and not arguments.quiet:
        options.note("not every rule was proven: see the findings named not-proven")
    code = INVALID if report.count(ERROR) else 0
    if not code and arguments.strict and (report.count(WARNING) or not report.complete):
        code = FINDING
    try:
        _print(report, arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough, and the exit code is what it was
        options.silence(sys.stdout)
    return code


def _diff(sources: Sequence[Source]) -> int:
    """Prints what --fix would change; something to change is a finding."""
    from difflib import unified_diff

    from policy.checks.fixes import fixed

    code = 0
    for source in sources:
        before, after = fixed(source)
        lines = unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), source.path, f"{source.path} (fixed)"
        )
        for line in lines:
            code = FINDING
            sys.stdout.write(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return code


def _fix(sources: Sequence[Source], arguments: Arguments) -> None:
    """Writes what --diff shows."""
    from policy.checks.fixes import fixed, write

    for source in sources:
        before, after = fixed(source)
        if before == after:
            continue
        try:
            write(source.path, after)
        except OSError as error:
            raise UsageError(f"{source.path}: cannot be written: {error.strerror}") from None
        if not arguments.quiet:
            options.note(f"{source.path}: corrected")


def _print(report: Report, arguments: Arguments) -> None:
    """Text: faults and warnings where every command says them, the sum where results go; else all where results go."""
    from policy.render import findings
    from policy.render.layout import fit_messages, width
    from policy.render.style import wanted

    if arguments.output_format != "text":
        sys.stdout.write(findings.FINDING_FORMATS[arguments.output_format](report))
        return
    color = wanted(arguments.color, sys.stderr)
    text = findings.text(report, color=color, verbose=arguments.verbose, columns=width(sys.stderr))
    sys.stderr.write(fit_messages(text, width(sys.stderr)))
    sys.stderr.flush()
    if not arguments.quiet:
        sys.stdout.write(findings.summary(report) + "\n")
