from __future__ import annotations

import errno
import os
import pickle
import time

import pytest

from policy import errors
from policy.locks.holders import Holder
from policy.toml.diagnostic import Diagnostic, Location

FAULTS = (
    Diagnostic(Location("a.toml", ("lock",)), "expected a string, found 1", line=3, column=8, excerpt="lock = 1"),
    Diagnostic(Location("b.toml"), "no such file"),
)
HELD = errors.LockTimeout("/e/.lock", 1.5, [Holder(pid=7, user="anna", command="uv sync", since=None)])
REFUSED = errors.LockUnavailable("/e/.lock", errno.EROFS, remedy="choose a global lock", rule="here")
EVERY = (
    errors.PolicyError("plain"),
    errors.UsageError("usage"),
    errors.EnvironmentNotFound("none"),
    errors.ConfigError(FAULTS),
    HELD,
    REFUSED,
    errors.LockUnavailable("/e/.lock", 0, "it is a FIFO, not a regular file"),
    errors.LockLost(["/e/.lock", "/f/.lock"]),
)


@pytest.mark.parametrize(
    ("kind", "kin", "code"),
    [
        (errors.PolicyError, Exception, 2),
        (errors.UsageError, errors.PolicyError, 2),
        (errors.EnvironmentNotFound, errors.PolicyError, 2),
        (errors.ConfigError, errors.PolicyError, 2),
        (errors.LockTimeout, TimeoutError, 124),
        (errors.LockUnavailable, OSError, 125),
        (errors.LockLost, errors.PolicyError, 125),
    ],
)
def test_tree(kind: type[errors.PolicyError], kin: type[Exception], code: int) -> None:
    """Each error is a PolicyError, the two that Python has a kind for are of that kind, and each has its exit code."""
    assert issubclass(kind, errors.PolicyError)
    assert issubclass(kind, kin)
    assert kind.exit_code == code


def test_config_error() -> None:
    """All faults are listed, one a line, those of a whole file without a position."""
    assert (
        str(errors.ConfigError(FAULTS)) == "a.toml:3:8: error: expected a string, found 1\nb.toml: error: no such file"
    )


def test_timeout() -> None:
    """A timeout says which file, how long, and who holds it; it has the errno of one."""
    assert str(HELD) == f"/e/.lock: timed out after 1.5 s: held by {HELD.holders[0]}"
    assert "anna" in str(HELD)
    assert str(errors.LockTimeout("/e/.lock", 60)) == "/e/.lock: timed out after 60 s: cannot tell who holds it"
    assert (HELD.errno, HELD.filename) == (errno.ETIMEDOUT, "/e/.lock")


def test_several_holders() -> None:
    """All who hold a file are named."""
    two = [Holder(pid=pid, user="anna", command="uv", since=time.time()) for pid in (7, 8)]
    assert str(errors.LockTimeout("/l", 1, two)).endswith(f"held by {two[0]}; {two[1]}")


def test_unavailable() -> None:
    """A lock that cannot be taken says which file, which rule, why, and what to do; it has the errno."""
    assert str(REFUSED) == f"/e/.lock: cannot be locked (rule here): {os.strerror(errno.EROFS)}; choose a global lock"
    assert (REFUSED.errno, REFUSED.filename, REFUSED.path) == (errno.EROFS, "/e/.lock", "/e/.lock")
    plain = errors.LockUnavailable("/e/.lock", 0, "it is a FIFO, not a regular file")
    assert str(plain) == "/e/.lock: cannot be locked: it is a FIFO, not a regular file"


def test_lost() -> None:
    """All files that were lost are named."""
    assert (
        str(EVERY[-1]) == "/e/.lock, /f/.lock: deleted or replaced while locked; another process may have been inside"
    )


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_crosses_processes(error: errors.PolicyError) -> None:
    """An error that is raised in a worker process arrives whole."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  (our own)
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert getattr(copy, "errno", None) == getattr(error, "errno", None)
