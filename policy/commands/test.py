"""`policy test`: runs the `[[tests]]` of configuration files against their rules."""

from __future__ import annotations

from functools import partial

from policy.commands import files, options
from policy.commands.reading import Arguments, Parser
from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.config.layers import Source

FAILED = 1


def arguments(parser: Parser) -> None:
    """The options of the command."""
    from policy.render.cases import CASE_FORMATS

    files.arguments(parser, "run the tests in these files; default: in the files that apply here")
    options.formats(parser, "text", *CASE_FORMATS)
    parser.add_argument(
        "--write", action="store_true", help="add to FILE a test for each rule that no test reaches, where one is found"
    )
    parser.add_argument(
        "--min-coverage",
        metavar="PERCENT",
        help="exit with 1 if the tests reach fewer of the rules than this percentage",
    )
    options.configuration(parser)
    options.color(parser)
    options.quiet(parser)
    options.verbose(parser)


def main(arguments: Arguments) -> int:
    """Prints which tests failed and why.

    Raises:
        UsageError: When --min-coverage is no percentage, or --write has no file, or none that it can write.
    """
    from policy.checks import run_cases
    from policy.config.read import read_file
    from policy.render import cases as rendered
    from policy.toml.shapes import gather

    least = _percent(arguments.min_coverage)
    if arguments.write and not arguments.files:
        raise UsageError("--write needs the name of a FILE")
    sources, notices = files.chosen(arguments)
    for notice in [] if arguments.quiet else notices:
        options.warn(str(notice))
    if arguments.write:
        for source in sources:
            _write(source, arguments)
    results = [run_cases.run(configuration) for configuration in gather(read_file, sources)]
    text = partial(rendered.as_text, verbose=arguments.verbose)
    options.show(arguments, results, text, rendered.CASE_FORMATS)
    covered = rendered.shares(results)[0].percent
    if covered < least:
        options.complain(f"the tests reach {covered:g} % of the rules; --min-coverage wants {least:g} %")
    return FAILED if covered < least or any(result.failed for result in results) else 0


def _write(source: Source, arguments: Arguments) -> None:
    """Adds the tests that are missing to the end of a file."""
    from policy.checks import run_cases
    from policy.checks.fixes import write
    from policy.checks.proposals import proposals
    from policy.config.read import read_file
    from policy.render.cases import as_tables

    file = read_file(source)
    cases = list(proposals(file, run_cases.run(file)))
    if not cases:
        return
    text = file.document.text
    gap = "\n" if text.endswith("\n") else "\n\n"
    try:
        write(source.path, f"{text}{gap}{as_tables(cases, source.keys)}")
    except OSError as error:
        raise UsageError(f"{source.path}: cannot be written: {error.strerror}") from None
    if not arguments.quiet:
        options.note(f"{source.path}: {len(cases)} {'test' if len(cases) == 1 else 'tests'} added")


def _percent(value: str | None) -> float:
    try:
        number = float(value or 0)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:  # noqa: PLR2004  (per cent)
        raise UsageError("--min-coverage must be a number from 0 to 100")
    return number
