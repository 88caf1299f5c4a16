"""`policy cluster`: prints what a server for locks needs, and checks one."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from attrs import asdict, frozen

from policy.commands import options
from policy.commands.reading import Arguments, Parser
from policy.errors import UsageError
from policy.locks.cluster import cluster_server
from policy.locks.cluster_checks import (
    CHECKS,
    STATE_QUERY,
    ServerState,
    check_encryption,
    check_pooler,
    is_loopback,
    opening,
    wanted,
)
from policy.locks.session import Server, Session, SessionError, drive
from policy.manual import anchor
from policy.render.layout import json_text
from policy.render.style import BOLD, GREEN, RED, YELLOW, paint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


ADDRESS = {
    "host": ("HOST", "name, address or socket directory of the server"),
    "port": ("PORT", "its port"),
    "dbname": ("NAME", "the database that the locks are kept in"),
    "user": ("ROLE", "the role that takes them"),
    "sslmode": ("MODE", "how libpq uses TLS, such as verify-full"),
    "sslrootcert": ("FILE", "trusted certificates"),
}
FEW = 10  # connections left, of which each waiter needs one
SKEW = 1.0  # seconds between two clocks that people notice in "since"

_MORE = """select (select count(*) from pg_stat_activity where backend_type = 'client backend'),
 current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
 extract(epoch from clock_timestamp()),
 (select count(*) from pg_stat_replication where sync_state = 'async'),
 (select count(*) from pg_stat_replication where sync_state in ('sync', 'quorum')),
 (select count(*) from pg_locks where locktype = 'advisory' and granted),
 (select count(*) from pg_locks where locktype = 'advisory' and not granted)"""

SETTINGS = """\
-- 3. Settings of the server; `select pg_reload_conf()` makes it read them.
alter system set client_connection_check_interval = '1s';  -- a waiter that vanished leaves the queue
alter system set tcp_keepalives_idle = {idle};              -- lock-policy asks for these four itself;
alter system set tcp_keepalives_interval = {interval};      -- here they are for what else connects
alter system set tcp_keepalives_count = {count};
alter system set tcp_user_timeout = {user};
alter system set ssl = on;                         -- needs ssl_cert_file and ssl_key_file
-- A failover keeps the locks only with a synchronous standby:
-- alter system set synchronous_standby_names = 'ANY 1 (standby)';
-- Each holder and each waiter needs one connection:
-- alter system set max_connections = 200;         -- needs a restart
"""


CODES = {
    "reachable": "Whether a session can be opened at the address, and how long it took.",
    "tls": "Whether the connection is encrypted; off this host it has to be.",
    "pooler": "Whether a pooler shares one session among several clients, which would let two of them hold a lock.",
    "version": "Which PostgreSQL it is.",
    "recovery": "Whether it is the primary; a standby in recovery gives no locks.",
    "keepalives": "Whether both ends notice within the lease that the other has vanished.",
    "epoch": "How long the server has kept its locks; until that is longer than the lease, it grants none.",
    "standbys": "Whether a synchronous standby confirms each heartbeat, so that a failover cannot split the holders.",
    "connections": "How many connections are left: each holder and each waiter needs one.",
    "replication": "Whether there are asynchronous standbys, which have no locks when they are promoted.",
    "clock": "How far the server's clock is from this host's; locks do not depend on it.",
    "locks": "How many locks are held and waited for.",
}
"""What `policy cluster status` looks at."""


@frozen
class Finding:
    """One thing that was looked at.

    Args:
        code: Its name.
        level: `ok`, `warning` or `error`.
        text: What was found.
        remedy: What to do about it, "" where nothing need be done.
    """

    code: str
    level: str
    text: str
    remedy: str = ""


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument(
        "action", metavar="init|status", choices=tuple(ACTIONS), help="print what a server needs, or check one"
    )
    group = parser.add_argument_group("address, before whatever the files say")
    group.add_argument(
        "--cluster-service", metavar="NAME", help="a service of pg_service.conf (also LOCK_POLICY_CLUSTER_SERVICE)"
    )
    for name, (metavar, help) in ADDRESS.items():
        group.add_argument(f"--{name}", metavar=metavar, help=help)
    parser.add_argument("--output-format", choices=("text", "json"), default="text", help="of status; default: text")
    options.configuration(parser)
    options.color(parser)


def main(arguments: Arguments) -> int:
    """Does what was asked for."""
    return ACTIONS[arguments.action](arguments)


def _server(arguments: Arguments) -> Server | None:
    """The server that the command line, the environment and the files name."""
    caller = options.caller(arguments)
    configured = dict(options.rules(arguments).setting("cluster", caller) or ())
    named = {name: getattr(arguments, name) for name in ADDRESS if getattr(arguments, name)}
    if "host" in named:
        configured.pop("service", None)
    return cluster_server(tuple({**configured, **named}.items()))


def init(arguments: Arguments) -> int:
    """Prints the SQL, the settings and the service."""
    server = _server(arguments) or Server()
    role, database = server.user or "lock_policy", server.dbname or "lock_policy"
    idle, interval, count, user = wanted(server)
    sql = ";\n".join(statements(role, database))
    host = server.host or "db.example.org"
    text = f"""\
