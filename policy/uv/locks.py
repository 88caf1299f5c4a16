"""What a uv command locks by itself.

Observed with strace on 0.7.13, 0.8.24, 0.9.30, 0.11.33 and 0.13.9, see `tests/end_to_end/test_uv_traced.py`:

| command | locks |
|---|---|
| `add`, `remove`, `sync`, `check` | workspace, then environment |
| `add --no-sync`, `add --frozen`, `remove --no-sync` | the environment, or else the interpreter that is asked for |
| `run` | workspace, then (since 0.7.14, not with `--no-sync`) environment, and neither once the command runs |
| `version VALUE`, `version --bump` | workspace, and not the environment that it changes |
| `venv` at a project's root | workspace, since 0.11.22 |
| `workspace metadata` | environment, since 0.11.22 |
| `sync --script`, `run` of a script with metadata | script |
| `pip install`, `pip sync`, `pip uninstall` | environment |
| `tool` but `dir`, `update-shell` and `run --isolated` | all tools |
| `python install`, `uninstall`, `upgrade` | all Pythons |
| `cache clean`, `cache prune` | cache, since 0.8.19 |
| all others | nothing |

Besides, every command shares the lock of the cache since 0.8.19, and builds have locks below the cache and in the
temporary directory (`uv-setuptools-*.lock`): no plan of ours holds these.
"""

from __future__ import annotations

import os

from policy import host
from policy.uv import names
from policy.uv.command import parse
from policy.uv.environment import (
    CACHE,
    CHANGE_ENVIRONMENT,
    CHANGE_PROJECT,
    OTHERS,
    PYTHONS,
    READ_ENVIRONMENT,
    READ_PROJECT,
    TOOLS,
    in_project,
    metadata_script,
    only_interpreter,
)
from policy.uv.environment import environment as works_on
from policy.uv.projects import has_metadata, odd_settings, project_environment, venv_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.environment.discovery import Environment
    from policy.uv.command import Command

    Release = tuple[int, ...] | None

_RUN_LOCKS_ENVIRONMENT = (0, 7, 14)
_WORKSPACE_METADATA_LOCKS = (0, 11, 22)
_VENV_LOCKS_WORKSPACE = (0, 11, 22)
_CACHE_LOCKED = (0, 8, 19)

