"""Environment variables, read as uv reads them."""

from __future__ import annotations

import sys

from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TIMEOUT = 86_400
"""Seconds that a rule, an option or a variable may wait at most: a day."""

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


_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def given(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables as this process was given them: in the C locale Python sets LC_CTYPE for itself (PEP 538)."""
    if environ.get("LC_CTYPE") not in _COERCED or sys.platform != "linux":
        return environ
    with open("/proc/self/environ", "rb") as file:  # as execve(2) got it
        found = b"\0" + file.read()
    return environ if b"\0LC_CTYPE=" in found else {name: environ[name] for name in environ if name != "LC_CTYPE"}
