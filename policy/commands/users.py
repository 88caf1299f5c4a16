"""`policy users`: which processes run from an environment."""

from __future__ import annotations

import os
from functools import partial

from attrs import asdict

from policy.commands import options
from policy.commands.reading import Arguments, Parser
from policy.errors import UsageError
from policy.escape import escape
from policy.locks.users import can_know, users
from policy.render.layout import json_text
from policy.render.style import BOLD, DIM, paint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from policy.locks.users import User


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("environment", metavar="ENV", nargs="?", help="as for `policy explain`")
    options.formats(parser, "text", "json")
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
    options.show(arguments, found, partial(_text, environment.root), {"json": partial(_json, environment.root)})
    return 0


def _text(root: str, found: Iterable[User], *, color: bool) -> str:
    lines = []
    for user in found:
        lines.append(paint(escape(str(user.process)), BOLD, color=color))
        lines.append(f"  uses {paint(escape(user.uses), DIM, color=color)}")
    missing = "" if os.path.isdir(root) else ", which does not exist"
    return ("\n".join(lines) if lines else f"nothing runs from {escape(root)}{missing}") + "\n"


def _json(root: str, found: Iterable[User]) -> str:
    rows = [{**asdict(user.process), "uses": user.uses} for user in found]
    return json_text({"version": 1, "environment": root, "users": rows})
