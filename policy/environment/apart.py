"""tox and nox: they make environments of their own, and lock or rebuild those themselves."""

from __future__ import annotations

from policy import host
from policy.environment.change import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.environment.wrappers import Words


def tox(command: Words) -> Change:
    """Nothing of the surrounding environment.

    Args:
        command: A command line of tox or nox.
    """
    tool = "nox" if host.program_name(command.words[0]).startswith("nox") else "tox"
    return Change(command, None, tool, apart=f"{tool} works in environments of its own")


nox = tox
