"""conda, mamba, micromamba and pixi: environments by name or by prefix."""

from __future__ import annotations

import os

from policy import host
from policy.environment.change import Change, at
from policy.environment.wrappers import on_path, subcommand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.environment.wrappers import Words

_VALUED = "c channel f file n/name p/prefix r/root-prefix revision solver subdir"
_PIXI_VALUED = "e/environment m/manifest-path c channel p platform f feature w color"
_GROUPS = frozenset({"env", "global", "workspace", "project"})
_NOTHING = frozenset(
    {"", "activate", "clean", "completion", "deactivate", "exec", "info", "init", "search", "shell-hook"}
)


def conda(command: Words) -> Change:
    """The environment of `-p` or `-n`, else the active one, else conda's base.

    Args:
        command: A conda, mamba or micromamba command line.
    """
    tool = host.program_name(command.words[0])
    words, given, _ = subcommand(command, _VALUED, ("env",))
    operation = f"{tool} {words}".rstrip()
    if words.removeprefix("env").lstrip() in _NOTHING:
        return Change(command, None, operation, apart=f"{operation} changes no environment")
    prefix, name = given.get("prefix"), given.get("name")
    base = _base(given, command)
    if prefix:
        root, found_by = command.path(prefix), f"--prefix of {tool}"
    elif name in {"base", "root"} and base:
        root, found_by = base, f"--name of {tool}"
    elif name:
        root, found_by = _by_name(name, base, command), f"--name of {tool}"
    elif words in {"create", "env create"}:
        reason = f"{tool} takes the name from a file; add --name or --prefix"
        return Change(command, None, operation, uncertain=reason)
    elif command.environ.get("CONDA_PREFIX"):
        root, found_by = command.path(command.environ["CONDA_PREFIX"]), "CONDA_PREFIX"
    elif base:
        root, found_by = base, f"base of {tool}"
    else:
        return Change(command, None, operation, uncertain=f"cannot tell where {tool} keeps its environments")
    return Change(command, at(root, found_by, command), operation)


mamba: Callable[[Words], Change] = conda
micromamba: Callable[[Words], Change] = conda


def _base(given: dict[str, str], command: Words) -> str:
    """Conda's own root; "" where nothing leads there."""
    environ = command.environ
    named = given.get("root-prefix") or environ.get("MAMBA_ROOT_PREFIX") or environ.get("CONDA_ROOT")
    if named:
        return command.path(named)
    for program in (environ.get("CONDA_EXE", ""), on_path(command.words[0], command)):
        root = os.path.dirname(os.path.dirname(os.path.realpath(program))) if program else ""
        if root and os.path.isdir(os.path.join(root, "conda-meta")):
            return root
    return ""


def _by_name(name: str, base: str, command: Words) -> str:
    """Where an environment of a name is, or where conda would make it: the first of the folders for them."""
    if os.sep in name:
        return command.path(name)
    environ = command.environ
    folders = (environ.get("CONDA_ENVS_PATH") or environ.get("CONDA_ENVS_DIRS") or "").split(os.pathsep)
    folders += [os.path.join(base, "envs")] if base else []
    roots = [command.path(os.path.join(folder, name)) for folder in (*folders, "~/.conda/envs") if folder]
    return next((root for root in roots if os.path.isdir(root)), roots[0])


def pixi(command: Words) -> Change:
    """The environment of `--environment` in the workspace, or that of `pixi global`.

    Args:
        command: A pixi command line.
    """
    words, given, arguments = subcommand(command, _PIXI_VALUED, _GROUPS)
    operation = f"pixi {words}".rstrip()
    group = words.partition(" ")[0]
    environment = given.get("environment")
    if group == "global":
        name = environment or (arguments[0].partition("=")[0] if arguments else "")
        if not name:
            return Change(command, None, operation, apart=f"{operation} names no environment")
        home = command.path(command.environ.get("PIXI_HOME") or "~/.pixi")
        return Change(command, at(os.path.join(home, "envs", name), "pixi global", command), operation)
    if group in _NOTHING:
        return Change(command, None, operation, apart=f"{operation} changes no environment of a workspace")
    manifest = given.get("manifest-path") or command.environ.get("PIXI_PROJECT_MANIFEST") or ""
    root = _workspace(command.path(manifest), named=bool(manifest))
    if not root:
        return Change(command, None, operation, uncertain="no pixi workspace here")
    found_by = "--environment of pixi" if environment else "pixi's workspace"
    environment = environment or command.environ.get("PIXI_ENVIRONMENT_NAME") or "default"
    return Change(command, at(os.path.join(root, ".pixi", "envs", environment), found_by, command), operation)


def _workspace(folder: str, *, named: bool) -> str:
    """The folder of the nearest manifest, going up; "" where there is none."""
    if named:
        return folder if os.path.isdir(folder) else os.path.dirname(folder)
    for one in host.upward(folder):
        if any(os.path.isfile(os.path.join(one, name)) for name in ("pixi.toml", "mojoproject.toml")):
            return one
        if b"[tool.pixi" in host.of_others(os.path.join(one, "pyproject.toml")):
            return one
    return ""
