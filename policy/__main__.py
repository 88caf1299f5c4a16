"""The command line: finds the command, runs it, and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from policy import __version__
from policy.commands import COMMANDS
from policy.commands.options import complain
from policy.errors import ConfigError, PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

STDERR = 2
USAGE = 2
FAILED = 125  # `run` keeps 2 for its command, as env(1) and timeout(1) do
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The arguments after the program's name; absent: those of this process.

    Returns:
        The exit code: 0 fine, 1 a finding, 2 usage or configuration error; `run` follows env(1) and timeout(1).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    failed = FAILED if arguments[:1] == ["run"] else USAGE
    _make_streams_usable()
    try:
        code = _run(arguments, failed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (PolicyError, OSError) as error:
        try:
            return _failure(error, failed)
        except OSError:  # stderr went away, too
            return failed
    else:
        return code


def _run(arguments: list[str], failed: int) -> int:
    try:
        known = parser_for(arguments).parse_args(arguments)
    except SystemExit as end:  # argparse has written the help, the version, or what is wrong
        return failed if end.code else 0
    return known.main(known)  # type: ignore[no-any-return]


def _failure(error: PolicyError | OSError, failed: int) -> int:
    """Says what went wrong, and answers the exit code."""
    if isinstance(error, ConfigError):
        _show_faults(error)
        return failed
    if isinstance(error, PolicyError):
        complain(str(error))
        return failed if error.exit_code == USAGE else error.exit_code
    # what stdout has not taken must not be tried again when Python ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError) and failed == USAGE:
        return 0  # the reader has seen enough
    complain(str(error))
    return failed


def _make_streams_usable() -> None:
    """Makes sure that whatever is written to stdout and stderr can be.

    The number of a stream that was closed is given away, for else the next file that is opened would get it, and a
    command would write its output into a lock. The command itself does not inherit it, and finds the stream closed.
    """
    if None in {sys.stdin, sys.stdout, sys.stderr}:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
            pass
        os.close(descriptor)
        sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (until this process ends)
        sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (the same)
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def parser_for(arguments: Sequence[str]) -> ArgumentParser:
    """The parser, with the options of the command that is called; other commands are only named.

    Args:
        arguments: What it will be asked to read.
    """
    from argparse import ArgumentParser
    from importlib import import_module

    parser = ArgumentParser(
        prog="policy", description="Decides where the lock on a Python environment lives, and holds it."
    )
    parser.add_argument("--version", action="version", version=f"lock-policy {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, help in COMMANDS.items():  # noqa: A001
        called = name in arguments[:1]
        command = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=False)
        if called:
            module = import_module(f"policy.commands.{name}")
            module.arguments(command)
            command.set_defaults(main=module.main)
    return parser


def _show_faults(error: ConfigError) -> None:
    from attrs import evolve

    from policy.documents import show
    from policy.place import Place
    from policy.render.record import shorten

    for fault in error.faults:
        place = Place(shorten(fault.place.file), fault.place.keys)
        sys.stderr.write(show(evolve(fault, place=place)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
