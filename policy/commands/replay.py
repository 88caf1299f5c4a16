"""`policy replay`: which decisions in a log would change under the current rules or others."""

from __future__ import annotations

import os

from policy.commands import options
from policy.commands.reading import Arguments, Parser
from policy.config import layers
from policy.errors import UsageError

FINDING = 1


def arguments(parser: Parser) -> None:
    """The options of the command."""
    from policy.render.replays import REPLAY_FORMATS

    parser.add_argument("log", metavar="LOG", help="a file that LOCK_POLICY_LOG named while locks were taken")
    options.layer(
        parser, "read the file of --config-file as a file of this layer, alone; default: as other commands read it"
    )
    options.formats(parser, "text", *REPLAY_FORMATS)
    options.configuration(parser)
    options.color(parser)
    options.quiet(parser)


def main(arguments: Arguments) -> int:
    """Prints what would change; a decision that would, or may, is a finding.

    Raises:
        UsageError: The log is no regular file, or holds no decision.
        ConfigError: With every fault of the configuration.
    """
    from policy.checks.replay import Files, replay
    from policy.render import replays

    if arguments.layer and not arguments.config_file:
        raise UsageError("--layer is for the file that --config-file names")
    layer = layers.layer(arguments.layer) if arguments.layer else None
    files = Files(os.environ, arguments.config_file, arguments.no_config, arguments.project, layer)
    found = replay(arguments.log, files)
    left = replays.unreadable(found)
    if not found.decisions:
        raise UsageError(f"{arguments.log}: it holds no decision{f'; {left}' if left else ''}")
    if left and not arguments.quiet:
        options.note(f"{arguments.log}: {left}")
    options.show(arguments, found, replays.text, replays.REPLAY_FORMATS)
    return FINDING if found.differs else 0
