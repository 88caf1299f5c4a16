"""What a completion script is made of, whatever the shell: the commands, their options, and what values may be."""

from __future__ import annotations

from policy.commands import COMMANDS, parser_for
from policy.commands.help import options_of, program
from policy.commands.reading import REMAINDER, Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


FILES, FOLDERS, PROGRAMS = "files", "folders", "programs"
_KINDS = {"FILE": FILES, "ENV": FILES, "PATH": FILES, "OLD": FILES, "NEW": FILES, "DIR": FOLDERS}


def parsers() -> Iterator[tuple[str, Parser]]:
    """The program itself under the name "", then every command."""
    yield "", program()
    for name in COMMANDS:
        yield name, parser_for(name)


def completed(option: Option) -> tuple[str, ...]:
    """The words that a value is completed with, or FILES, FOLDERS or PROGRAMS alone; empty: nothing is offered."""
    if option.nargs == REMAINDER:
        return (PROGRAMS,)
    if option.value == "COMMAND":
        return tuple(COMMANDS)
    return option.choices or tuple(filter(None, [_KINDS.get(option.value)]))


def with_values() -> list[str]:
    """The options that a value follows, of all commands; a test sees that none of them is a flag elsewhere."""
    found = (name for _, parser in parsers() for option in options_of(parser) if option.value for name in option.names)
    return list(dict.fromkeys(found))


def takes_programs(*, alone: bool = False) -> list[str]:
    """The commands that end with another command line.

    Args:
        alone: Only those that take nothing else, where it may stand without `--`.
    """
    return [
        name
        for name, parser in parsers()
        if name and any(option.nargs == REMAINDER for option in parser.positionals[: 1 if alone else None])
    ]


def quoted(text: str, quote: str = r"'\''") -> str:
    """A text between apostrophes.

    Args:
        text: What is quoted.
        quote: How the shell writes an apostrophe in there.
    """
    return "'" + text.replace("'", quote) + "'"


def filled(template: str, **parts: str) -> str:
    """A template with its @NAMES@ replaced."""
    for name, text in parts.items():
        template = template.replace(f"@{name}@", text)
    return template
