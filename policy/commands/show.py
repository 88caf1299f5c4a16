"""`policy show`: the effective configuration, as TOML that decides the same."""

from __future__ import annotations

import os
import sys

from policy.commands import files, options
from policy.commands.reading import Arguments, Parser
from policy.config import layers
from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.config.layers import Source
    from policy.rules.chain import Chain


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("--show-origin", action="store_true", help="show the file and line of each setting and rule")
    parser.add_argument("--merged", metavar="DIR", help="show the system files in DIR, a copy of another host's /etc")
    options.formats(parser, "toml", "json", "html")
    options.configuration(parser)
    options.settings(parser)
    options.quiet(parser)


def main(arguments: Arguments) -> int:
    """Prints it.

    Raises:
        UsageError: When --merged finds nothing, or is used with an option that it has no use for.
    """
    from policy.config.read import load_chain

    if arguments.merged is not None:
        return _show(load_chain(_merged(arguments)), arguments)
    sources, notices = files.applying(arguments)
    for notice in [] if arguments.quiet else notices:
        options.warn(str(notice))
    chain = load_chain(sources)
    chain = chain.with_settings(options.rules(arguments).forced(os.environ, chain.setting("cluster")))
    return _show(chain, arguments)


def _merged(arguments: Arguments) -> tuple[Source, ...]:
    """The system files of another host, of which this one's variables and options change nothing."""
    named = ("config_file", "no_config", "project", "timeout", "global_dir", "cluster_service")
    if any(getattr(arguments, name) for name in named):
        raise UsageError("--merged shows only the files in DIR: use it without options that change them")
    found = layers.system_below(arguments.merged)
    if not found:
        raise UsageError(
            f"{arguments.merged}: neither lock-policy/{layers.FILE} nor xdg/lock-policy/{layers.FILE} in it"
        )
    return found


def _show(chain: Chain, arguments: Arguments) -> int:
    from policy.render import effective, effective_html

    if arguments.output_format == "json":
        sys.stdout.write(effective.as_json(chain))
    elif arguments.output_format == "html":
        sys.stdout.write(effective_html.as_html(chain))
    else:
        sys.stdout.write(effective.as_toml(chain, origin=arguments.show_origin))
    return 0
