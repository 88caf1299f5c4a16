"""`policy schema`: the JSON Schema of the configuration."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.commands.reading import Arguments, Parser


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--pyproject", action="store_true", help="of the table [tool.lock-policy] in pyproject.toml instead"
    )


def main(arguments: Arguments) -> int:
    """Prints it."""
    from policy.config.schema import as_text, file_schema, tool_schema

    sys.stdout.write(as_text(tool_schema() if arguments.pyproject else file_schema()))
    return 0
