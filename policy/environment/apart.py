"""tox and nox: they make environments of their own, and lock or rebuild those themselves."""

from __future__ import annotations

from policy.environment.change import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.environment.wrappers import Words


def nox(command: Words) -> Change:
    """Nothing of the surrounding environment.

    Args:
        command: A nox command line.
    """
    return _apart(command, "nox")


def tox(command: Words) -> Change:
    """Nothing of the surrounding environment.

    Args:
        command: A tox command line.
    """
    return _apart(command, "tox")


def _apart(command: Words, tool: str) -> Change:
    return Change(command, None, tool, apart=f"{tool} works in environments of its own")
