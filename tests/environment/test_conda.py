from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests import factories

if TYPE_CHECKING:
    from tests.environment.work import Work

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


def test_pixi(work: Work) -> None:
    """Pixi's environments stand in the workspace, those of `pixi global` in its home."""
    factories.written(work.project / "pixi.toml", "")
    (work.project / "sub").mkdir()
    assert work.root("pixi add x") == "project/.pixi/envs/default"
    assert work.root("pixi run -e test pytest -e x") == "project/.pixi/envs/test"
    assert work.root("env -C sub pixi install") == "project/.pixi/envs/default"
    assert work.root("pixi global install ripgrep") == "home/.pixi/envs/ripgrep"


def test_by_name(work: Work) -> None:
    """A name is looked for in conda's folders, and where it is nowhere the first of them is where it will be."""
    (work.base / "conda" / "conda-meta").mkdir(parents=True)
    conda = {"CONDA_EXE": f"{work.base}/conda/bin/conda"}
    assert work.root("conda install -n a x", **conda) == "conda/envs/a"
    (work.base / "home" / ".conda" / "envs" / "a").mkdir(parents=True)
    assert work.root("conda install -n a x", **conda) == "home/.conda/envs/a"
    assert work.root("conda create -n b", **conda, CONDA_ENVS_PATH=f"{work.base}/e:{work.base}/f") == "e/b"


def test_what_conda_does_not_say(work: Work) -> None:
    """A name in a file, and a conda that is nowhere, are uncertain; `conda info` changes nothing."""
    for line, word in (("conda env create -f e.yml", "from a file"), ("conda install x", "cannot tell where")):
        change = work.read(line)
        assert change
        assert word in change.uncertain
    change = work.read("conda info")
    assert change
    assert change.apart
