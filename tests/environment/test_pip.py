from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.environment.work import Work

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


def test_variables(work: Work) -> None:
    """Pip's own variables say what its options say, and an option is stronger."""
    assert work.root("pip install x", PIP_PYTHON=str(work.near)) == "project/.venv"
    assert work.root("pip install x", PIP_TARGET="vendor") == "project/vendor"
    assert work.root("pip install -t own x", PIP_TARGET="vendor") == "project/own"
    assert work.root("pip install x", PIP_USER="1", PYTHONUSERBASE=f"{work.base}/user") == "user"
    assert work.root("pip list", PIP_TARGET="vendor") == "other"


def test_kinds(work: Work) -> None:
    """`--target` and `--prefix` are directories of their own kind, with the interpreter that installs."""
    for option, kind in (("--target", "target"), ("--prefix", "prefix"), ("--root", "prefix")):
        change = work.read(f"pip install {option} d x")
        assert change
        assert change.environment
        assert (change.environment.kind, change.environment.found_by) == (kind, f"{option} of pip")
        assert change.environment.interpreter == f"{work.other}/bin/python"


def test_ensurepip(work: Work) -> None:
    """Ensurepip changes its interpreter's environment, or `--root`."""
    assert work.root("{other}/bin/python -m ensurepip -U") == "other"
    assert work.root("{other}/bin/python -m ensurepip --root image") == "project/image"
