"""pipx: one environment for each application."""

from __future__ import annotations

import os

from policy.environment.change import Change, at
from policy.environment.wrappers import Words, subcommand
from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VALUED = (
    "app backend cd cooldown directory fetch-python i/index-url include-resources-from lock output pip-args P "
    "preinstall python python-args r/requirement skip spec suffix upgrade-strategy V/value with"
)
_ONE = frozenset(
    {"inject", "install", "pin", "reinstall", "repair", "runpip", "uninject", "uninstall", "unpin", "upgrade"}
)
_ALL = frozenset({"install-all", "manifest sync", "reinstall-all", "reset", "uninstall-all", "upgrade-all"})
_VENV_FIRST = frozenset({"inject", "runpip", "uninject"})  # what follows is for the environment that they name first


def pipx(command: Words) -> Change:
    """The environment of the application that is installed, changed or removed.

    Args:
        command: A pipx command line.

    Raises:
        UsageError: It changes several environments, or one whose name pipx would have to look up.
    """
    verb, given, arguments = subcommand(command, VALUED, ("manifest",))
    operation = f"pipx {verb}".rstrip()
    home = _home(given, command)
    if verb in _ALL or (verb == "repair" and not arguments):
        raise UsageError(f"{operation}: changes every environment in {home}; run the single command for each of them")
    if verb not in _ONE or not arguments:
        return Change(command, None, operation, apart=f"{operation} changes no environment that lasts")
    if len(arguments) > 1 and verb not in _VENV_FIRST:
        raise UsageError(f"{operation}: changes several environments; run `policy run` once for each of them")
    name = _distribution(arguments[0])
    if not name:
        raise UsageError(
            f"{operation} {arguments[0]}: cannot tell which name this has; name the environment: "
            f"policy run --python {os.path.join(home, 'NAME')} -- ..."
        )
    root = os.path.join(home, _normal(name + given.get("suffix", "")))
    return Change(command, at(root, "application of pipx", command), operation)


def is_application(root: str, environ: Mapping[str, str], cwd: str) -> bool:
    """Whether an environment is one of pipx's, or would be once it is made.

    Args:
        root: Its root.
        environ: Environment variables of a caller, with HOME.
        cwd: Where the caller works.
    """
    if os.path.lexists(os.path.join(root, "pipx_metadata.json")):
        return True
    folders = map(os.path.realpath, filter(None, _folders(Words((), environ, cwd))))
    return os.path.realpath(os.path.dirname(root)) in folders


def _folders(command: Words) -> tuple[str, str, str, str]:
    """Where pipx keeps environments: as the caller says, if so, as of old, as of now, and for all users."""
    named = command.environ.get("PIPX_HOME", "")
    shared = command.environ.get("PIPX_GLOBAL_HOME") or "/opt/pipx"
    old, new = command.path("~/.local/pipx/venvs"), os.path.join(command.xdg("data"), "pipx", "venvs")
    return named and command.path(os.path.join(named, "venvs")), old, new, command.path(os.path.join(shared, "venvs"))


def _home(given: dict[str, str], command: Words) -> str:
    """The folder of pipx's environments."""
    named, old, new, shared = _folders(command)
    if "global" in given:
        return shared
    return named or (old if os.path.isdir(os.path.dirname(old)) else new)


def _distribution(specifier: str) -> str:
    """The normalised name in a requirement; "" for a path or a URL."""
    import re

    found = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*?)\s*(\[[^\]]*\])?\s*([<>=!~].*)?", specifier)
    return _normal(found[1]) if found else ""


def _normal(name: str) -> str:
    """A name as PEP 503 has it, by which pipx calls the folder of an application."""
    import re

    return re.sub(r"[-_.]+", "-", name).lower()
