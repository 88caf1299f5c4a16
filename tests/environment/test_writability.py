from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.environment.writability import lock_errno
from policy.errors import LockUnavailable
from tests import factories, requirements

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
    """Where there is no folder yet, the one counts in which it would be created; a file in its place is no answer."""
    assert lock_errno(str(tmp_path / "gone" / "env")) == 0
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "env"):
        with pytest.raises(LockUnavailable, match="cannot tell whether the environment can be written: Not a dir"):
            lock_errno(str(path))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EAGAIN])
def test_other_errors_are_no_answer(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a refusal means that an environment cannot be written; whatever else goes wrong is an error."""
    (tmp_path / ".lock").touch()

    def failing(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(LockUnavailable) as caught:
        lock_errno(str(tmp_path))
    assert caught.value.errno == number


def test_folder_without_its_file(tmp_path: Path) -> None:
    """A member of a group that may write the folder can change the environment, whoever owns the lock file in it."""
    requirements.need_root()
    root = factories.open_to_all(tmp_path) / "env"
    root.mkdir()
    (root / ".lock").touch(0o444)
    os.chown(root, 0, factories.NOBODY)
    root.chmod(0o2775)
    seen = factories.as_nobody(LOOK, root, environ=factories.alone(tmp_path), cwd=tmp_path)
    assert seen.stdout == "0\n", seen.stderr


def test_other_users_folder(tmp_path: Path) -> None:
    """A folder that this user may not write, with no lock file in it, is refused with EACCES."""
    root = factories.open_to_all(tmp_path) / "env"
    root.mkdir(mode=0o755)
    seen = factories.as_nobody(LOOK, root, environ=factories.alone(tmp_path), cwd=tmp_path)
    expected = errno.EACCES if os.geteuid() == 0 else 0  # without root the user is the owner
    assert seen.stdout == f"{expected}\n", seen.stderr


def test_file_in_a_folder_of_another_user(tmp_path: Path) -> None:
    """A lock file that this user may write is enough; a FIFO in its place is refused when the lock is taken."""
    requirements.need_root()
    root = factories.open_to_all(tmp_path) / "env"
    root.mkdir(mode=0o755)
    file = root / ".lock"
    for mode, expected in ((0o666, 0), (0o644, errno.EACCES)):
        file.touch()
        file.chmod(mode)
        seen = factories.as_nobody(LOOK, root, environ=factories.alone(tmp_path), cwd=tmp_path)
        assert seen.stdout == f"{expected}\n", seen.stderr
    file.unlink()
    os.mkfifo(file, 0o666)
    seen = factories.as_nobody(LOOK, root, environ=factories.alone(tmp_path), cwd=tmp_path)
    assert seen.stdout == "0\n", seen.stderr


def test_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    """A folder below one that this user may not enter is refused, whatever its own mode."""
    requirements.need_root()
    closed = factories.open_to_all(tmp_path) / "closed"
    (closed / "env").mkdir(parents=True)
    (closed / "env").chmod(0o777)
    closed.chmod(0o700)
    seen = factories.as_nobody(LOOK, closed / "env", environ=factories.alone(tmp_path), cwd=tmp_path)
    assert seen.stdout == f"{errno.EACCES}\n", seen.stderr
