"""Poetry, PDM and Hatch: the environment of a project, which they find or make by their own rules; tox and nox.

Written from poetry 2.5 (`utils/env/env_manager.py`), pdm 2.29 (`project/core.py`, `cli/commands/venv`) and hatch 1.18
(`env/virtual.py`), and compared with them by `nox -s tools`.
"""

from __future__ import annotations

import os

from policy import host
from policy.environment.change import Change, at, of_interpreter, of_program
from policy.environment.wrappers import options, subcommand
from policy.errors import UsageError
from policy.variables import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from policy.environment.discovery import Environment
    from policy.environment.wrappers import Words

_NAME = 42  # characters of a project's name that poetry takes
_DIGEST = 8  # characters of a digest that poetry and hatch take

_POETRY_VALUED = "C/directory P/project G E extras group with without only source"
_POETRY_NOTHING = ("", "about", "build", "cache", "check", "config", "help", "init", "list", "new", "publish")


def poetry(command: Words) -> Change:
    """The active environment, else the project's: `.venv`, or one of those that poetry keeps together.

    Args:
        command: A poetry command line.
    """
    verb, given, _ = subcommand(command, _POETRY_VALUED)
    operation = f"poetry {verb}".rstrip()
    if verb in _POETRY_NOTHING:
        return Change(command, None, operation, apart=f"{operation} changes no environment")
    if verb == "self":
        return Change(command, of_program(command), operation)
    directory = given.get("project") or given.get("directory") or ""
    root = host.nearest(command.path(directory), "pyproject.toml")
    environ = command.environ
    if environ.get("VIRTUAL_ENV") and environ.get("CONDA_DEFAULT_ENV") != "base":
        return Change(command, at(command.path(environ["VIRTUAL_ENV"]), "VIRTUAL_ENV", command), operation)
    found, uncertain = _poetry_environment(root, command) if root else (None, "poetry finds no pyproject.toml here")
    return Change(command, found, operation, uncertain=uncertain)


def _poetry_environment(root: str, command: Words) -> tuple[Environment | None, str]:
    """The environment of a project, and what is uncertain about it."""
    found_by = "project of poetry"
    inside = os.path.join(root, ".venv")
    if _setting("in-project", root, command) or os.path.isdir(inside):
        return at(inside, found_by, command), ""
    if _setting("create", root, command) is False:
        return of_program(command), ""
    folder = os.path.join(_poetry_cache(root, command), _poetry_name(root))
    existing = _beginning(f"{folder}-py")
    if len(existing) == 1:
        return at(existing[0], found_by, command), ""
    version = _poetry_version(command)
    if version:  # so that who comes before it is made meets who comes afterwards
        folder += f"-py{version}"
    reason = "poetry chooses among several environments" if existing else "poetry names it after a version of Python"
    return at(folder, found_by, command), reason


def _poetry_version(command: Words) -> str:
    """The version of the Python that poetry prefers, by the name that it really has; "" where that says none."""
    for path in host.programs(command.environ, "python"):
        version = os.path.basename(os.path.realpath(path)).removeprefix("python")
        return version if version.replace(".", "", 1).isdigit() and "." in version else ""
    own = of_program(command)
    return os.path.basename(own.base_interpreter).removeprefix("python") if own else ""


def _poetry_name(root: str) -> str:
    """The beginning of the name of a project's environment; the version of Python follows."""
    import re
    from hashlib import sha256

    name = re.sub(r"[-_.]+", "-", _metadata(root, "poetry")).lower()
    clean = "".join("_" if character in ' $`!*@"\\\r\n\t' else character for character in name)[:_NAME]
    return f"{clean}-{_encoded(sha256(os.fsencode(os.path.realpath(root))).digest())}"


def _poetry_cache(root: str, command: Words) -> str:
    """The folder of the environments that are in no project."""
    own = _setting("path", root, command)
    cache = command.environ.get("POETRY_CACHE_DIR") or os.path.join(command.xdg("cache"), "pypoetry")
    default = os.path.join(command.path(cache), "virtualenvs")
    return command.path(own.replace("{cache-dir}", cache)) if isinstance(own, str) else default


