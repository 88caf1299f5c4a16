"""`policy rule`: what a code of `policy check` means, with an example."""

from __future__ import annotations

import sys

from policy.commands import options
from policy.commands.reading import Arguments, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.checks.codes import Code


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("code", metavar="CODE", nargs="?", help="such as unknown-key; absent: list all codes")
    options.formats(parser, "text", "json")


def main(arguments: Arguments) -> int:
    """Prints the page of a code, or the list of all of them.

    Raises:
        UsageError: When there is no such code.
    """
    from policy.checks.codes import CODES
    from policy.errors import UsageError
    from policy.toml.shapes import nearest

    if arguments.code is not None and arguments.code not in CODES:
        raise UsageError(f'no code "{arguments.code}"; `policy rule` lists all{nearest(arguments.code, CODES)}')
    codes = list(CODES.values()) if arguments.code is None else [CODES[arguments.code]]
    if arguments.output_format == "json":
        from attrs import asdict

        from policy.render.layout import json_text

        sys.stdout.write(json_text([asdict(code) for code in codes]))
    elif arguments.code is None:
        from policy.render.layout import fit, width

        left = max(map(len, CODES))
        lines = (f"{code.name:{left}}  {code.severity:7}  {code.summary}" for code in codes)
        sys.stdout.write(fit("\n".join(lines), width(sys.stdout)) + "\n")
    else:
        sys.stdout.write(_page(codes[0]))
    return 0


def _page(code: Code) -> str:
    """A page as Markdown, which reads well as it is."""
    parts = [f"# {code.name} ({code.severity})", code.summary, code.remedy]
    if code.example:
        parts += [f"## Has it\n\n```toml\n{code.example}```", f"## Does not\n\n```toml\n{code.better}```"]
    if code.layer != "project":
        parts.append(f"In a file of the layer `{code.layer}`.")
    return "\n\n".join(parts) + "\n"
