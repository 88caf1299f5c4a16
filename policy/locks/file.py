"""A lock file with flock(2): locked by one process or thread, and checked to be still the file at its path."""

from __future__ import annotations

import os
import sys

from policy.errors import LockUnavailable, unavailable
from policy.locks import open_file as opening
from policy.locks.open_file import OpenFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from policy.locks.backend import Deadline, Pause, Steps
    from policy.locks.holders import Holder


class FileLock:
    """A lock file of a plan.

    Args:
        purpose: Why it is in the plan: `gate`, `global`, `beside`, `uv` or `local`.
        path: Where it is, absolute.
        near: Whether it lies in or beside the environment, see `open_file`.
        make: The one directory that is created where it is missing: the user's own default.
        words: What it is, for people who read a plan.
        shared: Whether it is taken for reading.
    """

    __slots__ = ("_file", "_words", "make", "name", "near", "purpose", "shared")

    kind = "file"
    deadline: float | None = None
    outlives: bool = False
    advice: str = ""

    def __init__(
        self, purpose: str, path: str, *, near: bool = False, make: str = "", words: str = "", shared: bool = False
    ) -> None:
        self.purpose: str = purpose
        self.name: str = path
        self.near: bool = near
        self.make: str = make
        self.shared: bool = shared
        self._words = words
        self._file = OpenFile(path)

    @property
    def path(self) -> str:
        """Where it is."""
        return self.name

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open descriptor; one of an ancestor too, where it was inherited."""
        return tuple(self._file.numbers)

    @property
    def marker(self) -> str:
        """`descriptor:device:inode`."""
        file = self._file
        return f"{file.descriptor}:{file.device}:{file.inode}" if file.inode else ""

    def attempt(self) -> bool:
        """Opens the file, creating it where it is missing, and tries once to lock it.

        Raises:
            LockUnavailable: It cannot be created, opened or locked, or cannot be trusted.
        """
        file = self._file
        if not file.numbers:
            opening.open_file(file, near=self.near, make=self.make)
        try:
            locked = opening.attempt(file.descriptor, shared=self.shared)
        except OSError as error:
            raise unavailable(self.name, error) from error
        if locked:
            opening.refresh(file)
        return locked

    def attempting(self) -> Generator[Pause, None, bool]:
        """The same: a file is opened at once."""
        yield from ()
        return self.attempt()

    def wait(self, deadline: Deadline) -> Generator[Pause, None, bool]:
        """Queues in the kernel.

        Raises:
            LockUnavailable: There is no flock here.
        """
        from policy.locks.wait import wait  # only a waiter needs it

        try:
            locked = yield from wait(
                [*self._before(), (self._file.descriptor, opening.operation(shared=self.shared))], deadline
            )
        except OSError as error:
            raise unavailable(self.name, error) from error
        if locked:
            opening.refresh(self._file)
        return locked

    def _before(self) -> Steps:
        """What is locked before the file while it is waited for."""
        return ()

    def is_current(self) -> bool:
        """Whether the file is still the one at its path. What cannot be looked at counts as gone."""
        file = self._file
        if not file.numbers and file.owned:
            return True  # not held: nothing can be lost
        try:
            seen = os.lstat(self.name)
        except OSError:
            return False
        return seen.st_ino == file.inode and seen.st_dev == file.device

    def is_held(self) -> bool | None:
        """Whether the kernel says that the file is locked; None where it cannot be asked."""
        from policy.locks import holders

        return holders.is_locked(self.name)

    def watch(self) -> int:
        """Nothing has to be watched: the kernel keeps the lock."""
        return -1

    def inherit(self) -> None:
        """Lets commands that are started from now on keep the lock until the last of them has ended."""
        opening.inherit(self._file)

    def release(self) -> None:
        """Unlocks, unless a command has inherited the lock, and closes."""
        file = self._file
        opening.close(file)
        self._file = OpenFile(self.name)

    def holders(self) -> tuple[Holder, ...]:
        """Who holds it, as far as that can be known."""
        from policy.locks import holders  # costs attrs

        return holders.holders(self.name)

    def join(self, text: str) -> bool:
        """Takes over what an ancestor holds, as the value of `LOCK_POLICY_HELD` says and the kernel confirms.

        Raises:
            LockUnavailable: The ancestor reads, and this one wants to write.
        """
        from policy.locks.inherit import joined

        return joined(self._file, text, shared=self.shared)

    def below(self, text: str) -> FileLock | None:
        """What those who joined the same lock take, to exclude each other; None where they need nothing.

        Args:
            text: The value of `LOCK_POLICY_HELD`.
        """
        del text
        return None

    def record(self) -> dict[str, object]:
        """Its entry in explain's plan."""
        return {"purpose": self.purpose, "kind": self.kind, "path": self.name}

    def __str__(self) -> str:
        return self._words

    def __repr__(self) -> str:
        return f"FileLock({self.purpose!r}, {self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileLock) and (self.purpose, self.name) == (other.purpose, other.name)

    def __hash__(self) -> int:
        return hash((self.purpose, self.name))


def prune(path: str, *, named: bool = False) -> bool:
    """Removes a lock file that nobody holds, while holding it: a waiter of ours then takes the next one.

    Args:
        path: Named `lock-policy-*.lock` or `lock-policy-*.turn`. uv does not look whether what it waited for is still
            there, so its files stay.
        named: Whether the environment was named, so that uv's own `.lock` in it goes, too: at the end of an image's
            build no uv waits for it.

    Returns:
        Whether it was removed; False when it is held, is another user's, or is not there.

    Raises:
        LockUnavailable: It cannot be opened or removed.
    """
    name = os.path.basename(path)
    local = named and name == ".lock"
    ours = name.startswith("lock-policy-") and name.endswith((".lock", ".turn"))
    if not (local or ours) or not os.path.lexists(path):
        return False
    file = OpenFile(path)
    try:
        opening.open_file(file, near=local)
        seen = os.fstat(file.descriptor)
        own = sys.platform == "win32" or seen.st_uid == os.geteuid()
        if not own or seen.st_size or not opening.attempt(file.descriptor):
            return False
        there = os.lstat(path)
        if (there.st_dev, there.st_ino) != (file.device, file.inode):
            return False
        os.unlink(path)
    except FileNotFoundError:
        return False
    except LockUnavailable:
        raise
    except OSError as error:
        raise unavailable(path, error) from error
    finally:
        opening.close(file)
    return True
