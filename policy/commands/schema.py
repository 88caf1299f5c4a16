"""`policy schema`: the JSON Schema of the configuration."""

from __future__ import annotations

import sys

from policy.commands.reading import Arguments, Parser
from policy.errors import UsageError


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--pyproject", action="store_true", help="of the table [tool.lock-policy], for validate-pyproject"
    )
    parser.add_argument("--pyproject-file", action="store_true", help="of a whole pyproject.toml, for an editor")


def main(arguments: Arguments) -> int:
    """Prints it.

    Raises:
        UsageError: When two schemas are asked for.
    """
    from policy.config.schema import as_text, file_schema, tool_schema, whole_schema

    if arguments.pyproject and arguments.pyproject_file:
        raise UsageError("--pyproject and --pyproject-file cannot be used together")
    schema = whole_schema() if arguments.pyproject_file else tool_schema() if arguments.pyproject else file_schema()
    sys.stdout.write(as_text(schema))
    return 0
