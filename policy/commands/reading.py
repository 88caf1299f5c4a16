"""Reads a command line by the declarations of a command.

argparse would do the same, but importing it takes half as long as starting Python, and `policy run` stands before every
command. Declarations are written as for argparse, and a test compares what both read.
"""

from __future__ import annotations

from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

REMAINDER = "..."
ONE = ""
_SHAPES = {ONE: "{}", "?": "[{}]", "*": "[{} ...]", REMAINDER: "-- {} [ARG ...]"}


def either(words: Sequence[str]) -> str:
    """Words as a sentence names those of which one is to be chosen: `a, b or c`."""
    return f"{', '.join(words[:-1])} or {words[-1]}"


class Arguments:
    """What a command line says, by attribute."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class CommandLineError(UsageError):
    """A command line that cannot be read.

    Args:
        message: What is wrong.
        usage: How the command is written.
        word: The word that is not known, where one like it may have been meant.
        known: The words that would have been understood in its place.
    """

    def __init__(self, message: str, usage: str, word: str = "", known: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.usage = usage
        self.word = word
        self.known: tuple[str, ...] = tuple(known)


class Option:
    """An option or a positional argument, as it was declared.

    Args:
        names: All spellings of an option, or the name of a positional argument.
        action: `store`, `store_true` or `append`.
        choices: The values that are allowed; empty: any.
        default: The value where the command line has none.
        nargs: Of a positional argument: ONE, "?", "*", or REMAINDER, which begins at `--`, and where it stands alone
            also at the first word that is no option.
        metavar: What its help calls the value.
        help: What it does.
    """

    __slots__ = ("action", "choices", "default", "help", "metavar", "names", "nargs", "target")

    def __init__(
        self,
        names: Sequence[str],
        *,
        action: str = "store",
        choices: Iterable[str] = (),
        default: Any = None,
        nargs: str = ONE,
        metavar: str = "",
        help: str = "",
    ) -> None:
        long = next((name for name in names if name.startswith("--")), names[0])
        self.names: tuple[str, ...] = tuple(names)
        self.target: str = long.lstrip("-").replace("-", "_")
        self.action: str = action
        self.choices: tuple[str, ...] = tuple(choices)
        self.default: Any = False if action == "store_true" else [] if nargs in {"*", REMAINDER} else default
        self.nargs: str = nargs
        self.metavar: str = metavar
        self.help: str = help

    @property
    def value(self) -> str:
        """What its help calls the value; "" for a flag."""
        if self.action == "store_true":
            return ""
        return self.metavar or "|".join(self.choices) or self.target.upper()


class Group:
    """Options that the help shows together.

    Args:
        parser: The command's.
        title: Their heading.
    """

    __slots__ = ("options", "parser", "title")

    def __init__(self, parser: Parser, title: str) -> None:
        self.parser: Parser = parser
        self.title: str = title
        self.options: list[Option] = []

    def add_argument(self, *names: str, **declared: Any) -> None:
        """Declares an option or a positional argument; the keywords are those of Option."""
        option = Option(names, **declared)
        if names[0].startswith("-"):
            self.options.append(option)
            self.parser.options.update(dict.fromkeys(names, option))
        else:
            self.parser.positionals.append(option)


class Parser:
    """What a command understands.

    Args:
        program: The words that call it, such as `policy explain`.
        description: What it does, in a sentence.
        usage: How it is written; absent: as its declarations say.
    """

    def __init__(self, program: str, description: str = "", usage: str = "") -> None:
        self.program = program
        self.description = description
        self.usage = usage
        self.options: dict[str, Option] = {}
        self.positionals: list[Option] = []
        self.groups: dict[str, Group] = {}
        self.add_argument: Callable[..., None] = self.add_argument_group("options").add_argument
        common = Group(self, "")
        common.add_argument("-h", "--help", action="store_true", help="show this help")
        common.add_argument("-V", "--version", action="store_true", help="show the version")
        self.common = common

    def add_argument_group(self, title: str) -> Group:
        """The group with a heading, made where there is none yet."""
        return self.groups.setdefault(title, Group(self, title))

    @property
    def synopsis(self) -> str:
        """How the command is written."""
        if self.usage:
            return self.usage
        options = ["[options]"] if any(group.options for group in self.groups.values()) else []
        positionals = [_SHAPES[option.nargs].format(option.value) for option in self.positionals]
        if len(positionals) > 1 and self.positionals[-1].nargs == REMAINDER:
            positionals[-1] = f"[{positionals[-1]}]"
        return " ".join([self.program, *options, *positionals])

    def read(self, argv: Sequence[str]) -> Arguments:
        """What the command line says; what follows `--help` and `--version` is not looked at.

        Args:
            argv: The words after those that call it.

        Raises:
            CommandLineError: When it cannot be read.
        """
        values: dict[str, Any] = {option.target: option.default for option in self.options.values()}
        values.update({option.target: option.default for option in self.positionals})
        left = list(self.positionals)
        words = iter(argv)
        for word in words:
            if word == "--":
                for rest in words:
                    self._positional(rest, words, values, left, separated=True)
            elif word[:1] != "-" or word == "-":
                self._positional(word, words, values, left)
            else:
                self._option(word, words, values)
                if values["help"] or values["version"]:
                    return Arguments(**values)
        for option in left:
            if option.nargs == ONE:
                raise CommandLineError(f"{option.value.replace('|', ' or ')} is missing", self.synopsis)
        return Arguments(**values)

    def _positional(
        self, word: str, words: Iterator[str], values: dict[str, Any], left: list[Option], *, separated: bool = False
    ) -> None:
        """Takes a word for the next positional argument, and all that follow for a remainder."""
        option = left[-1] if separated and left and left[-1].nargs == REMAINDER else left[0] if left else None
        if option is None or (option.nargs == REMAINDER and not separated and len(self.positionals) > 1):
            raise CommandLineError(f'unexpected argument "{word}"', self.synopsis)
        if option.nargs == REMAINDER:
            values[option.target] = [word, *words]
            left.clear()
            return
        self._choose(option, word)
        if option.nargs == "*":
            values[option.target] = [*values[option.target], word]
        else:
            values[option.target] = word
            del left[0]

    def _option(self, word: str, words: Iterator[str], values: dict[str, Any]) -> None:
        """Takes an option, or several letters behind one dash, and the value."""
        name, equals, value = word.partition("=") if word[1] == "-" else (word, "", "")
        option = self.options.get(name)
        if option is None and word[1] != "-" and self._is_flag(word[:2]):
            self._option(word[:2], words, values)
            self._option(f"-{word[2:]}", words, values)
            return
        if option is None:
            raise CommandLineError(f'unknown option "{name}"', self.synopsis, name, self.options)
        if option.action == "store_true":
            if equals:
                raise CommandLineError(f"{name} takes no value", self.synopsis)
            values[option.target] = True
            return
        if not equals:
            value = next(words, "--")
            if value[:1] == "-" and value != "-":
                raise CommandLineError(f"{name} needs a value: {name} {option.value}", self.synopsis)
        self._choose(option, value, name)
        values[option.target] = [*(values[option.target] or ()), value] if option.action == "append" else value

    def _is_flag(self, name: str) -> bool:
        option = self.options.get(name)
        return option is not None and option.action == "store_true"

    def _choose(self, option: Option, value: str, name: str = "") -> None:
        """Refuses a value that is none of the choices."""
        if option.choices and value not in option.choices:
            named = name or (option.metavar if "|" not in option.metavar else "")
            message = f'{f"{named} must be" if named else "expected"} {either(option.choices)}, not "{value}"'
            raise CommandLineError(message, self.synopsis, value, option.choices)
