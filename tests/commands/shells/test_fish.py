"""Completion in fish, asked in fish."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from policy.commands.shells import hook
from tests import requirements, shells

if TYPE_CHECKING:
    from pathlib import Path

ASK = "source $argv[1]; complete -C (string join ' ' -- $argv[2..])"
GREP = "complete -c grep-them -l only-these\n"

ASK_PATH = """
eval "$HOOK"; eval "$HOOK"
string join : $PATH
set -gx PATH /env/bin $PATH
emit fish_prompt; string join : $PATH
"""


@pytest.fixture(autouse=True)
def _fish() -> None:
    requirements.need(shutil.which("fish") is not None, "needs fish")


@pytest.mark.parametrize(("words", "expected"), shells.CASES, ids=str)
def test_offers(words: list[str], expected: set[str], tmp_path: Path) -> None:
    """It offers commands, options, the values of choices, files, and after `run --` programs."""
    script = shells.place(tmp_path, "fish")
    assert shells.offers(["fish", "--no-config", "-c", ASK, str(script), *words], tmp_path) == expected


def test_own_completion_of_the_command(tmp_path: Path) -> None:
    """Behind `policy run --` the completion of the command itself counts, as for sudo."""
    script = shells.place(tmp_path, "fish")
    words, expected = shells.AFTER
    assert shells.offers(["fish", "--no-config", "-c", GREP + ASK, str(script), *words], tmp_path) == expected


def test_both_names(tmp_path: Path) -> None:
    """`lock-policy` is completed as `policy` is."""
    script = shells.place(tmp_path, "fish")
    assert shells.offers(["fish", "--no-config", "-c", ASK, str(script), "lock-policy", "ch"], tmp_path) == {"check"}


@pytest.mark.parametrize("name", ["shims", "a b'c*"])
def test_hook(name: str, tmp_path: Path) -> None:
    """The shims stand first on PATH, once, and again after an environment was activated."""
    folder = str(tmp_path / name)
    environ = {"PATH": f"/usr/bin:{folder}:/bin", "HOME": str(tmp_path), "HOOK": hook("fish", folder)}
    done = subprocess.run(
        ["fish", "--no-config", "-c", ASK_PATH], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{folder}:/usr/bin:/bin", f"{folder}:/env/bin:/usr/bin:/bin"]
    assert done.stderr == ""
