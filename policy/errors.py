"""Every error that this package raises, and the exit code that belongs to it."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar


class PolicyError(Exception):
    """Root of the tree."""

    exit_code: ClassVar[int] = 2


class UsageError(PolicyError):
    """An argument or an environment variable that cannot be used."""


class EnvironmentNotFound(PolicyError):  # noqa: N818  (named after the event, as TimeoutError's kin are)
    """What was named is no Python environment, or nothing was found."""


class ConfigError(PolicyError):
    """All the faults of the configuration files.

    Args:
        diagnostics: One for each thing that is wrong, in the order of the files.
    """

    def __init__(self, diagnostics: Sequence[Any]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return "\n".join(
            f"{diagnostic.location.file}:{diagnostic.line}:{diagnostic.column}: error: {diagnostic.message}"
            if diagnostic.line
            else f"{diagnostic.location.file}: error: {diagnostic.message}"
            for diagnostic in self.diagnostics
        )


class LockTimeout(PolicyError, TimeoutError):  # noqa: N818  (the contract's name)
    """A lock was not had in time.

    Args:
        path: The lock file.
        timeout: How long was waited, in seconds.
        holders: Who holds it, as far as that can be known.
    """

    exit_code = 124

    def __init__(self, path: str, timeout: float, holders: Sequence[Any] = ()) -> None:
        super().__init__(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), path)
        self.path = path
        self.timeout = timeout
        self.holders = tuple(holders)

    def __str__(self) -> str:
        if self.holders:
            who = "; ".join(str(holder) for holder in self.holders)
            return f"{self.path}: not locked within {round(self.timeout, 2):g} s: held by {who}"
        return f"{self.path}: not locked within {round(self.timeout, 2):g} s: who holds it cannot be known from here"

    def __reduce__(self) -> tuple[object, ...]:  # OSError's own hands other arguments to the constructor
        return type(self), (self.path, self.timeout, self.holders)


class LockUnavailable(PolicyError, OSError):  # noqa: N818  (the contract's name)
    """A lock file cannot be made, opened or locked.

    Args:
        path: The lock file.
        number: The errno, or 0 where the file was refused for what it is.
        reason: What is wrong, when it is not the errno's own text.
        remedy: What to change.
        rule: The rule that asked for the file, as it is shown to people.
    """

    exit_code = 125

    def __init__(self, path: str, number: int, reason: str = "", *, remedy: str = "", rule: str = "") -> None:
        super().__init__(number, reason or os.strerror(number), path)
        self.path = path
        self.reason = reason or os.strerror(number)
        self.remedy = remedy
        self.rule = rule

    def __str__(self) -> str:
        asked = f" (rule {self.rule})" if self.rule else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.path}: cannot be locked{asked}: {self.reason}{remedy}"

    def __reduce__(self) -> tuple[object, ...]:  # OSError's own hands other arguments to the constructor
        return type(self), (self.path, self.errno, self.reason), {"remedy": self.remedy, "rule": self.rule}


class LockLost(PolicyError):  # noqa: N818  (the contract's name)
    """A lock file was deleted, renamed or replaced while it was held.

    Args:
        paths: The files that are no longer those that were locked.
    """

    exit_code = 125

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(paths)
        self.paths = tuple(paths)

    def __str__(self) -> str:
        return f"{', '.join(self.paths)}: deleted or replaced while locked; another process may have been inside"
