"""`policy once`: makes something that several may want to make, exactly once."""

from __future__ import annotations

import os

from policy.commands import options, run
from policy.commands.reading import Arguments, Parser
from policy.errors import UsageError
from policy.rules.request import Request


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--unless", metavar="PATH", help="what the command makes; default: the interpreter of the environment"
    )
    run.arguments(parser)


def main(arguments: Arguments) -> int:
    """Holds the lock, looks again, and becomes the command only where there is something left to do."""
    command = arguments.command
    if not command:
        raise UsageError("name a command: policy once [--unless PATH] -- COMMAND [ARG ...]")
    if arguments.unless == "":
        raise UsageError("--unless: an empty path; name what the command makes")
    caller = options.caller(arguments)
    seen = options.subject(arguments, caller, command)
    environment = seen.environment
    if environment is None:
        raise UsageError(f"{seen.apart}, so nothing is held: name an environment with --python")

    def done() -> bool:
        if arguments.unless:
            return os.path.exists(os.path.join(caller.cwd, arguments.unless))
        return environment.exists

    return run.locked(command, arguments, seen, Request(environment, caller), done)
