"""uv's projects: the workspace of a directory, its environment, metadata of scripts, and settings for `uv pip`."""

from __future__ import annotations

import os
import sys

from policy import host
from policy.variables import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from policy.uv.command import Command


# The keys of `[tool.uv]` that 0.7.13 knows, as its own message lists them.
_KNOWN = frozenset(
    (  # noqa: SIM905  (a line for each of 60 names tells nothing more)
        "required-version native-tls offline no-cache cache-dir preview python-preference python-downloads "
        "concurrent-downloads concurrent-builds concurrent-installs index index-url extra-index-url no-index "
        "find-links index-strategy keyring-provider allow-insecure-host resolution prerelease fork-strategy "
        "dependency-metadata config-settings no-build-isolation no-build-isolation-package exclude-newer "
        "link-mode compile-bytecode no-sources upgrade upgrade-package reinstall reinstall-package no-build "
        "no-build-package no-binary no-binary-package python-install-mirror pypy-install-mirror "
        "python-downloads-json-url publish-url trusted-publishing check-url add-bounds pip cache-keys "
        "override-dependencies constraint-dependencies build-constraint-dependencies environments "
        "required-environments conflicts workspace sources managed package default-groups dev-dependencies "
        "build-backend"
    ).split()
)
# Those that 0.13.9 knows besides.
_LATER = frozenset(
    (  # noqa: SIM905  (the same)
        "system-certs preview-features http-proxy https-proxy no-proxy prerelease-package "
        "config-settings-package require-build-hashes extra-build-dependencies extra-build-variables "
        "exclude-newer-package no-sources-package torch-backend graalpy-install-mirror pyodide-install-mirror "
        "audit exclude-dependencies minimum-libc-version dependency-groups"
    ).split()
)
VENV_FILE = (0, 11, 31)  # the first for which a file named `.venv` leads to an environment


def _uv(folder: str, *words: bytes) -> dict[str, Any] | None:
    """`[tool.uv]` of the pyproject.toml in a folder, None if there is none, or none of some words stands in the file.

    Most files have none of them, and are not parsed.
    """
    path = os.path.join(folder, "pyproject.toml")
    content = host.of_others(path)
    if not any(word in content for word in words):
        return None
    tool = host.toml_of_others(path).get("tool")
    uv = tool.get("uv") if isinstance(tool, dict) else None
    return uv if isinstance(uv, dict) else None


def workspace(command: Command) -> str | None:
    """The root of the workspace that a command works on.

    Args:
        command: A uv command.

    Returns:
        An absolute path, links unresolved as uv leaves them; None where uv would find no project.
    """
    root = host.nearest(os.path.abspath(command.project), "pyproject.toml")
    if not root:
        return None
    settings = _uv(root, b"workspace", b"managed") or {}
    if settings.get("managed") is False:
        return None
    # an empty table makes a root too
    return root if "workspace" in settings else _above(root) or root


def _above(root: str) -> str | None:
    """The root of the workspace that a project is a member of; the nearest pyproject.toml above it decides."""
    folder = host.nearest(os.path.dirname(root), "pyproject.toml")
    found = (_uv(folder, b"workspace") or {}).get("workspace") if folder else None
    if not isinstance(found, dict):
        return None
    path = os.path.relpath(root, folder)
    return folder if _matches(path, found.get("members")) and not _matches(path, found.get("exclude")) else None


def _matches(path: str, patterns: object) -> bool:
    """Whether a project is meant by the patterns of its workspace; as in Rust's `glob`, `*` crosses separators."""
    from fnmatch import fnmatchcase

    return isinstance(patterns, list) and any(
        isinstance(pattern, str) and fnmatchcase(path, os.path.normpath(pattern)) for pattern in patterns
    )


