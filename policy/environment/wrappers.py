"""What stands before a command on its line (env, nice, timeout, sudo, `sh -c`), taken off as it would start it."""

from __future__ import annotations

import os

from policy import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

_SUDO_PATH = (
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # sudo's own, and that of most sudoers files
)
_EXPANDED = frozenset(";&|<>()$`*?[{\n")  # what a shell does not take as it stands
_RESERVED = frozenset(
    (  # noqa: SIM905  (a line for each of 50 words tells nothing more)
        "! . : [ [[ alias bg break builtin case cd continue coproc declare do done elif else esac eval exit export fg "
        "fi for function getopts hash if in jobs let local popd pushd pwd read readonly return select set shift source "
        "test then time times trap type typeset ulimit umask unalias unset until wait while { }"
    ).split()
)


_XDG = {"cache": "~/.cache", "config": "~/.config", "data": "~/.local/share"}


class Words:
    """A command as the kernel will get it, behind the programs that start it.

    Args:
        words: The program and its arguments.
        environ: The environment variables that it will get.
        cwd: Where it will start, absolute.
        through: The programs that were taken off, in their order.
        interpreter: The Python whose `-m` runs it; "" for a program of its own.
    """

    __slots__ = ("cwd", "environ", "interpreter", "through", "words")

    def __init__(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        cwd: str,
        through: tuple[str, ...] = (),
        interpreter: str = "",
    ) -> None:
        self.words: tuple[str, ...] = tuple(words)
        self.environ: Mapping[str, str] = environ
        self.cwd: str = cwd
        self.through: tuple[str, ...] = through
        self.interpreter: str = interpreter

    def behind(self, name: str, words: Sequence[str]) -> Words:
        """What a program of this name starts, otherwise unchanged."""
        return Words(words, self.environ, self.cwd, (*self.through, name))

    def path(self, named: str) -> str:
        """A path of this command, made absolute and normal."""
        if named.startswith("~/"):  # a shell would have resolved it, an option's value with `=` is left to the program
            named = os.path.join(self.environ.get("HOME", "~"), named[2:])
        return os.path.normpath(os.path.join(self.cwd, named))

    def xdg(self, kind: str) -> str:
        """The user's folder of a kind: `cache`, `config` or `data`."""
        return self.path(self.environ.get(f"XDG_{kind.upper()}_HOME") or _XDG[kind])


