"""What completion offers, in any shell that can be asked."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from policy.commands import COMMANDS
from policy.commands.shells import SHELLS, module_of

if TYPE_CHECKING:
    from pathlib import Path

CASES = [
    (["policy", "ch"], {"check"}),
    (["policy", ""], set(COMMANDS)),
    (["policy", "check", "--str"], {"--strict"}),
    (["policy", "check", "--output-format", "gith"], {"github"}),
    (["policy", "completions", ""], set(SHELLS)),
    (["policy", "help", "expl"], {"explain"}),
    (["policy", "--color", ""], {"auto", "always", "never"}),
    (["policy", "--color", "always", "expl"], {"explain"}),
    (["policy", "-q", "--config-file", "some.toml", "che"], {"check"}),
    (["policy", "check", "some"], {"some.toml"}),
    (["policy", "explain", "--config-file", "some"], {"some.toml"}),
    (["policy", "run", "--", "grep-the"], {"grep-them"}),
    (["policy", "run", "--timeout", "3", "--", "grep-the"], {"grep-them"}),
    (["policy", "run", "grep-the"], {"grep-them"}),
]
AFTER = (["policy", "run", "--timeout", "3", "--", "grep-them", "--only"], {"--only-these"})
"""What the command's own completion offers."""


def place(folder: Path, shell: str) -> Path:
    """A folder with a script for a shell, a file, and a program on PATH, in `bin`."""
    (folder / "some.toml").touch()
    (folder / "bin").mkdir()
    program = folder / "bin" / "grep-them"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    script = folder / f"completions.{shell}"
    script.write_text(module_of(shell).completions(), encoding="utf-8")
    return script


def offers(command: list[str], folder: Path) -> set[str]:
    """What a shell offers, without what it says of each."""
    environ = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=environ)
    assert done.stderr == ""
    return {line.partition("\t")[0].strip() for line in done.stdout.splitlines()} - {""}
