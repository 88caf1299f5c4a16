"""What is decided and what happens to locks, a line of JSON each, appended to the file that LOCK_POLICY_LOG names.

Nothing of this may stop or delay a lock: what cannot be written at once is left out.
"""

from __future__ import annotations

import json
import os
import stat
import time

from policy.host import SAFELY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.locks.backend import Lock

LOG = "LOCK_POLICY_LOG"
LONGEST = 4096  # bytes of a line, which the kernel appends as a whole
LARGEST = 16 * 1024 * 1024  # bytes; then the file becomes FILE.1, in the place of an older one
EVENTS = ("wait", "acquired", "joined", "timeout", "lost", "released")
_NAME = 2048  # characters of a lock's name


class Journal:
    """Where to write, and which locks of this process stand there as acquired.

    Args:
        path: The file; it is created where it does not exist.
    """

    __slots__ = ("_acquired", "path")

    def __init__(self, path: str) -> None:
        self.path: str = path
        self._acquired: set[int] = set()

    def write(self, event: str, lock: Lock, **facts: object) -> None:
        """Appends a line.

        Args:
            event: One of EVENTS.
            lock: Which.
            **facts: What else is known.
        """
        if event == "acquired":
            self._acquired.add(id(lock))
        elif event == "released":
            if id(lock) not in self._acquired:
                return  # it was only tried
            self._acquired.discard(id(lock))
        known = {"lock": lock.name[:_NAME], "kind": lock.kind, "purpose": lock.purpose, "shared": lock.shared}
        self.record(event, **known, **facts)

    def record(self, event: str, **facts: object) -> bool:
        """Appends a line about anything.

        Args:
            event: What happened.
            **facts: What is known of it.

        Returns:
            Whether the line was short enough.
        """
        record = {"time": round(time.time(), 3), "event": event, "pid": os.getpid(), **facts}
        line = json.dumps(record).encode("ascii") + b"\n"
        if len(line) > LONGEST:
            return False
        try:
            self._append(line)
        except (OSError, ValueError):  # no such folder, no space, no right, a full pipe: the lock matters more
            pass
        return True

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | SAFELY, 0o600)
        try:
            seen = os.fstat(descriptor)
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        if stat.S_ISREG(seen.st_mode) and seen.st_size + len(line) > LARGEST:
            os.replace(self.path, f"{self.path}.1")