_LOCK_NOTHING = OTHERS | READ_PROJECT | READ_ENVIRONMENT
_KNOWN = CHANGE_PROJECT | CHANGE_ENVIRONMENT | TOOLS | PYTHONS | CACHE | {"venv"}
# A preview may move a project's environment, and releases before 0.9.1 and 0.9.14 ignore the two directories.
_UNSETTLED = ("UV_PREVIEW", "UV_PREVIEW_FEATURES", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY")


def changes_nothing(command: Command) -> bool:
    """Whether a command changes no environment of a project and none that is named: uv's own tools aside.

    Args:
        command: A uv command; one that is not known here may change anything.
    """
    if {"help", "h", "version", "V"} & command.options.keys() and not command.child:
        return True
    if command.operation == "version":
        return not command.arguments and not {"bump", "sync"} & command.options.keys()
    return command.operation in _LOCK_NOTHING | TOOLS - {"tool run"} | PYTHONS | CACHE


def locks(command: Command, environment: Environment | None, release: Release = None) -> tuple[str, ...]:
    """The files that uv locks by itself, in no particular order.

    Args:
        command: A uv command.
        environment: What it works on, see `policy.uv.environment`.
        release: Which uv it is; None: all that any release locks.

    Returns:
        Absolute paths, spelled as uv spells them; for a system interpreter that was not named by its path those of all
        its spellings, as uv takes one of them.
    """
    operation = command.operation
    found: tuple[str, ...] = ()
    if operation in CHANGE_ENVIRONMENT:
        found = _of_environment(command, environment)
    elif operation in CHANGE_PROJECT:
        found = _of_project(command, environment, release)
    elif operation == "venv":
        root = None if command.arguments else in_project(command)
        if root and root == os.path.abspath(command.project) and _since(_VENV_LOCKS_WORKSPACE, release):
            found = (_named_after(root, command),)
    elif operation in TOOLS:
        isolated = operation == "tool run" and command.flag("isolated")
        found = () if isolated else (names.tools_lock(command.environ, command.cwd),)
    elif operation in PYTHONS:
        found = (names.pythons_lock(command.environ, command.cwd),)
    elif operation in CACHE and _since(_CACHE_LOCKED, release):
        found = (_cache(command),)
    child = inner(command, environment)
    return found + locks(child, works_on(child), release) if child else found


def certain(command: Command, environment: Environment | None) -> bool:
    """Whether uv locks nothing but what `locks` says.

    Args:
        command: A uv command.
        environment: What it works on.

    Returns:
        False for subcommands that are not known here, and where releases differ in how they choose the environment.
    """
    operation = command.operation
    if operation in _LOCK_NOTHING:
        return True
    if operation not in _KNOWN or _is_unsettled(command):
        return False
    child = inner(command, environment)
    if child and not certain(child, works_on(child)):
        return False
    if operation in CHANGE_ENVIRONMENT:
        # Which conda environments count as the base's has changed twice.
        named = command.python or command.environ.get("VIRTUAL_ENV") or command.system
        return environment is not None and bool(named or not command.environ.get("CONDA_PREFIX"))
    return operation not in CHANGE_PROJECT or _certain_in_project(command)


def _is_unsettled(command: Command) -> bool:
    """Whether something is set that only some releases heed: variables, previews, a file in the place of `.venv`."""
    return (
        any(command.environ.get(name) for name in _UNSETTLED)
        or any(name.startswith("preview") for name in command.options)
        or (not command.release and _by_release(command))
        or (command.operation in CHANGE_ENVIRONMENT and odd_settings(command))
        or bool(command.options.get("env-file") or command.environ.get("UV_ENV_FILE"))
    )


def _by_release(command: Command) -> bool:
    """Whether something is set of which it is known since which release it counts."""
    return (
        any(map(venv_file, host.upward(command.cwd)))
        or bool(command.environ.get("UV_PYTHON_SEARCH_PATH"))
        or (command.operation in CHANGE_PROJECT and bool(command.environ.get("UV_NO_PROJECT")))
        or (command.operation in {"check", "run"} and bool(command.environ.get("UV_ISOLATED")))
    )


def _certain_in_project(command: Command) -> bool:
    if command.operation == "run":
        script = command.script
        if script and not has_metadata(script) and os.path.dirname(script) != command.cwd and not command.release:
            return False  # since 0.12 the project of the script, and that of the working directory before
        # What is read from a URL or from standard input may have metadata.
        return not (command.child and (command.child[0] == "-" or "://" in command.child[0]))
    if command.script:
        # `--active` makes it the environment that is changed, not that of the script.
        return command.operation == "sync" and not command.flag("active")
    root = in_project(command)
    if root and only_interpreter(command) and command.python:
        # Whether uv prefers the project's own environment is seen by starting both, which we do not.
        return not os.path.lexists(project_environment(command, root)[0])
    return True


def inner(command: Command, environment: Environment | None) -> Command | None:
    """The uv command that `uv run` or `uvx` starts, if it does.

    Args:
        command: A uv command.
        environment: What it works on; a uv that it starts finds it active.
    """
    if not command.child:
        return None
    environ = command.environ
    if command.operation == "run" and environment and environment.kind == "virtualenv":
        environ = {**environ, "VIRTUAL_ENV": environment.root}
    return parse(command.child, environ, command.cwd)


def _of_environment(command: Command, environment: Environment | None) -> tuple[str, ...]:
    if environment is None:
        return ()
    if environment.kind != "system":
        return (names.environment_lock(environment.root),)
    if command.python and os.path.abspath(os.path.join(command.cwd, command.python)) == environment.interpreter:
        return (_named_after(environment.interpreter, command),)
    return names.interpreter_locks(environment.interpreter, command.environ, command.cwd)


def _of_project(command: Command, environment: Environment | None, release: Release) -> tuple[str, ...]:
    script = metadata_script(command)
    if script:
        return _of_script(command, environment, script)
    root = in_project(command)
    operation = command.operation
    if root is None or (operation in {"run", "check"} and command.flag("isolated", "UV_ISOLATED")):
        return ()
    workspace, of_environment = True, True
    if operation == "run":
        of_environment = not command.no_sync and _since(_RUN_LOCKS_ENVIRONMENT, release)
    elif operation == "version":
        workspace, of_environment = _changes_version(command), False
    elif operation == "workspace metadata":
        workspace, of_environment = command.flag("sync"), _since(_WORKSPACE_METADATA_LOCKS, release)
    elif operation == "remove" and command.frozen:
        workspace, of_environment = False, False
    elif only_interpreter(command):
        workspace = False
    found = (_named_after(root, command),) if workspace else ()
    return found + _of_environment(command, environment) if of_environment else found


def _changes_version(command: Command) -> bool:
    """Whether `uv version` is to write, and then to sync."""
    changes = bool(command.arguments) or command.flag("bump")
    return changes and not (command.flag("dry-run") or command.no_sync or command.frozen)


def _of_script(command: Command, environment: Environment | None, script: str) -> tuple[str, ...]:
    if command.operation in {"run", "sync"}:
        return (_named_after(script, command),)
    if command.operation in {"add", "remove"}:
        return _of_environment(command, environment)
    return (_named_after(script, command), *_of_environment(command, environment))


def _since(first: tuple[int, ...], release: Release) -> bool:
    return release is None or release >= first


def _named_after(path: str, command: Command) -> str:
    return names.path_lock(path, command.environ, command.cwd)


def _cache(command: Command) -> str:
    named = command.options.get("cache-dir")
    environ = {**command.environ, "UV_CACHE_DIR": named} if named else command.environ
    return names.cache_lock(environ, command.cwd)
