"""The environment that a uv command will work on, found as uv finds it."""

from __future__ import annotations

import os
import sys

from policy import host
from policy.environment.discovery import Environment, find, into, planned
from policy.errors import EnvironmentNotFound
from policy.uv.projects import VENV_FILE, has_metadata, pip_settings, project_environment, venv_file, workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from policy.uv.command import Command

# uv's commands, by what they work on: each is in one of these sets, except `venv`.
CHANGE_PROJECT = frozenset({"add", "check", "remove", "run", "sync", "version", "workspace metadata"})
READ_PROJECT = frozenset({"audit", "export", "format", "lock", "tree"})  # they make no environment where there is none
CHANGE_ENVIRONMENT = frozenset({"pip install", "pip sync", "pip uninstall"})
READ_ENVIRONMENT = frozenset({"pip check", "pip freeze", "pip list", "pip show", "pip tree"})
TOOLS = frozenset({"tool audit", "tool install", "tool list", "tool run", "tool uninstall", "tool upgrade"})
PYTHONS = frozenset({"python install", "python uninstall", "python upgrade"})
CACHE = frozenset({"cache clean", "cache prune"})
OTHERS = frozenset(
    (
        *("", "build", "build-backend", "generate-shell-completion", "help", "init", "publish"),
        *("auth dir", "auth helper", "auth login", "auth logout", "auth token", "cache dir", "cache size"),
        *("pip compile", "pip debug", "python dir", "python find", "python list", "python pin", "python update-shell"),
        *("self update", "self version", "tool dir", "tool update-shell", "workspace dir", "workspace list"),
    )
)
_PASSED_OVER = frozenset({"UV_PYTHON", "CONDA_PREFIX", "VIRTUAL_ENV"})
_SEARCH_PATH = (0, 11, 8)  # the first to know UV_PYTHON_SEARCH_PATH
_WINDOWS = sys.platform == "win32"


def environment(command: Command) -> Environment | None:
    """The environment that uv will work on.

    Args:
        command: A uv command.

    Returns:
        The environment, which for commands that make it may not exist yet; None where the command works on none, or uv
        will not find any: then the design's order of discovery holds.
    """
    operation = command.operation
    try:
        if operation.startswith("pip "):
            return _pip(command)
        if operation == "venv":
            return _venv(command)
        if operation in CHANGE_PROJECT | READ_PROJECT:
            return _project(command)
    except EnvironmentNotFound:
        return None
    return None


def works_on_none(command: Command) -> bool:
    """Whether a command neither reads nor changes an environment: tools, Pythons, the cache, what is packed and sent.

    Args:
        command: A uv command; one that is not known here may do anything.
    """
    return command.operation in OTHERS | TOOLS | PYTHONS | CACHE


def _pip(command: Command) -> Environment | None:
    settings = pip_settings(command)
    system = command.system or (settings.get("system") is True and not command.flag("no-system"))
    found = _wanted(command)
    if not found and isinstance(settings.get("python"), str):
        found = _requested(command, settings["python"], "uv's configuration")
    elif not found:
        found = _on_path(command) if system else _discovered(command)
    for kind in ("target", "prefix"):
        named = command.options.get(kind) or settings.get(kind)
        if isinstance(named, str):
            return into(found, os.path.join(command.cwd, named), kind, f"--{kind}")
    return found


def _venv(command: Command) -> Environment:
    """The environment that `uv venv` makes: the project's own only from its root, as before it knew projects."""
    if command.arguments:
        return _at(command, os.path.join(command.cwd, command.arguments[0]), "argument")
    root = None if command.flag("no-project", "UV_NO_PROJECT") else workspace(command)
    if root and root == os.path.abspath(command.project):
        return _at(command, *project_environment(command, root))
    return _at(command, os.path.join(command.cwd, ".venv"), ".venv")


def in_project(command: Command) -> str | None:
    """The root of the workspace, if the command works on one.

    Args:
        command: A uv command.

    Returns:
        An absolute path, or None outside of projects, or where the command ignores them.
    """
    if command.flag("no-project", "UV_NO_PROJECT") and command.operation in {"run", "venv", "format"}:
        return None
    return workspace(command)


def metadata_script(command: Command) -> str | None:
    """The script with metadata of its own that a command works on, absolute."""
    script = command.script
    if script and command.operation == "run" and not has_metadata(script):
        return None
    return script


def _project(command: Command) -> Environment | None:
    if metadata_script(command):
        # uv asks for an interpreter only, and keeps the environment of the script in its cache.
        return _wanted(command) or _discovered(command)
    root = in_project(command)
    if root is None:
        return _wanted(command) or _discovered(command) if command.operation == "run" else None
    place, found_by = project_environment(command, root)
    if command.operation in READ_PROJECT or only_interpreter(command):
        existing = _existing(command, place, found_by)
        if existing and _satisfied(command, existing):
            return existing
        # Virtual environments are passed over here, unless they are named.
        return _wanted(command) or _on_path(command)
    return _at(command, place, found_by)


