"""`policy completions`: a completion script for a shell."""

from __future__ import annotations

import sys

from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

SHELLS = ("bash", "zsh", "fish")


def arguments(parser: ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("shell", choices=SHELLS, help="for which shell")


def main(arguments: Namespace) -> int:
    """Prints it.

    Raises:
        UsageError: When the library that makes it is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise UsageError('completions need shtab: pip install "lock-policy[completions]"') from None
    from policy.commands.reading import parser_for

    parser = parser_for((), every=True)
    _name_files(parser, {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "ENV": shtab.FILE})
    sys.stdout.write(shtab.complete(parser, shell=arguments.shell).rstrip("\n") + "\n")
    return 0


def _name_files(parser: ArgumentParser, kinds: Mapping[str, object]) -> None:
    """Says of every option that takes a path what may be completed, by the word that its help shows."""
    from argparse import _SubParsersAction

    for action in parser._actions:  # noqa: SLF001  (argparse has no other way to list them)
        if isinstance(action, _SubParsersAction):
            for command in action.choices.values():
                _name_files(command, kinds)
        elif isinstance(action.metavar, str) and action.metavar in kinds:
            action.complete = kinds[action.metavar]  # type: ignore[attr-defined]  # shtab's own protocol
