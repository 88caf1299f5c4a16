"""`policy completions`: a completion script for a shell, made from the declarations of all commands."""

from __future__ import annotations

import sys

from policy.commands import shells
from policy.commands.reading import Arguments, Parser


def arguments(parser: Parser) -> None:
    """The options of the command."""
    shells.argument(parser)


def main(arguments: Arguments) -> int:
    """Prints it."""
    sys.stdout.write(shells.module_of(arguments.shell).completions())
    return 0
