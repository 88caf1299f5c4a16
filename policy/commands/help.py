"""`policy help`: what the program or one of its commands does, and what it understands."""

from __future__ import annotations

import sys

from policy import __version__
from policy.commands import COMMANDS, parser_for
from policy.commands.options import common
from policy.commands.reading import REMAINDER, Arguments, CommandLineError, Option, Parser
from policy.render.layout import USUAL, fit, listing, width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


DESCRIPTION = "Decides where the lock on a Python environment lives, and holds it."


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("command", metavar="COMMAND", nargs="?", help="of this command; default: of the program")


def main(arguments: Arguments) -> int:
    """Prints the help.

    Raises:
        CommandLineError: When there is no such command.
    """
    show(arguments.command or "")
    return 0


def show(name: str) -> None:
    """Prints the help of a command, or with "" that of the program."""
    if name and name not in COMMANDS:
        raise CommandLineError(f'unknown command "{name}"', "policy help [COMMAND]", name, COMMANDS)
    columns = width(sys.stdout) or USUAL
    sys.stdout.write(_of_command(parser_for(name), columns) if name else _of_program(columns))


def show_version() -> None:
    """Prints the version."""
    sys.stdout.write(f"lock-policy {__version__}\n")


def program() -> Parser:
    """What may stand before the command's name."""
    parser = Parser("policy", DESCRIPTION, "policy [options] COMMAND [ARG ...]")
    common(parser)
    parser.add_argument("command", metavar="COMMAND", nargs=REMAINDER)
    return parser


def called(argv: Sequence[str]) -> tuple[str, list[str]]:
    """The command that a command line calls although it does not begin with it, and the words for that command.

    Args:
        argv: All words after the program's name. Options that stand before the command's name go to the command.

    Raises:
        CommandLineError: When there is no such command.
    """
    parser = program()
    read = parser.read(argv)
    if read.version:
        return "help", ["--version"]
    if read.help or not read.command:
        return "help", []
    name, *words = read.command
    if name not in COMMANDS:
        raise CommandLineError(f'unknown command "{name}"', parser.synopsis, name, COMMANDS)
    return name, [*argv[: len(argv) - len(read.command)], *words]


def misread(error: CommandLineError) -> str:
    """How the command is written, then what is wrong and what may have been meant."""
    from shutil import which

    from policy.toml.shapes import nearest

    hint = nearest(error.word, _alike(error.word, error.known))
    if not hint and error.word.startswith("-"):
        hint = f"; `{error.usage.partition(' [')[0]} --help` lists the options"
    elif not hint and error.known == tuple(COMMANDS) and which(error.word):
        hint = f"; to run it under the lock: policy run -- {error.word}"
    return f"{error}{hint}"


def _alike(word: str, known: Sequence[str]) -> list[str]:
    """The known words that resemble another one by more than their dashes."""
    from policy.toml.shapes import closest

    bare = word.lstrip("-")
    return [name for name in known if closest(bare, [name.lstrip("-")])]


def _of_program(columns: int) -> str:
    parser = program()
    common = listing([_row(option) for option in options_of(parser)], columns)
    sections = [
        f"usage: {parser.synopsis}",
        fit(DESCRIPTION, columns, hang=0),
        f"commands:\n{listing(list(COMMANDS.items()), columns)}",
        f"{fit('options, before or after the name of a command that has them:', columns)}\n{common}",
        fit("`policy help COMMAND` shows all options of a command.", columns),
    ]
    return "\n\n".join(sections) + "\n"


def _of_command(parser: Parser, columns: int) -> str:
    sections = ["usage: " + "\n       ".join(parser.synopsis.split("\n")), fit(parser.description, columns, hang=0)]
    named = [option for option in parser.positionals if option.help]
    if named:
        sections.append(f"arguments:\n{listing([(option.value, option.help) for option in named], columns)}")
    for group in (*parser.groups.values(), parser.common):
        if group.options:
            title = f"{group.title}:\n" if group.title else ""
            sections.append(title + listing([_row(option) for option in group.options], columns))
    return "\n\n".join(sections) + "\n"


def options_of(parser: Parser) -> list[Option]:
    """The options of a command, group by group, those that every command has last."""
    return [option for group in (*parser.groups.values(), parser.common) for option in group.options]


def _row(option: Option) -> tuple[str, str]:
    begin = "    " if option.names[0].startswith("--") else ""  # as wide as `-x, `
    return f"{begin}{', '.join(option.names)} {option.value}".rstrip(), option.help
