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


def test_pixi_workspace(work: Work) -> None:
    """The workspace is that of a named manifest or of its folder, else the nearest one above, a pyproject.toml too."""
    assert "no pixi workspace here" in work.uncertain("pixi install")
    factories.written(work.project / "pyproject.toml", '[project]\nname = "x"\n')
    assert "no pixi workspace here" in work.uncertain("pixi install")
    factories.written(work.project / "pyproject.toml", '[tool.pixi.workspace]\nname = "x"\n')
    assert work.root("pixi install") == "project/.pixi/envs/default"
    manifest = factories.written(work.base / "elsewhere" / "pixi.toml", "")
    for named in (manifest, manifest.parent):
        assert work.root(f"pixi install --manifest-path {named}") == "elsewhere/.pixi/envs/default"
        assert work.root("pixi install", PIXI_PROJECT_MANIFEST=str(named)) == "elsewhere/.pixi/envs/default"
    assert work.root("pixi install", PIXI_ENVIRONMENT_NAME="test") == "project/.pixi/envs/test"


def test_pixi_changes_nothing(work: Work) -> None:
    """`pixi global list` names no environment, and `pixi search` works on none."""
    assert work.apart("pixi global list") == "pixi global list names no environment"
    assert work.apart("pixi search numpy") == "pixi search changes no environment of a workspace"


def test_by_prefix(work: Work) -> None:
    """A prefix, or a name with a slash in it, is a path; without either it is the active environment."""
    for options in ("-p envs/a", "--prefix=envs/a", "-n envs/a", "--name ./envs/a"):
        assert work.root(f"conda install {options} x", CONDA_PREFIX=str(work.other)) == "project/envs/a"
    assert work.root("conda install x", CONDA_PREFIX=str(work.other)) == "other"
    change = work.read("mamba install x", CONDA_PREFIX=str(work.other))
    assert change
    assert change.environment
    assert change.environment.found_by == "CONDA_PREFIX"
    # what is made is never the active environment
    assert "takes the name from a file" in work.uncertain("conda create -f e.yml", CONDA_PREFIX=str(work.other))


def test_base(work: Work) -> None:
    """`-n base` is conda's own root, as is what names nothing while nothing is active."""
    (work.base / "conda" / "conda-meta").mkdir(parents=True)
    conda = {"CONDA_EXE": f"{work.base}/conda/bin/conda"}
    assert work.root("conda install -n base x", **conda, CONDA_PREFIX=str(work.other)) == "conda"
    assert work.root("conda install x", **conda) == "conda"
    assert work.root("micromamba install x", **conda, MAMBA_ROOT_PREFIX=f"{work.base}/mamba") == "mamba"
    assert work.root(f"micromamba install -r {work.base}/r x", **conda, MAMBA_ROOT_PREFIX=f"{work.base}/mamba") == "r"


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
        assert word in work.uncertain(line)
    assert work.apart("conda info") == "conda info changes no environment"
