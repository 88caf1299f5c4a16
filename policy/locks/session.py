"""A session on a PostgreSQL server: connected, asked and closed without ever blocking for longer than was allowed.

libpq is used through psycopg's thin layer (`psycopg.pq`), so that one generator serves a thread and an event loop. The
session lasts as long as its socket is open anywhere, and the socket is a descriptor that a command can inherit.
"""

from __future__ import annotations

import os
import sys
import time

from policy.escape import escape
from policy.locks.backend import SLICE_SECONDS, Pause
from policy.locks.open_file import unforked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeVar

    from psycopg.pq.abc import PGconn

    T = TypeVar("T")
    Row = tuple[str, ...]  # as the server's text; NULL is ""

CONNECT_SECONDS = 10.0  # where neither the service nor PGCONNECT_TIMEOUT says another
_WRITE_SECONDS = 0.002  # until a socket that is being connected, or whose buffer is full, is looked at again
_LONGEST_WRITE_SECONDS = 0.05
_CANCEL_SECONDS = 2.0
_TCP_THIN_LINEAR_TIMEOUTS = 16  # tcp(7), Linux 2.6.34: six times without waiting longer
_TCP_RTO_MAX_MS = 44  # Linux 6.15

_REMEDIES = {
    "password authentication failed": "put the password into the file that PGPASSFILE names",
    "no password supplied": "put the password into the file that PGPASSFILE names",
    "too many clients": "each holder and each waiter needs one connection: raise max_connections",
    "connection slots are reserved": "each holder and each waiter needs one connection: raise max_connections",
    "too many connections": "each holder and each waiter needs one connection: raise the limit of the role or database",
    "certificate": "check sslrootcert, and the name and the dates of the server's certificate",
    "does not exist": "`policy cluster init` prints the SQL that creates the role and the database",
    "not found": "check the name of the service and pg_service.conf",
    "translate host name": "check the name of the host",
    "no pg_hba.conf entry": "add a line for this host to the server's pg_hba.conf",
    "starting up": "try again when the server is up",
}
_UNREACHABLE = "check the address, the server and what lies between; `policy cluster status` shows more"


