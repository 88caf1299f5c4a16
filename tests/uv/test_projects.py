from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from policy.uv.command import Command, parse
from policy.uv.projects import pip_settings, project_environment, workspace
from tests import real_uv

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


def parsed(line: str, environ: dict[str, str] | None = None, cwd: str = "/w") -> Command:
    """A command line of uv, read."""
    command = parse(line.split(), environ or {}, cwd)
    assert command is not None
    return command


def test_workspace(tmp_path: Path) -> None:
    """A member belongs to the workspace above it, others to none; without a pyproject.toml there is no project."""
    root = real_uv.project(tmp_path / "w", own='[tool.uv.workspace]\nmembers = ["a/*"]\nexclude = ["a/no"]')
    for place, expected in (("a/yes", root), ("a/no", root / "a/no"), ("b", root / "b"), ("a/yes/c", None)):
        where = real_uv.project(root / place)
        assert workspace(parsed("uv sync", cwd=str(where))) == str(expected or where)
    assert workspace(parsed("uv sync", cwd=str(root))) == str(root)
    assert workspace(parsed(f"uv sync --project {root}")) == str(root)
    assert workspace(parsed("uv sync", cwd="/")) is None
    unmanaged = real_uv.project(tmp_path / "u", own="[tool.uv]\nmanaged = false")
    assert workspace(parsed("uv sync", cwd=str(unmanaged))) is None


@pytest.mark.parametrize(
    "text", ["", "workspace", "[tool.uv]\nworkspace = 1", "tool = 1 # workspace", "\udcff workspace"]
)
def test_workspace_of_a_broken_file(tmp_path: Path, text: str) -> None:
    """What uv will complain about does not fail here."""
    (tmp_path / "p").mkdir()
    for folder in (tmp_path, tmp_path / "p"):
        (folder / "pyproject.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert workspace(parsed("uv sync", cwd=str(tmp_path / "p"))) == str(tmp_path / "p")


@pytest.mark.parametrize(
    ("line", "environ", "expected"),
    [
        ("uv sync", {}, ("/p/.venv", ".venv")),
        ("uv sync", {"VIRTUAL_ENV": "/a"}, ("/p/.venv", ".venv")),
        ("uv sync --active", {"VIRTUAL_ENV": "/a"}, ("/a", "VIRTUAL_ENV")),
        ("uv sync --active", {"VIRTUAL_ENV": ""}, ("/p/.venv", ".venv")),
        ("uv sync --active --no-active", {"VIRTUAL_ENV": "/a"}, ("/p/.venv", ".venv")),
        ("uv sync", {"UV_PROJECT_ENVIRONMENT": "e"}, ("/p/e", "UV_PROJECT_ENVIRONMENT")),
        ("uv sync", {"UV_PROJECT_ENVIRONMENT": "/e"}, ("/e", "UV_PROJECT_ENVIRONMENT")),
        ("uv sync", {"UV_PROJECT_ENVIRONMENT": ""}, ("/p/.venv", ".venv")),
    ],
)
def test_project_environment(line: str, environ: dict[str, str], expected: tuple[str, str]) -> None:
    """The project's environment is named by uv's variables, relative to the workspace, or is its `.venv`."""
    assert project_environment(parsed(line, environ), "/p") == expected


def test_uvs_own_configuration(tmp_path: Path) -> None:
    """The files of uv decide for `uv pip`: a uv.toml hides the pyproject.toml beside it, the user's is weaker."""
    home, project = tmp_path / "home", real_uv.project(tmp_path / "p", own='[tool.uv.pip]\nprefix = "pre"')
    (home / ".config" / "uv").mkdir(parents=True)
    (home / ".config" / "uv" / "uv.toml").write_text('[pip]\npython = "user"\nprefix = "weak"\n', encoding="utf-8")
    environ = {"HOME": str(home), "XDG_CONFIG_DIRS": str(tmp_path)}
    assert pip_settings(parsed("uv pip list", environ, str(project))) == {"python": "user", "prefix": "pre"}
    (project / "uv.toml").write_text("[pip]\nsystem = true\n", encoding="utf-8")
    found = pip_settings(parsed("uv pip list", environ, str(project)))
    assert found == {"python": "user", "prefix": "weak", "system": True}
    assert pip_settings(parsed("uv pip list --no-config", environ, str(project))) == {}
    assert pip_settings(parsed("uv pip list --config-file uv.toml", environ, str(project))) == {"system": True}
