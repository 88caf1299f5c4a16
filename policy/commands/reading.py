"""Reads a command line that has nothing wrong with it, from the same declarations that argparse takes.

Importing argparse takes half as long as starting Python, and `policy run` stands before every command. Whatever this
does not understand (a fault, `--help`, an abbreviation) is left to argparse, so that both answer the same; a test
compares them.
"""

from __future__ import annotations

from policy.commands import COMMANDS
from policy.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable, Sequence
    from typing import Any

REMAINDER = "..."  # as argparse spells it
ACTIONS = frozenset({"store", "store_true", "append"})
KNOWN = frozenset({"action", "choices", "default", "nargs"})  # a declaration with more than these is argparse's


class Arguments:
    """What a command line says, by attribute."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)


class Option:
    """An option or a positional argument, as it was declared."""

    __slots__ = ("action", "choices", "default", "nargs", "target")

    def __init__(
        self, target: str, *, action: str = "store", choices: Iterable[str] = (), default: Any = None, nargs: str = ""
    ) -> None:
        self.target = target
        self.action = action
        self.choices = tuple(choices)
        self.default = False if action == "store_true" else default
        self.nargs = nargs


class Reader:
    """Takes declarations as `argparse.ArgumentParser` does."""

    def __init__(self) -> None:
        self.options: dict[str, Option] = {}
        self.positionals: list[Option] = []
        self.usage = ""
        self.understood = True

    def add_argument_group(self, title: str) -> Reader:
        """Groups matter only for the help."""
        del title
        return self

    def add_argument(self, *names: str, **declared: Any) -> None:
        """Declares an option or a positional argument."""
        known = {key: value for key, value in declared.items() if key not in {"help", "metavar"}}
        optional = names[0].startswith("-")
        if not known.keys() <= KNOWN or (optional and "nargs" in known):
            self.understood = False
            return
        long = next((name for name in names if name.startswith("--")), names[0])
        option = Option(long.lstrip("-").replace("-", "_"), **known)
        if optional:
            self.options.update(dict.fromkeys(names, option))
        else:
            self.positionals.append(option)

    def read(self, argv: Sequence[str]) -> Arguments | None:
        """What the command line says, or None where argparse must look at it.

        Args:
            argv: The arguments after the command's name.
        """
        declared = [*self.options.values(), *self.positionals]
        if not self.understood or any(option.action not in ACTIONS for option in declared):
            return None
        values: dict[str, Any] = {option.target: option.default for option in declared}
        positionals = list(self.positionals)
        words = iter(argv)
        for word in words:
            if not word.startswith("-"):
                if not positionals or not self._positional(positionals.pop(0), word, words, values):
                    return None
            elif word == "--" and positionals and positionals[0].nargs == REMAINDER:
                self._positional(positionals.pop(0), word, words, values)
            elif not self._option(word, words, values):
                return None
        for option in positionals:
            if option.nargs == REMAINDER:
                values[option.target] = []
            elif option.nargs != "?":
                return None
        return Arguments(values)

    @staticmethod
    def _positional(option: Option, word: str, words: Iterable[str], values: dict[str, Any]) -> bool:
        if option.nargs == REMAINDER:
            values[option.target] = [word, *words]
            return True
        values[option.target] = word
        return option.nargs == "?" and not option.choices

    def _option(self, word: str, words: Iterable[str], values: dict[str, Any]) -> bool:
        name, equals, value = word.partition("=")
        option = self.options.get(name)
        if option is None or (equals and not name.startswith("--")):
            return False
        if option.action == "store_true":
            values[option.target] = True
            return not equals
        if not equals:
            value = next(iter(words), "-")
            if value.startswith("-"):
                return False
        if option.choices and value not in option.choices:
            return False
        if option.action == "append":
            values[option.target] = [*(values[option.target] or ()), value]
        else:
            values[option.target] = value
        return True


def parser_for(arguments: Sequence[str], *, every: bool = False) -> ArgumentParser:
    """The parser, with the options of the command that is called; other commands are only named.

    Args:
        arguments: What it will be asked to read.
        every: The options of all commands, for whoever lists them.
    """
    from argparse import ArgumentParser
    from importlib import import_module

    parser = ArgumentParser(
        prog="policy", description="Decides where the lock on a Python environment lives, and holds it."
    )
    parser.add_argument("--version", action="version", version=f"lock-policy {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, help in COMMANDS.items():  # noqa: A001
        called = every or name in arguments[:1]
        command = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=False)
        if called:
            module = import_module(f"policy.commands.{name}")
            module.arguments(command)
            command.set_defaults(main=module.main)
    return parser
