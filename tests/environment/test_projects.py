from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

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
    kept = f"{change.environment.root}-py3.11"
    assert os.path.basename(kept).startswith("my_app-")
    os.makedirs(kept)
    assert os.path.join(work.base, work.root("poetry install", XDG_CACHE_HOME=f"{work.base}/c")) == kept
    factories.written(work.project / "poetry.toml", "[virtualenvs]\nin-project = true\n")
    assert work.root("poetry install") == "project/.venv"


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
