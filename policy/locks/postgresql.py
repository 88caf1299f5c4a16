"""A lock on a PostgreSQL server: a session-level advisory lock, which lasts as long as the session's socket is open.

The socket is a descriptor that a command inherits, so the lock has flock's own meaning across hosts. The server gives
it away no earlier than `lease` seconds after the last packet of a host that has vanished; `locks/guard.py` stops the
command before that.
"""

from __future__ import annotations

import os
import sys
import time

from policy.errors import LockUnavailable
from policy.locks.backend import Pause
from policy.locks.cluster_checks import (
    DIRECT,
    EPOCH,
    POOLER,
    STATE_QUERY,
    ServerState,
    check,
    check_encryption,
    check_pooler,
    opening,
)
from policy.locks.cluster_holders import comment, holders, inherited
from policy.locks.holders import Holder
from policy.locks.session import Overdue, Session, SessionError, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from policy.locks.backend import Deadline, Lock
    from policy.locks.cluster_key import ClusterKey
    from policy.locks.session import Row, Server

BEATS = 6  # heartbeats in one lease

# What is asked while others wait for the answer is prepared, and was run once: then it costs the server no planning.
_PREPARE = """deallocate all; prepare lock_policy_confirm as
select pg_backend_pid(), coalesce(current_setting('lock_policy.session', true), ''),
 count(*) filter (where pid = pg_backend_pid()), count(*) filter (where pid <> pg_backend_pid()),
 extract(epoch from clock_timestamp())
 from pg_locks where locktype = 'advisory' and granted
 and database = (select oid from pg_database where datname = current_database())
 and classid = {high} and objid = {low} and objsubid = 1;
prepare lock_policy_release as select pg_advisory_unlock{shared}({number}); """
_CONFIRM = "execute lock_policy_confirm"
_TRY = f"{_PREPARE}{_CONFIRM}; select pg_try_advisory_lock{{shared}}({{number}}); {_CONFIRM}"
_WAIT = f"{_PREPARE}{_CONFIRM}; select pg_advisory_lock{{shared}}({{number}})"
_RELEASE = f"execute lock_policy_release; {_CONFIRM}"
_GIVE_WAY_SECONDS = 0.002  # what the end of a session costs the server
# A transaction that only has a number does not wait for the standby; one that wrote something does.
_REPLICATED = "select pg_logical_emit_message(true, 'lock-policy', '{number}') is null; "


