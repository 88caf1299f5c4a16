"""A lock beside the environment that needs no flock: filelock's `StrictSoftFileLock`.

The holder publishes a record in a folder there, with hard links that the file server makes atomically. So it
reaches every host that sees the folder. No kernel takes it away from a process that dies: the record stays, and keeps
everybody out, until `policy locks --break` removes it. `policy run` therefore stays beside its command, and releases.
"""

from __future__ import annotations

import os

from policy.locks.backend import Pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from filelock import StrictSoftFileLock

    from policy.locks.backend import Deadline
    from policy.locks.holders import Holder

_FIRST_SECONDS = 0.05  # between two attempts
_LONGEST_SECONDS = 1.0  # the same after some: each attempt is a dozen requests to the file server
_MARK = "-1:strict:"  # before the token: a command inherits no descriptor


class StrictLock:
    """A lock of a plan that is kept in a folder beside the environment.

    Args:
        root: The environment's root.
        shared: Whether it is wanted for reading; it is taken exclusively all the same.
    """

    __slots__ = ("_joined", "_lock", "_token", "name", "root", "shared")

    purpose = "strict"
    kind = "strict"
    deadline: float | None = None
    descriptors: tuple[int, ...] = ()

    def __init__(self, root: str, *, shared: bool = False) -> None:
        try:
            real = os.path.realpath(root)
        except (OSError, ValueError):  # it is refused when it is opened
            real = root
        folder, name = os.path.split(real)
        self.name: str = os.path.join(folder, f".{name}.strict.lock")
        self.root: str = root
        self.shared: bool = shared
        self._forget()

    def _forget(self) -> None:
        self._lock: StrictSoftFileLock | None = None
        self._token = ""  # of the record of its holder, who need not be this process
        self._joined = False

    @property
    def outlives(self) -> bool:
        """It stays held when this process ends without releasing it, unless it is an ancestor's."""
        return not self._joined

    @property
    def marker(self) -> str:
        """The token of the record that was seen last; there is no descriptor to inherit."""
        return f"{_MARK}{self._token}" if self._token else ""

    @property
    def advice(self) -> str:
        """What to do where its holder has died."""
        from shlex import quote  # costs re; only messages need it

        return f"if that process has ended, `policy locks --break {quote(self.root)}` removes the lock"

    def attempt(self) -> bool:
        """Publishes a record where there is none yet.

        Raises:
            LockUnavailable: The folder cannot be written, or what lies there is not understood.
        """
        from policy.locks import strict_claims  # costs filelock

        if self._lock is None:
            self._lock = strict_claims.unheld(self.name)
        taken = strict_claims.attempt(self._lock)
        self._token = strict_claims.holding_token(self._lock)
        return taken

    def attempting(self) -> Generator[Pause, None, bool]:
        """What `attempt` does; a file server answers soon, or nothing of its can be read by anybody.

        Raises:
            LockUnavailable: The folder cannot be written, or what lies there is not understood.
        """
        yield from ()
        return self.attempt()

    def wait(self, deadline: Deadline) -> Generator[Pause, None, bool]:
        """Tries again and again: there is no queue.

        Raises:
            LockUnavailable: The folder cannot be written, or what lies there is not understood.
        """
        seconds = _FIRST_SECONDS
        while not deadline.over:
            # Between half and all of it, so that two who refuse each other do not come back together.
            yield Pause(-1, min(deadline.pause(), seconds * (1 - os.urandom(1)[0] / 512)))
            if self.attempt():
                return True
            seconds = min(2 * seconds, _LONGEST_SECONDS)
        return False

    def is_current(self) -> bool:
        """Whether the record is still there; True when it is not held. What cannot be looked at counts as gone."""
        if not (self._joined or (self._lock is not None and self._lock.is_locked)):
            return True
        from policy.locks import strict_claims

        return strict_claims.is_there(self.name, self._token)

    def is_held(self) -> bool | None:
        """Whether there is a record; None where the folder cannot be read or understood."""
        from policy.locks import strict_claims

        return strict_claims.is_held(self.name)

    def watch(self) -> int:
        """Nothing brings news of a folder on another host."""
        return -1

    def inherit(self) -> None:
        """Nothing can be inherited: this process stays, and releases when the command has ended."""

    def release(self) -> None:
        """Removes the record; that of an ancestor stays."""
        if self._lock is not None:
            from policy.locks import strict_claims

            strict_claims.release(self._lock, self.advice)
        self._forget()

    def holders(self) -> tuple[Holder, ...]:
        """Whose record it is, on which host."""
        from policy.locks import strict_claims

        return strict_claims.holders(self.name)

    def join(self, text: str) -> bool:
        """Takes over what an ancestor holds: its token is in `LOCK_POLICY_HELD`, and its record still in the folder."""
        tokens = {entry[len(_MARK) :] for entry in text.split(",") if entry.startswith(_MARK)}
        if tokens:
            from policy.locks import strict_claims

            found = strict_claims.holding_token(strict_claims.unheld(self.name))
            if found in tokens:
                self._token, self._joined = found, True
        return self._joined

    def below(self, text: str) -> None:
        """Nothing: the gate keeps those apart who join the same lock."""

    def record(self) -> dict[str, object]:
        """Its entry in explain's plan."""
        return {"purpose": self.purpose, "kind": self.kind, "path": self.name}

    def __str__(self) -> str:
        return "beside the environment, without flock; a crash leaves it, and `policy locks --break` removes it"

    def __repr__(self) -> str:
        return f"StrictLock({self.root!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StrictLock) and self.name == other.name

    def __hash__(self) -> int:
        return hash((self.purpose, self.name))
