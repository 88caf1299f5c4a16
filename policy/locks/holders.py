"""Who holds a lock file, as far as this user may know: process, user, command line, and since when it runs."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import time
from functools import cache
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from policy.escape import escape
from policy.host import NOFOLLOW, SAFELY, user_name
from policy.locks import proc
from policy.locks.open_file import unforked

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "win32":
    import fcntl

_COMMAND_LENGTH = 80  # characters of a command line that a message shows
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+(?=@)")  # of an index URL: ps shows them, a log kept by others need not


@frozen
class Holder:
    """A process that holds a lock.

    Args:
        pid: Its number.
        user: The name of its effective user.
        command: Its command line, fit to be shown.
        since: When the process was started, in seconds since the epoch. The kernel does not say when it took the lock;
            a server does.
        host: The host that it runs on, "" for this one.
        shared: Whether it reads: it has the lock together with others who read.

    Where no process but something else keeps a lock back, `pid` is 0 and `command` says what.
    """

    pid: int
    user: str
    command: str
    since: float | None = None
    host: str = ""
    shared: bool = False

    def __str__(self) -> str:
        if not self.pid:
            return self.command
        facts = [self.user, self.command, "reading" if self.shared else ""]
        if self.since is not None:
            facts.append(f"since {moment(self.since)}")
        where = f"{self.host} " if self.host else ""
        return f"{where}pid {self.pid} ({', '.join(fact for fact in facts if fact)})"


@frozen
class Found:
    """A lock that was found, and who holds it.

    Args:
        name: How people name it: the path, for a file.
        locked: Whether it is locked now; None where that cannot be known.
        holders: By whom; empty where that cannot be known.
    """

    name: str
    locked: bool | None
    holders: tuple[Holder, ...] = ()


def holders(path: str) -> tuple[Holder, ...]:
    """Who holds a lock file with flock; empty where nobody does or it cannot be known.

    Args:
        path: The lock file; every mount of it will do.
    """
    file = proc.identity(path)
    return Look().holders(file) if file is not None else ()


def is_locked(path: str) -> bool | None:
    """Whether a lock file is locked with flock now; None where that cannot be known.

    Args:
        path: The lock file.
    """
    file = proc.identity(path)
    if file is not None:
        return _is_locked(path, known=file in proc.flocks())
    return None if os.path.lexists(path) and not proc.has_locks() else False


def _is_locked(path: str, *, known: bool) -> bool | None:
    """What the kernel says of a lock file, or a try where it does not show the locks of every process."""
    return known or (False if proc.sees_all() else _try(path))


def _try(path: str) -> bool | None:
    """Finds out whether a file is locked by locking it for an instant; None where this user may not open it."""
    if sys.platform != "win32":
        with unforked:  # a copy of the descriptor would keep the lock
            try:
                descriptor = os.open(path, os.O_RDONLY | SAFELY | NOFOLLOW)
            except OSError as error:
                # Nobody holds what is gone, a link or a socket: it is refused as a lock file.
                return False if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO) else None
            try:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
            except BlockingIOError:
                return True
            except OSError:
                return None  # NFS wants a descriptor open for writing; no flock here
            else:
                return False
            finally:
                os.close(descriptor)
    return None


def locks(directories: tuple[str, ...], *more: str, look: Look | None = None, turns: bool = False) -> tuple[Found, ...]:
    """The lock files that lie in some directories, and some more, with those who hold them.

    Args:
        directories: Where files named `lock-policy-*.lock` and `uv-*.lock` are looked for.
        more: Further lock files; those that do not exist are left out.
        look: What was seen already; None: looks now.
        turns: Whether to list the files, too, by which those who wait for a gate take their turn.
    """
    paths: list[str] = []
    for directory in directories:
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        paths += [os.path.join(directory, name) for name in names if is_name(name) or (turns and is_turn(name))]
    look, table = look or Look(), proc.mounts()
    found: list[Found] = []
    for path in dict.fromkeys((*paths, *more)):
        file = proc.identity(path, table)
        if file is not None:
            found.append(Found(path, _is_locked(path, known=file in look.known), look.holders(file)))
        elif not proc.has_locks() and os.path.lexists(path):
            found.append(Found(path, None))
    return tuple(found)


def locked(look: Look | None = None) -> tuple[Found, ...]:
    """The locks on environments that are held on this host now, wherever their files lie, as far as it can be known.

    Args:
        look: What was seen already; None: looks now.
    """
    look = look or Look()
    found: dict[str, Found] = {}
    for file, pids in look.known.items():
        for pid in pids or proc.pids():
            path = look.path(pid, file)
            if path and (is_name(os.path.basename(path)) or _is_local(path, pid)):
                found[path] = Found(path, locked=True, holders=look.holders(file))
    return tuple(found[path] for path in sorted(found))


def named_roots(pid: int) -> Iterator[str]:
    """Directories that a process may work on as environments: what its variables and its arguments name.

    Args:
        pid: Its number; nothing is found for another user's process, unless root asks.
    """
    try:
        cwd = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return
    seen: set[str] = set()
    for word in _named(pid):
        path = os.path.normpath(os.path.join(cwd, word))
        # an interpreter stands two levels below the root
        for place in (path, os.path.dirname(os.path.dirname(path))):
            if place not in seen:
                seen.add(place)
                yield place


def _named(pid: int) -> Iterator[str]:
    """What a process names, the likeliest first: `policy run` tells its command which environment is locked."""
    variables = dict.fromkeys(
        ("LOCK_POLICY_ENVIRONMENT", "UV_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT"), ""
    )
    for entry in _words(f"/proc/{pid}/environ"):
        name, _, value = os.fsdecode(entry).partition("=")
        if name in variables:
            variables[name] = value
    yield from filter(None, variables.values())
    yield from filter(None, map(os.fsdecode, _words(f"/proc/{pid}/cmdline")))
    yield ".venv"


def _words(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            return file.read(128 * 1024).rstrip(b"\0").split(b"\0")
    except OSError:
        return []


def is_name(name: str) -> bool:
    """Whether a file name is that of a lock of uv's or ours in a directory for locks."""
    return name.startswith(("lock-policy-", "uv-")) and name.endswith(".lock")


