"""Every error that this package raises, and the exit code that belongs to it."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar, Protocol

    class Holder(Protocol):
        """A process that holds a lock, as `policy.locks.holders.Holder` describes it; its text is for people."""

        @property
        def pid(self) -> int:
            """Its number."""

        @property
        def user(self) -> str:
            """The name of its effective user."""

        @property
        def command(self) -> str:
            """Its command line, fit to be shown."""

        @property
        def since(self) -> float | None:
            """When it was started, in seconds since the epoch."""


_NEAR_REMEDIES = {  # of a lock in or beside the environment
    errno.EACCES: 'give this user write access, or choose a global lock with `lock = "global"`',
    errno.EPERM: 'give this user write access, or choose a global lock with `lock = "global"`',
    errno.EROFS: 'the file system is read-only: choose a global lock with `lock = "global"`',
    errno.ENOENT: "the environment's directory is gone: make the environment again",
}
_REMEDIES = {
    errno.EACCES: "give this user write access to the file and its directory",
    errno.EPERM: "give this user write access to the file and its directory",
    errno.EROFS: "the file system is read-only: mount it for writing, or choose another directory",
    errno.ENOSPC: "free some space or inodes, or choose another `global-dir`",
    errno.EDQUOT: "this user's quota is used up: free some space, or choose another `global-dir`",
    errno.EMFILE: "close descriptors, or raise the limit (`ulimit -n`)",
    errno.ENFILE: "the system has no descriptors left: raise fs.file-max",
    errno.ENOENT: "create the directory; directories named in configuration are not created",
    errno.ENOTDIR: "a part of the path is not a directory: name another one",
    errno.ENOSYS: "no flock here: choose a `global-dir` on a local file system",
    errno.ENOLCK: "no flock here: choose a `global-dir` on a local file system, or mount this one with locking",
    errno.EOPNOTSUPP: "no flock here: choose a `global-dir` on a local file system",
    errno.EBADF: "an exclusive lock on NFS needs write access to the file: make it mode 0666",
    errno.EIO: "the storage failed: see the kernel's log",
    errno.ESTALE: "the server replaced the file: mount the file system again",
    errno.ENAMETOOLONG: "choose a shorter directory",
    errno.EAGAIN: "another process holds a lease on the file: end it, or choose another `global-dir`",
}


class PolicyError(Exception):
    """Root of the tree."""

    exit_code: ClassVar[int] = 2


class UsageError(PolicyError):
    """An argument or an environment variable that cannot be used."""


class EnvironmentNotFound(PolicyError):  # noqa: N818  (named after the event, as TimeoutError's kin are)
    """What was named is no Python environment, or nothing was found."""


class NoAnswer(EnvironmentNotFound):
    """An interpreter did not say in time what it is."""


class ConfigError(PolicyError):
    """All the faults of the configuration files.

    Args:
        diagnostics: One for each thing that is wrong, in the order of the files.
    """

    def __init__(self, diagnostics: Sequence[Any]) -> None:
        super().__init__(diagnostics)
        self.diagnostics: tuple[Any, ...] = tuple(diagnostics)

    def __str__(self) -> str:
        return "\n".join(
            f"{diagnostic.location.file}:{diagnostic.line}:{diagnostic.column}: error: {diagnostic.message}"
            if diagnostic.line
            else f"{diagnostic.location.file}: error: {diagnostic.message}"
            for diagnostic in self.diagnostics
        )


class LockTimeout(PolicyError, TimeoutError):  # noqa: N818  (the contract's name)
    """Timed out waiting for a lock.

    Args:
        path: The lock: a file, or the key of a lock elsewhere.
        timeout: How long it waited, in seconds.
        holders: Who holds it, as far as that can be known.
        remedy: What to do where the holder may have died.
    """

    exit_code = 124

    def __init__(self, path: str, timeout: float, holders: Sequence[Holder] = (), *, remedy: str = "") -> None:
        super().__init__(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), path)
        self.path = path
        self.timeout = timeout
        self.holders: tuple[Holder, ...] = tuple(holders)
        self.remedy = remedy

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        if self.holders:
            who = "; ".join(str(holder) for holder in self.holders)
            return f"{self.path}: timed out after {round(self.timeout, 2):g} s: held by {who}{remedy}"
        return f"{self.path}: timed out after {round(self.timeout, 2):g} s: cannot tell who holds it{remedy}"

    def __reduce__(self) -> tuple[object, ...]:  # OSError's own hands other arguments to the constructor
        return type(self), (self.path, self.timeout, self.holders), {"remedy": self.remedy}


class EnvironmentInUse(LockTimeout):
    """Processes still ran from the environment when time was up.

    Args:
        path: The environment's root.
        timeout: How long was waited, in seconds.
        holders: The processes, as far as they can be known.
    """

    def __str__(self) -> str:
        who = "; ".join(str(holder) for holder in self.holders) or "a process that has just ended"
        return f"{self.path}: still in use after {round(self.timeout, 2):g} s, by {who}"


class LockUnavailable(PolicyError, OSError):  # noqa: N818  (the contract's name)
    """A lock file cannot be created, opened or locked, or a lock elsewhere cannot be reached.

    Args:
        path: The lock: a file, or the key of a lock elsewhere.
        number: The errno, or 0 where the lock was refused for what it is.
        reason: What is wrong, when it is not the errno's own text.
        remedy: What to change.
        rule: The rule that asked for the file, as it is shown to people.
    """

    exit_code = 125

    def __init__(self, path: str, number: int, reason: str = "", *, remedy: str = "", rule: str = "") -> None:
        super().__init__(number, reason or os.strerror(number), path)
        self.path = path
        self.reason: str = reason or os.strerror(number)
        self.remedy = remedy
        self.rule = rule

    def __str__(self) -> str:
        asked = f" (rule {self.rule})" if self.rule else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.path}: cannot be locked{asked}: {self.reason}{remedy}"

    def __reduce__(self) -> tuple[object, ...]:  # OSError's own hands other arguments to the constructor
        return type(self), (self.path, self.errno, self.reason), {"remedy": self.remedy, "rule": self.rule}


class LockLost(PolicyError):  # noqa: N818  (the contract's name)
    """A lock was deleted, renamed, replaced or lost while it was held.

    Args:
        paths: The locks that others no longer look for.
    """

    exit_code = 125

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(paths)
        self.paths: tuple[str, ...] = tuple(paths)

    def __str__(self) -> str:
        return f"{', '.join(self.paths)}: deleted or replaced while locked; another process may have been inside"


def unavailable(path: str, error: OSError, reason: str = "", *, near: bool = False) -> LockUnavailable:
    """An error of the system as one that names the lock file and says what to do."""
    number = error.errno or 0
    remedy = (near and _NEAR_REMEDIES.get(number)) or _REMEDIES.get(number, "")
    return LockUnavailable(path, number, reason or error.strerror or str(error), remedy=remedy)
