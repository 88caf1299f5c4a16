from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from policy.environment.discovery import find
from policy.environment.externally_managed import externally_managed
from tests.environment.installations import PYTHON_LIBRARY, prefix, virtualenv

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("environments made by hand in the POSIX layout", allow_module_level=True)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Nothing that names an environment."""
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path), "PATH": ""}


def test_the_marker_of_a_system_interpreter(tmp_path: Path, environ: dict[str, str]) -> None:
    """A marker in the standard library of an interpreter that was asked is found."""
    root = prefix(tmp_path / "prefix")
    found = find(root, environ=environ, cwd="/")
    assert externally_managed(found) is None
    marker = tmp_path / "prefix" / "lib" / PYTHON_LIBRARY / "EXTERNALLY-MANAGED"
    marker.mkdir()
    assert externally_managed(found) is None
    marker.rmdir()
    marker.touch()
    assert externally_managed(found) == str(marker)


def test_the_marker_of_a_conda_environment(tmp_path: Path, environ: dict[str, str]) -> None:
    """Where the interpreter was not asked, its standard library is known by its place and its name."""
    root = prefix(tmp_path / "conda", conda=True)
    (tmp_path / "conda" / "lib" / "python3.1").mkdir()
    (tmp_path / "conda" / "lib" / "python3.1" / "os.py").touch()
    marker = tmp_path / "conda" / "lib" / PYTHON_LIBRARY / "EXTERNALLY-MANAGED"
    marker.touch()
    found = find(root, environ=environ, cwd="/")
    assert not found.stdlib
    assert externally_managed(found) == str(marker)
    shutil.rmtree(tmp_path / "conda" / "lib")
    assert externally_managed(found) is None


def test_the_marker_of_the_base_says_nothing_about_a_virtual_environment(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """As for pip and uv, only a marker of its own makes a virtual environment externally managed."""
    base = prefix(tmp_path / "prefix")
    (tmp_path / "prefix" / "lib" / PYTHON_LIBRARY / "EXTERNALLY-MANAGED").touch()
    root = virtualenv(tmp_path / "v", base=f"{base}/bin/python")
    found = find(root, environ=environ, cwd="/")
    assert externally_managed(found) is None
    own = tmp_path / "v" / "lib" / PYTHON_LIBRARY / "EXTERNALLY-MANAGED"
    own.touch()
    assert externally_managed(found) == str(own)
