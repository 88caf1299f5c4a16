"""One module per shell; a new shell is a module here with `completions` and `hook`, and a name in SHELLS."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

SHELLS = ("bash", "zsh", "fish", "powershell")


def module_of(shell: str) -> ModuleType:
    """The module of a shell, imported."""
    module: ModuleType = __import__(f"policy.commands.shells.{shell}", fromlist=["completions"])
    return module
