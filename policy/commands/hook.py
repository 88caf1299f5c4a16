"""`policy hook`: what a shell runs at its start, so that the shims stand first on PATH."""

from __future__ import annotations

import os
import sys

from policy.commands.options import warn
from policy.commands.reading import Arguments, Parser
from policy.commands.shells import SHELLS, module_of
from policy.commands.shims import folder_of
from policy.errors import UsageError


def arguments(parser: Parser) -> None:
    """The options of the command."""
    named = f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}"
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=named)
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", help="where the shims are; default: where `policy shims` writes them"
    )


def main(arguments: Arguments) -> int:
    """Prints it.

    Raises:
        UsageError: When the folder cannot stand on PATH.
    """
    folder = folder_of(arguments.folder)
    if os.pathsep in folder:
        raise UsageError(f"{folder}: a folder with {os.pathsep} in its name cannot stand on PATH")
    if not os.path.isdir(folder):
        warn(f"{folder} does not exist yet; make it: policy shims {arguments.folder or ''}".rstrip())
    sys.stdout.write(module_of(arguments.shell).hook(folder))
    return 0
