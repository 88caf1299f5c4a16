"""pre-commit and prek with shims first on PATH: they install hooks, and what they start by name holds the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import factories, real_uv

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")]

# The uv behind the shims: writes down whether the locks of a `policy run` were handed to it.
UV = '#!/bin/sh\necho "${LOCK_POLICY_HELD:+held} $*" >>"$LOG"\nexec "$REAL" "$@"\n'
HOOK = "- id: slow\n  name: slow\n  entry: python -m slow\n  language: python\n  pass_filenames: false\n"
CONFIGURATION = """\
repos:
- repo: {hooks}
  rev: first
  hooks:
  - id: slow
    always_run: true
- repo: local
  hooks:
  - id: install
    name: install
    language: system
    entry: uv pip install --python {root} tiny
    pass_filenames: false
    always_run: true
"""


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of both."""
    return real_uv.tools("pre-commit", "prek")


def repository(directory: Path, environ: dict[str, str]) -> None:
    """Makes a git repository of all that a directory holds."""
    identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"], ["tag", "first"]):
        subprocess.run(["git", *identity, *words], cwd=directory, env=environ, check=True)


@pytest.mark.parametrize("tool", ["pre-commit", "prek"])
def test_hooks(tmp_path: Path, tools: Path, tool: str) -> None:
    """A hook is fetched, built, installed and run; each `uv` that is started for that to install holds the lock."""
    slow = real_uv.slow_project(tmp_path / "hooks")
    slow.proceed()
    root = tmp_path / "env"
    real_uv.virtualenv(root)
    factories.written(tmp_path / "programs" / "uv", UV).chmod(0o755)
    environ = real_uv.clean_environ(
        tmp_path / "home",
        LOG=str(tmp_path / "log"),
        REAL=str(real_uv.installed()),
        UV_FIND_LINKS=str(real_uv.wheelhouse(tmp_path / "wheels")),
        PIP_NO_INDEX="1",
        PYTHONPATH=real_uv.public_path(),
        PATH=os.pathsep.join(map(str, (tmp_path / "shims", tmp_path / "programs", tools, "/usr/bin", "/bin"))),
    )
    factories.policy("shims", tmp_path / "shims", environ=environ, cwd=tmp_path).check_returncode()
    factories.written(tmp_path / "hooks" / ".pre-commit-hooks.yaml", HOOK)
    repository(tmp_path / "hooks", environ)
    project = tmp_path / "project"
    text = CONFIGURATION.format(hooks=tmp_path / "hooks", root=root)
    factories.written(project / ".pre-commit-config.yaml", text)
    repository(project, environ)

    for words in ([tool, "install-hooks"], [tool, "run", "--all-files"]):
        done = subprocess.run(words, env=environ, cwd=project, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
    assert slow.started.exists()
    assert list(root.glob("lib/*/site-packages/tiny.py"))
    installs = [line for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines() if " pip install" in line]
    assert installs
    assert all(line.startswith("held ") for line in installs), installs
    assert any("tiny" in line for line in installs)
    assert tool == "pre-commit" or len(installs) > 1  # which installs its hooks with uv, too
