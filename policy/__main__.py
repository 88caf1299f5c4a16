"""The command line: finds the command, runs it, and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from policy.commands import COMMANDS
from policy.commands.options import complain, silence
from policy.commands.reading import Reader, parser_for
from policy.errors import ConfigError, PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
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
            silence(sys.stderr)
            return failed
    else:
        return code


def _run(arguments: list[str], failed: int) -> int:
    if arguments and arguments[0] in COMMANDS:
        command = __import__(f"policy.commands.{arguments[0]}", fromlist=["main"])  # importlib costs more
        reader = Reader()
        command.arguments(reader)
        read = reader.read(arguments[1:])
        if read is not None:
            return command.main(read)  # type: ignore[no-any-return]
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
    silence(sys.stdout)
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


def _show_faults(error: ConfigError) -> None:
    from attrs import evolve

    from policy.render.record import shorten
    from policy.toml.diagnostic import Location
    from policy.toml.document import show

    for diagnostic in error.diagnostics:
        location = Location(shorten(diagnostic.location.file), diagnostic.location.keys)
        sys.stderr.write(show(evolve(diagnostic, location=location)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
