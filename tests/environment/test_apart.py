from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.environment.work import Work

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


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
