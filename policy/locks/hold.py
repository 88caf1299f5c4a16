"""Holding lock files: taken in order before one deadline, queued for in the kernel, released together, seen if lost."""

from __future__ import annotations

import os
import sys
import time

from policy.errors import LockLost, LockTimeout, LockUnavailable
from policy.locks import file as lockfiles
from policy.locks import inherit as nesting
from policy.locks.inherit import MARKER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from policy.locks.file import OpenFile
    from policy.locks.wait import Attempt, Patience, Waiting

_REPLACED = 1000  # a file that is replaced under its waiters more often than this is not waited for any longer


class Held:
    """Locks that are held until they are released.

    Made by `hold`. A context manager; with `async with` too. In a forked child it is empty.

    Args:
        files: The files that were asked for.
        taken: Those that are locked, here or by an ancestor.
    """

    __slots__ = ("_taken", "files")

    def __init__(self, files: Sequence[str], taken: Sequence[OpenFile]) -> None:
        self.files = tuple(files)
        self._taken = tuple(taken)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a command must inherit to hold the locks; those of an ancestor included, where it has passed them on."""
        return tuple(file.descriptor for file in self._taken if file.descriptor >= 0)

    @property
    def lost(self) -> tuple[str, ...]:
        """The files that are no longer those that were locked."""
        return tuple(
            file.path
            for file in self._taken
            if (file.descriptor >= 0 or not file.owned) and not lockfiles.is_current(file)
        )

    @property
    def marker(self) -> str:
        """What `LOCK_POLICY_HELD` must be for a command that inherits the locks, so that it can join them."""
        return nesting.marker(self._taken)

    def inherit(self) -> None:
        """Lets commands that are started from now on keep the locks until the last of them has ended."""
        for file in self._taken:
            lockfiles.inherit(file)

    def release(self) -> None:
        """Gives the locks up. Once is enough, more does nothing.

        Raises:
            LockLost: A file was deleted, renamed or replaced meanwhile. All is released nevertheless.
        """
        try:
            lost = self.lost
        finally:
            self._close()
        if lost:
            raise LockLost(lost)

    def _close(self) -> None:
        taken, self._taken = self._taken, ()
        _give_up(taken)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except LockLost as lost:
            if error is None:
                raise
            error.add_note(str(lost))  # what went wrong first is what the caller wants to see

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __del__(self) -> None:
        if sys.is_finalizing():  # nothing can be imported any more, and the kernel releases what is held
            return
        if any(file.owned and file.descriptor >= 0 and not file.inherited for file in self._taken):
            import warnings

            self._close()
            message = f"locks that were never released: {', '.join(self.files)}"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        return f"Held({list(self.files)!r})"


def hold(
    paths: Sequence[str],
    *,
    timeout: float | None = None,
    local: Collection[str] = (),
    make: str = "",
    environ: Mapping[str, str] | None = None,
    waiting: Waiting | None = None,
    attempt: Attempt = lockfiles.attempt,
    disposable: bool = False,
) -> Held:
    """Takes locks, waiting for each in the kernel's queue.

    Args:
        paths: The lock files in the order in which they are taken, which must be the same for everybody.
        timeout: Seconds to wait for all of them together; 0: not at all; None: for ever.
        local: Those that lie inside the environment that they lock; the directories of the others are judged.
        make: The one directory that is made where it is missing: the user's own default.
        environ: Where an ancestor's marker is looked for; None: locks of ancestors are not joined.
        waiting: Called with a file that is waited for and the seconds since the beginning, at once; and again after as
            many seconds as it returns, None: not again.
        attempt: Tries once to lock a descriptor: `lockfiles.attempt`, or `lockfiles.through_filelock`.
        disposable: True for a program that ends or execs if this fails: it may leave a blocked thread behind, which
            is cheaper to wait with than a child.

    Raises:
        LockTimeout: One was not had in time. None is held then.
        LockUnavailable: One cannot be made, opened or locked, or is not to be trusted. None is held then.
    """
    start = time.monotonic()
    patience: Patience | None = None
    taken: list[OpenFile] = []
    try:
        for file in _steps(paths, taken, local, make, environ, attempt):
            if patience is None:
                patience = _patience(start, timeout, waiting)
                wait = _way(patience, disposable=disposable)
            patience.begin(file.path)
            try:
                locked = not patience.over and wait(file.descriptor, patience, attempt)
            except OSError as error:
                raise lockfiles.unavailable(file.path, error) from error
            if not locked:
                raise LockTimeout(file.path, timeout or 0.0, patience.look())  # noqa: TRY301  (the files that are taken must be given up)
        return Held(paths, taken)
    except BaseException:
        _give_up(taken)
        raise


async def hold_async(
    paths: Sequence[str],
    *,
    timeout: float | None = None,  # noqa: ASYNC109  (the deadline of `hold`, with its error)
    local: Collection[str] = (),
    make: str = "",
    environ: Mapping[str, str] | None = None,
    waiting: Waiting | None = None,
    attempt: Attempt = lockfiles.attempt,
) -> Held:
    """Takes locks as `hold` does, while the event loop runs; cancelling leaves nothing behind.

    Args:
        paths: As for `hold`, like all that follow.
        timeout: Seconds to wait for all of them together; None: for ever.
        local: Those that lie inside the environment that they lock.
        make: The one directory that is made where it is missing.
        environ: Where an ancestor's marker is looked for.
        waiting: Called with a file that is waited for and the seconds since the beginning.
        attempt: Tries once to lock a descriptor.

    Raises:
        LockTimeout: One was not had in time. None is held then.
        LockUnavailable: One cannot be made, opened or locked, or is not to be trusted. None is held then.
    """
    start = time.monotonic()
    patience: Patience | None = None
    taken: list[OpenFile] = []
    try:
        for file in _steps(paths, taken, local, make, environ, attempt):
            if patience is None:
                patience = _patience(start, timeout, waiting)
                wait = _way_async()
            patience.begin(file.path)
            try:
                locked = not patience.over and await wait(file.descriptor, patience, attempt)
            except OSError as error:
                raise lockfiles.unavailable(file.path, error) from error
            if not locked:
                raise LockTimeout(file.path, timeout or 0.0, patience.look())  # noqa: TRY301  (the files that are taken must be given up)
        return Held(paths, taken)
    except BaseException:
        _give_up(taken)
        raise


def _steps(
    paths: Sequence[str],
    taken: list[OpenFile],
    local: Collection[str],
    make: str,
    environ: Mapping[str, str] | None,
    attempt: Attempt,
) -> Generator[OpenFile, None, None]:
    """Takes one file after the other and yields each that another holds: who goes on must have locked it.

    What is open by now stands in `taken`, so that the caller can give it up at any point.
    """
    marker = environ.get(MARKER, "") if environ else ""
    for path in paths:
        ancestors = nesting.joined(path, marker) if marker else None
        if ancestors is not None:
            taken.append(ancestors)
            continue
        for _ in range(_REPLACED):
            file = lockfiles.open_file(path, local=path in local, make=make)
            taken.append(file)
            if _again(file, taken):
                lockfiles.close(taken.pop())
                break
            try:
                locked = attempt(file.descriptor)
            except OSError as error:
                raise lockfiles.unavailable(path, error) from error
            if not locked:
                yield file
            # `uv venv` may have deleted it meanwhile: whoever comes next locks the new one, so that one is needed.
            if lockfiles.is_current(file):
                lockfiles.refresh(file)
                break
            lockfiles.close(taken.pop())
        else:
            raise LockUnavailable(path, 0, "it is replaced again and again", remedy="find out who replaces it")


def _again(file: OpenFile, taken: Sequence[OpenFile]) -> bool:
    """Whether a file is taken already, under another path: it would wait for itself."""
    return any(other is not file and other.inode == file.inode and other.device == file.device for other in taken)


def _give_up(taken: Sequence[OpenFile]) -> None:
    for file in reversed(taken):
        lockfiles.close(file)


def _patience(start: float, timeout: float | None, told: Waiting | None) -> Patience:
    from policy.locks.wait import Patience  # only who waits needs it

    return Patience(start, timeout, told)


def _way(patience: Patience, *, disposable: bool) -> Callable[[int, Patience, Attempt], bool]:
    from policy.locks.wait import chosen  # only who waits needs it

    return chosen(patience, disposable=disposable)


def _way_async() -> Callable[[int, Patience, Attempt], Awaitable[bool]]:
    from policy.locks.wait import children_work, in_child_async, polling_async  # only who waits needs it

    return in_child_async if children_work() else polling_async


def prune(path: str) -> bool:
    """Removes a lock file of ours that nobody holds, while holding it: who waits for it then takes the next one.

    Args:
        path: Named `lock-policy-*.lock`. uv does not look whether what it waited for is still there, so its files stay.

    Returns:
        Whether it was removed; False when it is held, is another user's, or is not there.
    """
    name = os.path.basename(path)
    if not (name.startswith("lock-policy-") and name.endswith(".lock") and os.path.lexists(path)):
        return False
    file = lockfiles.open_file(path)
    try:
        seen = os.fstat(file.descriptor)
        ours = sys.platform == "win32" or seen.st_uid == os.geteuid()
        if not ours or seen.st_size or not lockfiles.attempt(file.descriptor) or not lockfiles.is_current(file):
            return False
        os.unlink(path)
    except OSError as error:
        raise lockfiles.unavailable(path, error) from error
    finally:
        lockfiles.close(file)
    return True
