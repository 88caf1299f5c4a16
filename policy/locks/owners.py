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

# By device and inode of what is locked and by the lock object: who holds it, and whether for reading. Several may read.
_owners: dict[str, dict[int, tuple[int, bool]]] = {}

if sys.platform != "win32":
    os.register_at_fork(after_in_child=_owners.clear)


def note(lock: Lock) -> None:
    """The thread or task that runs holds a lock from now on."""
    what = _what(lock)
    if what:
        _owners.setdefault(what, {})[id(lock)] = _who(), lock.shared


def forget(lock: Lock) -> None:
    """The lock is not held any longer, whichever thread or task gives it up."""
    what = _what(lock)
    held = _owners.get(what)
    if held is not None:
        held.pop(id(lock), None)
        if not held:
            _owners.pop(what, None)


def enters_again(lock: Lock) -> bool:
    """Whether the thread or task that runs holds a lock already, so that it may go on.

    Raises:
        LockUnavailable: It holds the lock for reading and now wants to write: it would wait for itself.
    """
    held = [shared for who, shared in tuple(_owners.get(_what(lock), {}).values()) if who == _who()]
    if held and all(held) and not lock.shared:
        reason = "this thread or task holds it for reading, and would wait for itself to write"
        raise LockUnavailable(lock.name, errno.EDEADLK, reason, remedy="take it for writing from the start")
    return bool(held)


def _what(lock: Lock) -> str:
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