def only_interpreter(command: Command) -> bool:
    """Whether uv needs an interpreter only, so that it takes the requested one if there is no `.venv`."""
    return command.operation in {"add", "remove"} and (
        command.no_sync or (command.operation == "add" and command.frozen)
    )


def _satisfied(command: Command, environment: Environment) -> bool:
    """Whether uv takes a project's environment although some Python is asked for: it does if the base is the same."""
    try:
        wanted = _wanted(command)
    except EnvironmentNotFound:
        return False
    if wanted is None:
        return True
    for one in (environment.interpreter, environment.base_interpreter):
        try:
            if os.path.samefile(one, wanted.interpreter):
                return True
        except OSError:
            continue
    return wanted.root == environment.root


def _wanted(command: Command) -> Environment | None:
    """What `--python` or else `UV_PYTHON` asks for; None where neither does."""
    return _requested(command, command.python, command.python_from) if command.python else None


def _requested(command: Command, request: str, found_by: str) -> Environment:
    """What a request means: a path, a command on PATH, a version."""
    path = os.path.join(command.cwd, request)
    if os.sep in request or (_WINDOWS and "/" in request) or os.path.exists(path):
        found = _found(path, command)
    else:
        # With the variable, not the option: for uv both mean the same, what is active or near comes first.
        found = find(environ={**_searched(command), "UV_PYTHON": request}, cwd=command.cwd)
    return found.replace(found_by=found_by)


def _discovered(command: Command) -> Environment | None:
    """What is active, near, or on PATH, in uv's order."""
    environ = command.environ
    conda = environ.get("CONDA_PREFIX")
    base = bool(conda) and _is_base(conda or "", environ)
    for named, found_by in (
        (environ.get("UV_INTERNAL__PARENT_INTERPRETER"), "python -m uv"),
        (environ.get("VIRTUAL_ENV"), "VIRTUAL_ENV"),
        (None if base else conda, "CONDA_PREFIX"),
    ):
        if named and (found := _existing(command, named, found_by)):  # what is gone is passed over
            return found
    if found := _by_file(command):
        return found
    without = {name: value for name, value in environ.items() if name not in _PASSED_OVER}
    found = find(environ=without, cwd=command.cwd)
    if found.found_by == ".venv":
        return found
    if conda and base and (active := _existing(command, conda, "CONDA_PREFIX")):
        return active
    return _on_path(command, "") or found


def _by_file(command: Command) -> Environment | None:
    """The environment that the nearest `.venv` leads to, where that is a file."""
    if not command.since(VENV_FILE):
        return None
    for folder in host.upward(command.cwd):
        if os.path.lexists(os.path.join(folder, ".venv")):
            named = venv_file(folder)
            return _existing(command, named, ".venv") if named else None
    return None


def _is_base(prefix: str, environ: Mapping[str, str]) -> bool:
    """Whether conda's base environment is active, which uv takes for a part of the system (uv 0.9 and later)."""
    if os.path.isfile(os.path.join(prefix, "conda-meta", "pixi")):
        return False
    if environ.get("_CONDA_ROOT") == prefix:
        return True
    name = environ.get("CONDA_DEFAULT_ENV")
    return name is not None and name not in {prefix, os.path.basename(prefix)}


def _on_path(command: Command, kind: str = "system") -> Environment | None:
    """The first Python on PATH whose environment is of a kind; "" for any."""
    parent = command.environ.get("UV_INTERNAL__PARENT_INTERPRETER")
    # In uv's order: all names of a folder, then the next folder.
    for path in (*([parent] if parent else ()), *host.programs(_searched(command), "python", "python3")):
        try:
            found = find(path, environ=command.environ, cwd=command.cwd)
        except EnvironmentNotFound:
            continue  # uv goes on too if a program of that name does not answer
        if kind in {"", found.kind}:
            return found.replace(found_by="PATH")
    return None


def _searched(command: Command) -> Mapping[str, str]:
    """The variables, with the PATH on which interpreters are looked for."""
    path = command.environ.get("UV_PYTHON_SEARCH_PATH")
    return {**command.environ, "PATH": path} if path and command.since(_SEARCH_PATH) else command.environ


def _found(path: str, command: Command) -> Environment:
    """The environment at a path, where there is one: uv takes none that is yet to be made."""
    found = find(path, environ=command.environ, cwd=command.cwd)
    if not found.exists:
        raise EnvironmentNotFound(f"{path}: no such environment")
    return found


def _existing(command: Command, root: str, found_by: str) -> Environment | None:
    try:
        return _found(os.path.join(command.cwd, root), command).replace(found_by=found_by)
    except EnvironmentNotFound:
        return None


def _at(command: Command, root: str, found_by: str) -> Environment:
    """The environment at a root; where there is none yet, what uv will make there."""
    existing = _existing(command, root, found_by)
    if existing:
        return existing

    def base() -> str:
        try:
            wanted = _wanted(command) or _on_path(command)
        except EnvironmentNotFound:
            return ""
        return wanted.base_interpreter if wanted else ""

    return planned(root, found_by, base)
