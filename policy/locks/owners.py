"""Which thread or task of this process holds a lock, so that it can enter again instead of waiting for itself."""

from __future__ import annotations

import errno
import os
import sys
from _thread import get_ident

from policy.errors import LockUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.locks.backend import Lock

# The locks that are held, by their id, with who holds each and whether for reading.
_owners: dict[int, tuple[Lock, int, bool]] = {}

if sys.platform != "win32":
    os.register_at_fork(after_in_child=_owners.clear)


def note(lock: Lock) -> None:
    """The thread or task that runs holds a lock from now on."""
    _owners[id(lock)] = lock, _who(), lock.shared


def forget(lock: Lock) -> None:
    """The lock is not held any longer, whichever thread or task gives it up."""
    _owners.pop(id(lock), None)


def enters_again(lock: Lock) -> bool:
    """Whether the thread or task that runs holds a lock already, so that it may go on.

    Raises:
        LockUnavailable: It holds the lock for reading and now wants to write: it would wait for itself.
    """
    what, who = _what(lock), _who()
    held = [
        shared for other, owner, shared in tuple(_owners.values()) if owner == who and what and _what(other) == what
    ]
    if held and all(held) and not lock.shared:
        reason = "this thread or task holds it for reading, and would wait for itself to write"
        raise LockUnavailable(lock.name, errno.EDEADLK, reason, remedy="take it for writing from the start")
    return bool(held)


def _what(lock: Lock) -> str:
    """Device and inode of what is locked; "" where nothing says it."""
    return lock.marker.partition(":")[2]


def _who() -> int:
    """The running task, or the thread."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            return id(asyncio.current_task()) or get_ident()
        except RuntimeError:
            pass  # no event loop runs in this thread
    return get_ident()
