"""The Parser against argparse, which takes the same declarations."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policy.commands import COMMANDS, parser_for
from policy.commands.help import program
from policy.commands.reading import REMAINDER, CommandLineError, Parser
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ALL = sorted(COMMANDS)


def read(command: str, argv: Sequence[str]) -> dict[str, Any] | None:
    """What the Parser makes of a command line; None where it refuses it."""
    try:
        return vars(parser_for(command).read(argv))
    except CommandLineError:
        return None


def by_argparse(command: str, argv: Sequence[str]) -> dict[str, Any] | None:
    """What argparse makes of a command line; None where it ends the program."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-V", "--version", action="version", version="")
    importlib.import_module(f"policy.commands.{command}").arguments(parser)
    if command == "explain":  # argparse knows no remainder that only `--` begins, behind an argument that may be absent
        return _separated(parser, argv)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            known = vars(parser.parse_args(argv))
    except SystemExit:
        return None
    words = known.get("command")
    if isinstance(words, list) and words[:1] == ["--"]:  # argparse keeps it
        known["command"] = words[1:]
    return {**known, "help": False, "version": False}


def _separated(parser: argparse.ArgumentParser, argv: Sequence[str]) -> dict[str, Any] | None:
    """What argparse makes of the words before `--`, and those behind it."""
    at = argv.index("--") if "--" in argv else len(argv)
    action = next(action for action in parser._actions if action.dest == "command")
    parser._remove_action(action)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            known = vars(parser.parse_args(argv[:at]))
    except SystemExit:
        return None
    return {**known, "command": list(argv[at + 1 :]), "help": False, "version": False}


NAMES = {command: list(parser_for(command).options) for command in ALL}
VALUES = ["", "x", "text", "json", "always", "a b", "A=B", "-", "--", "-1", "-x", "=", "é", "\udcff", "...", "a=--b"]
NOISE = [
    "-qv",
    "-q=1",
    "--colo",
    "--quiet=",
    "-h",
    "--help",
    "--version",
    "-vx",
    "---",
    "-- x",
    "--no-such",
    "--no-such=1",
]


def words(command: str) -> st.SearchStrategy[list[str]]:
    """Command lines, most of them nearly right."""
    name = st.sampled_from(NAMES[command])
    value = st.sampled_from(VALUES)
    pieces = (
        name.map(lambda one: [one]),
        st.tuples(name, value).map(list),
        # argparse before Python 3.13 makes an empty list of the value in --name=--
        st.tuples(name, value).map(lambda pair: [f"{pair[0]}={pair[1]}"]).filter(lambda one: one[0][-3:] != "=--"),
        value.map(lambda one: [one]),
        st.sampled_from(NOISE).map(lambda one: [one]),
        name.map(lambda one: [one[:-1]]),
    )
    return st.lists(st.one_of(*pieces), max_size=5).map(lambda lists: [word for piece in lists for word in piece])


@pytest.mark.slow
@pytest.mark.parametrize("command", ALL)
@given(data=st.data())
def test_reads_as_argparse_does(command: str, data: st.DataObject) -> None:
    """Whatever the command line, the Parser refuses it, or reads exactly what argparse reads."""
    argv = data.draw(words(command))
    mine = read(command, argv)
    assume(argv.count("--") < 2)  # many an argparse drops one for each operand, not only the first of all
    if mine is not None and not (mine["help"] or mine["version"]):
        theirs = by_argparse(command, argv)
        assert mine == theirs or theirs is None


@pytest.mark.slow
@pytest.mark.parametrize("command", ALL)
@given(data=st.data())
def test_reads_what_argparse_reads(command: str, data: st.DataObject) -> None:
    """A command line that argparse reads is read, unless a value begins with a dash."""
    argv = data.draw(words(command).filter(lambda argv: not any(word[:1] == "-" and " " in word for word in argv)))
    if by_argparse(command, argv) is not None and "-1" not in argv:
        assert read(command, argv) is not None


GOOD = [
    ("explain", []),
    ("explain", ["/srv/app/.venv"]),
    ("explain", ["--output-format", "json", "/srv/app/.venv", "-q"]),
    ("explain", ["-qv", "--", "-strange-name"]),
    ("explain", ["/srv/app/.venv", "-q", "--", "uv", "--", "sync"]),
    ("check", ["a.toml", "b.toml", "--strict"]),
    ("check", []),
    ("completions", ["zsh"]),
    ("explain", ["--env", "CI=1", "--env=A=B", "--unset", "X", "--assume", "writable=false", "--color=never"]),
    ("run", ["--", "uv", "sync", "--frozen"]),
    ("run", ["uv", "sync", "--python", "3.12"]),
    ("run", ["-q", "--timeout", "30", "--python=/srv/app/.venv", "--close", "--", "sh", "-c", "exit 1", "--", "-q"]),
    ("run", ["--target", "/opt/site", "--operation", "pip install", "pip", "install", "-q"]),
    ("run", []),
    ("locks", []),
    ("locks", ["/srv/app/.venv", "--all", "--output-format=json"]),
    ("locks", ["-a", "--prune"]),
]


