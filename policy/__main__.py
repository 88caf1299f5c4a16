"""The command line: finds the command, runs it, and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from policy.commands import AS_ENV, COMMANDS, module_of, parser_for
from policy.commands.options import complain, silence
from policy.commands.reading import CommandLineError
from policy.errors import ConfigError, PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.commands.reading import Arguments

STDERR = 2
USAGE = 2
FAILED = 125
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The arguments after the program's name; absent: those of this process.

    Returns:
        The exit code: 0 fine, 1 a finding, 2 usage or configuration error; `run` follows env(1) and timeout(1).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    failed, verbose = USAGE, False
    _make_streams_usable()
    try:
        name, words = _called(words)
        failed = FAILED if name in AS_ENV else USAGE
        read = parser_for(name).read(words)
        verbose = getattr(read, "verbose", False)
        code = _run(name, read)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (PolicyError, OSError) as error:
        try:
            code = _failure(error, failed)
            if verbose and code:
                _refer(code)
        except OSError:  # stderr went away, too
            silence(sys.stderr)
            return failed
    return code


def _called(words: list[str]) -> tuple[str, list[str]]:
    """The command that is called, and its words."""
    if words and words[0] in COMMANDS:
        return words[0], words[1:]
    from policy.commands.help import called

    return called(words)


def _run(name: str, read: Arguments) -> int:
    if read.help or read.version:
        from policy.commands import help

        help.show_version() if read.version else help.show(name)
        return 0
    return module_of(name).main(read)  # type: ignore[no-any-return]  # each command's module has one


def _failure(error: PolicyError | OSError, failed: int) -> int:
    """Says what went wrong, and answers the exit code."""
    if isinstance(error, ConfigError):
        _show_diagnostics(error)
        return failed
    if isinstance(error, CommandLineError):
        from policy.commands.help import misread

        sys.stderr.write(f"usage: {error.usage}\n")
        complain(misread(error))
        return failed
    if isinstance(error, PolicyError):
        complain(str(error))
        return failed if error.exit_code == USAGE else error.exit_code
    silence(sys.stdout)
    if isinstance(error, BrokenPipeError) and failed == USAGE:
        return 0  # the reader has seen enough
    complain(str(error))
    return failed


def _refer(code: int) -> None:
    """Says what an exit code means."""
    from policy.commands.options import note
    from policy.manual import EXIT_CODES, RUN_EXIT_CODES

    note(f"exit code {code}: {(EXIT_CODES | RUN_EXIT_CODES)[str(code)]}")


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


def _show_diagnostics(error: ConfigError) -> None:
    from attrs import evolve

    from policy.render.layout import fit_messages, width
    from policy.render.record import shorten
    from policy.toml.diagnostic import Location
    from policy.toml.document import show

    for diagnostic in error.diagnostics:
        location = Location(shorten(diagnostic.location.file), diagnostic.location.keys)
        sys.stderr.write(fit_messages(show(evolve(diagnostic, location=location)), width(sys.stderr)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
