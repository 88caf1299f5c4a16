from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.environment.writability import lock_errno
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX modes", allow_module_level=True)

LOOK = "from policy.environment.writability import lock_errno\nprint(lock_errno(sys.argv[1]))"


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """No file is made, and one that is there keeps its content and its time."""
    assert lock_errno(str(tmp_path)) == 0
    assert os.listdir(tmp_path) == []
    file = tmp_path / ".lock"
    file.write_text("x", encoding="utf-8")
    before = file.stat()
    assert lock_errno(str(tmp_path)) == 0
    after = file.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


def test_missing_folder(tmp_path: Path) -> None:
    """Where there is no folder there is no lock file either, and the errno says so."""
    assert lock_errno(str(tmp_path / "gone")) == errno.ENOENT
    (tmp_path / "file").touch()
    assert lock_errno(str(tmp_path / "file")) == errno.ENOTDIR


def test_other_users_folder(tmp_path: Path) -> None:
    """A folder that this user may not write, with no lock file in it, is refused with EACCES."""
    root = factories.open_to_all(tmp_path) / "env"
    root.mkdir(mode=0o755)
    seen = factories.as_nobody(LOOK, root, environ=factories.alone(tmp_path), cwd=tmp_path)
    expected = errno.EACCES if os.geteuid() == 0 else 0  # without root the user is the owner
    assert seen.stdout == f"{expected}\n", seen.stderr
