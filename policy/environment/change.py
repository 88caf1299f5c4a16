"""What a command changes, and how a program leads to the interpreter that runs it."""

from __future__ import annotations

import os

from policy import host
from policy.environment import wrappers
from policy.environment.discovery import Environment, find, planned
from policy.errors import EnvironmentNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.environment.wrappers import Words

_BEGIN = 1024  # bytes; the shebang, and the line behind it where the interpreter's path is long
_PYTHONS = ("python", "pypy", "graalpy")


class Change:
    """What a command changes.

    Args:
        command: The command, behind what stands before it.
        environment: The environment that it changes; None where the command does not say.
        operation: What it does, as rules know it: `pip install`.
        apart: Why nothing of the surrounding environment is changed; "" where something may be.
        uncertain: What cannot be known without executing something; "" where all is known.
    """

    __slots__ = ("apart", "command", "environment", "operation", "uncertain")

    def __init__(
        self,
        command: Words,
        environment: Environment | None,
        operation: str | None = None,
        *,
        apart: str = "",
        uncertain: str = "",
    ) -> None:
        self.command: Words = command
        self.environment: Environment | None = environment
        self.operation: str | None = operation
        self.apart: str = apart
        self.uncertain: str = uncertain


def of_interpreter(path: str, found_by: str, command: Words, *, names_it: bool = False) -> Environment | None:
    """The environment of an interpreter that a command leads to.

    Args:
        path: The interpreter, absolute.
        found_by: What leads there.
        command: The command.
        names_it: Whether the user's own words name this file, which may then be asked; what a file of the checkout
            leads to is not executed.

    Returns:
        The environment, None where there is none, or it cannot be known without executing something.
    """
    root = os.path.dirname(os.path.dirname(path))
    conda = os.path.isdir(os.path.join(root, "conda-meta"))
    virtual = os.path.isfile(os.path.join(root, "pyvenv.cfg"))
    if not (names_it or conda or virtual) and os.path.realpath(path).startswith(os.path.join(command.cwd, "")):
        return None
    try:
        found = find(root if conda and not virtual else path, environ=command.environ, cwd=command.cwd)
    except EnvironmentNotFound:
        return None
    return found.replace(found_by=found_by)


def of_program(command: Words) -> Environment | None:
    """The environment of the interpreter that runs the program of a command.

    Args:
        command: Its first word is the program; or it is a module, and `interpreter` runs it.
    """
    if command.interpreter:
        found_by = f"{host.program_name(command.interpreter)} -m {command.words[0]}"
        return of_interpreter(command.interpreter, found_by, command, names_it=True)
    program = wrappers.on_path(command.words[0], command)
    if not program:
        return None
    path, found_by = interpreter_of(program, command)
    return of_interpreter(path, found_by, command) if path else None


def interpreter_of(program: str, command: Words) -> tuple[str, str]:
    """The interpreter that runs a script, and what says so: its first line, or the place where both stand.

    Args:
        program: The script, absolute.
        command: The command that it belongs to.
    """
    path = _shebang(host.of_others(program, _BEGIN), command)  # of what is not readable its place is left
    if path:
        return path, f"first line of {program}"
    for folder in dict.fromkeys((os.path.dirname(program), os.path.dirname(os.path.realpath(program)))):
        for name in ("python", "python3", "python.exe"):
            if os.path.isfile(os.path.join(folder, name)):
                return os.path.join(folder, name), f"interpreter beside {program}"
    return "", ""


def _shebang(begin: bytes, command: Words) -> str:
    """The Python that the kernel starts for a script; "" where it starts something else."""
    if not begin.startswith(b"#!"):
        return ""
    lines = [os.fsdecode(line) for line in begin.splitlines()[:2]]
    runs, _, argument = lines[0][2:].strip().partition(" ")
    name = os.path.basename(runs)
    if name == "env":
        words = wrappers.simple(argument.removeprefix("-S")) or [""]
        name = words[0]
        runs = wrappers.on_path(name, command) if name.startswith(_PYTHONS) else ""
    if name.startswith(_PYTHONS):
        return runs
    if name in host.SHELLS and len(lines) > 1 and lines[1].startswith("'''exec' "):
        # pip, distlib and uv write this where the kernel would cut a long path, or split it at a blank.
        path = lines[1].removeprefix("'''exec' ").lstrip("\"'").partition(' "$0"')[0].rstrip("\"'")
        if os.path.isabs(path):
            return path
    return ""


def at(root: str, found_by: str, command: Words, base: str | Callable[[], str] = "") -> Environment:
    """The environment at a root, which need not exist yet.

    Args:
        root: Absolute.
        found_by: What names it.
        command: The command that will work on it.
        base: The interpreter that it will be made from.
    """
    try:
        found = find(root, environ=command.environ, cwd=command.cwd)
    except EnvironmentNotFound:
        return planned(root, found_by, base)
    return found.replace(found_by=found_by) if found.exists else planned(root, found_by, base)
