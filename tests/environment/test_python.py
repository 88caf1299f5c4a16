from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.environment.work import Work

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


def test_new_environment(work: Work) -> None:
    """What `venv` and virtualenv will make does not exist yet; venv's base is the interpreter that runs it."""
    change = work.read("{other}/bin/python -m venv new")
    assert change
    assert change.environment
    assert not change.environment.exists
    assert change.environment.base_interpreter == str((work.other / "bin" / "python").resolve())
    assert change.operation == "venv"


@pytest.mark.parametrize("line", ["virtualenv --version", "{other}/bin/python -m venv --help"])
def test_help(work: Work, line: str) -> None:
    """Help and version change nothing."""
    change = work.read(line)
    assert change
    assert change.apart
