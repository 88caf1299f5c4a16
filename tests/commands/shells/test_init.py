from __future__ import annotations

import pytest

from policy.commands.shells import SHELLS, module_of


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_module(shell: str) -> None:
    """Each name is a module that makes a script, which names the program."""
    script = module_of(shell).completions()
    assert "policy" in script
    assert script.endswith("\n")


def test_an_unknown_shell() -> None:
    """A name without a module is no shell."""
    with pytest.raises(ImportError):
        module_of("tcsh")
