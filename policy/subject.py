"""What a command is about: the environment that it changes, by its own words, by options, or as discovery finds it."""

from __future__ import annotations

import os

from policy import host
from policy.environment import command as commands
from policy.errors import PolicyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from policy.environment.change import Change
    from policy.environment.discovery import Environment
    from policy.rules.request import Caller
    from policy.uv.command import Command


class Subject:
    """What a command is about.

    Args:
        environment: What it changes; None where nothing of the surrounding environment is.
        uv: The uv command that it is, None for any other.
        apart: Why no environment is held; "" where one is.
        uncertain: What of this cannot be known beforehand; "" where all is.
        environ: The variables that it gets; None: those of the caller.
        operation: What it does, as rules know it; "" where that is not known.
        warning: What is wrong where options name another environment than the command changes; "" where nothing is.
    """

    __slots__ = ("apart", "environ", "environment", "operation", "uncertain", "uv", "warning")

    def __init__(
        self,
        environment: Environment | None,
        uv: Command | None = None,
        *,
        apart: str = "",
        uncertain: str = "",
        environ: Mapping[str, str] | None = None,
        operation: str = "",
        warning: str = "",
    ) -> None:
        self.environ: Mapping[str, str] | None = environ
        self.operation: str = operation
        self.environment: Environment | None = environment
        self.uv: Command | None = uv
        self.apart: str = apart
        self.uncertain: str = uncertain
        self.warning: str = warning


def subject(words: Sequence[str], caller: Caller, found: Callable[[], Environment], *, named: bool) -> Subject:
    """Reads a command line.

    Args:
        words: The command.
        caller: Who starts it; its operation is set where the command says one and the caller none.
        found: Finds the environment that options name, or else an active one, a near one or one on PATH.
        named: Whether options name an environment, which is stronger than the command.

    Returns:
        The environment that is to be locked for it.

    Raises:
        UsageError: It names another environment in a way that cannot be understood, or several.
        EnvironmentNotFound: Neither it nor anything else leads to an environment.
    """
    change = commands.changed_by(words, caller.environ, caller.cwd)
    inner = change.command if change else None
    uv = _parsed(inner.words, inner.environ, inner.cwd) if inner else _parsed(words, caller.environ, caller.cwd)
    operation = uv.operation if uv else (change.operation if change else None) or ""
    caller.operation = caller.operation or operation or None
    environ = inner.environ if inner else caller.environ
    if named:
        environment = found()
        warning = _warning(environment, uv, change)
        return Subject(environment, uv, environ=environ, operation=operation, warning=warning)
    if uv:
        return _uv(uv, found)
    if change and change.apart:
        return Subject(None, apart=change.apart)
    if change and change.environment:
        return Subject(change.environment, uncertain=change.uncertain, environ=environ, operation=operation)
    environment = found()
    if not change or not change.operation:
        _refuse_another(words, environment, caller)
    return Subject(environment, uncertain=change.uncertain if change else "", environ=environ)


def _parsed(words: Sequence[str], environ: Mapping[str, str], cwd: str) -> Command | None:
    """The uv command that a command line is, started by its name or by `python -m`."""
    if not os.path.basename(words[0]).lower().startswith(("uv", "py", "graalpy")):
        return None
    from policy.uv.command import parse

    return parse(words, environ, cwd)


def _uv(uv: Command, found: Callable[[], Environment]) -> Subject:
    """What a uv command works on."""
    from policy.uv.environment import environment, works_on_none
    from policy.uv.locks import certain, inner

    while uv.operation == "tool run" and (child := inner(uv, None)):
        uv = child
    if works_on_none(uv):
        return Subject(None, uv, apart=f"uv {uv.operation} changes no environment of this directory".replace("  ", " "))
    works_on = environment(uv)
    if not certain(uv, works_on) and _knows_release(uv):
        works_on = environment(uv)
    uncertain = "" if certain(uv, works_on) else "releases of uv differ in which environment this changes"
    return Subject(works_on or found(), uv, uncertain=uncertain, operation=uv.operation)


def _warning(named: Environment, uv: Command | None, change: Change | None) -> str:
    """What is wrong where a command plainly changes another environment than the one that options name."""
    if uv:
        what, other = f"uv {uv.operation}", _changed(uv)
    elif change and change.operation and not change.uncertain:
        what, other = change.operation, change.environment
    else:
        return ""
    if other is None or os.path.realpath(other.root) == os.path.realpath(named.root):
        return ""
    by = "ENV" if named.found_by == "argument" else named.found_by
    return (
        f"{what} works on {other.root}, but {by} names {named.root}, which is locked instead; leave {by} out to lock "
        f"{other.root}"
    )


def _changed(uv: Command) -> Environment | None:
    """The environment that a uv command changes whatever its release; None where it is none, or that is not plain."""
    from policy.uv.environment import CHANGE_PROJECT, environment, in_project, metadata_script, only_interpreter
    from policy.uv.locks import certain, changes_nothing

    if changes_nothing(uv) or only_interpreter(uv):
        return None
    if uv.operation in CHANGE_PROJECT and (in_project(uv) is None or metadata_script(uv)):
        return None  # an interpreter is all that uv needs
    try:
        found = environment(uv)
    except PolicyError:
        return None  # uv will say what is wrong there
    return found if certain(uv, found) else None


def _knows_release(uv: Command) -> bool:
    """Finds out which uv will be started, where releases differ; whether that is known now."""
    if uv.release is None and len(uv.launch) == 1:
        from policy.uv.release import known

        named = uv.launch[0]
        program = os.path.join(uv.cwd, named) if os.sep in named else next(host.programs(uv.environ, named), "")
        uv.release = known(program, uv.environ, uv.cwd) if program else ()
    return bool(uv.release)


def _refuse_another(words: Sequence[str], environment: Environment, caller: Caller) -> None:
    """Refuses a command that plainly names an environment, although nothing says what it does with it."""
    named = dict(commands.named(words, caller.cwd))
    roots = {os.path.realpath(root): (word, root) for word, root in named.items()}
    if not roots or os.path.realpath(environment.root) in roots:
        return
    word, root = next(iter(roots.values()))
    raise UsageError(
        f"{word} belongs to {root}, but the environment found by {environment.found_by} is {environment.root}: "
        f"say which is changed, with policy run --python {root} -- ... or --python {environment.root}"
    )
