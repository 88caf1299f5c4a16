"""`policy users`: which processes run from an environment."""

from __future__ import annotations

import json
import os
import sys

from attrs import asdict

from policy.commands import options
from policy.errors import UsageError
from policy.escape import printable
from policy.locks.users import can_know, users
from policy.render.layout import fit, width
from policy.render.style import BOLD, DIM, paint, wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.commands.reading import Arguments, Parser


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("environment", metavar="ENV", nargs="?", help="as for `policy explain`")
    parser.add_argument("--output-format", choices=("text", "json"), default="text", help="default: text")
    options.which(parser)
    options.color(parser)


def main(arguments: Arguments) -> int:
    """Prints them.

    Raises:
        UsageError: When the system does not say.
    """
    if not can_know():
        raise UsageError("which processes run from an environment can be known on Linux only, with /proc mounted")
    environment = options.found(arguments, options.caller(arguments), arguments.environment)
    found = users(environment.root, kind=environment.kind)
    if arguments.output_format == "json":
        rows = [{**asdict(user.process), "uses": user.uses} for user in found]
        sys.stdout.write(json.dumps({"version": 1, "environment": environment.root, "users": rows}, indent=2) + "\n")
        return 0
    color = wanted(arguments.color, sys.stdout)
    lines = []
    for user in found:
        lines.append(paint(printable(str(user.process)), BOLD, color=color))
        lines.append(f"  uses {paint(printable(user.uses), DIM, color=color)}")
    missing = "" if os.path.isdir(environment.root) else ", which does not exist"
    text = "\n".join(lines) if lines else f"nothing runs from {printable(environment.root)}{missing}"
    sys.stdout.write(fit(text, width(sys.stdout)) + "\n")
    return 0
