"""Completion in zsh, asked on a terminal: zsh completes nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.commands.shells import hook
from tests import requirements, shells

if sys.platform == "win32":
    pytest.skip("needs a POSIX terminal", allow_module_level=True)

if TYPE_CHECKING:
    from pathlib import Path

# Runs an interactive zsh on a terminal of its own; a widget writes what completion would insert, a word a line.
ASK = r"""
zmodload zsh/zpty
zpty asked zsh -f -i
tell() { zpty -w asked "$1" }
tell 'PROMPT=; unsetopt zle_bracketed_paste 2>/dev/null; stty -echo'
tell "autoload -Uz compinit; compinit -u -D; source $1; $2"
tell 'compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits; builtin compadd -O hits "$@"
  print -rl -- $hits >>$HOME/offered; builtin compadd "$@" }'
tell 'asked() { zle complete-word; : >$HOME/done; zle kill-whole-line }; zle -N asked; bindkey "^I" asked'
tell ': >$HOME/offered; print ready-$((40+2))'
zpty -r -m asked line '*ready-42*'
shift 2
zpty -w -n asked "${(j: :)@}"$'\t'
repeat 600 { [[ -e $HOME/done ]] && break; sleep 0.1 }
zpty -d asked
cat $HOME/offered
"""
GREP = "_grep_them() { compadd -- --only-these }; compdef _grep_them grep-them"

ASK_PATH = """
eval "$HOOK"; eval "$HOOK"
echo "$PATH"
PATH=/env/bin:$PATH
for function in $precmd_functions; do $function; done; echo "$PATH"
"""


@pytest.fixture(autouse=True)
def _zsh() -> None:
    requirements.need(shutil.which("zsh") is not None, "needs zsh")


def offers(script: Path, words: list[str], tmp_path: Path, more: str = ":") -> set[str]:
    """What zsh would insert."""
    return shells.offers(["zsh", "-f", "-c", ASK, "zsh", str(script), more, *words], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("words", "expected"), shells.CASES, ids=str)
def test_offers(words: list[str], expected: set[str], tmp_path: Path) -> None:
    """It offers commands, options, the values of choices, files, and after `run --` programs."""
    assert offers(shells.place(tmp_path, "zsh"), words, tmp_path) == expected


def test_own_completion_of_the_command(tmp_path: Path) -> None:
    """Behind `policy run --` the completion of the command itself counts, as for sudo."""
    words, expected = shells.AFTER
    assert offers(shells.place(tmp_path, "zsh"), words, tmp_path, GREP) == expected


def test_on_fpath(tmp_path: Path) -> None:
    """Installed as `_policy` in a folder of fpath it is found by its first line, for both names."""
    functions = tmp_path / "functions"
    functions.mkdir()
    shells.place(tmp_path, "zsh").rename(functions / "_policy")
    more = f"fpath=({functions} $fpath); compinit -u -D"
    assert offers(tmp_path / "some.toml", ["lock-policy", "ch"], tmp_path, more) == {"check"}


@pytest.mark.parametrize("name", ["shims", "a b'c*"])
def test_hook(name: str, tmp_path: Path) -> None:
    """The shims stand first on PATH, once, and again after an environment was activated."""
    folder = str(tmp_path / name)
    environ = {"PATH": f"/usr/bin:{folder}:/bin", "HOME": str(tmp_path), "HOOK": hook("zsh", folder)}
    done = subprocess.run(["zsh", "-f", "-c", ASK_PATH], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{folder}:/usr/bin:/bin", f"{folder}:/env/bin:/usr/bin:/bin"]
    assert done.stderr == ""
