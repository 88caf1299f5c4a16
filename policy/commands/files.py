"""Configuration files as arguments, for the commands that judge them."""

from __future__ import annotations

import os

from policy.commands import options
from policy.commands.reading import Arguments, Parser
from policy.config import layers
from policy.errors import UsageError


def arguments(parser: Parser, help: str) -> None:
    """FILE ..., and the layer whose limits count.

    Args:
        parser: Of the command.
        help: What the command does with files, and without.
    """
    parser.add_argument("files", metavar="FILE", nargs="*", help=help)
    options.layer(
        parser, "check FILE as a file of this layer; default: the layer that FILE's path belongs to, else project"
    )


def chosen(arguments: Arguments) -> tuple[tuple[layers.Source, ...], list[layers.Notice]]:
    """The files that were named, else those that apply to the working directory.

    Args:
        arguments: The options.

    Returns:
        The files, the strongest first, and what was noticed while looking for them.

    Raises:
        UsageError: When they are named twice.
    """
    environ = os.environ
    if not arguments.files:
        if arguments.layer:
            raise UsageError("--layer needs the name of a FILE")
        return applying(arguments)
    if arguments.config_file or arguments.no_config:
        raise UsageError("name FILE, or use --config-file or --no-config, not both")
    limit = layers.size_limit(environ)
    return tuple(
        layers.Source(
            layers.layer(arguments.layer) if arguments.layer else layers.standing_in(path, environ),
            os.path.abspath(path),
            layers.named_table(path),
            limit=limit,
        )
        for path in arguments.files
    ), []


def applying(arguments: Arguments) -> tuple[tuple[layers.Source, ...], list[layers.Notice]]:
    """The files that apply to the working directory, and what was noticed while looking for them."""
    cwd = os.getcwd()
    query = layers.Query(os.environ, cwd, cwd, arguments.project, arguments.config_file, arguments.no_config)
    return layers.find(query), query.notices
