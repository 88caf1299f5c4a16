"""conda, mamba, micromamba and pixi: environments by name or by prefix."""

from __future__ import annotations

import os

from policy import host
from policy.environment.change import Change, at
from policy.environment.wrappers import on_path, options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.environment.wrappers import Words

_VALUED = ("c", "channel", "f", "file", "n", "name", "p", "prefix", "r", "root-prefix", "revision", "solver", "subdir")
_PIXI_VALUED = ("e", "environment", "manifest-path", "m", "c", "channel", "p", "platform", "f", "feature", "w")
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
    leading, rest = options(command.words[1:], _VALUED, leading=True)
    inner = rest[1:] if rest[:1] == ["env"] else rest
    own, _ = options(inner[1:], _VALUED, leading=inner[:1] == ["run"])
    given = {**leading, **own}
    operation = " ".join([tool, *rest[: 2 if rest[:1] == ["env"] else 1]])
    if (inner[0] if inner else "") in _NOTHING:
        return Change(command, None, operation, apart=f"{operation} changes no environment")
    prefix = given.get("p") or given.get("prefix")
    name = given.get("n") or given.get("name")
    base = _base(given, command)
    if prefix:
        root, found_by = command.path(prefix), f"--prefix of {tool}"
    elif name in {"base", "root"} and base:
        root, found_by = base, f"--name of {tool}"
    elif name:
        root, found_by = _by_name(name, base, command), f"--name of {tool}"
    elif inner[:1] == ["create"]:
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
    named = given.get("r") or given.get("root-prefix") or environ.get("MAMBA_ROOT_PREFIX") or environ.get("CONDA_ROOT")
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
    _, rest = options(command.words[1:], ("color", "manifest-path", "m"), leading=True)
    words = rest[: 2 if rest[:1] and rest[0] in _GROUPS else 1]
    given, arguments = options(rest[len(words) :], _PIXI_VALUED, leading=words[:1] == ["run"])
    operation = " ".join(["pixi", *words])
    environment = given.get("e") or given.get("environment")
    if words[:1] == ["global"]:
        name = environment or (arguments[0].partition("=")[0] if arguments else "")
        if not name:
            return Change(command, None, operation, apart=f"{operation} names no environment")
        home = command.path(command.environ.get("PIXI_HOME") or "~/.pixi")
        return Change(command, at(os.path.join(home, "envs", name), "pixi global", command), operation)
    if not words or words[0] in _NOTHING:
        return Change(command, None, operation, apart=f"{operation} changes no environment of a workspace")
    manifest = given.get("manifest-path") or given.get("m") or command.environ.get("PIXI_PROJECT_MANIFEST") or ""
    root = _workspace(command.path(manifest), named=bool(manifest))
    if not root:
        return Change(command, None, operation, uncertain="no pixi workspace here")
    environment = environment or command.environ.get("PIXI_ENVIRONMENT_NAME") or "default"
    found_by = "--environment of pixi" if given.get("e") or given.get("environment") else "pixi's workspace"
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
