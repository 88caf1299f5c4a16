from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.commands import COMMANDS
from policy.commands.reading import REMAINDER, Reader, parser_for
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ALL = sorted(COMMANDS)


def by_reader(command: str, argv: Sequence[str]) -> dict[str, Any] | None:
    """What the Reader makes of a command line."""
    reader = Reader()
    importlib.import_module(f"policy.commands.{command}").arguments(reader)
    read = reader.read(argv)
    return None if read is None else vars(read)


def by_argparse(command: str, argv: Sequence[str]) -> dict[str, Any] | None:
    """What argparse makes of a command line; None where it ends the program."""
    parser = parser_for([command])
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            known = vars(parser.parse_args([command, *argv]))
    except SystemExit:
        return None
    return {name: value for name, value in known.items() if name != "main"}


def names_of(command: str) -> list[str]:
    """Every spelling of every option of a command."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"policy.commands.{command}").arguments(parser)
    return [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001  (the same declarations)


NAMES = {command: names_of(command) for command in ALL}
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


@pytest.mark.parametrize("command", ALL)
@given(data=st.data())
def test_reads_as_argparse_does(command: str, data: st.DataObject) -> None:
    """Whatever the command line, the Reader leaves it to argparse, or says exactly what argparse would."""
    argv = data.draw(words(command))
    read = by_reader(command, argv)
    if read is not None:
        assert read == by_argparse(command, argv)


GOOD = [
    ("explain", []),
    ("explain", ["/srv/app/.venv"]),
    ("explain", ["--output-format", "json", "/srv/app/.venv", "-q"]),
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
    """What people type every day is read without argparse, and as argparse reads it."""
    read = by_reader(command, argv)
    assert read is not None
    assert read == by_argparse(command, argv)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("run", ["--timeout"]),
        ("run", ["--timeout", "-1", "true"]),
        ("run", ["--help"]),
        ("explain", ["a", "b"]),
        ("explain", ["--output-format", "yaml"]),
        ("explain", ["--quiet=1"]),
        ("explain", ["-qv"]),
        ("explain", ["--", "a"]),
        ("check", ["a.toml", "b.toml"]),
    ],
)
def test_leaves_the_rest_to_argparse(command: str, argv: list[str]) -> None:
    """Faults, help, clusters and lists of files are not the Reader's to judge."""
    assert by_reader(command, argv) is None


@pytest.mark.parametrize("declared", [{"type": int}, {"dest": "other"}, {"nargs": "+"}, {"action": "count"}])
def test_leaves_unknown_declarations_to_argparse(declared: dict[str, Any]) -> None:
    """An option that is declared with more than the Reader understands is never read wrongly: argparse reads it."""
    reader = Reader()
    reader.add_argument("--number", **declared)
    assert reader.read(["--number", "1"]) is None


def test_lists_are_not_shared() -> None:
    """Two readings of one declaration do not add to each other's lists."""
    reader = Reader()
    reader.add_argument("--env", action="append", default=["A=1"])
    for _ in range(2):
        read = reader.read(["--env", "B=2"])
        assert read is not None
        assert vars(read) == {"env": ["A=1", "B=2"]}


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
    ("argv", "imported"),
    [
        (["explain", "--no-config", "--output-format", "path"], False),
        (["locks", "--no-config", "-q"], False),
        (["run", "--no-config", "--", "no-such-command-anywhere"], False),
        (["explain", "--no-config", "--output-format", "yaml"], True),
    ],
)
def test_argparse_is_not_imported(tmp_path: Path, argv: list[str], imported: bool) -> None:  # noqa: FBT001
    """A good command line costs no import of argparse, in the program as a whole."""
    root = factories.virtualenv(tmp_path / "env")
    environ = {**factories.alone(tmp_path), "VIRTUAL_ENV": str(root)}
    program = [*factories.PROGRAM[:1], "-c", SEEN, json.dumps(argv)]
    done = factories.policy(environ=environ, cwd=tmp_path, program=program)
    assert done.stdout.splitlines()[-1] == str(imported), done.stderr
