"""The gate: the lock outside of the environment that every plan takes first, so that nobody misses anybody.

Nothing chooses it but which environment it is.
"""

from __future__ import annotations

import os
import sys

from policy.environment.identity import FOLDER, identity, is_at, remembered
from policy.errors import LockUnavailable, unavailable
from policy.locks.file import FileLock
from policy.locks.open_file import OpenFile, attempt, close, enter, open_file, operation
from policy.seahash import seahash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from policy.environment.identity import FolderIdentity
    from policy.locks.backend import Deadline, Pause, Steps

WORDS = "the gate: lock-policy takes it first"
_MANY = 1024  # digests that are remembered
_digests: dict[str, str] = {}


class GateLock(FileLock):
    """The lock file of a gate, whose name is looked at again after a wait.

    Those who wait lock another file first, its turn: a reader that comes while a writer waits there stands back, so
    that readers who come and go without a gap do not keep a writer out forever.

    Args:
        directory: Where it lies.
        root: The environment's root.
        make: The directory that is created where it is missing.
        level: How many callers above this one hold a lock of the same gate.
        seen: What `real_folder` has just said of the root.
        words: What it is, for people who read a plan.

    Raises:
        LockUnavailable: The environment cannot be looked at.
    """

    __slots__ = ("_directory", "_folder", "_level", "_root", "_turn")

    def __init__(
        self,
        directory: str,
        root: str,
        make: str = "",
        level: int = 0,
        *,
        seen: FolderIdentity | None = None,
        words: str = WORDS,
    ) -> None:
        self._directory = directory
        self._root = root
        self._level = level
        self._turn = OpenFile("")
        self._folder = OpenFile(root)
        super().__init__("gate", path(directory, root, level, seen), make=make, words=words)

    def attempt(self) -> bool:
        """Tries once; a reader only where no writer waits.

        Raises:
            LockUnavailable: It cannot be created, opened or locked, or cannot be trusted.
        """
        if not self.shared:
            return super().attempt()
        if not self._file.numbers:
            open_file(self._file, near=self.near, make=self.make)
        try:
            return attempt(self._before()[0][0], shared=True) and super().attempt()
        except OSError as error:
            raise unavailable(self.name, error) from error
        finally:
            close(self._turn)

    def wait(self, deadline: Deadline) -> Generator[Pause, None, bool]:
        """Queues in the kernel; then looks whether the environment still has this gate.

        Raises:
            LockUnavailable: There is no flock here, or the environment cannot be looked at.
        """
        while True:
            try:
                self._keep_folder()
                if not (yield from super().wait(deadline)):
                    return False
                now = self.name if self._is_unmoved() else path(self._directory, self._root, self._level)
            finally:
                close(self._turn)
                close(self._folder, locked=False)
            if now == self.name:
                return True
            # A folder or a link was made, moved or replaced while this waited.
            self.release()
            self.name = now
            self._file = OpenFile(now)
            if self.attempt():
                return True

    def _keep_folder(self) -> None:
        """Opens the environment's folder, so that one look after the wait is enough to see that nothing has moved."""
        folder = self._folder = OpenFile(self._root)
        try:
            enter(folder, FOLDER)
            seen = remembered(self._root, folder.descriptor)
        except (OSError, ValueError):
            return  # there is none yet, or no descriptor for it
        if seen and path(self._directory, self._root, self._level, seen) == self.name:
            folder.device, folder.inode = seen[:2]

    def _is_unmoved(self) -> bool:
        """Whether the folder is the one that was opened, and is reached through the same mount by the same names."""
        folder = self._folder
        try:
            seen = os.lstat(folder.path)
            return (seen.st_dev, seen.st_ino) == (folder.device, folder.inode) and is_at(folder.path, folder.descriptor)
        except OSError:
            return False

    def _before(self) -> Steps:
        """The turn of those who wait, which each holds until it has the gate."""
        if not self._turn.numbers:
            self._turn = OpenFile(turn(self.name))
            open_file(self._turn)
        return ((self._turn.descriptor, operation(shared=self.shared)),)

    def release(self) -> None:
        """Gives it up, then what a wait that was interrupted left open."""
        super().release()
        close(self._turn)
        close(self._folder, locked=False)

    def below(self, text: str) -> GateLock | None:
        """The lock of those who joined this one: a level deeper, below what their own ancestors hold.

        Args:
            text: The value of `LOCK_POLICY_HELD`.
        """
        level = self._level
        while True:
            level += 1
            lock = GateLock(self._directory, self._root, level=level)
            lock.shared = self.shared
            if not lock.join(text):
                return lock


def gate(
    root: str, directory: str | None, environ: Mapping[str, str], seen: FolderIdentity | None = None, words: str = WORDS
) -> GateLock:
    """The gate of an environment.

    Args:
        root: Its root.
        directory: Where the administrator moved the gate; None: where it always is.
        environ: Environment variables; only Windows looks at them.
        seen: What `real_folder` has just said of the root.
        words: What it is, for people who read a plan.

    Raises:
        LockUnavailable: The environment cannot be looked at.
    """
    default = default_directory(environ)
    make = default if sys.platform == "win32" and not directory else ""
    return GateLock(directory or default, root, make, seen=seen, words=words)


def path(directory: str, root: str, level: int = 0, seen: FolderIdentity | None = None) -> str:
    """The lock file of the gate of an environment, as it is now.

    Args:
        directory: Where the gate lies.
        root: The environment's root.
        level: How many callers above hold a lock of the same gate.
        seen: What `real_folder` has just said of the root.

    Raises:
        LockUnavailable: The environment cannot be looked at.
    """
    try:
        name = identity(root, seen)
    except OSError as error:
        reason = f"cannot tell which environment it is: {error.strerror}"
        raise LockUnavailable(root, error.errno or 0, reason) from error
    digest = _digests.get(name)
    if digest is None:
        if len(_digests) >= _MANY:
            _digests.clear()
        digest = _digests[name] = f"{seahash(name.encode('utf-8', 'surrogateescape')):016x}"
    deeper = f"-{level}" if level else ""
    return os.path.join(directory, f"lock-policy-{digest}{deeper}.lock")


def turn(name: str) -> str:
    """The file by which those who wait for a gate take their turn.

    Args:
        name: The gate's lock file.
    """
    return f"{name.removesuffix('.lock')}.turn"


def default_directory(environ: Mapping[str, str]) -> str:
    """Where the gate lies: `/tmp`, whatever TMPDIR says, because every shell must meet there.

    Args:
        environ: Environment variables; only Windows looks at them.
    """
    if sys.platform == "win32":
        return os.path.join(environ.get("PROGRAMDATA", r"C:\ProgramData"), "lock-policy", "locks")
    return "/tmp"  # noqa: S108  (lock files there are opened as hostile ones)


def is_read_only(directory: str) -> bool:
    """Whether nobody can have a lock file in a directory, because its file system is read-only.

    Args:
        directory: Where the gate lies.
    """
    if sys.platform == "win32":
        return False
    if os.access(directory, os.W_OK):  # the kernel says no on a read-only file system, to root too
        return False
    try:
        return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    except OSError:
        return False  # told when the lock is taken
