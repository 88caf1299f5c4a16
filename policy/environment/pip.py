"""pip: which environment it installs into."""

from __future__ import annotations

import os

from policy.environment.change import Change, at, of_interpreter, of_program
from policy.environment.discovery import into
from policy.environment.wrappers import on_path, options
from policy.variables import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.environment.discovery import Environment
    from policy.environment.wrappers import Words

_VALUED = (
    "abi build-constraint cache-dir cert client-cert config-setting config-settings constraint dest editable "
    "exists-action extra-index-url find-links global-option group hash implementation index-url keyring-provider "
    "log no-binary only-binary platform prefix progress-bar proxy python python-version report requirement "
    "requirements-from-script resume-retries retries root root-user-action src t/target timeout trusted-host "
    "uploaded-prior-to upgrade-strategy use-deprecated use-feature wheel-dir C c d e f i r w"
)


def pip(command: Words) -> Change:
    """The environment of the interpreter that runs pip or that `--python` names, or the directory of an option.

    Args:
        command: A pip command line.
    """
    given, arguments = options(command.words[1:], _VALUED)
    operation = f"pip {arguments[0]}" if arguments else "pip"
    named, named_by = _value("python", given, command)
    found = _named(named, named_by, command) if named else of_program(command)
    if operation == "pip install":
        found = _directory(found, given, command)
    uncertain = "" if found else "which interpreter runs this pip cannot be seen without executing it"
    return Change(command, found, operation, uncertain=uncertain)


def _value(name: str, given: dict[str, str], command: Words) -> tuple[str, str]:
    """What an option or pip's variable for it says, and which of them."""
    if given.get(name):
        return given[name], f"--{name} of pip"
    variable = f"PIP_{name.upper()}"
    return command.environ.get(variable, ""), variable


def _named(named: str, found_by: str, command: Words) -> Environment | None:
    """The environment that `--python` names by a root, an interpreter, or a command."""
    path = command.path(named)
    if os.path.isdir(path):
        return at(path, found_by, command)
    if not os.path.isfile(path) and os.sep not in named:
        path = on_path(named, command)
    return of_interpreter(path, found_by, command, names_it=True) if path else None


def _directory(found: Environment | None, given: dict[str, str], command: Words) -> Environment | None:
    """The directory that is installed into instead: `--target`, `--root`, `--prefix`, or the user's own."""
    # pip puts `--prefix` below `--root`, so that the latter holds all that is changed.
    for name, kind in (("target", "target"), ("root", "prefix"), ("prefix", "prefix")):
        directory, found_by = _value(name, given, command)
        if directory:
            return into(found, command.path(directory), kind, found_by)
    if "user" in given or boolean(command.environ.get("PIP_USER", "")):
        base = command.environ.get("PYTHONUSERBASE") or "~/.local"
        return into(found, command.path(base), "prefix", "--user of pip")
    return found


def ensurepip(command: Words) -> Change:
    """The environment of the interpreter, or the directory of `--root`.

    Args:
        command: `ensurepip`, run by an interpreter.
    """
    given, _ = options(command.words[1:], "root")
    found = of_program(command)
    if given.get("root"):
        found = into(found, command.path(given["root"]), "prefix", "--root of ensurepip")
    return Change(command, found, "ensurepip")