-- 1. Run as a superuser: psql -f THIS_FILE postgres
{sql};
-- 2. Give the role a password, which psql asks for: \\password {role}
{SETTINGS.format(idle=idle, interval=interval, count=count, user=user)}
/* 4. On each host, in ~/.pg_service.conf or /etc/postgresql-common/pg_service.conf:
[{server.service or "lock-policy"}]
host={host}
port={server.port or "5432"}
dbname={database}
user={role}
sslmode=verify-full
sslrootcert=/etc/ssl/certs/ca-certificates.crt

   the password in ~/.pgpass, mode 0600:
{host}:{server.port or "5432"}:{database}:{role}:PASSWORD

   and in ~/.config/lock-policy/lock-policy.toml or /etc/lock-policy/lock-policy.toml:
[cluster]
engine = "postgresql"
service = "{server.service or "lock-policy"}"
*/
"""
    sys.stdout.write(text)
    return 0


def statements(role: str, database: str) -> tuple[str, ...]:
    """The SQL that makes a server ready, for its superuser: a role that can do nothing but lock, and its database.

    Args:
        role: The role's name.
        database: The database's name.
    """
    who, where = _identifier(role), _identifier(database)
    return (
        f"create role {who} login",
        f"create database {where} owner {who}",
        f"revoke all on database {where} from public",
        f"grant pg_read_all_stats to {who}",
    )


def _identifier(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def status(arguments: Arguments) -> int:
    """Checks a server, and says what to do."""
    server = _server(arguments)
    if server is None:
        raise UsageError("no server is named: write [cluster] into the user's or the system file, or give --host")
    found = list(examine(server))
    options.show(arguments, found, _text, {"json": partial(_json, server)})
    return int(any(finding.level == "error" for finding in found))


def examine(server: Server) -> Iterator[Finding]:
    """Looks at a server as a lock would, and further.

    Args:
        server: Its address.
    """
    session, token = Session(server), os.urandom(8).hex()
    try:
        begin = time.monotonic()
        try:
            drive(session.connect())
            sent = time.time()
            rows = drive(session.ask(opening(server, token) + STATE_QUERY + ";" + _MORE, server.lease))
            here = (sent + time.time()) / 2
        except SessionError as error:
            yield Finding("reachable", "error", error.reason, error.remedy)
            return
        milliseconds = (time.monotonic() - begin) * 1000
        yield Finding("reachable", "ok", f"{server} answered in {milliseconds:.0f} ms")
        yield _tried("tls", _encryption(session), check_encryption, session)
        seen = ServerState(rows[2])
        yield _pooler(server, session, rows[0][0], token, seen)
        for code in filter(CHECKS.__contains__, CODES):
            refused = _tried(code, "", CHECKS[code], server, seen)
            yield refused if refused.level == "error" else _passed(code, server, seen)
        yield from _more(rows[3], here)
    finally:
        session.close()


def _encryption(session: Session) -> str:
    if session.connection.ssl_in_use:
        return "the connection is encrypted"
    return "the connection stays on this host" if is_loopback(session) else ""


def _tried(code: str, text: str, checking: Callable[..., object], *arguments: object) -> Finding:
    try:
        checking(*arguments)
    except SessionError as error:
        return Finding(code, "error", error.reason, error.remedy)
    return Finding(code, "ok", text)


def _pooler(server: Server, session: Session, before: str, token: str, seen: ServerState) -> Finding:
    """Whether a pooler stands before the server, and in which mode."""
    if not before and str(session.connection.backend_pid) == seen.pid:
        return Finding("pooler", "ok", "none")
    return _tried("pooler", "a pooler in session mode", drive, check_pooler(server, token, seen.pid))


def _passed(code: str, server: Server, seen: ServerState) -> Finding:
    """What is said of a server that passes a check."""
    level, text, remedy = "ok", "", ""
    match code:
        case "version":
            text = f"PostgreSQL {seen.version // 10000}"
        case "recovery":
            text = "it is the primary"
        case "keepalives" if seen.remote:
            text = f"a host that vanished loses its locks after {server.lease:g} s"
        case "keepalives":
            text = "none on a Unix socket"
        case "epoch" if seen.age < server.lease:
            level, text = "warning", f"it started {seen.age:.0f} s ago"
            remedy = f"it gives no lock away for {server.lease - seen.age:.0f} s"
        case "epoch":
            text = f"it has kept its locks for {seen.age:.0f} s"
        case "standbys" if not seen.standbys:
            level, text = "warning", "no synchronous standby: a failover forgets all locks"
            remedy = "set synchronous_standby_names, or never promote a standby while locks are held"
        case "standbys":
            text = f"each heartbeat waits for {seen.standbys}"
    return Finding(code, level, text, remedy)


def _more(row: tuple[str, ...], here: float) -> Iterator[Finding]:
    """What is only worth knowing."""
    used, most, clock, asynchronous, synchronous, held, waiting = row
    left = int(most) - int(used)
    remedy = "raise max_connections: each holder and each waiter needs one" if left < FEW else ""
    yield Finding("connections", "warning" if remedy else "ok", f"{left} of {most} left", remedy)
    if int(asynchronous):
        text = f"{asynchronous} asynchronous standbys, {synchronous} synchronous"
        yield Finding("replication", "warning", text, "an asynchronous standby that is promoted has no locks")
    skew = float(clock) - here
    remedy = "set the clocks with NTP; locks do not depend on them" if abs(skew) > SKEW else ""
    yield Finding("clock", "warning" if remedy else "ok", f"{skew:+.1f} s from this host's", remedy)
    yield Finding("locks", "ok", f"{held} held, {waiting} waited for")


def _json(server: Server, found: Iterable[Finding]) -> str:
    records = [{**asdict(finding), "anchor": anchor("status", finding.code)} for finding in found]
    return json_text({"version": 1, "server": str(server), "findings": records})


COLORS = {"ok": GREEN, "warning": YELLOW, "error": RED}


def _text(found: list[Finding], *, color: bool) -> str:
    lines = []
    for finding in found:
        level = paint(finding.level.ljust(7), BOLD, COLORS[finding.level], color=color)
        lines.append(f"{level}  {finding.code.ljust(11)}  {finding.text}")
        if finding.remedy:
            lines.append(f"{' ' * 22}{finding.remedy}")
    return "\n".join(lines) + "\n"


ACTIONS: dict[str, Callable[[Arguments], int]] = {"init": init, "status": status}
