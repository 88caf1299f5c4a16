from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.uv.environment import environment
from tests import factories, real_uv
from tests.uv.reading import parsed

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


def test_environment_of_configured_target(tmp_path: Path) -> None:
    """A target in uv's configuration is what is locked, as if it stood on the command line."""
    project = real_uv.project(tmp_path / "p", own='[tool.uv.pip]\ntarget = "packages"')
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    found = environment(parsed("uv pip install x", environ, str(project)))
    assert found
    assert (found.root, found.kind) == (str(project / "packages"), "target")


def test_commands_without_an_environment() -> None:
    """Commands that work on no environment leave the choice to the design's order."""
    for line in ("uv", "uv --version", "uv tool install x", "uv python list", "uv cache clean", "uv new-command"):
        assert environment(parsed(line, {"PATH": os.environ["PATH"]}, "/")) is None


def test_environment_that_does_not_exist_yet(tmp_path: Path) -> None:
    """`uv sync` and `uv venv` have the environment that they will make, with the base that it will have."""
    project = real_uv.project(tmp_path / "p")
    base = real_uv.public_python()
    for line in ("uv sync", "uv venv", "uv run x"):
        found = environment(parsed(line, {"PATH": os.environ["PATH"], "UV_PYTHON": base}, str(project)))
        assert found, line
        assert (found.root, found.kind) == (str(project / ".venv"), "virtualenv")
        assert found.base_interpreter == os.path.realpath(base)


@pytest.mark.parametrize("first", ["virtualenv", "system"])
@pytest.mark.parametrize("line", ["pip uninstall nothing", "pip list", "run --no-project python -c pass"])
def test_a_virtual_environment_on_path(tmp_path: Path, line: str, first: str) -> None:
    """Nothing is active or near: uv works on the first Python on PATH; a system it does not change."""
    folders = [str(factories.virtualenv(tmp_path / "env") / "bin"), os.path.dirname(real_uv.public_python())]
    path = ":".join(folders if first == "virtualenv" else folders[::-1])
    environ = real_uv.clean_environ(tmp_path / "home", PATH=path)
    found = environment(parsed(f"uv {line}", environ, str(tmp_path)))
    assert found
    assert found.kind == first
    words = [str(real_uv.installed()), "-v", *line.split()]
    told = subprocess.run(words, env=environ, cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False).stderr
    used = re.findall(r"Using Python \S+ (?:environment|interpreter) at: (\S+)", told)
    assert len(used) == (0 if (line, first) == ("pip uninstall nothing", "system") else 1)
    assert all(os.path.samefile(found.root, tmp_path / re.sub(r"/bin/python[\d.]*$", "", one)) for one in used)


def test_nothing_is_found_where_uv_finds_nothing(tmp_path: Path) -> None:
    """A Python that is not there gives no environment, and no failure."""
    environ = {"UV_PYTHON": str(tmp_path / "none"), "PATH": ""}
    assert environment(parsed("uv pip install x", environ, str(tmp_path))) is None
    assert environment(parsed("uv add --no-sync x", environ, str(real_uv.project(tmp_path / "p")))) is None
