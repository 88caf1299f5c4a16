"""Environment variables, read as uv reads them."""

from __future__ import annotations

import os
import sys

from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_TIMEOUT = 86_400
"""Seconds that a rule, an option or a variable may wait at most: a day."""

MAX_SIZE = 256 * 1024
"""Bytes of a configuration file, unless LOCK_POLICY_MAX_SIZE allows more."""

TRUE = frozenset({"y", "yes", "t", "true", "on", "1"})
FALSE = frozenset({"n", "no", "f", "false", "off", "0"})


def boolean(value: str) -> bool | None:
    """A boolean as uv reads one from an environment variable, in any case; None for anything else, empty too."""
    word = value.lower()
    return True if word in TRUE else False if word in FALSE else None


def flag(environ: Mapping[str, str], name: str) -> bool:
    """The boolean in an environment variable of ours; an unset one is false.

    Raises:
        UsageError: When it is set to something else.
    """
    if name not in environ:
        return False
    value = boolean(environ[name])
    if value is None:
        raise UsageError(f"{name} must be a boolean (true, false, yes, no, on, off, 1 or 0)")
    return value


# What os.environ keeps its variables in: it encodes each name itself, and raises twice for one that is not set, which
# takes as long as a system call; of ours most are not set. Windows spells the names in another way.
_ENVIRON = os.environ
_own: Mapping[bytes, bytes] | None = None if sys.platform == "win32" else getattr(_ENVIRON, "_data", None)


def get(environ: Mapping[str, str], name: str) -> str | None:
    """The value of a variable, None where it is not set.

    Args:
        environ: Environment variables.
        name: Any.
    """
    if _own is None or environ is not _ENVIRON:
        return environ.get(name)
    value = _own.get(os.fsencode(name))
    return None if value is None else os.fsdecode(value)


def state(environ: Mapping[str, str], names: Sequence[str]) -> tuple[str | bytes | None, ...]:
    """What some variables are set to, by which one sees whether one of them has changed.

    Args:
        environ: Environment variables.
        names: Of ASCII letters.
    """
    if _own is None or environ is not _ENVIRON:
        return tuple([environ.get(name) for name in names])
    own = _own.get
    return tuple([own(name.encode()) for name in names])


_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def given(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables as this process was given them: in the C locale Python sets LC_CTYPE for itself (PEP 538)."""
    if environ.get("LC_CTYPE") not in _COERCED or sys.platform != "linux":
        return environ
    with open("/proc/self/environ", "rb") as file:  # as execve(2) got it
        found = b"\0" + file.read()
    return environ if b"\0LC_CTYPE=" in found else {name: environ[name] for name in environ if name != "LC_CTYPE"}