def _setting(name: str, root: str, command: Words) -> Any:
    """A setting below `virtualenvs`: poetry's variable, the project's poetry.toml, the user's configuration."""
    value = command.environ.get(f"POETRY_VIRTUALENVS_{name.replace('-', '_').upper()}")
    if value:
        return value if name == "path" else boolean(value)
    return _configured(os.path.join(root, "poetry.toml"), "pypoetry", "virtualenvs", name, command)


def _configured(own: str, folder: str, table: str, name: str, command: Words) -> Any:
    """A setting of the project's file, else of the user's configuration; None where neither has it."""
    found = _read(own, table, name)
    if found is None:
        return _read(os.path.join(command.xdg("config"), folder, "config.toml"), table, name)
    return found


def pdm(command: Words) -> Change:
    """The interpreter that the project has saved, else the active environment, else `.venv`.

    Args:
        command: A pdm command line.
    """
    verb, given, _ = subcommand(command, "c config p/project G group venv L lockfile")
    operation = f"pdm {verb}".rstrip()
    if not verb:
        return Change(command, None, operation, apart="this pdm changes no environment")
    environ = command.environ
    named = given.get("project") or environ.get("PDM_PROJECT") or ""
    root = command.path(named) if named else host.nearest(command.cwd, "pyproject.toml")
    if not root:
        return Change(command, None, operation, uncertain="pdm finds no pyproject.toml here")
    if verb == "venv":
        return _pdm_venv(root, command.words[command.words.index("venv") + 1 :], command)
    kept = host.of_others(os.path.join(root, ".pdm-python")).partition(b"\n")[0]
    saved = environ.get("PDM_PYTHON") or os.fsdecode(kept).strip()
    if saved and os.path.isfile(os.path.join(root, saved)):
        found = of_interpreter(os.path.join(root, saved), "PDM_PYTHON or .pdm-python", command)
        return Change(command, found, operation, uncertain="" if found else f"{saved} would have to be executed")
    if not boolean(environ.get("PDM_IGNORE_ACTIVE_VENV", "")):
        for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
            if environ.get(name):
                return Change(command, at(command.path(environ[name]), name, command), operation)
    return Change(command, at(os.path.join(root, ".venv"), "project of pdm", command), operation)


def _pdm_venv(root: str, words: Sequence[str], command: Words) -> Change:
    """What `pdm venv` makes and removes: environments that pdm keeps together, or the project's own."""
    from hashlib import md5

    operation = " ".join(["pdm venv", *words[:1]])
    given, arguments = options(words[1:], "w with n/name", leading=True)
    if operation == "pdm venv purge":
        raise UsageError(f"{operation}: removes several environments; run `pdm venv remove NAME` for each of them")
    if operation == "pdm venv remove":
        name = arguments[0] if arguments else ""
        inside = name == "in-project"
    elif operation == "pdm venv create":
        name = given.get("name", "")
        inside = not name and _pdm_setting("in_project", root, command) is not False
    else:
        return Change(command, None, operation, apart=f"{operation} changes no environment")
    if inside:
        return Change(command, at(os.path.join(root, ".venv"), "project of pdm", command), operation)
    own = _pdm_setting("location", root, command)
    folder = command.path(own) if isinstance(own, str) else os.path.join(command.xdg("data"), "pdm", "venvs")
    # as pdm names it, which is nothing secret
    begin = f"{os.path.basename(root)}-{_encoded(md5(os.fsencode(root), usedforsecurity=False).digest())}-"
    uncertain = "" if name else "pdm names it after a version of Python"
    return Change(command, at(os.path.join(folder, begin + name), "pdm venv", command), operation, uncertain=uncertain)


