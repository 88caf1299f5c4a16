"""Completion in bash, asked in bash."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from policy.commands.shells import hook
from tests import requirements, shells

if TYPE_CHECKING:
    from pathlib import Path

# $1 is the script, the rest the words
ASK = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMPREPLY=()
_policy policy "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$((COMP_CWORD - 1))]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
LIBRARY = "/usr/share/bash-completion/bash_completion"
GREP = "_grep_them() { COMPREPLY=(--only-these); }; complete -F _grep_them grep-them\n"

ASK_PATH = """
eval "$HOOK"; eval "$HOOK"
echo "$PATH"
PATH=/env/bin:$PATH
(exit 7); eval "${PROMPT_COMMAND[0]}"; echo "$PATH $?"
"""


@pytest.fixture(autouse=True)
def _bash() -> None:
    requirements.need(shutil.which("bash") is not None, "needs bash")


@pytest.mark.parametrize(("words", "expected"), shells.CASES, ids=str)
def test_offers(words: list[str], expected: set[str], tmp_path: Path) -> None:
    """It offers commands, options, the values of choices, files, and after `run --` programs."""
    script = shells.place(tmp_path, "bash")
    assert shells.offers(["bash", "--norc", "-c", ASK, "bash", str(script), *words], tmp_path) == expected


def test_after_an_equals_sign(tmp_path: Path) -> None:
    """A value behind an equals sign, which bash makes a word of its own, is completed as well."""
    script = shells.place(tmp_path, "bash")
    words = ["policy", "check", "--output-format", "=", "js"]
    assert shells.offers(["bash", "--norc", "-c", ASK, "bash", str(script), *words], tmp_path) == {"json"}
    assert "json" in shells.offers(["bash", "--norc", "-c", ASK, "bash", str(script), *words[:-1]], tmp_path)


def test_own_completion_of_the_command(tmp_path: Path) -> None:
    """Behind `policy run --` the completion of the command itself counts, as for sudo."""
    requirements.need(os.path.exists(LIBRARY), "needs bash-completion")
    script = shells.place(tmp_path, "bash")
    words, expected = shells.AFTER
    assert (
        shells.offers(["bash", "--norc", "-c", f"source {LIBRARY}\n{GREP}{ASK}", "bash", str(script), *words], tmp_path)
        == expected
    )


def test_both_names(tmp_path: Path) -> None:
    """`lock-policy` is completed as `policy` is."""
    script = shells.place(tmp_path, "bash")
    told = shells.offers(["bash", "--norc", "-c", f"source {script}; complete -p"], tmp_path)
    assert told == {"complete -F _policy policy", "complete -F _policy lock-policy"}


@pytest.mark.parametrize("name", ["shims", "a b'c*"])
def test_hook(name: str, tmp_path: Path) -> None:
    """The shims stand first on PATH, once, and again after an environment was activated."""
    folder = str(tmp_path / name)
    environ = {"PATH": f"/usr/bin:{folder}:/bin", "HOME": str(tmp_path), "HOOK": hook("bash", folder)}
    done = subprocess.run(["bash", "--norc", "-c", ASK_PATH], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{folder}:/usr/bin:/bin", f"{folder}:/env/bin:/usr/bin:/bin 7"]
    assert done.stderr == ""
