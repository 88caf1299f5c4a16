"""`policy run`: holds the lock while a command runs."""

from __future__ import annotations

import os
import sys

from policy import acquire
from policy.commands import options
from policy.commands.reading import REMAINDER, Arguments, Parser
from policy.errors import UsageError
from policy.locks.hold import MARKER, Held, drive, merged
from policy.rules.hints import hints_in_run
from policy.rules.request import Request
from policy.variables import given
from policy.wrap import Wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from policy.locks.backend import Lock
    from policy.rules.decision import Decision
    from policy.subject import Subject

ENVIRONMENT = "LOCK_POLICY_ENVIRONMENT"  # tells the command, and `policy locks`, whose lock it runs under
TELL_AFTER = 2.0  # seconds of waiting before anything is said; on a terminal sooner
TELL_AGAIN = 30.0


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND", help="what to run while the lock is held")
    parser.add_argument(
        "--close",
        action="store_true",
        help="the command does not inherit the lock: daemons that it leaves do not hold it",
    )
    parser.add_argument(
        "--shared",
        action="store_true",
        help="hold the lock for reading: others may read at the same time, and nobody changes the environment",
    )
    parser.add_argument("--unused", action="store_true", help="also wait until no process runs from the environment")
    options.environment(parser)
    options.configuration(parser)
    options.settings(parser)
    options.quiet(parser)
    options.verbose(parser)


def main(arguments: Arguments) -> int:
    """Decides, holds, and becomes the command."""
    command = arguments.command
    if not command:
        raise UsageError("name a command: policy run -- COMMAND [ARG ...]")
    caller = options.caller(arguments)
    seen = options.subject(arguments, caller, command)
    if seen.environment is None:
        if arguments.verbose:
            options.note(f"no lock is held: {seen.apart}")
        return _start(command, dict(given(caller.environ)), Held(), close=arguments.close)
    return locked(command, arguments, seen, Request(seen.environment, caller))


def locked(
    command: Sequence[str],
    arguments: Arguments,
    seen: Subject,
    request: Request,
    done: Callable[[], bool] | None = None,
) -> int:
    """Runs a command while the locks are held.

    Args:
        command: The command line.
        arguments: The options.
        seen: What the command is about.
        request: What is locked, and who asks.
        done: Asked when the locks are held: whether there is nothing left to do.

    Returns:
        The exit code; where the command replaces this process, it does not return.
    """
    tell = _silent if arguments.quiet else options.note
    rules = options.rules(arguments)
    decision = rules.decide(request)
    _announce(decision, arguments, seen)
    held, wrapped = Held(), Wrapped(seen)
    decision = drive(
        held,
        acquire.steps(
            held,
            rules,
            decision,
            warn=tell,
            adapt=_releasing(wrapped),
            unused=arguments.unused,
            shared=arguments.shared,
            waiting=None if arguments.quiet else _waiting,
            disposable=True,
        ),
    )
    if done and done():
        held.release()
        return 0
    adapted = wrapped.adaptation
    for note in (*adapted.notes, *(f"hint: {hint}" for hint in hints_in_run(decision))):
        tell(note)
    environ = {**given(request.caller.environ), **adapted.environ, ENVIRONMENT: decision.environment.root}
    if marker := merged(held.marker, request.caller.environ.get(MARKER, "")):
        environ[MARKER] = marker
    return _start(command, environ, held, close=arguments.close, replaced=adapted.replaced)


def _announce(decision: Decision, arguments: Arguments, seen: Subject) -> None:
    """Prints what the options and the configuration are warned of, and with `-v` what will be held."""
    for warning in () if arguments.quiet else filter(None, (seen.warning, *decision.warnings)):
        options.warn(warning)
    if arguments.verbose:
        sys.stderr.write(options.explained(decision, seen) + "\n")


def _releasing(wrapped: Wrapped) -> Callable[[Decision], tuple[Sequence[Lock], Sequence[Lock]]]:
    """Splits a plan for the command, and before a lock that outlives this process sees that a signal releases it."""

    def split(decision: Decision) -> tuple[Sequence[Lock], Sequence[Lock]]:
        if any(lock.outlives for lock in decision.plan):
            from policy.commands.child import exit_on_signals

            exit_on_signals()
        return wrapped.split(decision)

    return split


def _start(
    command: Sequence[str],
    environ: dict[str, str],
    held: Held,
    *,
    close: bool,
    replaced: frozenset[str] = frozenset(),
) -> int:
    """Becomes the command, or stays beside it."""
    if not close and sys.platform != "win32":
        held.inherit()
    if close or sys.platform == "win32" or any(lock.outlives or lock.deadline is not None for lock in held.taken):
        from policy.commands.child import stay

        return stay(command, environ, held, replaced)
    return _become(command, environ)


def _become(command: Sequence[str], environ: dict[str, str]) -> int:
    """Replaces this process, so that the locks last as long as the command and no wrapper is left to be killed."""
    if sys.platform != "win32":
        # As `signal` has them, which imports enum, for a fifth of the time that this program takes.
        import _signal as signal  # type: ignore[import-not-found]  # typeshed does not list it; `signal` imports enum

        # Python ignores these two from its start on; the command must not
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        _execute(list(command), environ)
    except (OSError, ValueError) as error:
        from policy.commands.child import cannot_start

        return cannot_start(command[0], error)


def _execute(command: list[str], environ: dict[str, str]) -> NoReturn:
    """Replaces this process as `os.execvpe` does, which imports `warnings` first.

    Raises:
        OSError: The program cannot be started.
        ValueError: An argument has a NUL.
    """
    if not os.path.dirname(command[0]):
        effective = os.access in os.supports_effective_ids
        for folder in environ.get("PATH", os.defpath).split(os.pathsep):
            path = os.path.join(folder, command[0])
            if os.access(path, os.X_OK, effective_ids=effective):
                try:
                    os.execve(path, command, environ)
                except OSError:
                    break  # a folder, or no program after all: the slow way goes on from here, and knows the error
    os.execvpe(command[0], command, environ)


def _waiting(lock: Lock, seconds: float) -> float:
    """Says which lock is waited for and who holds it; returns when to say it again."""
    first = 0.5 if sys.stderr.isatty() else TELL_AFTER
    if seconds < first:
        return first - seconds
    who = "; ".join(map(str, lock.holders())) or "a process that is not visible from here"
    advice = f"; {lock.advice}" if lock.advice else ""
    options.note(f"waiting for {lock.name} ({seconds:.0f} s so far), held by {who}{advice}")
    return TELL_AGAIN


def _silent(message: str) -> None:
    del message
