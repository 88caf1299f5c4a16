"""Joining the lock of an ancestor: a nested `policy run` of the same environment must not wait for itself.

A command that runs while locks are held finds a marker in its environment. The marker is only a hint: anyone can set a
variable, and a lock may be gone by now, so the kernel is asked whether it is true.
"""

from __future__ import annotations

import errno
import os

from policy.errors import LockUnavailable
from policy.host import NOFOLLOW, SAFELY
from policy.locks.open_file import attempt, is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.locks.open_file import OpenFile

READ, WRITE = "READ", "WRITE"  # the words of /proc/locks

READS = "a process that started this one holds it for reading, and would never let a writer in"
WRITE_INSTEAD = "take it for writing there, or for reading here"
LEAVE_IT = "leave LOCK_POLICY_HELD in its environment (`held.environ` in a program), or start it outside"


def joined(file: OpenFile, text: str, *, shared: bool = False) -> bool:
    """Takes over a lock file that an ancestor holds, as the marker says and the kernel confirms.

    Args:
        file: The lock file, not open; afterwards it is the ancestor's.
        text: The value of `LOCK_POLICY_HELD`: `descriptor:device:inode,...`.
        shared: Whether it is wanted for reading.

    Returns:
        Whether it was taken over; False where it is to be locked.

    Raises:
        LockUnavailable: The ancestor reads, and this one wants to write.
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
        held = inherited or _held_above(file.path)
        if held:
            if held == READ and not shared:
                raise LockUnavailable(file.path, errno.EDEADLK, READS, remedy=WRITE_INSTEAD)
            file.owned = False
            file.numbers[:] = [descriptor] if inherited else []
            file.device, file.inode = seen.st_dev, seen.st_ino
            return True
    return False


def refuse_above(path: str, *, patient: bool = True) -> bool:
    """Refuses to wait for a process that led to this one: it may wait for this one in turn.

    Args:
        path: A lock file that somebody holds.
        patient: Whether to wait for an ancestor of which another thread may give the lock up.

    Returns:
        Whether such an ancestor holds it; False where none does.

    Raises:
        LockUnavailable: An ancestor holds it, and would not give it up while it waits for this process.
    """
    from policy.locks import proc  # only a waiter needs it

    file = proc.identity(path)
    if file is None:
        return False
    # This process, too: `policy run` becomes its command, which may become another `policy run`.
    own = os.getpid()
    for pid in (own, *proc.ancestors(own)):
        if not proc.locked_by(pid, file, is_ours if pid == own else None):
            continue
        if patient and pid != own and proc.may_give_up(pid, file):
            return True
        reason = f"process {pid}, an ancestor of this one, holds it, so both would wait forever"
        raise LockUnavailable(path, errno.EDEADLK, reason, remedy=LEAVE_IT)
    return False


def _inherited(path: str, descriptor: int, seen: os.stat_result) -> str:
    """How a descriptor that came to us has the file locked, "" where it has not."""
    if descriptor < 0 or is_ours(descriptor):  # the number may have become that of a lock taken here
        return ""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return ""
    return _locked(path, descriptor) if (found.st_dev, found.st_ino) == (seen.st_dev, seen.st_ino) else ""


def _locked(path: str, descriptor: int) -> str:
    """How the lock is held through a descriptor of the file."""
    from policy.locks import proc  # only a nested run needs it

    if proc.has_locks():
        return proc.mode("self", descriptor)
    # Without /proc: a descriptor of our own is refused, the inherited one is not, so it has the lock already.
    try:
        own = os.open(path, os.O_RDWR | SAFELY | NOFOLLOW)
    except OSError:
        return ""
    try:
        return "" if attempt(own) or not attempt(descriptor) else WRITE
    except OSError:
        return ""
    finally:
        os.close(own)


def _held_above(path: str) -> str:
    """How a process that led to us holds the file: its descriptor was closed on the way, as by subprocess."""
    from policy.locks import proc  # only a nested run needs it

    file = proc.identity(path)
    if file is None:
        return ""
    return next(filter(None, (proc.locked_by(pid, file) for pid in proc.ancestors(os.getpid()))), "")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1  # noqa: PLR2004  (a C int)
