"""`policy test`: runs the `[[tests]]` of configuration files against their rules."""

from __future__ import annotations

import sys

from policy.commands import files, options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.commands.reading import Arguments, Parser

FAILED = 1


def arguments(parser: Parser) -> None:
    """The options of the command."""
    from policy.render.cases import CASE_FORMATS

    files.arguments(parser, "run the tests of these; absent: of those that apply here")
    parser.add_argument("--output-format", choices=("text", *CASE_FORMATS), default="text", help="default: text")
    options.configuration(parser)
    options.color(parser)
    options.quiet(parser)
    options.verbose(parser)


def main(arguments: Arguments) -> int:
    """Prints which tests failed and why."""
    from policy.checks import run_cases
    from policy.config.read import read_file
    from policy.render import cases as rendered
    from policy.render.style import wanted
    from policy.toml.shapes import gather

    sources, notices = files.chosen(arguments)
    for notice in [] if arguments.quiet else notices:
        options.warn(str(notice))
    results = [run_cases.run(configuration) for configuration in gather(read_file, sources)]
    if arguments.output_format == "text":
        color = wanted(arguments.color, sys.stdout)
        sys.stdout.write(rendered.as_text(results, color=color, verbose=arguments.verbose))
    else:
        sys.stdout.write(rendered.CASE_FORMATS[arguments.output_format](results))
    return FAILED if any(result.failed for result in results) else 0
