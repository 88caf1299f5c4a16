"""pipx: one environment for each application."""

from __future__ import annotations

import os

from policy.environment.change import Change, at
from policy.environment.wrappers import options
from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.environment.wrappers import Words

_VALUED = ("backend", "index-url", "i", "pip-args", "P", "preinstall", "python", "r", "requirement", "spec", "suffix")
_ONE = frozenset({"inject", "install", "pin", "reinstall", "runpip", "uninject", "uninstall", "unpin", "upgrade"})
_ALL = frozenset({"install-all", "reinstall-all", "uninstall-all", "upgrade-all"})
_VENV_FIRST = frozenset({"inject", "runpip", "uninject"})  # what follows is for the environment that they name first


def pipx(command: Words) -> Change:
    """The environment of the application that is installed, changed or removed.

    Args:
        command: A pipx command line.

    Raises:
        UsageError: It changes several environments, or one whose name pipx would have to look up.
    """
    _, leading = options(command.words[1:], ("cd", "directory"), leading=True)
    operation = f"pipx {leading[0]}" if leading else "pipx"
    given, arguments = options(leading[1:], _VALUED, leading=operation == "pipx runpip")
    home = _home(given, command)
    if operation.removeprefix("pipx ") in _ALL:
        raise UsageError(f"{operation}: changes every environment in {home}; run the single command for each of them")
    if operation.removeprefix("pipx ") not in _ONE or not arguments:
        return Change(command, None, operation, apart=f"{operation} changes no environment that lasts")
    if len(arguments) > 1 and operation.removeprefix("pipx ") not in _VENV_FIRST:
        raise UsageError(f"{operation}: changes several environments; run `policy run` once for each of them")
    name = _distribution(arguments[0])
    if not name:
        raise UsageError(
            f"{operation} {arguments[0]}: cannot tell which name this has; name the environment: "
            f"policy run --python {os.path.join(home, 'NAME')} -- ..."
        )
    root = os.path.join(home, name + given.get("suffix", ""))
    return Change(command, at(root, "application of pipx", command), operation)


def _home(given: dict[str, str], command: Words) -> str:
    """The folder of pipx's environments."""
    environ = command.environ
    if "global" in given:
        return command.path(os.path.join(environ.get("PIPX_GLOBAL_HOME", "/opt/pipx"), "venvs"))
    named = environ.get("PIPX_HOME")
    if not named:
        old = command.path("~/.local/pipx")
        data = environ.get("XDG_DATA_HOME") or "~/.local/share"
        named = old if os.path.isdir(old) else os.path.join(data, "pipx")
    return command.path(os.path.join(named, "venvs"))


def _distribution(specifier: str) -> str:
    """The normalised name (PEP 503) in a requirement; "" for a path or a URL."""
    import re

    found = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*?)\s*(\[[^\]]*\])?\s*([<>=!~].*)?", specifier)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""
