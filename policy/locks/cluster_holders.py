"""Who holds the locks on a server: what each session says of itself, and what the server knows of it."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys

from attrs import evolve, frozen

from policy.errors import LockUnavailable
from policy.escape import escape
from policy.host import user_name
from policy.locks.holders import Holder, process_command
from policy.locks.inherit import READS, WRITE_INSTEAD
from policy.locks.session import Session, SessionError, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from policy.locks.backend import Pause
    from policy.locks.cluster_key import ClusterKey
    from policy.locks.session import Row, Server

_PREFIX = "/* lock-policy "
_SUFFIX = " */ "
_KEY_LENGTH = 300  # characters; the server keeps the first 1,024 bytes of a statement
_SECONDS = 10.0

_HOLDERS = f"""select a.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''),
 coalesce(host(a.client_addr), ''),
 extract(epoch from case when a.query like '{_PREFIX}%' then a.query_start else a.backend_start end),
 coalesce(a.query, ''),
 (l.classid::bigint << 32) | l.objid::bigint, l.mode
 from pg_locks l join pg_stat_activity a using (pid)
 where l.locktype = 'advisory' and l.granted and l.objsubid = 1
 and l.database = (select oid from pg_database where datname = current_database())"""  # noqa: S608  (nothing of it comes from outside)


@frozen
class ClusterHolder:
    """A session that holds a lock.

    Args:
        number: The lock's.
        key: The text of the lock's name, "" where the session is not lock-policy's.
        holder: Who it is.
        socket: `device:inode` of its socket on its host.
        boot: Which boot of which host that is.
        shared: Whether it holds the lock for reading.
    """

    number: int
    key: str
    holder: Holder
    socket: str = ""
    boot: str = ""
    shared: bool = False


def comment(said: dict[str, Any]) -> str:
    """What a statement begins with, so that pg_stat_activity tells who runs it, and for which lock.

    Args:
        said: The lock's key, since when it is held, and its socket.
    """
    pid = os.getpid()
    if pid not in _SELF:
        _SELF.clear()  # of the process that forked
        _SELF[pid] = {"host": host_name(), "pid": pid, "user": _user(), "boot": boot(), "command": process_command()}
    record = {**said, **_SELF[pid], "key": said["key"][:_KEY_LENGTH]}
    text = json.dumps(record, separators=(",", ":")).replace("/", "\\u002f")  # neither end nor begin of a comment
    return f"{_PREFIX}{text}{_SUFFIX}".replace("{", "{{").replace("}", "}}")


_SELF: dict[int, dict[str, Any]] = {}  # what this process says of itself, by its number


def _user() -> str:
    """The effective user's name, or the number where nobody knows it."""
    if sys.platform == "win32":
        return ""
    number = os.geteuid()
    return escape(user_name(number) or f"uid {number}")


def host_name() -> str:
    """This host's name, as others may know it."""
    if sys.platform == "win32":
        import platform

        return platform.node()
    return os.uname().nodename


def boot() -> str:
    """Which boot of which host this is, "" where the kernel does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def on_server(server: Server) -> tuple[ClusterHolder, ...]:
    """Every lock that is held on a server, and by whom.

    Raises:
        SessionError: The server cannot be asked.
    """
    return tuple(_read(row) for row in drive(_asked(server)))


def _asked(server: Server) -> Generator[Pause, None, list[Row]]:
    session = Session(server)
    try:
        yield from session.connect()
        return (yield from session.ask(_HOLDERS, _SECONDS))
    finally:
        session.close()


def holders(server: Server, key: ClusterKey) -> tuple[Holder, ...]:
    """Who holds one lock.

    Raises:
        SessionError: The server cannot be asked.
    """
    return tuple(_of(found, key) for found in on_server(server) if found.number == key.number)


def _of(found: ClusterHolder, key: ClusterKey) -> Holder:
    """A holder; one of another name with the same 64 bits says so."""
    if not found.key or found.key == escape(key.text[:_KEY_LENGTH]):
        return found.holder
    return evolve(found.holder, command=f"{found.holder.command} for {found.key}")


def _read(row: Row) -> ClusterHolder:
    pid, role, application, address, started, query, number, mode = row
    said = _said(query)
    holder = Holder(
        pid=int(said.get("pid", pid)),
        user=escape(str(said.get("user", role))),
        command=escape(str(said.get("command", application))),
        since=float(said.get("since") or started or 0.0) or None,
        host=escape(str(said.get("host", address))),
        shared=mode == "ShareLock",
    )
    return ClusterHolder(
        number=int(number),
        key=escape(str(said.get("key", ""))),
        holder=holder,
        socket=str(said.get("socket", "")),
        boot=str(said.get("boot", "")),
        shared=mode == "ShareLock",
    )


def _said(query: str) -> dict[str, Any]:
    """What a session says of itself, {} where it is not ours."""
    if not query.startswith(_PREFIX):
        return {}
    text, end, _ = query[len(_PREFIX) :].partition(_SUFFIX)
    try:
        said = json.loads(text) if end else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def inherited(server: Server, key: ClusterKey, text: str, *, shared: bool = False) -> tuple[int, int, int] | None:
    """The socket of an ancestor that holds a lock, as the marker says and kernel and server confirm.

    Args:
        server: Where the lock is kept.
        key: Its name.
        text: The value of `LOCK_POLICY_HELD`.
        shared: Whether it is wanted for reading.

    Returns:
        Its descriptor here, -1 where it was closed on the way, and its device and inode; None where there is none.

    Raises:
        LockUnavailable: The ancestor reads, and this one wants to write.
    """
    found = {
        f"{device}:{inode}": (descriptor, device, inode)
        for entry in text.split(",")
        for descriptor, device, inode in _sockets(entry)
    }
    if not found:
        return None
    try:
        held = on_server(server)
    except SessionError:
        return None
    for one in held:
        if one.number == key.number and one.boot == boot() and one.socket in found:
            if one.shared and not shared:
                raise LockUnavailable(key.text, errno.EDEADLK, READS, remedy=WRITE_INSTEAD)
            return found[one.socket]
    return None


def _sockets(entry: str) -> list[tuple[int, int, int]]:
    """The socket that an entry of the marker names, if it is one that we or an ancestor have open."""
    fields = entry.split(":")
    if len(fields) != 3 or not all(field.isascii() and field.isdigit() for field in fields):  # noqa: PLR2004  (as the marker has)
        return []
    descriptor, device, inode = map(int, fields)
    try:
        seen = os.fstat(descriptor)
        if stat.S_ISSOCK(seen.st_mode) and (seen.st_dev, seen.st_ino) == (device, inode):
            return [(descriptor, device, inode)]
    except (OSError, OverflowError):
        pass
    return [(-1, device, inode)] if _is_above(inode) else []


def _is_above(inode: int) -> bool:
    """Whether a process that led to us has a socket open."""
    from policy.locks import proc

    for pid in proc.ancestors(os.getpid()):
        try:
            for number in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{number}") == f"socket:[{inode}]":
                    return True
        except OSError:
            continue
    return False
