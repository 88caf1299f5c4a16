"""Which environment a command changes, by its own words; the tools are not needed, their files are."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.environment.command import INSTALLERS, changed_by, installer, named
from policy.errors import UsageError
from tests import factories

if TYPE_CHECKING:
    from tests.environment.work import Work

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


@pytest.mark.parametrize(
    ("line", "root"),
    [
        ("{other}/bin/pip install x", "other"),
        ("../other/bin/pip install x", "other"),
        (".venv/bin/pip install x", "project/.venv"),
        ("pip install x", "other"),  # by PATH
        ("pip3.11 install x", ""),  # not on PATH
        ("{other}/bin/python script.py", "other"),
        ("{other}/bin/python -m pip install x", "other"),
        ("{other}/bin/python -I -X dev -W ignore -mpip install x", "other"),
        ("python -m pip install x", "other"),
        ("python script.py", ""),  # names no environment plainly
        ("python -c pass", ""),
        ("{other}/bin/pytest", "other"),
        ("env -C {other}/bin ./pytest", "other"),
        ("env PATH={near}/bin pip install x", "project/.venv"),
        ("sh -c '{other}/bin/pip install x'", "other"),
        ("sh -c 'PATH={near}/bin exec pip install x'", "project/.venv"),
        ("nice -n 5 timeout 60 {other}/bin/pip install x", "other"),
        ("pip --python {near} install x", "project/.venv"),
        ("pip --python={near}/bin/python install x", "project/.venv"),
        ("pip install --python ../other x", "other"),
        ("pip install --target vendor x", "project/vendor"),
        ("pip install -t vendor x", "project/vendor"),
        ("pip install -tvendor x", "project/vendor"),
        ("pip install --prefix=/p x", "../" * 20),
        ("pip install --root image --prefix /usr x", "project/image"),
        ("pip install --user x", "home/.local"),
        ("pip install -r vendor x", "other"),
        ("{other}/bin/python -m venv new", "project/new"),
        ("python3 -m venv --prompt p ../made", ""),  # no such interpreter on PATH
        ("virtualenv -p 3.12 ../made", "made"),
        ("virtualenv {near}", "project/.venv"),
        ("{other}/bin/python -m ensurepip", "other"),
        ("pipx install black", "home/.local/share/pipx/venvs/black"),
        ("pipx install --python 3.12 'Black_x[d]==24.1' --suffix @24", "home/.local/share/pipx/venvs/black-x@24"),
        ("pipx install --suffix _Two black", "home/.local/share/pipx/venvs/black-two"),
        ("pipx install --lock pylock.toml --app black --output json black", "home/.local/share/pipx/venvs/black"),
        ("pipx repair black", "home/.local/share/pipx/venvs/black"),
        ("pipx inject black a b", "home/.local/share/pipx/venvs/black"),
        ("pipx runpip black install -U x", "home/.local/share/pipx/venvs/black"),
        ("conda install -p ../other x", "other"),
        ("conda create -n new python", "conda/envs/new"),
        ("conda env update -n base -f e.yml", "conda"),
        ("mamba install -y --name=new x", "conda/envs/new"),
        ("micromamba -r ../elsewhere create -n a", "elsewhere/envs/a"),
        ("conda run -n new pip install -p x", "conda/envs/new"),
        ("conda install x", "conda"),
        ("poetry -C {project} add x", "project/.venv"),
        ("poetry install", "project/.venv"),
        ("pdm add x", "project/.venv"),
        ("pdm -c config install -p ../second", "second/.venv"),
    ],
)
def test_environment(work: Work, line: str, root: str) -> None:
    """A command line says which environment it changes, through what stands before it."""
    factories.written(work.project / "pyproject.toml", '[project]\nname = "app"\n')
    factories.written(work.base / "second" / "pyproject.toml", "")
    (work.base / "conda" / "conda-meta").mkdir(parents=True)
    work.script(work.base / "conda" / "bin" / "conda")
    work.script(work.other / "bin" / "pytest", f"#!{work.other}/bin/python\n")
    found = work.root(line, CONDA_EXE=f"{work.base}/conda/bin/conda", PATH=f"{work.base}/bin:{work.other}/bin")
    if root.startswith(".."):
        assert os.path.normpath(os.path.join(work.base, found)) == "/p"
    else:
        assert found == root


def test_place(work: Work) -> None:
    """A program of an environment is known by its place, also where that is the working directory."""
    program = work.script(work.other / "bin" / "pytest", f"#!{work.other}/bin/python\n")
    for words, folder in ((str(program), work.base), ("bin/pytest", work.other), ("./pytest", program.parent)):
        change = changed_by([words], work.environ, str(folder))
        assert change
        assert change.environment
        assert change.environment.root == str(work.other)


@pytest.mark.parametrize("line", ["true", "make install", "./script", "cat x", "sh -c 'make'", "sh -c 'cd x && pip y'"])
def test_unknown(work: Work, line: str) -> None:
    """A command that is not known says nothing."""
    change = work.read(line)
    assert change is None or (change.environment is None and not change.apart and not change.operation)


@pytest.mark.parametrize(
    "line",
    [
        "{other}/bin/python -m venv one two",
        "pipx install a b",
        "pipx upgrade-all",
        "pipx repair",
        "pipx reset",
        "pipx manifest sync tools.toml",
        "pipx install ./checkout",
        "pipx install git+https://example.org/x",
    ],
)
def test_one_environment(work: Work, line: str) -> None:
    """A command that changes several environments, or one whose name is not in it, is refused with what to do."""
    with pytest.raises(UsageError) as caught:
        work.read(line)
    assert "policy run" in str(caught.value) or "run the single command" in str(caught.value)


def test_operation(work: Work) -> None:
    """The operation is the tool and its subcommand."""
    for line, operation in (
        ("pip -q install x", "pip install"),
        ("python -m pip uninstall x", "pip uninstall"),
        ("conda env create -n x", "conda env create"),
        ("poetry add x", "poetry add"),
        ("pixi global install x", "pixi global install"),
        ("virtualenv x", "virtualenv"),
    ):
        change = work.read(line)
        assert change
        assert change.operation == operation


def test_named(work: Work) -> None:
    """Whatever a command does, the environments whose programs its words name are seen."""
    other = str(work.other)
    for words in (
        ["make", f"PYTHON={other}/bin/python"],
        ["./install.sh", "../other/bin/pip"],
        ["sh", "-c", f"cd /tmp && {other}/bin/pip install x; true"],
        ["sh", "-c", f". {other}/bin/activate; make"],
    ):
        assert [root for _, root in named(words, str(work.project))] == [other]
    assert list(named(["sh", "-c", f"{other}/bin/python -m pip list; true"], str(work.project)))
    assert not list(named(["sh", "-c", f"{other}/bin/python -m pytest; true"], str(work.project)))
    assert not list(named(["sh", "-c", "cd .. && other/bin/pip install x"], str(work.project)))
    assert not list(named(["cat", f"{other}/bin/other", "/usr/bin/python3"], str(work.project)))


@pytest.mark.parametrize("tool", INSTALLERS)
def test_registry(tool: str) -> None:
    """Each tool's module has a function of its name."""
    assert callable(installer(tool))