class SessionError(Exception):
    """The server refused, or the session is gone.

    Args:
        reason: What went wrong, in one line without a secret.
        remedy: What to do about it.
        state: The SQLSTATE of a refusal, "" where the session is gone.
    """

    def __init__(self, reason: str, remedy: str = "", state: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.state = state


class Overdue(SessionError):  # noqa: N818  (named after the event)
    """The server has not answered in time; it may still do so."""


class Server:
    """Where locks of a cluster are kept: the values of `[cluster]`.

    Args:
        service: A libpq service of pg_service.conf.
        host: The server's name, address or socket directory, like all that follow "" for libpq's default.
        port: Its port.
        dbname: The database; a lock in another database of the server is another lock.
        user: The role.
        sslmode: What libpq demands of TLS.
        sslrootcert: The file of trusted certificates.
        lease: Seconds after the last packet before which the server never gives a lock away.
        margin: Seconds before the end of the lease at which a command is stopped.
        sync: `require` refuses a server without a synchronous standby.
        engine: `postgresql`.
    """

    __slots__ = (
        "dbname",
        "engine",
        "host",
        "lease",
        "margin",
        "port",
        "service",
        "sslmode",
        "sslrootcert",
        "sync",
        "user",
    )

    def __init__(  # noqa: PLR0913  (the keys of `[cluster]`)
        self,
        *,
        service: str = "",
        host: str = "",
        port: int | str = "",
        dbname: str = "",
        user: str = "",
        sslmode: str = "",
        sslrootcert: str = "",
        lease: float = 30,
        margin: float = 5,
        sync: str = "auto",
        engine: str = "postgresql",
    ) -> None:
        self.service: str = service
        self.host: str = host
        self.port: str = str(port)
        self.dbname: str = dbname
        self.user: str = user
        self.sslmode: str = sslmode
        self.sslrootcert: str = sslrootcert
        self.lease: float = lease
        self.margin: float = margin
        self.sync: str = sync
        self.engine: str = engine

    def __str__(self) -> str:
        if self.service:
            return f"service {self.service}"
        return f"{self.host or 'the default host'}{':' if self.port else ''}{self.port}/{self.dbname}"

    @property
    def keepalives(self) -> dict[str, int]:
        """What both ends of the connection are set to: dead after the lease, and not before."""
        idle, interval = max(1, int(self.lease // 3)), max(1, int(self.lease // 6))
        return {
            "keepalives_idle": idle,
            "keepalives_interval": interval,
            "keepalives_count": max(1, -int(-(self.lease - idle) // interval)),
        }

    @property
    def conninfo(self) -> str:
        """What libpq connects to; the password is none of it."""
        named = {
            name: getattr(self, name)
            for name in ("service", "host", "port", "dbname", "user", "sslmode", "sslrootcert")
            if getattr(self, name)
        }
        fixed = {
            "application_name": "lock-policy",
            "client_encoding": "UTF8",
            "keepalives": 1,
            **self.keepalives,
            "tcp_user_timeout": int(self.lease * 1000),
        }
        return " ".join(f"{name}={_quoted(str(value))}" for name, value in {**named, **fixed}.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


# What a forked child must let go: a copied socket would keep the session, and the lock, when its holder dies.
_open: dict[int, Session] = {}

if sys.platform != "win32":

    def _forget() -> None:
        """In a forked child: no word of it may reach the server, not even the one with which libpq takes its leave."""
        for session in list(_open.values()):
            session.detach()
        _open.clear()

    os.register_at_fork(after_in_child=_forget)


class Session:
    """A connection to the server; `connect` makes it.

    Args:
        server: Where to.
    """

    __slots__ = ("_connection", "_warned", "detached", "server")

    def __init__(self, server: Server) -> None:
        self.server: Server = server
        self.detached: bool = False
        self._connection: PGconn | None = None
        self._warned = ""

    @property
    def connection(self) -> PGconn:
        """The libpq connection.

        Raises:
            SessionError: It is closed.
        """
        if self._connection is None or self.detached:
            raise SessionError("the session is closed")
        return self._connection

    @property
    def descriptor(self) -> int:
        """The socket, -1 where there is none."""
        try:
            return self.connection.socket
        except Exception:  # noqa: BLE001  (psycopg's error for a connection that is gone)
            return -1

    def connect(self) -> Generator[Pause, None, None]:
        """Connects.

        Raises:
            SessionError: It cannot be reached, or refuses.
        """
        pq = _library()
        with unforked:
            self._connection = connection = pq.PGconn.connect_start(self.server.conninfo.encode())
            _open[id(self)] = self
        try:
            yield from self._connecting(connection)
        except BaseException:
            self.close()
            raise
        _retransmit_soon(connection.socket)
        connection.nonblocking = 1
        connection.notice_handler = self._notice

    def _connecting(self, connection: PGconn) -> Generator[Pause, None, None]:
        pq = _library()
        until = time.monotonic() + _seconds(connection)
        state = pq.PollingStatus.WRITING  # what libpq says first
        while state != pq.PollingStatus.OK:
            if connection.status == pq.ConnStatus.BAD or state == pq.PollingStatus.FAILED:
                raise _failure(connection)
            if not (yield from _readiness(connection, until, writing=state == pq.PollingStatus.WRITING)):
                raise SessionError(f"no answer from {self.server} while connecting", _UNREACHABLE)
            with unforked:
                state = connection.connect_poll()

    def _notice(self, result: object) -> None:
        """Keeps a warning: a cancelled wait for the standby is only a warning to PostgreSQL."""
        from psycopg.pq import DiagnosticField

        severity = result.error_field(DiagnosticField.SEVERITY_NONLOCALIZED)  # type: ignore[attr-defined]  # abc.PGresult
        if severity != b"NOTICE":
            self._warned = _text(result.error_field(DiagnosticField.MESSAGE_PRIMARY))  # type: ignore[attr-defined]  # abc.PGresult

    def send(self, text: str) -> None:
        """Sends statements; what is answered comes from `receive`.

        Raises:
            SessionError: The session is gone.
        """
        self._warned = ""
        connection = self.connection
        try:
            connection.send_query(text.encode())
        except Exception as error:  # noqa: BLE001  (psycopg.Error, which cannot be named before it is imported)
            raise SessionError(_line(str(error))) from None

    def receive(self, until: float) -> Generator[Pause, None, list[Row]]:
        """Waits for the answer to what was sent last.

        Args:
            until: The moment on the monotonic clock by which it must be there.

        Returns:
            The rows of all statements, one after the other.

        Raises:
            SessionError: The server refused, or the session is gone.
            Overdue: There is no answer yet; `receive` may be called again.
        """
        connection = self.connection
        rows: list[Row] = []
        failed: SessionError | None = None
        try:
            while connection.flush():
                yield from self._pause(until, -1, _WRITE_SECONDS)
            while True:
                while connection.is_busy():
                    yield from self._pause(until, self.descriptor)
                    connection.consume_input()
                result = connection.get_result()
                if result is None:
                    break
                failed = _refusal(result) or failed
                for row in range(result.ntuples):
                    values = (result.get_value(row, column) for column in range(result.nfields))
                    rows.append(tuple(_text(value) for value in values))
        except SessionError:
            raise
        except Exception as error:  # noqa: BLE001  (psycopg.Error)
            raise SessionError(_line(str(error))) from None
        if failed:
            raise failed
        if self._warned:
            raise SessionError(self._warned, state="01000")
        return rows

    def _pause(self, until: float, descriptor: int, longest: float = SLICE_SECONDS) -> Generator[Pause, None, None]:
        left = until - time.monotonic()
        if left <= 0:
            raise Overdue(f"no answer from {self.server}")
        yield Pause(descriptor, min(left, longest))

    def ask(self, text: str, seconds: float) -> Generator[Pause, None, list[Row]]:
        """Sends statements and waits for the answer.

        Raises:
            SessionError: The server refused, the session is gone, or there was no answer in time.
        """
        self.send(text)
        return (yield from self.receive(time.monotonic() + seconds))

    def cancel(self) -> None:
        """Takes a statement that waits out of the server's queue, and returns when the server has seen to it."""
        if self._connection is None or self.detached:
            return
        try:
            cancelling = self._connection.cancel_conn()
        except Exception:  # noqa: BLE001  (libpq before 17)
            self._connection.get_cancel().cancel()
            return
        pq = _library()
        until = time.monotonic() + _CANCEL_SECONDS
        try:
            cancelling.start()
            state = pq.PollingStatus.WRITING
            while state not in {pq.PollingStatus.OK, pq.PollingStatus.FAILED}:
                if not drive(_readiness(cancelling, until, writing=state == pq.PollingStatus.WRITING)):
                    break
                state = cancelling.poll()
        except Exception:  # noqa: BLE001  (the session is closed next, and then the server sees for itself)
            return
        finally:
            cancelling.finish()

    def detach(self) -> None:
        """Lets go of the socket without a word: other copies keep the session."""
        self.detached = True
        if self._connection is None:
            return
        try:
            descriptor = self._connection.socket
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, descriptor, inheritable=False)
            os.close(nothing)
        except Exception:  # noqa: BLE001  (it had no socket any more)
            return

    def close(self) -> None:
        """Ends the session, unless it was detached."""
        _open.pop(id(self), None)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finish()


def _library() -> Any:  # a module of psycopg's
    """Psycopg's layer over libpq.

    Raises:
        SessionError: It is not installed.
    """
    try:
        from psycopg import pq
    except ImportError as error:
        missing = "psycopg is not installed" if error.name else _line(str(error))
        raise SessionError(missing, "pip install 'lock-policy[postgresql]'") from None
    return pq


def _readiness(connection: Any, until: float, *, writing: bool) -> Generator[Pause, None, bool]:  # a PGcancelConn, too
    """Pauses until a socket that is being connected can be written to, or read from: libpq would block before.

    Args:
        connection: A PGconn or a PGcancelConn.
        until: How long to wait, on the monotonic clock.
        writing: What libpq waits for.

    Returns:
        False when time is up.
    """
    pause = _WRITE_SECONDS
    while not _is_ready(connection.socket, writing=writing):
        left = until - time.monotonic()
        if left <= 0:
            return False
        # A pause wakes for reading only.
        yield Pause(-1, min(left, pause)) if writing else Pause(connection.socket, min(left, SLICE_SECONDS))
        pause = min(2 * pause, _LONGEST_WRITE_SECONDS)
    return time.monotonic() < until


def _is_ready(descriptor: int, *, writing: bool) -> bool:
    import select

    if sys.platform == "win32":
        wanted = [descriptor]
        return any(select.select([] if writing else wanted, wanted if writing else [], wanted, 0))
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(0))


def _retransmit_soon(descriptor: int) -> None:
    """Has the kernel send again soon what was lost, so that a cut does not outlast its end.

    TCP waits twice as long each time: after a cut of 13 seconds the next attempt would come 12 seconds later.
    """
    if sys.platform != "linux":
        return
    import socket

    with socket.socket(fileno=os.dup(descriptor)) as copy:
        if copy.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        for option, value in ((_TCP_THIN_LINEAR_TIMEOUTS, 1), (_TCP_RTO_MAX_MS, 1000)):
            try:
                copy.setsockopt(socket.IPPROTO_TCP, option, value)
            except OSError:
                continue


def _seconds(connection: PGconn) -> float:
    """How long connecting may take, as the service or PGCONNECT_TIMEOUT says."""
    try:
        for option in connection.info:
            if option.keyword == b"connect_timeout" and option.val:
                return max(float(option.val), 1.0)
    except Exception:  # noqa: BLE001  (a connection that failed at once has no information)
        return CONNECT_SECONDS
    return CONNECT_SECONDS


def _failure(connection: PGconn) -> SessionError:
    text = _text(connection.error_message)
    try:
        secret = _text(connection.password)
    except Exception:  # noqa: BLE001  (a connection that failed at once has none)
        secret = ""
    if secret:
        text = text.replace(secret, "***")
    remedy = next((remedy for pattern, remedy in _REMEDIES.items() if pattern in text), _UNREACHABLE)
    return SessionError(_line(text) or "it cannot be reached", remedy)


def _refusal(result: object) -> SessionError | None:
    """What the server says against a statement."""
    from psycopg.pq import DiagnosticField, ExecStatus

    if result.status not in {ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE}:  # type: ignore[attr-defined]  # abc.PGresult
        return None
    state = _text(result.error_field(DiagnosticField.SQLSTATE))  # type: ignore[attr-defined]  # abc.PGresult
    primary = _text(result.error_field(DiagnosticField.MESSAGE_PRIMARY))  # type: ignore[attr-defined]  # abc.PGresult
    return SessionError(_line(primary) or "the server closed the session", state=state)


def _text(value: bytes | memoryview | None) -> str:
    return "" if value is None else bytes(value).decode("utf-8", "replace")


def _line(text: str) -> str:
    """An error of libpq's, which may be several lines, in one."""
    lines = [" ".join(line.split()) for line in text.removeprefix("consuming input failed: ").splitlines()]
    return escape("; ".join(dict.fromkeys(line for line in lines if line)))


def sleep(pause: Pause) -> None:
    """Sleeps in this thread until a pause is over."""
    if pause.descriptor < 0:
        time.sleep(pause.seconds)
        return
    import select

    if sys.platform == "win32":
        select.select([pause.descriptor], [], [], pause.seconds)
        return
    poll = select.poll()  # select(2) knows no descriptor above 1023
    poll.register(pause.descriptor, select.POLLIN)
    poll.poll(min(pause.seconds, SLICE_SECONDS) * 1000)


def drive(steps: Generator[Pause, None, T]) -> T:
    """Goes through steps to their end in this thread."""
    while True:
        try:
            sleep(next(steps))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # typeshed has Any there
