"""The programs that get a shim."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from policy.commands.tools import CHANGES, PASSES, RUNS, TOOLS, effect_of, is_shim, real

if TYPE_CHECKING:
    from pathlib import Path

PASSING = [
    "uv",
    "uv --version",
    "uv -V",
    "uv --help",
    "uv help sync",
    "uv sync --help",
    "uv -q cache dir",
    "uv --directory sync cache dir",
    "uv cache clean",
    "uv pip list --format json",
    "uv pip freeze",
    "uv pip compile requirements.in",
    "uv lock",
    "uv tree",
    "uv export --no-dev",
    "uv python install 3.13",
    "uv tool install ruff",
    "uv self version",
    "uv version",
    "uv version --short",
    "uv init x",
    "uv build",
    "uvx --version",
    "uv run --help",
    "uv tool list",
    "pip",
    "pip --version",
    "pip -V",
    "pip list",
    "pip -q list",
    "pip --proxy=http://x list",
    "pip show attrs",
    "pip freeze",
    "pip check",
    "pip cache dir",
    "pip install --help",
    "pip download attrs",
    "pip3 list",
    "pipx list",
    "pipx environment",
    "poetry --version",
    "poetry show",
    "poetry lock",
    "poetry -n check",
    "pdm",
    "pdm list",
    "hatch version",
    "hatch status",
    "virtualenv --version",
    "virtualenv --help",
]
RUNNING = [
    "uv run pytest",
    "uv --quiet run -- pip install x",
    "uvx ruff",
    "uv tool run ruff check",
    "pipx run black",
    "poetry run pip install x",
    "poetry shell",
    "pdm run test",
]
CHANGING = [
    "uv sync",
    "uv add attrs",
    "uv remove attrs",
    "uv venv",
    "uv pip install attrs",
    "uv pip sync requirements.txt",
    "uv pip uninstall attrs",
    "uv --directory cache sync",
    "uv version --bump patch",
    "uv version 2.0",
    "uv no-such-command",
    "pip install attrs",
    "pip uninstall -y attrs",
    "pip --proxy list install attrs",
    "pip install -r list",
    "pip3 install attrs",
    "pipx install black",
    "pipx runpip black install x",
    "poetry install",
    "poetry -C show install",
    "poetry add attrs",
    "poetry env remove 3.11",
    "pdm sync",
    "hatch run pytest",
    "hatch env create",
    "virtualenv .venv",
    "virtualenv",
    "pip no-such-command",
]


@pytest.mark.parametrize(
    ("line", "expected"),
    [(line, effect) for effect, lines in ((PASSES, PASSING), (RUNS, RUNNING), (CHANGES, CHANGING)) for line in lines],
)
def test_effect_of(line: str, expected: str) -> None:
    """What changes nothing passes, what only runs something is distinguished, an unknown command changes something."""
    name, *words = line.split()
    assert effect_of(name, words, {}, "/") == expected


def program(folder: Path, name: str, text: str = "#!/bin/sh\n", mode: int = 0o755) -> str:
    """An executable file."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_real(tmp_path: Path) -> None:
    """The first program on PATH that is no shim, wherever shims stand and however often."""
    shims, more, tools, later = (tmp_path / name for name in ("shims", "more", "tools", "later"))
    for folder in (shims, more):
        program(folder, "uv", "#!/bin/sh\nexec python -c 'from policy.shim import main'\n")
    found, _ = program(tools, "uv"), program(later, "uv")
    path = os.pathsep.join(map(str, [shims, more, shims, tmp_path / "missing", tools, later, shims]))
    assert real("uv", {"PATH": path}) == found
    assert real("uv", {"PATH": f"{shims}{os.pathsep}{more}"}) == ""


def test_real_is_executable(tmp_path: Path) -> None:
    """A folder, and a file that may not be executed, are no programs."""
    (tmp_path / "a" / "uv").mkdir(parents=True)
    program(tmp_path / "b", "uv", mode=0o644)
    found = program(tmp_path / "c", "uv")
    assert real("uv", {"PATH": os.pathsep.join(str(tmp_path / name) for name in "abc")}) == found


def test_real_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty entry of PATH is the working directory, as shells have it."""
    program(tmp_path, "uv")
    monkeypatch.chdir(tmp_path)
    assert real("uv", {"PATH": f"{os.pathsep}/nowhere"}) == os.path.join(os.curdir, "uv")


def test_is_shim(tmp_path: Path) -> None:
    """A shim is known by what stands in it; what is not there is none."""
    assert not is_shim(str(tmp_path / "missing"))
    assert not is_shim(program(tmp_path, "uv"))
    assert is_shim(program(tmp_path, "pip", "#!/bin/sh\nexec python -c 'from policy.shim import main'\n"))


def test_tools() -> None:
    """Every program that gets a shim has a command line that is understood."""
    assert set(TOOLS) == {"uv", "uvx", "pip", "pip3", "pipx", "poetry", "pdm", "hatch", "virtualenv"}
    assert {effect_of(name, ["--help"], {}, "/") for name in TOOLS} == {PASSES}
