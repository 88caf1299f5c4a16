"""Whether a lock on a server can be trusted, and what is refused before anything runs."""

from __future__ import annotations

import os

from policy.locks.session import Overdue, Session, SessionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from policy.locks.backend import Pause
    from policy.locks.session import Row, Server

OLDEST = 140000  # client_connection_check_interval and pg_stat_wal came with PostgreSQL 14
POOLER = "a pooler in transaction or statement mode lets two holders in"
DIRECT = "connect to the server itself, or to a pooler in session mode"
_PROBE_SECONDS = 5.0

EPOCH = """extract(epoch from clock_timestamp() - greatest(pg_postmaster_start_time(),
 (select stats_reset from pg_stat_wal),
 (select max(backend_start) from pg_stat_activity where backend_type = 'walwriter')))"""
"""Seconds since the server forgot all locks: it was started, recovered from a crash, or was promoted."""

_OPEN = """select coalesce(current_setting('lock_policy.session', true), '');
select set_config('lock_policy.session', '{token}', false),
 set_config('idle_session_timeout', '0', false), set_config('statement_timeout', '0', false),
 set_config('lock_timeout', '0', false), set_config('synchronous_commit', 'on', false),
 set_config('client_connection_check_interval', '1s', false),
 set_config('tcp_keepalives_idle', '{idle}', false), set_config('tcp_keepalives_interval', '{interval}', false),
 set_config('tcp_keepalives_count', '{count}', false), set_config('tcp_user_timeout', '{user}', false); """

STATE_QUERY = f"""select pg_backend_pid(), pg_is_in_recovery(), current_setting('server_version_num'),
 coalesce(current_setting('synchronous_standby_names', true), ''),
 current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),
 current_setting('tcp_keepalives_count'), (select setting from pg_settings where name = 'tcp_user_timeout'),
 (select count(backend_start) from pg_stat_activity where backend_type = 'walwriter'), {EPOCH},
 coalesce(host(inet_client_addr()), '')"""  # noqa: S608  (nothing of it comes from outside)


def opening(server: Server, token: str) -> str:
    """The statements with which a session begins: nobody else has it, nothing ends it, both ends notice a cut alike.

    Args:
        server: Says how long the lease is.
        token: What marks the session.
    """
    idle, interval, count, user = wanted(server)
    return _OPEN.format(token=token, idle=idle, interval=interval, count=count, user=user)


class ServerState:
    """What a server says of itself and of this session.

    Args:
        row: The answer to `STATE_QUERY`.
    """

    __slots__ = ("age", "epoch_known", "in_recovery", "keepalives", "pid", "remote", "standbys", "version")

    def __init__(self, row: Row) -> None:
        self.pid: str = row[0]
        self.in_recovery: bool = row[1] == "t"
        self.version: int = int(row[2])
        self.standbys: str = row[3]
        self.keepalives: tuple[str, ...] = row[4:8]
        self.epoch_known: bool = row[8] != "0"
        self.age: float = float(row[9])
        self.remote: bool = bool(row[10])


def check(server: Server, seen: ServerState) -> None:
    """Refuses a server on which a lock would not exclude.

    Raises:
        SessionError: With the reason and the remedy.
    """
    for one in CHECKS.values():
        one(server, seen)


def _version(server: Server, seen: ServerState) -> None:
    del server
    if seen.version < OLDEST:
        raise SessionError(f"the server is PostgreSQL {seen.version // 10000}", "PostgreSQL 14 or later is needed")


def _recovery(server: Server, seen: ServerState) -> None:
    del server
    if seen.in_recovery:
        raise SessionError("the server is a standby in recovery", "name the primary")


def _epoch(server: Server, seen: ServerState) -> None:
    del server
    if not seen.epoch_known:
        raise SessionError(
            "cannot tell when the server forgot its locks",
            "grant pg_read_all_stats to the role (`policy cluster init`)",
        )


def _keepalives(server: Server, seen: ServerState) -> None:
    if seen.remote and seen.keepalives != wanted(server):
        raise SessionError(
            f"the server's keepalives are {', '.join(seen.keepalives)}, not {', '.join(wanted(server))}", DIRECT
        )


def _standbys(server: Server, seen: ServerState) -> None:
    if server.sync == "require" and not seen.standbys:
        raise SessionError(
            "the server has no synchronous standby", 'set synchronous_standby_names, or sync = "auto" in [cluster]'
        )


CHECKS: dict[str, Callable[[Server, ServerState], None]] = {
    "version": _version,
    "recovery": _recovery,
    "epoch": _epoch,
    "keepalives": _keepalives,
    "standbys": _standbys,
}
"""What is asked of a server, by the code under which `policy cluster status` reports it; each raises SessionError."""


def wanted(server: Server) -> tuple[str, ...]:
    """The keepalive settings that were asked for, in the order of `STATE_QUERY`."""
    return (*map(str, server.keepalives.values()), str(int(server.lease * 1000)))


def check_encryption(session: Session) -> None:
    """Refuses a connection that others can read and change.

    Raises:
        SessionError: It leaves this host without TLS.
    """
    if session.connection.ssl_in_use or is_loopback(session):
        return
    raise SessionError(
        "the connection is not encrypted", 'turn ssl on in the server, and set sslmode = "verify-full" in [cluster]'
    )


def is_loopback(session: Session) -> bool:
    """Whether the connection stays on this host."""
    import socket

    with socket.socket(fileno=os.dup(session.descriptor)) as copy:
        if copy.family not in {socket.AF_INET, socket.AF_INET6}:
            return True
        address = str(copy.getpeername()[0])
    return address == "::1" or address.startswith(("127.", "::ffff:127."))


def check_pooler(server: Server, token: str, pid: str) -> Generator[Pause, None, None]:
    """Refuses a pooler that gives one session of the server to two of its clients.

    Another connection opens a transaction. If it meets the token that this session left behind, or the same server
    process, the session is not ours alone. A pooler takes an idle session before it makes a new one.

    Args:
        server: Where the locks are.
        token: What this session was marked with.
        pid: The server process of this session.

    Raises:
        SessionError: It does, or it cannot be seen that it does not.
    """
    probe = Session(server)
    connected = False
    try:
        yield from probe.connect()
        connected = True
        rows = yield from probe.ask(
            "begin; select pg_backend_pid(), coalesce(current_setting('lock_policy.session', true), '')", _PROBE_SECONDS
        )
    except Overdue:
        raise SessionError("the pooler has no connection left", "raise its default_pool_size") from None
    except SessionError:
        if connected:  # in statement mode a pooler knows no transactions, and closes the connection
            raise SessionError(POOLER, DIRECT) from None
        raise
    finally:
        probe.close()
    if rows[0] == (pid, token) or rows[0][0] == pid or rows[0][1]:
        raise SessionError(POOLER, DIRECT)
