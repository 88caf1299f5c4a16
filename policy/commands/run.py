"""`policy run`: holds the lock while a command runs."""

from __future__ import annotations

import os
import sys

from policy import holding, locks
from policy.commands import options
from policy.errors import LockUnavailable, UsageError
from policy.nesting import MARKER, joined
from policy.request import Request
from policy.uv.command import parse
from policy.uv.environment import environment
from policy.uv.treatment import Treatment, treatment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from policy.engine import Decision
    from policy.environment import Environment
    from policy.locks import Held
    from policy.request import Caller
    from policy.uv.command import Command

TELL_AFTER = 2.0  # seconds of waiting before anything is said; on a terminal sooner
TELL_AGAIN = 30.0


def arguments(parser: ArgumentParser) -> None:
    """The options of the command."""
    from argparse import REMAINDER

    parser.usage = "policy run [options] -- COMMAND [ARG ...]"
    parser.add_argument("command", nargs=REMAINDER, metavar="-- COMMAND", help="what to run while the lock is held")
    parser.add_argument(
        "--close",
        action="store_true",
        help="the command does not inherit the lock: daemons that it leaves do not hold it",
    )
    options.environment(parser)
    options.configuration(parser)
    options.settings(parser)
    options.output(parser)


def main(arguments: Namespace) -> int:
    """Decides, holds, and becomes the command."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise UsageError("name a command: policy run -- COMMAND [ARG ...]")
    caller = options.caller(arguments)
    uv = parse(command, caller.environ, caller.cwd)
    request = Request(_environment(arguments, caller, uv), caller)
    rules = options.rules(arguments)
    tell = _silent if arguments.quiet else options.note
    decision = rules.decide(request)
    for warning in () if arguments.quiet else rules.warnings:
        options.warn(warning)

    def hold(decision: Decision) -> Held:
        treatment = _treatment(uv, decision)
        return locks.hold(
            [path for path in holding.paths(decision) if path not in treatment.left],
            timeout=decision.timeout,
            environ=caller.environ,
            waiting=None if arguments.quiet else _waiting,
            disposable=True,
            **holding.options(decision),
        )

    decision, held = holding.take(decision, lambda: rules.decide(request), hold, tell)
    treatment = _treatment(uv, decision)
    for note in treatment.notes:
        tell(note)
    environ = {**caller.environ, **treatment.environ}
    if arguments.close or sys.platform == "win32":
        from policy.commands.child import stay

        return stay(command, environ, held)
    return _become(command, environ, held)


def _environment(arguments: Namespace, caller: Caller, uv: Command | None) -> Environment:
    """The environment that the options name, else the one that uv will work on, else what is found."""
    if uv is not None:
        caller.operation = caller.operation or uv.operation
        if not (arguments.python or arguments.target or arguments.prefix):
            found = environment(uv)
            if found:
                return found
    return options.found(arguments, caller)


def _treatment(uv: Command | None, decision: Decision) -> Treatment:
    """What is left to uv; refused where uv would wait for a lock that a `policy run` above it holds."""
    if uv is None:
        return Treatment()
    treated = treatment(uv, decision)
    text = decision.request.caller.environ.get(MARKER, "")
    for path in treated.left:
        if text and joined(path, text):
            raise LockUnavailable(
                path,
                0,
                "a `policy run` that started this one holds it, and uv would wait for it for ever",
                remedy='start uv without the outer `policy run`, or give the outer one a rule with lock = "global"',
            )
    return treated


def _become(command: Sequence[str], environ: dict[str, str], held: Held) -> int:
    """Replaces this process, so that the locks last as long as the command and no wrapper is left to be killed."""
    import signal

    held.inherit()
    if held.files:
        environ[MARKER] = held.marker
    # Python ignores these two; the command must find them as its parent had them
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(command[0], list(command), environ)
    except (OSError, ValueError) as error:
        from policy.commands.child import cannot_start

        return cannot_start(command[0], error)


def _waiting(path: str, seconds: float) -> float:
    """Says which file is waited for and who holds it; returns when to say it again."""
    first = 0.5 if sys.stderr.isatty() else TELL_AFTER
    if seconds < first:
        return first - seconds
    from policy.holders import holders

    who = "; ".join(map(str, holders(path))) or "somebody who cannot be seen from here"
    options.note(f"waiting for {path} ({seconds:.0f} s so far), held by {who}")
    return TELL_AGAIN


def _silent(message: str) -> None:
    del message