def on_path(program: str, command: Words) -> str:
    """The file that a program is, by the command's own PATH; "" if there is none."""
    if os.sep in program:
        path = command.path(program)
        return path if os.path.isfile(path) else ""
    for folder in command.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(command.cwd, folder, program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.normpath(path)
    return ""


def module_of(words: Sequence[str]) -> tuple[str, ...]:
    """The module that an interpreter runs with `-m`, and its arguments; () where it runs something else.

    Args:
        words: The interpreter and its arguments.
    """
    at_word = 1
    while at_word < len(words) and words[at_word].startswith("-") and words[at_word] != "--":
        word = words[at_word]
        letters = "" if word.startswith("--") else word[1:]
        # The first of these letters takes the rest of the word, or the next one.
        place = min((letters.find(letter) for letter in "cmWX" if letter in letters), default=-1)
        at_word += 1
        if place < 0:
            continue
        value = letters[place + 1 :]
        if not value:
            value = words[at_word] if at_word < len(words) else ""
            at_word += 1
        if letters[place] == "m":
            return (value, *words[at_word:])
        if letters[place] == "c":
            return ()
    return ()


def options(words: Iterable[str], valued: str, *, leading: bool = False) -> tuple[dict[str, str], list[str]]:
    """Reads options as getopt does.

    Args:
        words: The arguments of a program.
        valued: Options that take a value, without dashes, separated by spaces; `n/name` is one with two spellings.
        leading: Options end at the first argument that is none.

    Returns:
        The value of each option by its name without dashes, the last one where several are given, "" for a flag; and
        all other arguments. An option with two spellings goes by the second one.
    """
    names = {spelling: option.split("/")[-1] for option in valued.split() for spelling in option.split("/")}
    found: dict[str, str] = {}
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            others += rest
        elif word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found[names.get(name, name)] = value if equals or name not in names else next(rest, "")
        elif word.startswith("-") and len(word) > 1:
            _letters(word[1:], rest, names, found)
        else:
            others += [word, *rest] if leading else [word]
    return found, others


def _letters(cluster: str, rest: Iterator[str], names: Mapping[str, str], found: dict[str, str]) -> None:
    """Letters behind one dash; the first that takes a value takes the rest of the word, or the next word."""
    for index, letter in enumerate(cluster):
        if letter in names:
            found[names[letter]] = cluster[index + 1 :] or next(rest, "")
            return
        found[letter] = ""


def subcommand(command: Words, valued: str, groups: Collection[str] = ()) -> tuple[str, dict[str, str], list[str]]:
    """Reads the command line of a tool that has subcommands.

    Args:
        command: It.
        valued: As `options` has it, for all subcommands alike.
        groups: Words that a second word belongs to, as `create` does to `env`.

    Returns:
        The subcommand, `create` or `env create`, "" where there is none; the options before and behind it; and all
        other arguments, which for `run` are a command line with options of its own.
    """
    before, rest = options(command.words[1:], valued, leading=True)
    count = 2 if rest and rest[0] in groups else 1
    words = rest[:count]
    behind, arguments = options(rest[count:], valued, leading=words[-1:] in (["run"], ["runpip"]))
    return " ".join(words), {**before, **behind}, arguments


def unwrap(command: Words, wrappers: Mapping[str, tuple[str, int]]) -> Words:
    """Takes off all that stands before a command.

    Args:
        command: A command line as it was given.
        wrappers: By name: the options that take a value, separated by spaces, and how many arguments stand before the
            command.

    Returns:
        The innermost command; the line itself where nothing stands before it, or what does cannot be understood.
    """
    while command.words:
        name = host.program_name(command.words[0])
        if name in host.SHELLS:
            inner = _shell(command, name)
        elif name in wrappers:
            inner = _wrapped(command, name, *wrappers[name])
        else:
            break
        if inner is None or not inner.words:
            break
        command = inner
    return command


def _wrapped(command: Words, name: str, valued: str, before: int) -> Words | None:
    given, rest = options(command.words[1:], valued, leading=True)
    if name == "env":
        return _env(command, given, rest)
    if name in {"sudo", "doas"}:
        return _sudo(command, name, given, rest)
    rest = rest[before:]
    if name == "flock" and rest[:1] in (["-c"], ["--command"]):
        inner = simple(rest[1]) if len(rest) > 1 else None
        return _assigned(command.behind(name, inner)) if inner else None
    return command.behind(name, rest)


def _env(command: Words, given: dict[str, str], rest: list[str]) -> Words | None:
    """env(1): variables set and unset, another directory, and a string that is split into words."""
    environ = {} if given.keys() & {"i", "ignore-environment"} or rest[:1] == ["-"] else dict(command.environ)
    arguments = command.words[1 : len(command.words) - len(rest)]
    for word, following in zip(arguments, [*arguments[1:], ""], strict=False):  # -u may stand there several times
        if word in {"-u", "--unset"}:
            environ.pop(following, None)
        elif word.startswith(("-u", "--unset=")):
            environ.pop(word.removeprefix("--unset=").removeprefix("-u"), None)
    rest = rest[1:] if rest[:1] == ["-"] else rest
    if given.get("split-string"):
        split = simple(given["split-string"])
        if split is None:
            return None
        rest = split + rest
    return _assigned(Words(rest, environ, command.path(given.get("chdir", "")), (*command.through, "env")))


def _assigned(command: Words) -> Words:
    """The command behind assignments, which it gets as variables."""
    words, environ = list(command.words), dict(command.environ)
    while words and "=" in words[0] and words[0].partition("=")[0].isidentifier():
        variable, _, value = words.pop(0).partition("=")
        environ[variable] = value
    return Words(words, environ, command.cwd, command.through)


def _sudo(command: Words, name: str, given: dict[str, str], rest: list[str]) -> Words | None:
    """What sudo starts: it gives few variables on, and a PATH of its own."""
    if given.keys() & {"i", "login", "s", "shell", "e", "edit", "l", "list"}:
        return None
    kept = command.environ if given.keys() & {"E", "preserve-env"} else {}
    environ = {**kept, "PATH": _SUDO_PATH if name == "sudo" else command.environ.get("PATH", _SUDO_PATH)}
    return _assigned(Words(rest, environ, command.path(given.get("chdir", "")), (*command.through, name)))


def _shell(command: Words, name: str) -> Words | None:
    """The one simple command that a shell is given with `-c`; None for a script, and for more than that."""
    given, rest = options(command.words[1:], "o O", leading=True)
    if "c" not in given or not rest:
        return None
    text = rest[0].strip()
    if text in {'"$@"', 'exec "$@"'}:
        return command.behind(name, rest[2:])
    words = simple(text)
    if not words:
        return None
    inner = _assigned(command.behind(name, words))
    while inner.words[:1] in {("exec",), ("command",)}:
        inner = Words(inner.words[1:], inner.environ, inner.cwd, inner.through)
    return inner if inner.words and inner.words[0] not in _RESERVED else None


def simple(text: str) -> list[str] | None:
    """The words of a shell's command line, where it is one simple command with nothing in it to expand.

    Args:
        text: What a shell is given with `-c`.

    Returns:
        The words, unquoted; None where the shell would do more than split and unquote.
    """
    words: list[str] = []
    word: str | None = None
    at = iter(text)
    for character in at:
        if character in " \t":
            if word is not None:
                words.append(word)
            word = None
            continue
        if character in _EXPANDED or (word is None and character in "#~"):
            return None
        part: str | None = character
        if character in "'\"":
            part = _quoted(character, at)
        elif character == "\\":
            part = next(at, "")
        if part is None:
            return None
        word = (word or "") + part
    if word is not None:
        words.append(word)
    return words


def _quoted(quote: str, at: Iterator[str]) -> str | None:
    """What stands before the closing quote; None where there is none, or the shell would expand something in it."""
    inside: list[str] = []
    for character in at:
        if character == quote:
            return "".join(inside)
        if quote == '"' and character in "$`\\!":
            return None
        inside.append(character)
    return None
