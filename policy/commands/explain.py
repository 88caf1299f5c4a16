"""`policy explain`: which lock an environment gets, by which rule, and why."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from policy.commands import options
from policy.commands.reading import REMAINDER, Arguments, Parser
from policy.render import DECISION_FORMATS, MANY, render
from policy.rules.request import Request


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument(
        "environment",
        metavar="ENV",
        nargs="?",
        help="an interpreter, or the root of an environment; default: the first of --python, UV_PYTHON, VIRTUAL_ENV, "
        "CONDA_PREFIX, the nearest .venv, python3 on PATH",
    )
    parser.add_argument(
        "command",
        nargs=REMAINDER,
        metavar="COMMAND",
        help="a command: which environment `policy run -- COMMAND` would lock, why that one, and what is left to uv",
    )
    options.formats(parser, *DECISION_FORMATS)
    options.environment(parser)
    group = parser.add_argument_group("what if")
    group.add_argument("--env", metavar="NAME=VALUE", action="append", help="as if this variable were set")
    group.add_argument("--unset", metavar="NAME", action="append", help="as if this variable were not set")
    group.add_argument("--assume", metavar="FACT=VALUE", action="append", default=[], help="as if this were observed")
    options.configuration(parser)
    options.settings(parser)
    options.color(parser)
    options.quiet(parser)
    options.verbose(parser)


def main(arguments: Arguments) -> int:
    """Prints the decision."""
    from policy.render.layout import fit, width
    from policy.render.record import apart, record
    from policy.render.record import command as described
    from policy.render.style import wanted

    caller = options.caller(arguments)
    command = arguments.command
    seen = options.subject(arguments, caller, command, arguments.environment)
    if seen.warning and not arguments.quiet:
        options.warn(seen.warning)
    if seen.environment is None:
        explained = {**apart(seen), "hints": [], "warnings": []}
    else:
        request = Request(seen.environment, caller)
        options.assume(request, arguments.assume)
        rules = options.rules(arguments)
        decision = rules.decide(request)
        most = MANY if arguments.output_format == "text" and not arguments.verbose else None
        explained = record(decision, decision.warnings, most)
        if command:
            from policy.wrap import adaptation

            explained["command"] = described(seen, adaptation(seen, decision))
    if arguments.quiet:
        explained["hints"], explained["warnings"] = [], []
    color = wanted(arguments.color, sys.stdout)
    text = render(arguments.output_format, explained, color=color)
    if arguments.output_format == "path":
        text = _paths(text)
    elif arguments.output_format == "text":
        text = fit(text, width(sys.stdout))
    sys.stdout.write(text + "\n")
    return 0


def _paths(text: str) -> str:
    """Paths as they are for a script, whatever bytes they hold, and made safe to look at for a terminal."""
    if sys.stdout.isatty():
        from policy.escape import escape

        return "\n".join(map(escape, text.split("\n")))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding=sys.getfilesystemencoding(), errors=sys.getfilesystemencodeerrors())
    return text
