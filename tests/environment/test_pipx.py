from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from policy.environment.pipx import is_application

if TYPE_CHECKING:
    from tests.environment.work import Work

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


def test_application(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application lies in a folder of pipx's, not in the working directory where PIPX_HOME is not set."""
    monkeypatch.chdir(work.project)
    environ = {"HOME": str(work.base / "home")}
    assert not is_application(str(work.near), environ, str(work.project))
    assert is_application(str(work.near), {**environ, "PIPX_HOME": "p"}, "/") is False
    (work.project / "venvs").mkdir()
    assert is_application(str(work.project / "venvs" / "x"), {**environ, "PIPX_HOME": "."}, str(work.project))
    assert is_application(str(work.base / "home/.local/pipx/venvs/x"), environ, "/")


def test_home(work: Work) -> None:
    """Pipx's environments stand below PIPX_HOME, its older folder where that exists, or for all users."""
    assert work.root("pipx install x", PIPX_HOME=f"{work.base}/p") == "p/venvs/x"
    assert work.root("pipx install --global x", PIPX_GLOBAL_HOME=f"{work.base}/g") == "g/venvs/x"
    assert work.root("pipx install x", XDG_DATA_HOME=f"{work.base}/d") == "d/pipx/venvs/x"
    (work.base / "home" / ".local" / "pipx").mkdir(parents=True)
    assert work.root("pipx install x") == "home/.local/pipx/venvs/x"
