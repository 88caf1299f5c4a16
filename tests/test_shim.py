from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests import factories

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("starts shell scripts", allow_module_level=True)

TOOL = """#!/bin/sh
echo "real $*"
test -n "$LOCK_POLICY_HELD" && echo locked
exit 7
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with an environment, a real `pip` that says whether it runs under a lock, and a shim of it."""
    factories.virtualenv(tmp_path / ".venv")
    tool = factories.written(tmp_path / "bin" / "pip", TOOL)
    tool.chmod(0o755)
    return tmp_path


def run(place: Path, *words: str, name: str = "pip", **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs a shim to its end."""
    code = f"from policy.shim import main; main({name!r})"
    path = {"PATH": f"{place}/bin:{os.environ['PATH']}"}
    return factories.policy(
        *words,
        environ={**factories.alone(place), **path, **environ},
        cwd=place,
        program=[sys.executable, "-P", "-c", code],
    )


def test_changes_are_locked(place: Path) -> None:
    """What may change an environment runs under the lock, with its own words and exit code."""
    done = run(place, "install", "x y", VIRTUAL_ENV=str(place / ".venv"))
    assert (done.stdout, done.returncode) == ("real install x y\nlocked\n", 7)


@pytest.mark.parametrize("words", [["--version"], ["list"], ["help"]])
def test_questions_are_not(place: Path, words: list[str]) -> None:
    """What changes nothing is started as it is."""
    done = run(place, *words)
    assert (done.stdout, done.returncode) == (f"real {' '.join(words)}\n", 7)


def test_switched_off(place: Path) -> None:
    """With LOCK_POLICY_SHIMS=0 the real program is started without a lock."""
    assert run(place, "install", "x", LOCK_POLICY_SHIMS="0").stdout == "real install x\n"


def test_no_such_program(place: Path) -> None:
    """Without a real program the exit code is the shell's, with one line."""
    done = run(place, "install", "x", name="pdm", PATH=f"{place}/bin")
    assert (done.returncode, done.stderr) == (127, "policy: error: pdm: command not found\n")
