from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.errors import UsageError
from tests import factories

if TYPE_CHECKING:
    from tests.environment.work import Work

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


def test_poetry(work: Work) -> None:
    """Poetry takes the active environment, the project's own, or one that it keeps, whose version may be unknown."""
    factories.written(work.project / "pyproject.toml", '[tool.poetry]\nname = "My App"\n')
    assert work.root("poetry install", VIRTUAL_ENV=str(work.other)) == "other"
    os.rename(work.near, work.base / "moved")
    assert work.root("poetry install", POETRY_VIRTUALENVS_IN_PROJECT="1") == "project/.venv"
    change = work.read("poetry install", XDG_CACHE_HOME=f"{work.base}/c")
    assert change
    assert change.environment
    assert "version of Python" in change.uncertain
    # by the version of the first `python` on PATH, so that who comes before it is made meets who comes afterwards
    kept = change.environment.root
    python = work.script(work.base / "bin" / "python3.42")
    (work.base / "bin" / "python").symlink_to(python.name)
    other = work.root("poetry install", XDG_CACHE_HOME=f"{work.base}/c")
    assert other.endswith("-py3.42")
    assert os.path.basename(kept).startswith("my_app-")
    assert kept.rpartition("-py")[0] == os.path.join(work.base, other.rpartition("-py")[0])
    os.makedirs(kept)
    assert os.path.join(work.base, work.root("poetry install", XDG_CACHE_HOME=f"{work.base}/c")) == kept
    factories.written(work.project / "poetry.toml", "[virtualenvs]\nin-project = true\n")
    assert work.root("poetry install") == "project/.venv"


def test_poetry_changes_nothing(work: Work) -> None:
    """What poetry does without an environment, and what it does to its own."""
    assert work.apart("poetry") == "poetry changes no environment"
    assert work.apart("poetry build") == "poetry build changes no environment"
    assert work.uncertain("poetry install") == "poetry finds no pyproject.toml here"
    work.script(work.base / "bin" / "poetry", f"#!{work.other}/bin/python\n")
    assert work.root("poetry self update") == "other"


def test_poetry_makes_none(work: Work) -> None:
    """With `create = false` poetry works in the environment that it runs in."""
    factories.written(work.project / "pyproject.toml", '[tool.poetry]\nname = "x"\n')
    os.rename(work.near, work.base / "moved")
    work.script(work.base / "bin" / "poetry", f"#!{work.other}/bin/python\n")
    assert work.root("poetry install", POETRY_VIRTUALENVS_CREATE="false") == "other"
    assert work.root("poetry install").startswith("cache/pypoetry/virtualenvs/x-")


def test_poetry_own_python(work: Work) -> None:
    """Where no `python` is on PATH, an environment of poetry's is called after the version of poetry's own."""
    factories.written(work.project / "pyproject.toml", '[tool.poetry]\nname = "x"\n')
    os.rename(work.near, work.base / "moved")
    work.script(work.base / "bin" / "poetry", f"#!{work.other}/bin/python\n")
    found = work.root("poetry install", PATH=str(work.base / "bin"))
    assert found.endswith(f"-py{sys.version_info.major}.{sys.version_info.minor}")


def test_poetry_name(work: Work) -> None:
    """Poetry's folder is called after the normalised name of the project."""
    factories.written(work.project / "pyproject.toml", '[project]\nname = "My_.App"\n')
    os.rename(work.near, work.base / "moved")
    assert os.path.basename(work.root("poetry install")).startswith("my-app-")


def test_pdm_venv(work: Work) -> None:
    """What `pdm venv` makes and removes stands beside others below its data folder, or in the project."""
    factories.written(work.project / "pyproject.toml", "")
    data = {"XDG_DATA_HOME": f"{work.base}/data"}
    made = work.root("pdm venv create --name test 3.11", **data)
    assert made.startswith("data/pdm/venvs/project-")
    assert made.endswith("-test")
    assert work.root("pdm venv remove -y test", **data) == made
    assert work.root("pdm venv create", **data) == "project/.venv"
    assert work.root("pdm venv remove in-project", **data) == "project/.venv"
    change = work.read("pdm venv create", PDM_VENV_IN_PROJECT="0", **data)
    assert change
    assert "version of Python" in change.uncertain
    assert work.root("pdm venv list") == ""
    with pytest.raises(UsageError, match="removes several environments"):
        work.read("pdm venv purge")
    config = work.base / "config" / "pdm" / "config.toml"
    factories.written(config, f'[venv]\nlocation = "{work.base}/kept"\n')
    assert work.root("pdm venv create -n a", XDG_CONFIG_HOME=f"{work.base}/config").startswith("kept/project-")


