"""`policy completions`: scripts that complete in the shells themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.__main__ import main
from policy.commands import COMMANDS
from policy.commands.completions import SHELLS
from tests import requirements

if TYPE_CHECKING:
    from pathlib import Path

# each shell's own way of being asked what it would offer; $1 is the script, the rest the words
BASH = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMPREPLY=()
function=$(complete -p policy | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function" policy "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$((COMP_CWORD - 1))]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = "source $argv[1]; complete -C (string join ' ' -- $argv[2..])"
CASES = [
    (["policy", "ch"], {"check"}),
    (["policy", "check", "--str"], {"--strict"}),
    (["policy", "check", "--output-format", ""], {"text", "json", "github"}),
    (["policy", "completions", ""], set(SHELLS)),
    (["policy", "check", "some"], {"some.toml"}),
    (["policy", "explain", "--config-file", "some"], {"some.toml"}),
]


def _script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completions", shell]) == 0
    script = tmp_path / f"completions.{shell}"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    return script


def _offers(command: list[str], folder: Path) -> set[str]:
    folder.joinpath("some.toml").touch()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return {line.partition("\t")[0].strip() for line in done.stdout.splitlines()} - {""}  # fish adds a description


@pytest.mark.parametrize(("words", "expected"), CASES, ids=" ".join)
def test_bash(words: list[str], expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bash offers commands, options, the values of choices, and files."""
    requirements.need(shutil.which("bash") is not None, "needs bash")
    script = _script("bash", tmp_path, capsys)
    assert _offers(["bash", "--norc", "-c", BASH, "bash", str(script), *words], tmp_path) == expected


@pytest.mark.parametrize(("words", "expected"), CASES, ids=" ".join)
def test_fish(words: list[str], expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fish offers the same."""
    requirements.need(shutil.which("fish") is not None, "needs fish")
    script = _script("fish", tmp_path, capsys)
    assert _offers(["fish", "--no-config", "-c", FISH, str(script), *words], tmp_path) == expected


def test_zsh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Zsh understands the script, and it names every command."""
    requirements.need(shutil.which("zsh") is not None, "needs zsh")
    script = _script("zsh", tmp_path, capsys)
    done = subprocess.run(["zsh", "-f", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#compdef policy\n")
    assert all(f"\n    {name}:'" in text for name in COMMANDS)


def test_without_the_library(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without shtab one line says what to install."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completions", "bash"]) == 2
    message = 'policy: error: completions need shtab: pip install "lock-policy[completions]"\n'
    assert capsys.readouterr() == ("", message)