def clock() -> float:
    """Seconds on a clock that goes on while the machine is suspended, where there is one."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class PostgresqlLock:
    """A lock of a plan that is kept on a server.

    Args:
        key: What it is named after.
        server: Where it is kept.
        shared: Whether it is taken for reading.
        problem: Why it can never be taken; known before, and raised when it is tried.
    """

    __slots__ = (
        "_confirmed",
        "_inherited",
        "_joined",
        "_pending",
        "_pid",
        "_problem",
        "_seen",
        "_session",
        "_since",
        "_synchronous",
        "_token",
        "_young",
        "key",
        "name",
        "server",
        "shared",
    )

    purpose = "cluster"
    kind = "postgresql"
    outlives: bool = False
    advice: str = ""

    def __init__(
        self, key: ClusterKey, server: Server, *, shared: bool = False, problem: LockUnavailable | None = None
    ) -> None:
        self._problem = problem
        self.key: ClusterKey = key
        self.name: str = key.text
        self.server: Server = server
        self.shared: bool = shared
        self._forget()

    def _forget(self) -> None:
        self._session: Session | None = None
        self._confirmed: float | None = None  # when what the server has answered last was sent, by `clock`
        self._pending: float | None = None  # when what it has not answered yet was sent
        self._joined: tuple[int, int, int] | None = None  # descriptor, device and inode of an ancestor's socket
        self._inherited = False
        self._synchronous = False
        self._pid = ""
        self._token = ""
        self._since = 0.0
        self._young = 0.0
        self._seen: tuple[Holder, ...] = ()

    @property
    def deadline(self) -> float | None:
        """The moment, on the monotonic clock, by which the server must have confirmed the lock again."""
        if self._confirmed is None:
            return None
        return time.monotonic() + self._confirmed + self.server.lease - self.server.margin - clock()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The socket."""
        if self._joined:
            return self._joined[:1] if self._joined[0] >= 0 else ()
        found = self._session.descriptor if self._session else -1
        return (found,) if found >= 0 else ()

    @property
    def marker(self) -> str:
        """`descriptor:device:inode` of the socket."""
        if self._joined:
            return ":".join(map(str, self._joined))
        for descriptor in self.descriptors:
            seen = os.fstat(descriptor)
            return f"{descriptor}:{seen.st_dev}:{seen.st_ino}"
        return ""

    def attempt(self) -> bool:
        """Connects where necessary, and asks the server for the lock once.

        Raises:
            LockUnavailable: The server cannot be reached, cannot be trusted with a lock, or refuses.
        """
        return drive(self.attempting())

    def attempting(self) -> Generator[Pause, None, bool]:
        """The same in steps."""
        if self._problem:
            raise self._problem
        try:
            return (yield from self._attempt())
        except SessionError as error:
            self.release()
            raise self.unavailable(error) from None

    def _attempt(self) -> Generator[Pause, None, bool]:
        if self._session is None:
            yield from self._open()
        if self._young > 0:
            return False
        sent = clock()
        before, (granted,), now = yield from self._ask(_TRY)
        if before[2] != "0":
            raise SessionError(f"this session holds it already: {POOLER}", DIRECT)
        if granted == "t":
            yield from self._granted(now, sent)
        return granted == "t"

    def wait(self, deadline: Deadline) -> Generator[Pause, None, bool]:
        """Queues on the server, which serves first who came first.

        Raises:
            LockUnavailable: The server went away for longer than the lease, or refuses.
        """
        granted = False
        until = 0.0
        try:
            while not granted:
                try:
                    if self._session is None:
                        yield from self._open()
                    until = 0.0
                    if not (yield from self._aged(deadline)):
                        return False
                    granted = yield from self._queue(deadline)
                    if not granted:
                        return False
                except SessionError as error:
                    # A server that restarts takes its queue with it; waiters queue again when it is back.
                    self._end()
                    until = until or clock() + self.server.lease
                    if error.state or clock() >= until:
                        raise self.unavailable(error) from None
                    if deadline.over:
                        return False
                    yield Pause(-1, min(deadline.pause(), 0.5))
            return True
        finally:
            if not granted:
                self._leave()

    def _aged(self, deadline: Deadline) -> Generator[Pause, None, bool]:
        """Waits until the server is older than the lease: until then a lock that it lost may still be relied on."""
        while self._young > 0:
            if deadline.over:
                return False
            yield Pause(-1, min(deadline.pause(), self._young, 1.0))
            rows = yield from self._ask(f"select {EPOCH}")
            self._young = self.server.lease - float(rows[0][0])
        return True

    def _queue(self, deadline: Deadline) -> Generator[Pause, None, bool]:
        session = self._session
        if session is None:
            return False
        session.send(self._text(_WAIT))
        ask = self._text(_CONFIRM)
        while not deadline.over:
            try:
                yield from session.receive(time.monotonic() + deadline.pause())
            except Overdue:
                continue
            # The question was asked long ago: the lease begins with one that is asked now.
            sent = clock()
            (now,) = yield from session.ask(ask, self.server.lease)
            yield from self._granted(now, sent)
            return True
        return False

    def _granted(self, said: Row, sent: float) -> Generator[Pause, None, None]:
        """It is ours as the server says, and with a synchronous standby as soon as that has heard of it."""
        self._since = float(said[4])
        self._seen = ()
        self._believe(said, sent)
        if self._synchronous and not (yield from self.confirm(time.monotonic() + self.server.lease)):
            raise SessionError("its synchronous standby does not answer")

    def _believe(self, said: Row, sent: float) -> None:
        """Takes the server's word for it, as of the moment when it was asked.

        Raises:
            SessionError: It is lost.
        """
        pid, token, held, *_ = said
        if (pid, token) != (self._pid, self._token):
            raise SessionError(f"another session took its place: {POOLER}", DIRECT)
        if held == "0":
            raise SessionError("the server no longer has it")
        self._confirmed = sent

    def _leave(self) -> None:
        """Gives up waiting, so that the server's queue is shorter by one when this returns."""
        if self._session is not None and self._confirmed is None:
            self._session.cancel()
        self._end()

    def confirm(self, until: float) -> Generator[Pause, None, bool]:
        """Asks the server whether it is still held.

        Args:
            until: How long to wait for the answer, on the monotonic clock.

        Returns:
            True when it is; False when there is no answer yet, and `confirm` may be called again.

        Raises:
            SessionError: It is lost.
        """
        if self._session is None:
            raise SessionError("the session is closed")
        if self._pending is None:
            self._pending = clock()
            self._session.send(self._text((_REPLICATED if self._synchronous else "") + _CONFIRM))
        try:
            rows = yield from self._session.receive(until)
        except Overdue:
            return False
        sent, self._pending = self._pending, None
        self._believe(rows[-1], sent)
        return True

    def is_current(self) -> bool:
        """Whether the server says that it is still ours; True when it is not held at all."""
        if self._joined:
            return True  # the guard of the ancestor that holds it watches over its whole tree
        if self._session is None:
            return True
        if self._confirmed is None or self._session.detached:
            return False
        try:
            return drive(self.confirm(time.monotonic() + self.server.lease))
        except SessionError:
            return False

    def lasting(self) -> float:
        """Seconds for which nobody else can have been given the lock, as far as was confirmed."""
        return max(0.0, (self._confirmed or 0.0) + self.server.lease - clock())

    def is_held(self) -> bool | None:
        """Whether anybody holds it now; None where the server cannot be asked."""
        if self._problem:
            return None
        try:
            return bool(self._holders())
        except SessionError:
            return None

    def watch(self) -> int:
        """The socket: while nothing is asked, whatever arrives there is bad news."""
        return self._session.descriptor if self._session and self._confirmed is not None else -1

    def inherit(self) -> None:
        """Lets commands that are started from now on keep the session until the last of them has ended."""
        for descriptor in self.descriptors:
            os.set_inheritable(descriptor, True)  # noqa: FBT003  (it takes no keyword)
        self._inherited = True

    def release(self) -> None:
        """Gives it up, unless a command that inherited the socket still has it."""
        session = self._session
        if session is not None and self._inherited:
            session.detach()
        elif session is not None and self._confirmed is not None and self._pending is None and not session.detached:
            try:
                _, said = drive(session.ask(_RELEASE, 1.0))
                if said[3] != "0":
                    time.sleep(_GIVE_WAY_SECONDS)  # the next one has it: the server is not kept busy while it begins
            except SessionError:
                pass  # closing releases it as well
        self._end()

    def _end(self) -> None:
        session = self._session
        self._forget()
        if session is not None:
            session.close()

    def holders(self) -> tuple[Holder, ...]:
        """Who holds it, on which host; what was seen last while the server cannot be asked."""
        if self._problem:
            return ()
        if self._young > 0:
            age = self.server.lease - self._young
            text = (
                f"the server itself: it started {age:.0f} s ago, and gives no lock away before {self.server.lease:g} s"
            )
            return (Holder(0, "", text),)
        try:
            self._seen = self._holders()
        except SessionError:
            pass
        return self._seen

    def _holders(self) -> tuple[Holder, ...]:
        return holders(self.server, self.key)

    def join(self, text: str) -> bool:
        """Takes over what an ancestor holds: its socket, as the kernel knows it, in a session that has the lock."""
        if self._problem:
            return False
        self._joined = inherited(self.server, self.key, text, shared=self.shared)
        return self._joined is not None

    def below(self, text: str) -> None:
        """Nothing: the gate keeps those apart who join the same lock."""

    def record(self) -> dict[str, object]:
        """Its entry in explain's plan."""
        return {
            "purpose": self.purpose,
            "kind": self.kind,
            "key": self.key.text,
            "number": self.key.number,
            "origin": self.key.origin,
            "server": str(self.server),
        }

    def unavailable(self, error: SessionError) -> LockUnavailable:
        """An error of the session as one of the lock."""
        return LockUnavailable(self.key.text, 0, error.reason, remedy=error.remedy)

    def _open(self) -> Generator[Pause, None, None]:
        """Connects and sees whether a lock there can be trusted.

        Raises:
            SessionError: It cannot.
        """
        self._session = session = Session(self.server)
        self._token = os.urandom(8).hex()
        yield from session.connect()
        rows = yield from session.ask(self._text(opening(self.server, self._token)) + STATE_QUERY, self.server.lease)
        before, seen = rows[0][0], ServerState(rows[2])
        check_encryption(session)
        if before:
            raise SessionError(POOLER, DIRECT)
        if str(session.connection.backend_pid) != seen.pid:
            yield from check_pooler(self.server, self._token, seen.pid)
        check(self.server, seen)
        self._pid = seen.pid
        self._synchronous = bool(seen.standbys)
        self._young = self.server.lease - seen.age

    def _ask(self, text: str) -> Generator[Pause, None, list[Row]]:
        if self._session is None:
            raise SessionError("the session is closed")
        return (yield from self._session.ask(self._text(text), self.server.lease))

    def _text(self, text: str) -> str:
        """A statement with who asks, and for what."""
        number = self.key.number & 0xFFFF_FFFF_FFFF_FFFF
        named = {
            "number": self.key.number,
            "high": number >> 32,
            "low": number & 0xFFFF_FFFF,
            "shared": "_shared" if self.shared else "",
        }
        return (comment(self.said()) + text).format(**named)

    def said(self) -> dict[str, object]:
        """What the server can tell others about this lock."""
        return {"key": self.key.text, "since": self._since, "socket": self.marker.partition(":")[2]}

    def __str__(self) -> str:
        if self._problem:
            return f"cannot be taken: {self._problem.reason}; {self._problem.remedy}"
        return f"on {self.server}; named by {self.key.origin}"

    def __repr__(self) -> str:
        return f"PostgresqlLock({self.key.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PostgresqlLock) and (self.key, self.shared) == (other.key, other.shared)

    def __hash__(self) -> int:
        return hash((self.purpose, self.key))


def confirmable(locks: Iterable[Lock]) -> list[PostgresqlLock]:
    """Those of some locks that a server must confirm again and again while they are held."""
    return [lock for lock in locks if isinstance(lock, PostgresqlLock) and lock.deadline is not None]
