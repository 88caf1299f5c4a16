"""`policy hook`: what a shell runs at its start, so that the shims stand first on PATH."""

from __future__ import annotations

import os
import sys

from policy.commands import shells
from policy.commands.options import warn
from policy.commands.reading import Arguments, Parser
from policy.commands.shims import folder_of
from policy.errors import UsageError


def arguments(parser: Parser) -> None:
    """The options of the command."""
    shells.argument(parser)
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
    sys.stdout.write(shells.hook(arguments.shell, folder))
    return 0
