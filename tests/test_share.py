"""share/: man pages and completions, which the wheel installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from policy.commands import COMMANDS
from tests import requirements

ROOT = Path(__file__).parents[1]
SHARE = ROOT / "share"


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder and what is in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_is_fresh(tmp_path: Path) -> None:
    """What stands in the repository is what is made from the code."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, ROOT / "docs" / "share.py", tmp_path], check=True, env=environ)
    assert tree(tmp_path) == tree(SHARE), "stale: python docs/share.py"


def test_stale_files_go(tmp_path: Path) -> None:
    """A page of a command that is no more is removed."""
    stale = tmp_path / "man" / "man1" / "policy-gone.1"
    stale.parent.mkdir(parents=True)
    stale.touch()
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, ROOT / "docs" / "share.py", tmp_path], check=True, env=environ)
    assert not stale.exists()


def test_the_wheel_has_it() -> None:
    """Each folder of share/ is installed into the share/ of the environment."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"] == {"share": "share"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["policy", "lock-policy", *(f"policy-{name}" for name in COMMANDS)])
def test_manual(name: str) -> None:
    """Each page is shown without a warning of groff, and begins with its name."""
    requirements.need(bool(shutil.which("man")), "needs man-db")
    page = SHARE / "man" / "man1" / f"{name}.1"
    done = subprocess.run(
        ["man", "--warnings=w", "-l", page],
        cwd=SHARE / "man",
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPATH": str(SHARE / "man")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert f"{name.removeprefix('lock-')} - " in done.stdout


def test_bash_finds_it(tmp_path: Path) -> None:
    """bash-completion loads the file by the name of the command, and for `lock-policy` the same functions."""
    library = "/usr/share/bash-completion/bash_completion"
    requirements.need(os.path.exists(library), "needs bash-completion")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    for name in ("policy", "lock-policy"):
        done = subprocess.run(
            ["bash", "--norc", "-c", f"source {library}; _completion_loader {name}; complete -p {name}"],
            env={**environ, "BASH_COMPLETION_USER_DIR": str(SHARE / "bash-completion")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == f"complete -F _policy {name}\n"
