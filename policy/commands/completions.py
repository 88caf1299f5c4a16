"""`policy completions`: a completion script for a shell, made from the declarations of all commands."""

from __future__ import annotations

import sys

from policy.commands.reading import Arguments, Parser
from policy.commands.shells import SHELLS, module_of


def arguments(parser: Parser) -> None:
    """The options of the command."""
    named = f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}"
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=named)


def main(arguments: Arguments) -> int:
    """Prints it."""
    sys.stdout.write(module_of(arguments.shell).completions())
    return 0
