"""`policy completions`: the script that the module of the shell makes."""

from __future__ import annotations

import pytest

from policy.__main__ import main
from policy.commands.shells import SHELLS, module_of


@pytest.mark.parametrize("shell", SHELLS)
def test_prints_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The script goes to stdout, and needs nothing that is not installed with the program."""
    assert main(["completions", shell]) == 0
    assert capsys.readouterr() == (module_of(shell).completions(), "")