def is_turn(name: str) -> bool:
    """Whether a file name is that of the turn of those who wait for a gate."""
    return name.startswith("lock-policy-") and name.endswith(".turn")


def moment(since: float) -> str:
    """A moment as a message shows it: the time, and the date unless it is today's."""
    then = time.localtime(since)
    today = time.localtime()[:3] == then[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", then)


class Look:
    """One look at who holds what: each process is asked once, however many locks there are.

    Attributes:
        known: What the kernel says: every file that is locked, with the processes that took the locks.
    """

    def __init__(self) -> None:
        self.known: dict[proc.Identity, tuple[int, ...]] = proc.flocks()
        self._read = {file for file, _ in proc.readers()}
        self._files: dict[int, dict[proc.Identity, str] | None] = {}
        self._processes: dict[int, Holder | None] = {}
        self._behind: dict[proc.Identity, list[int]] | None = None

    def files(self, pid: int) -> dict[proc.Identity, str] | None:
        """What a process has locked, each with a descriptor; None where it may not be asked."""
        if pid not in self._files:
            self._files[pid] = proc.files(pid)
        return self._files[pid]

    def path(self, pid: int, file: proc.Identity) -> str:
        """The path of a file that a process has locked, "" where it has not."""
        number = (self.files(pid) or {}).get(file)
        try:
            return os.readlink(f"/proc/{pid}/fd/{number}") if number is not None else ""
        except OSError:
            return ""  # ended, or another user's

    def holders(self, file: proc.Identity) -> tuple[Holder, ...]:
        """The processes behind a lock.

        The kernel keeps the process that took it. That may have ended and left the lock to a child, or may only have
        waited for another; then every process that has the file locked through a descriptor is one that holds it.
        """
        takers = self.known.get(file)
        if takers is None:
            return ()
        pids = [pid for pid in takers if (files := self.files(pid)) is None or file in files]
        found = (self._process(pid) for pid in pids or self._others(file))
        return tuple(evolve(one, shared=file in self._read) for one in found if one is not None)

    def _others(self, file: proc.Identity) -> list[int]:
        if self._behind is None:
            self._behind = {}
            for pid in proc.pids():
                for one in self.files(pid) or ():
                    self._behind.setdefault(one, []).append(pid)
        return self._behind.get(file, [])

    def _process(self, pid: int) -> Holder | None:
        if pid not in self._processes:
            self._processes[pid] = process(pid)
        return self._processes[pid]


def _is_local(path: str, pid: int) -> bool:
    """Whether a file is the lock of an environment: of a virtual one, or of a directory that its holder works on."""
    directory, name = os.path.split(path)
    return name == ".lock" and (os.path.lexists(os.path.join(directory, "pyvenv.cfg")) or directory in named_roots(pid))


def process(pid: int) -> Holder | None:
    """What may be known of a process; None when it is gone."""
    try:
        user = os.stat(f"/proc/{pid}").st_uid
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(8192).rstrip(b"\0").split(b"\0")
        with open(f"/proc/{pid}/comm", "rb") as file:
            name = file.read().rstrip(b"\n")
    except OSError:
        return None
    text = " ".join(os.fsdecode(word) for word in words) or f"[{os.fsdecode(name)}]"
    return Holder(pid, _user(user), _shown(text), _started(pid))


def process_command() -> str:
    """This process's own command line, as a message of another host shows it."""
    return _shown(" ".join(sys.orig_argv))


def _shown(command: str) -> str:
    """A command line in one short line."""
    text = escape(_CREDENTIALS.sub("***", command))
    return text if len(text) <= _COMMAND_LENGTH else text[: _COMMAND_LENGTH - 1] + "…"


def _user(number: int) -> str:
    return escape(user_name(number) or f"uid {number}")


def _started(pid: int) -> float | None:
    """When a process was started: field 22 of /proc/PID/stat counts clock ticks since the boot (proc_pid_stat(5))."""
    fields = proc.stat_fields(pid)
    boot = _boot()
    if sys.platform == "win32" or not fields or boot is None:
        return None
    return boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")


@cache
def _boot() -> int | None:
    """When the kernel was started; it moves when the clock is set, which a list may ignore."""
    found = [int(line.split()[1]) for line in proc.lines("/proc/stat") if line.startswith("btime ")]
    return found[0] if found else None
