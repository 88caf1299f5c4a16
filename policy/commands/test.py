"""`policy test`: runs the `[[tests]]` of configuration files against their rules."""

from __future__ import annotations

import sys

from policy.commands import files, options
from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.commands.reading import Arguments, Parser

FAILED = 1


def arguments(parser: Parser) -> None:
    """The options of the command."""
    from policy.render.cases import CASE_FORMATS

    files.arguments(parser, "run the tests of these; absent: of those that apply here")
    parser.add_argument("--output-format", choices=("text", *CASE_FORMATS), default="text", help="default: text")
    parser.add_argument(
        "--min-coverage", metavar="PERCENT", help="exit code 1 where fewer of the rules decide a test; 0 to 100"
    )
    options.configuration(parser)
    options.color(parser)
    options.quiet(parser)
    options.verbose(parser)


def main(arguments: Arguments) -> int:
    """Prints which tests failed and why.

    Raises:
        UsageError: When --min-coverage is no percentage.
    """
    from policy.checks import run_cases
    from policy.config.read import read_file
    from policy.render import cases as rendered
    from policy.render.layout import fit, width
    from policy.render.style import wanted
    from policy.toml.shapes import gather

    least = _percent(arguments.min_coverage)
    sources, notices = files.chosen(arguments)
    for notice in [] if arguments.quiet else notices:
        options.warn(str(notice))
    results = [run_cases.run(configuration) for configuration in gather(read_file, sources)]
    if arguments.output_format == "text":
        color = wanted(arguments.color, sys.stdout)
        text = rendered.as_text(results, color=color, verbose=arguments.verbose)
        sys.stdout.write(fit(text, width(sys.stdout)))
    else:
        sys.stdout.write(rendered.CASE_FORMATS[arguments.output_format](results))
    covered = rendered.shares(results)[0].percent
    if covered < least:
        options.complain(f"the tests reach {covered:g} % of the rules; --min-coverage wants {least:g} %")
    return FAILED if covered < least or any(result.failed for result in results) else 0


def _percent(value: str | None) -> float:
    try:
        number = float(value or 0)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:  # noqa: PLR2004  (per cent)
        raise UsageError("--min-coverage must be a number from 0 to 100")
    return number
