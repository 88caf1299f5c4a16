"""One module per shell; a new shell is a module here with `completions`, HOOK and `quoted`, and a name in SHELLS."""

from __future__ import annotations

from policy.commands.reading import Parser, either

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

SHELLS = ("bash", "zsh", "fish", "powershell")


def argument(parser: Parser) -> None:
    """SHELL, for the commands that print something for one."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=either(SHELLS))


def module_of(shell: str) -> ModuleType:
    """The module of a shell, imported."""
    module: ModuleType = __import__(f"policy.commands.shells.{shell}", fromlist=["completions"])
    return module


def hook(shell: str, folder: str) -> str:
    """What a shell runs at its start.

    Args:
        shell: One of SHELLS.
        folder: The folder of the shims.
    """
    module = module_of(shell)
    return module.HOOK.replace("@FOLDER@", module.quoted(folder))  # type: ignore[no-any-return]  # a module that is found by its name
