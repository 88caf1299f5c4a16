"""`policy show`: the effective configuration, as TOML that decides the same."""

from __future__ import annotations

import os
import sys

from policy.commands import files, options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.commands.reading import Arguments, Parser

FORMATS = ("toml", "json")


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--show-origin", action="store_true", help="say of each setting and rule in which file and line it stands"
    )
    parser.add_argument("--output-format", choices=FORMATS, default="toml", help="default: toml")
    options.configuration(parser)
    options.settings(parser)
    options.quiet(parser)


def main(arguments: Arguments) -> int:
    """Prints it."""
    from policy.config.read import load_chain
    from policy.render import effective

    sources, notices = files.applying(arguments)
    for notice in [] if arguments.quiet else notices:
        options.warn(str(notice))
    chain = load_chain(sources)
    chain = chain.with_settings(options.rules(arguments).forced(os.environ, chain.setting("cluster")))
    if arguments.output_format == "json":
        sys.stdout.write(effective.as_json(chain))
    else:
        sys.stdout.write(effective.as_toml(chain, origin=arguments.show_origin))
    return 0
