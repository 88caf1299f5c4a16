from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from policy.uv.command import parse
from policy.uv.locks import certain
from policy.uv.projects import odd_settings, pip_settings, project_environment, venv_file, workspace
from tests import real_uv
from tests.uv.reading import parsed

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


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


def test_file_in_the_place_of_an_environment(tmp_path: Path) -> None:
    """A file named `.venv` leads to the environment since 0.11.31; it is uncertain where the release is not known."""
    project = real_uv.project(tmp_path / "p")
    assert venv_file(str(project)) == ""
    (project / ".venv").write_text("../env\n", encoding="utf-8")
    assert venv_file(str(project)) == f"{project}/../env"
    command = parse(["uv", "sync"], {}, str(project))
    assert command
    assert project_environment(command, str(project)) == (f"{project}/../env", ".venv")
    assert not certain(command, None)
    command.release = (0, 11, 31)
    assert project_environment(command, str(project)) == (f"{project}/../env", ".venv")
    assert certain(command, None)
    command.release = (0, 11, 30)
    assert project_environment(command, str(project)) == (f"{project}/.venv", ".venv")
    assert certain(command, None)


def test_settings_that_count(tmp_path: Path) -> None:
    """--config-file counts with --no-config, a member's uv.toml does not, and system files can be left out."""
    root = real_uv.project(tmp_path / "w", workspace='[tool.uv.workspace]\nmembers = ["m"]')
    member = real_uv.project(root / "m")
    (member / "uv.toml").write_text('[pip]\npython = "member"\n', encoding="utf-8")
    named = tmp_path / "named.toml"
    named.write_text('[pip]\npython = "named"\n', encoding="utf-8")

    def settings(line: str, environ: dict[str, str] | None = None) -> dict[str, object]:
        given = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": "/none", **(environ or {})}
        command = parse(line.split(), given, str(member))
        assert command
        return pip_settings(command)

    assert settings("uv pip list") == {}
    assert settings(f"uv --no-config --config-file {named} pip list") == {"python": "named"}
    assert settings("uv pip list", {"UV_CONFIG_FILE": str(named), "UV_NO_CONFIG": "1"}) == {"python": "named"}
    system = tmp_path / "xdg" / "uv" / "uv.toml"
    system.parent.mkdir(parents=True)
    system.write_text('[pip]\npython = "system"\n', encoding="utf-8")
    environ = {"XDG_CONFIG_DIRS": str(tmp_path / "xdg")}
    assert settings("uv pip list", environ) == {"python": "system"}
    assert settings("uv pip list", {**environ, "UV_NO_SYSTEM_CONFIG": "1"}) == {}


def test_odd_settings(tmp_path: Path) -> None:
    """A key of `[tool.uv]` that not every release knows makes uncertain what counts; one that none knows, nothing."""
    for table, odd, counts in (
        ("offline = true", False, True),
        ("link-mode = 'copy'", False, True),
        ("no-build-package = []", False, True),
        ("unknown = 1", True, False),
        ("torch-backend = 'cpu'", True, True),
    ):
        text = f"[tool.uv]\n{table}\n[tool.uv.pip]\nsystem = true\n"
        project = real_uv.project(tmp_path / table.split()[0], uv=text)
        command = parse(
            ["uv", "pip", "install", "x"], {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": "/none"}, str(project)
        )
        assert command
        assert odd_settings(command) is odd
        assert pip_settings(command) == ({"system": True} if counts else {})