def _pdm_setting(name: str, root: str, command: Words) -> Any:
    """A setting below `venv`: pdm's variable, the project's pdm.toml, the user's configuration."""
    value = command.environ.get(f"PDM_VENV_{name.upper()}")
    if value and name == "in_project":  # the location has no variable
        return boolean(value)
    return _configured(os.path.join(root, "pdm.toml"), "pdm", "venv", name, command)


def hatch(command: Words) -> Change:
    """The environment that `run`, `shell` or `env` names, `default` where none is named.

    Args:
        command: A hatch command line.
    """
    words, given, arguments = subcommand(command, "e/env p project data-dir cache-dir config", ("env",))
    operation = f"hatch {words}".rstrip()
    name = given.get("env") or command.environ.get("HATCH_ENV") or "default"
    if words not in {"run", "shell", "env create", "env remove", "env run"}:
        return Change(command, None, operation, apart=f"{operation} works in environments of its own, or in none")
    if words == "run" and arguments and ":" in arguments[0]:
        name = arguments[0].partition(":")[0]
    elif words in {"shell", "env create", "env remove"} and arguments:
        name = arguments[0]
    root = host.nearest(command.cwd, "pyproject.toml")
    if not root:
        return Change(command, None, operation, uncertain="hatch finds no pyproject.toml here")
    found = _hatch_environment(root, name, given, command)
    return Change(command, found, operation, uncertain="a matrix may add further environments" if "+" in name else "")


def _hatch_environment(root: str, name: str, given: dict[str, str], command: Words) -> Environment:
    from hashlib import sha256

    environ = command.environ
    envs = _read(os.path.join(root, "hatch.toml"), "envs")
    envs = envs or _read(os.path.join(root, "pyproject.toml"), "tool", "hatch", "envs")
    path = environ.get("HATCH_ENV_TYPE_VIRTUAL_PATH") or _in(envs, name, "path")
    if isinstance(path, str):
        return at(os.path.normpath(os.path.join(root, path)), "environment of hatch", command)
    project = _metadata(root, "hatch").lower().replace("_", "-").replace(".", "-")
    name = project if name == "default" else name
    data = given.get("data-dir") or environ.get("HATCH_DATA_DIR") or os.path.join(command.xdg("data"), "hatch")
    config = given.get("config") or environ.get("HATCH_CONFIG")
    config = config or os.path.join(command.xdg("config"), "hatch", "config.toml")
    own = _read(command.path(config), "dirs", "env", "virtual")
    if isinstance(own, str):
        folder = os.path.normpath(os.path.join(root, os.path.expanduser(own)))
        if folder.startswith(os.path.join(root, "")):
            return at(os.path.join(folder, name), "environment of hatch", command)
    else:
        folder = command.path(os.path.join(data, "env", "virtual"))
    digest = _encoded(sha256(os.fsencode(root)).digest())
    return at(os.path.join(folder, project, digest, name), "environment of hatch", command)


def nox(command: Words) -> Change:
    """Nothing of the surrounding environment: it makes environments of its own, and locks or rebuilds those itself.

    Args:
        command: A nox or tox command line.
    """
    tool = host.program_name(command.words[0])
    return Change(command, None, tool, apart=f"{tool} works in environments of its own")


tox = nox


def _encoded(digest: bytes) -> str:
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(digest).decode()[:_DIGEST]


def _metadata(root: str, tool: str) -> str:
    """The name of a project."""
    path = os.path.join(root, "pyproject.toml")
    name = _read(path, "project", "name") or _read(path, "tool", tool, "name")
    return name if isinstance(name, str) else ""


def _read(path: str, *keys: str) -> Any:
    """A value in the tables of a TOML file; None where there is none."""
    return _in(host.toml_of_others(path), *keys)


def _in(table: Any, *keys: str) -> Any:
    """A value in tables within tables; None where there is none."""
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _beginning(path: str) -> list[str]:
    """The files whose path begins so."""
    folder, name = os.path.split(path)
    try:
        return [os.path.join(folder, entry) for entry in sorted(os.listdir(folder)) if entry.startswith(name)]
    except OSError:
        return []
