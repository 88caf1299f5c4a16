"""Joining the lock of an ancestor: a nested `policy run` of the same environment must not wait for itself.

A command that runs while locks are held finds a marker in its environment. The marker is only a hint: anyone can set a
variable, and a lock may be gone by now, so the kernel is asked whether it is true.
"""

from __future__ import annotations

import os

from policy.locks.open_file import is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.locks.open_file import OpenFile

MARKER = "LOCK_POLICY_HELD"


def joined(file: OpenFile, text: str) -> bool:
    """Takes over a lock file that an ancestor holds, as the marker says and the kernel confirms.

    Args:
        file: The lock file, not open; afterwards it is the ancestor's.
        text: The value of `LOCK_POLICY_HELD`: `descriptor:device:inode,...`.

    Returns:
        Whether it was taken over; False where it is to be locked.
    """
    try:
        seen = os.lstat(file.path)
    except (OSError, ValueError):
        return False
    for entry in text.split(","):
        fields = entry.split(":")
        if len(fields) != 3 or fields[1:] != [str(seen.st_dev), str(seen.st_ino)]:  # noqa: PLR2004  (as the marker has)
            continue
        descriptor = _number(fields[0])
        inherited = _inherited(file.path, descriptor, seen)
        if inherited or _held_above(file.path):
            file.owned = False
            file.numbers[:] = [descriptor] if inherited else []
            file.device, file.inode = seen.st_dev, seen.st_ino
            return True
    return False


def _inherited(path: str, descriptor: int, seen: os.stat_result) -> bool:
    """Whether a descriptor came to us with the lock on the file."""
    if descriptor < 0 or is_ours(descriptor):  # the number may have become that of a lock taken here
        return False
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (seen.st_dev, seen.st_ino) and _locked(path, descriptor)


def _locked(path: str, descriptor: int) -> bool:
    """Whether the lock is held through a descriptor of the file."""
    from policy.locks import proc  # only a nested run needs it
    from policy.locks.file import attempt

    if proc.has_locks():
        return proc.locked_through("self", descriptor) is not None
    # Without /proc: a descriptor of our own is refused, the inherited one is not, so it has the lock already.
    try:
        own = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return False
    try:
        return not attempt(own) and attempt(descriptor)
    except OSError:
        return False
    finally:
        os.close(own)


def _held_above(path: str) -> bool:
    """Whether a process that led to us holds the file: its descriptor was closed on the way, as by subprocess."""
    from policy.locks import proc  # only a nested run needs it

    file = proc.identity(path)
    holders = proc.flocks().get(file, ()) if file else ()
    return bool(holders) and not set(holders).isdisjoint(proc.ancestors(os.getpid()))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1  # noqa: PLR2004  (a C int)