def test_pdm_changes_nothing(work: Work) -> None:
    """`pdm --version` changes nothing, and without a project it is not known what pdm changes."""
    assert work.apart("pdm --version") == "this pdm changes no environment"
    assert work.apart("pdm") == "this pdm changes no environment"
    assert work.uncertain("pdm sync") == "pdm finds no pyproject.toml here"
    assert work.root(f"pdm sync -p {work.base}/elsewhere") == "elsewhere/.venv"


def test_pdm(work: Work) -> None:
    """Pdm takes the interpreter that the project saved, else the active environment, else the project's own."""
    factories.written(work.project / "pyproject.toml", "")
    assert work.root("pdm sync", VIRTUAL_ENV=str(work.other)) == "other"
    assert work.root("pdm sync", VIRTUAL_ENV=str(work.other), PDM_IGNORE_ACTIVE_VENV="1") == "project/.venv"
    factories.written(work.project / ".pdm-python", f"{work.other}/bin/python\n")
    assert work.root("pdm sync") == "other"


def test_hatch(work: Work) -> None:
    """Hatch's environments stand below its data folder, or where the project says."""
    factories.written(work.project / "pyproject.toml", '[project]\nname = "My_App"\n')
    data = {"HATCH_DATA_DIR": f"{work.base}/data"}
    assert work.root("hatch run test", **data).startswith("data/env/virtual/my-app/")
    assert work.root("hatch run test", **data).endswith("/my-app")
    assert work.root("hatch run docs:build", **data).endswith("/docs")
    assert work.root("hatch -e docs run build", **data).endswith("/docs")
    assert work.root("hatch env create docs", **data).endswith("/docs")
    assert work.root("hatch env run -e docs -- build -e x", **data).endswith("/docs")
    factories.written(work.project / "hatch.toml", '[envs.docs]\npath = ".docs"\n')
    assert work.root("hatch shell docs", **data) == "project/.docs"


def test_hatch_changes_nothing(work: Work) -> None:
    """`hatch build` works in environments of its own, and without a project it is not known what hatch changes."""
    assert work.apart("hatch build") == "hatch build works in environments of its own, or in none"
    assert work.uncertain("hatch shell") == "hatch finds no pyproject.toml here"


def test_hatch_folder(work: Work) -> None:
    """A folder of the user's configuration holds all environments, one in the project only that project's."""
    factories.written(work.project / "pyproject.toml", '[project]\nname = "app"\n')
    config = work.base / "hatch.toml"
    factories.written(config, f'[dirs.env]\nvirtual = "{work.base}/kept"\n')
    assert work.root("hatch shell docs", HATCH_CONFIG=str(config)).startswith("kept/app/")
    factories.written(config, '[dirs.env]\nvirtual = ".hatch"\n')
    assert work.root("hatch shell docs", HATCH_CONFIG=str(config)) == "project/.hatch/docs"
    assert work.root(f"hatch --config {config} shell") == "project/.hatch/app"


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("pixi install", "pyproject.toml"),
        ("poetry install", "poetry.toml"),
        ("poetry install", "config/pypoetry/config.toml"),
        ("pdm install", ".pdm-python"),
        ("hatch env create", "hatch.toml"),
        ("hatch env create", "config/hatch/config.toml"),
    ],
)
def test_named_pipe(work: Work, line: str, file: str) -> None:
    """A named pipe in the place of a file of a tool counts as no file, and nobody waits for what comes through it."""
    if file != "pyproject.toml":
        factories.written(work.project / "pyproject.toml", '[project]\nname = "x"\n')
    os.rename(work.near, work.base / "moved")
    without = [work.root(line, XDG_CONFIG_HOME=str(work.project / "config"))]
    (work.project / file).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(work.project / file)
    assert [work.root(line, XDG_CONFIG_HOME=str(work.project / "config"))] == without


@pytest.mark.parametrize(
    "line",
    ["tox", "nox -s tests", "tox run -e py", "{other}/bin/tox", "python -m nox", "pipx run black", "hatch build"],
)
def test_apart(work: Work, line: str) -> None:
    """Tools that make environments of their own hold nothing of the surrounding one."""
    change = work.read(line)
    assert change
    assert change.environment is None
    assert change.apart
