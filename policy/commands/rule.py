"""`policy rule`: what a code of `policy check` means, with an example; and the codes and hints of other commands."""

from __future__ import annotations

import sys

from policy.commands import options
from policy.commands.reading import Arguments, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.checks.codes import Code


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument(
        "code", metavar="CODE", nargs="?", help="such as unknown-key; default: list all of policy check"
    )
    options.formats(parser, "text", "json")


def main(arguments: Arguments) -> int:
    """Prints the page of a code, or the list of those of `policy check`.

    Raises:
        UsageError: When there is no such code.
    """
    from policy.checks.codes import CODES
    from policy.errors import UsageError
    from policy.toml.shapes import nearest

    codes = list(CODES.values())
    if arguments.code is not None:
        known = [*codes, *_others()]
        codes = [code for code in known if code.name == arguments.code]
        if not codes:
            close = nearest(arguments.code, [code.name for code in known])
            raise UsageError(f'no code "{arguments.code}"; `policy rule` lists those of policy check{close}')
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
        sys.stdout.write("\n".join(map(_page, codes)))
    return 0


def _others() -> list[Code]:
    """What other commands name."""
    from policy.checks.codes import Code
    from policy.commands.cluster import CODES as EXAMINED
    from policy.commands.health.finding import CODES as ILLS
    from policy.rules.hints import meanings

    named = (("doctor", ILLS), ("cluster status", EXAMINED), ("explain", meanings()))
    return [Code(name, "", text, "", origin=origin) for origin, codes in named for name, text in codes.items()]


def _page(code: Code) -> str:
    """A page as Markdown, which reads well as it is."""
    parts = [f"# {code.name} ({code.severity or code.origin})", code.summary, *([code.remedy] if code.remedy else [])]
    if code.example:
        parts += [f"## Has it\n\n```toml\n{code.example}```", f"## Does not\n\n```toml\n{code.better}```"]
    if code.layer != "project":
        parts.append(f"In a file of the layer `{code.layer}`.")
    return "\n\n".join(parts) + "\n"
