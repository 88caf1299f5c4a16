"""Python itself: a script, a module, and the environments that `venv` and virtualenv make."""

from __future__ import annotations

import os

from policy import host
from policy.environment.change import Change, at, of_interpreter
from policy.environment.command import INSTALLERS, installer
from policy.environment.wrappers import Words, module_of, on_path, options
from policy.errors import UsageError

_VIRTUALENV = (
    "p python try-first-with discovery creator seeder activators prompt extra-search-dir pip setuptools wheel app-data "
    "pip-version with-traceback-file py-version cache-dir"
)


def python(command: Words) -> Change | None:
    """What the module that is run changes; else the interpreter's environment, where it is named by its path.

    A bare `python script.py` says nothing plainly: the script may work on whatever is active.

    Args:
        command: A Python command line.
    """
    module = module_of(command.words)
    program = command.words[0]
    if module and module[0] == "uv":
        return None
    if module and module[0] in INSTALLERS:
        interpreter = on_path(program, command)
        if not interpreter:
            return None
        inner = Words(module, command.environ, command.cwd, (*command.through, host.program_name(program)), interpreter)
        return installer(module[0])(inner)
    if os.sep not in program:
        return None
    return Change(command, of_interpreter(command.path(program), "interpreter of the command", command, names_it=True))


pypy = python


def venv(command: Words) -> Change | None:
    """The environment that `python -m venv DIR` makes.

    Args:
        command: `venv`, run by an interpreter.
    """
    return _made(command, "prompt", command.interpreter)


def virtualenv(command: Words) -> Change | None:
    """The environment that `virtualenv DIR` makes.

    Args:
        command: A virtualenv command line.
    """
    return _made(command, _VIRTUALENV, "")


def _made(command: Words, valued: str, base: str) -> Change | None:
    given, arguments = options(command.words[1:], valued)
    tool = host.program_name(command.words[0])
    if not arguments or given.keys() & {"h", "help", "version"}:
        return Change(command, None, tool, apart=f"this {tool} makes no environment")
    if len(arguments) > 1:
        raise UsageError(
            f"{tool} {' '.join(arguments)}: makes several environments; run `policy run` once for each of them"
        )

    def base_interpreter() -> str:
        return os.path.realpath(base) if base else ""

    root = command.path(arguments[0])
    return Change(command, at(root, f"argument of {tool}", command, base_interpreter), tool)