@pytest.mark.parametrize(("command", "argv"), GOOD)
def test_reads_the_common_cases(command: str, argv: list[str]) -> None:
    """What people type every day is read as argparse reads it."""
    mine = read(command, argv)
    assert mine is not None
    assert mine == by_argparse(command, argv)


@pytest.mark.parametrize(
    ("command", "argv", "message"),
    [
        ("run", ["--timeout"], "--timeout needs a value: --timeout SECONDS"),
        ("run", ["--timeout", "-1", "true"], "--timeout needs a value: --timeout SECONDS"),
        ("explain", ["a", "b"], 'unexpected argument "b"'),
        ("explain", ["--quiet=1"], "--quiet takes no value"),
        ("explain", ["-qx"], 'unknown option "-x"'),
        ("explain", ["--colo", "never"], 'unknown option "--colo"'),
        ("cluster", [], "init or status is missing"),
        ("cluster", ["stop"], 'expected init or status, not "stop"'),
        ("completions", [], "SHELL is missing"),
        ("completions", ["ksh"], 'SHELL must be bash, zsh, fish or powershell, not "ksh"'),
        ("explain", ["--color=blue"], '--color must be auto, always or never, not "blue"'),
    ],
)
def test_faults(command: str, argv: list[str], message: str) -> None:
    """What cannot be read is one sentence that names the word, and the usage of that command."""
    with pytest.raises(CommandLineError) as caught:
        parser_for(command).read(argv)
    assert str(caught.value) == message
    assert caught.value.usage.startswith(f"policy {command}")


def test_help_ends_the_reading() -> None:
    """What follows `--help` and `--version` is not looked at; what stands before them is."""
    assert parser_for("explain").read(["-q", "--help", "--nonsense"]).help
    assert parser_for("completions").read(["-V"]).version
    with pytest.raises(CommandLineError):
        parser_for("explain").read(["--nonsense", "--help"])


def test_remainder_after_another() -> None:
    """A remainder that follows another argument begins at `--` only, so that one word too many is a fault."""
    parser = Parser("policy x")
    parser.add_argument("environment", nargs="?", metavar="ENV")
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND")
    read = parser.read(["/env", "--", "uv", "--", "-q"])
    assert (read.environment, read.command) == ("/env", ["uv", "--", "-q"])
    read = parser.read(["--", "uv", "sync"])
    assert (read.environment, read.command) == (None, ["uv", "sync"])
    with pytest.raises(CommandLineError, match='unexpected argument "uv"'):
        parser.read(["/env", "uv"])
    assert parser.synopsis == "policy x [ENV] [-- COMMAND [ARG ...]]"


def test_options_stand_where_they_count() -> None:
    """Each option that may stand before a command's name is declared by some command."""
    for option in program().common.options + [one for group in program().groups.values() for one in group.options]:
        assert [command for command in ALL if option.names[0] in NAMES[command]], option.names


def test_lists_are_not_shared() -> None:
    """Two readings of one declaration do not add to each other's lists."""
    parser = Parser("policy x")
    parser.add_argument("--env", action="append", default=["A=1"])
    for _ in range(2):
        assert parser.read(["--env", "B=2"]).env == ["A=1", "B=2"]


def test_remainder_is_argparse_s() -> None:
    """`nargs` of a remainder is spelled once for both."""
    assert REMAINDER == argparse.REMAINDER


SEEN = """
import json, sys
from policy.__main__ import main
try:
    code = main(json.loads(sys.argv[1]))
finally:
    print("argparse" in sys.modules)
"""


@pytest.mark.parametrize(
    "argv",
    [
        ["explain", "--no-config", "--output-format", "path"],
        ["locks", "--no-config"],
        ["run", "--no-config", "--", "no-such-command-anywhere"],
        ["explain", "--no-config", "--output-format", "yaml"],
        ["help", "run"],
    ],
)
def test_argparse_is_not_imported(tmp_path: Path, argv: list[str]) -> None:
    """No command line costs an import of argparse, in the program as a whole."""
    root = factories.virtualenv(tmp_path / "env")
    environ = {**factories.alone(tmp_path), "VIRTUAL_ENV": str(root)}
    program = [*factories.PROGRAM[:1], "-c", SEEN, json.dumps(argv)]
    done = factories.policy(environ=environ, cwd=tmp_path, program=program)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
