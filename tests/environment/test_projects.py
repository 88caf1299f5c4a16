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
    factories.written(work.project / "hatch.toml", '[envs.docs]\npath = ".docs"\n')
    assert work.root("hatch shell docs", **data) == "project/.docs"