def project_environment(command: Command, root: str) -> tuple[str, str]:
    """The root of a project's environment, which may not exist yet, and what says so.

    Args:
        command: A uv command.
        root: The workspace's root.

    Returns:
        An absolute path, and `VIRTUAL_ENV`, `UV_PROJECT_ENVIRONMENT` or `.venv`.
    """
    # uv venv knows no --active.
    active = command.environ.get("VIRTUAL_ENV") if command.flag("active") and command.operation != "venv" else None
    if active:
        return os.path.join(command.cwd, active), "VIRTUAL_ENV"
    named = command.environ.get("UV_PROJECT_ENVIRONMENT")
    if named:
        return os.path.join(root, named), "UV_PROJECT_ENVIRONMENT"
    named = venv_file(root) if command.since(VENV_FILE) else ""
    return named or os.path.join(root, ".venv"), ".venv"


def venv_file(folder: str) -> str:
    """The environment that a file named `.venv` leads to; "" where there is no such file.

    Args:
        folder: Where the file would stand.
    """
    path = os.path.join(folder, ".venv")
    if not os.path.isfile(path):
        return ""
    named = host.of_others(path).decode("utf-8", "surrogateescape").strip()
    return os.path.join(folder, named) if named and "\n" not in named else ""


def has_metadata(script: str) -> bool:
    """Whether a script has a block of metadata (PEP 723), which makes uv give it an environment of its own."""
    content = host.of_others(script)
    return b"# /// script" in content and any(line.rstrip() == b"# /// script" for line in content.splitlines())


def pip_settings(command: Command) -> dict[str, Any]:
    """What uv's own configuration says about `uv pip`: `python`, `system`, `target`, `prefix`.

    Args:
        command: A uv command.

    Returns:
        Each key that one of uv's files sets; the strongest file wins.
    """
    named = command.options.get("config-file") or command.environ.get("UV_CONFIG_FILE")
    if named:  # even with --no-config
        return _pip(os.path.join(command.cwd, named)) or {}
    if command.flag("no-config", "UV_NO_CONFIG") or command.flag("isolated", "UV_ISOLATED"):
        return {}
    found: dict[str, Any] = {}
    for path in _own_files(command):
        found.update(_pip(path) or {})
    found.update(_nearest(workspace(command) or command.project))  # of a member's files none is read
    return found


def odd_settings(command: Command) -> bool:
    """Whether `[tool.uv]` has a key that some release does not know: such a release ignores the whole table.

    Args:
        command: A uv command.
    """
    for folder in host.upward(os.path.abspath(workspace(command) or command.project)):
        if os.path.isfile(os.path.join(folder, "uv.toml")):
            return False
        if (uv := _uv(folder, b"uv")) is not None:
            return not _KNOWN.issuperset(uv)
    return False


def _nearest(folder: str) -> dict[str, Any]:
    """The settings of the nearest directory that has any, going up."""
    for one in host.upward(os.path.abspath(folder)):
        if (found := _pip(os.path.join(one, "uv.toml"))) is not None:
            return found
        table = _uv(one, b"uv")
        if table is not None and (_KNOWN | _LATER).issuperset(table):  # uv ignores a table with a key it does not know
            return _in(table)
    return {}


def _pip(path: str) -> dict[str, Any] | None:
    """The `pip` table of a uv.toml; None if there is no such file, or it is empty."""
    content = host.of_others(path)
    if not content:
        return None
    return _in(host.toml_of_others(path)) if b"pip" in content else {}


def _in(table: dict[str, Any]) -> dict[str, Any]:
    settings = table.get("pip", {})
    return settings if isinstance(settings, dict) else {}


def _own_files(command: Command) -> Iterator[str]:
    """The system's file and the user's, the stronger last."""
    environ = command.environ
    windows = sys.platform == "win32"
    if not boolean(environ.get("UV_NO_SYSTEM_CONFIG", "")):
        folders = [environ.get("PROGRAMDATA", "")] if windows else host.config_folders(environ)
        files = [os.path.join(folder, "uv", "uv.toml") for folder in folders]
        yield next((path for path in files if windows or os.path.isfile(path)), "/etc/uv/uv.toml")
    base = environ.get("APPDATA", "") if windows else host.folder(environ, "XDG_CONFIG_HOME", ".config")
    if base or windows:
        yield os.path.join(base, "uv", "uv.toml")
