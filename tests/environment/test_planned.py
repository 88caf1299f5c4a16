from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from policy.environment.planned import begun, root_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("path", "root"),
    [("/a/b", "/a/b"), ("/a/bin/python3.12", "/a"), ("/a/bin/pip", "/a/bin/pip"), ("/a/python", "/a/python")],
)
def test_root_of(path: str, root: str) -> None:
    """An interpreter that is not there stands for the root above it."""
    assert root_of(path) == root


def test_begun(tmp_path: Path) -> None:
    """An environment may become of an empty directory and of one that a tool has begun, and of no other."""
    assert begun(str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / ".lock").touch()
    assert begun(str(tmp_path))
    (tmp_path / "setup.py").touch()
    assert not begun(str(tmp_path))
    assert not begun(str(tmp_path / "setup.py"))
