"""Watching over locks on a server from inside a program: a lost lock is reported at once, not only at release."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from policy.locks.session import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from policy.locks.backend import Pause
    from policy.locks.postgresql import PostgresqlLock

BEATS = 6  # in one lease


class Lost:
    """Whether a lock was lost, to be asked, waited for, or called back from.

    False while all locks are held. A lock on a server counts as lost, too, when the server has not confirmed it
    `margin` seconds before the end of the lease: stop what you do, for another may soon begin.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: list[Callable[[str], object]] = []
        self._mutex = threading.Lock()
        self.reason: str = ""

    def __bool__(self) -> bool:
        return self._event.is_set()

    def __repr__(self) -> str:
        return f"Lost({self.reason!r})"

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until a lock is lost.

        Args:
            timeout: Seconds; None: as long as it takes, which is forever when the locks are only files.

        Returns:
            Whether one was lost.
        """
        return self._event.wait(timeout)

    def call(self, callback: Callable[[str], object]) -> None:
        """Has a function called with the reason, once, in another thread, or now if a lock is lost already."""
        with self._mutex:
            if not self:
                self._callbacks.append(callback)
                return
        callback(self.reason)

    def set(self, reason: str) -> None:
        """A lock is lost: the first reason counts."""
        with self._mutex:
            if self:
                return
            self.reason = reason
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(reason)


class Watch:
    """A thread that keeps locks confirmed while a program holds them.

    Args:
        locks: Held, with a deadline; nothing else may use them until `stop`.
        lost: Is set when one is lost.
    """

    def __init__(self, locks: Sequence[PostgresqlLock], lost: Lost) -> None:
        self._locks = tuple(locks)
        self._lost = lost
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lock-policy", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; the locks may be released afterwards."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        pause = min(lock.server.lease for lock in self._locks) / BEATS
        while not self._lost:
            for lock in self._locks:
                try:
                    self._confirm(lock)
                except SessionError as error:
                    self._lost.set(f"{lock.name}: the lock was lost: {error.reason}")
                    return
            if self._stopped.wait(pause):
                return

    def _confirm(self, lock: PostgresqlLock) -> None:
        """Asks, and waits for the answer in small steps, so that `stop` need not wait for a server that is silent."""
        steps: Generator[Pause, None, bool] = lock.confirm(time.monotonic() + 2 * lock.server.lease)
        from policy.locks.session import sleep

        while not self._stopped.is_set():
            try:
                pause = next(steps)
            except StopIteration:
                return
            if (lock.deadline or 0.0) <= time.monotonic():
                raise SessionError(f"no answer from {lock.server}")
            pause.seconds = min(pause.seconds, 0.1)
            sleep(pause)
