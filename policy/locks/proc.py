"""What Linux says about locks in /proc: which process holds which file, and who started whom.

Elsewhere there is no /proc, and every answer is empty.
"""

from __future__ import annotations

import os
import sys

from policy import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_FIRST = "pid:[4026531836]"  # the PID namespace of the host itself (PROC_PID_INIT_INO in the kernel)

_THREADS = 17  # the number of threads among the fields of `stat_fields`: the 20th of proc_pid_stat(5)

Identity = tuple[int, int, int]  # major and minor number of the file system's device, inode: as in /proc/locks


def identity(path: str, table: Mapping[str, tuple[int, int]] | None = None) -> Identity | None:
    """Names a file as /proc/locks does; None where that cannot be known.

    Not from st_dev: btrfs and overlayfs show a device of their own there. The mount that holds the file has the one of
    the file system (fs/locks.c prints i_sb->s_dev, proc_pid_mountinfo(5) too).

    Args:
        path: The file.
        table: What `mounts` says; None: it is read.
    """
    if sys.platform != "linux":
        return None
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        seen, facts = host.through(path, flags, lambda number: (os.fstat(number), host.descriptor_facts(number)))
        inode = int(facts.get("ino") or seen.st_ino)  # since Linux 5.14
        number = facts.get("mnt_id", "")
        device = (mounts(number) if table is None else table).get(number)
    except OSError:
        return None
    return (*(device or (os.major(seen.st_dev), os.minor(seen.st_dev))), inode)


def mounts(number: str = "") -> dict[str, tuple[int, int]]:
    """The device of each mount, by the mount's number.

    Args:
        number: Only this mount is wanted.

    Raises:
        OSError: They cannot be read.
    """
    found: dict[str, tuple[int, int]] = {}
    for found_number, device, *_ in host.mounts(number):
        major, _, minor = device.partition(":")
        found[found_number] = int(major), int(minor)
    return found


def _flocks(*, waiting: bool) -> Iterator[tuple[Identity, str, int]]:
    """Each flock of /proc/locks that is held or waited for: of which file, `READ` or `WRITE`, and by which process.

    A process of another pid namespace has no number here: 0 or -1.
    """
    for line in lines("/proc/locks"):
        # "1: FLOCK  ADVISORY  WRITE 4711 fe:00:2146403 0 EOF"; with "->" before "FLOCK" it is a waiter
        fields = line.split()[1:]
        waits = fields[:1] == ["->"]
        fields = fields[waits:]
        if waits == waiting and len(fields) > 4 and fields[0] == "FLOCK":  # noqa: PLR2004  (as many as are read)
            file = _identity(fields[4])
            if file is not None:
                yield file, fields[2], int(fields[3])


def flocks() -> dict[Identity, tuple[int, ...]]:
    """Every file that is locked with flock, with the process that took each lock.

    A process of another pid namespace is left out; its file is there.
    """
    found: dict[Identity, tuple[int, ...]] = {}
    for file, _, pid in _flocks(waiting=False):
        found[file] = (*found.get(file, ()), *((pid,) if pid > 0 else ()))
    return found


def waiters() -> dict[Identity, tuple[int, ...]]:
    """The processes that wait for a flock of each file, in the kernel's order: the first is next (fs/locks.c)."""
    found: dict[Identity, tuple[int, ...]] = {}
    for file, _, pid in _flocks(waiting=True):
        if pid > 0:
            found[file] = (*found.get(file, ()), pid)
    return found


def readers(*, waiting: bool = False) -> frozenset[tuple[Identity, int]]:
    """The files that are locked for reading, each with a process that took the lock, as `flocks` and `waiters`.

    Args:
        waiting: Asks for those who wait to read instead.
    """
    return frozenset([(file, pid) for file, how, pid in _flocks(waiting=waiting) if how == "READ"])


def locked_through(pid: int | str, descriptor: int | str, *, shared: bool = False) -> Identity | None:
    """Which file a process has locked through one of its descriptors; None when it has not, or may not be asked.

    Args:
        pid: The process.
        descriptor: Its number there.
        shared: Whether a lock for reading counts.
    """
    file, how = _lock_of(pid, descriptor)
    return file if shared or how == "WRITE" else None


def mode(pid: int | str, descriptor: int | str) -> str:
    """How a process has a file locked through one of its descriptors: `READ`, `WRITE`, or "" when it has not."""
    return _lock_of(pid, descriptor)[1]


def _lock_of(pid: int | str, descriptor: int | str) -> tuple[Identity | None, str]:
    for line in lines(f"/proc/{pid}/fdinfo/{descriptor}"):
        if line.startswith("lock:"):
            fields = line.split()  # "lock:  1: FLOCK  ADVISORY  WRITE 4711 fe:00:2146403 0 EOF"
            if len(fields) > 6 and fields[2] == "FLOCK":  # noqa: PLR2004  (as many as are read)
                return _identity(fields[6]), fields[4]
    return None, ""


def locked_by(pid: int, file: Identity, but: Callable[[int], bool] | None = None) -> str:
    """How a process has a file locked: `READ`, `WRITE`, or "" when it has not or may not be asked.

    Args:
        pid: Its number.
        file: The file.
        but: Says which descriptors do not count.
    """
    try:
        for number in os.listdir(f"/proc/{pid}/fdinfo"):
            found, how = _lock_of(pid, number)
            if found == file and not (but and but(int(number))):
                return how
    except PermissionError:  # another user's: the kernel says at least who took a lock
        return "WRITE" if pid in flocks().get(file, ()) else ""
    except OSError:
        pass  # it ended
    return ""


def passes_on(pid: int, file: Identity) -> bool:
    """Whether a process has a file locked through a descriptor that its commands inherit; True where it is not said.

    Args:
        pid: Its number.
        file: The file.
    """
    if sys.platform != "linux":
        return True
    try:
        numbers = os.listdir(f"/proc/{pid}/fdinfo")
    except OSError:
        return True
    kept = [kept for number in numbers if _lock_of(pid, number)[0] == file for kept in _keeps(pid, number)]
    return not kept or not all(kept)


def _keeps(pid: int, number: str | None) -> list[bool]:
    """Whether a process keeps a descriptor from its commands; nothing where it is closed by now."""
    flags = [line.split()[1] for line in lines(f"/proc/{pid}/fdinfo/{number}") if line.startswith("flags:")]
    return [bool(int(flag, 8) & getattr(os, "O_CLOEXEC", 0)) for flag in flags]


def files(pid: int) -> dict[Identity, str] | None:
    """The files that a process has locked, each with a descriptor; None where it exists but may not be asked."""
    found: dict[Identity, str] = {}
    try:
        for number in os.listdir(f"/proc/{pid}/fdinfo"):
            file = locked_through(pid, number, shared=True)
            if file is not None:
                found[file] = number
    except PermissionError:
        return None
    except OSError:
        pass  # it ended
    return found


def may_give_up(pid: int, file: Identity) -> bool:
    """Whether a process could unlock a file while it waits for a child: by another thread, where it locked it itself.

    Args:
        pid: Its number.
        file: What it has locked.
    """
    fields = stat_fields(pid)
    if sys.platform == "win32" or not fields or int(fields[_THREADS]) < 2:  # noqa: PLR2004  (one waits, another works)
        return False
    held = files(pid)
    if held is None:
        return False
    # What `policy run` passes on to a command is held until that ends. None at all: given up since it was looked at.
    return all(_keeps(pid, held.get(file)))


def ancestors(pid: int) -> list[int]:
    """The ancestors of a process, its parent first."""
    found: list[int] = []
    while pid > 1 and len(found) < 1000:  # noqa: PLR2004  (processes come and go while this looks)
        fields = stat_fields(pid)
        if not fields:
            break
        pid = int(fields[1])
        found.append(pid)
    return found


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second, the name, may hold spaces and parentheses."""
    for line in lines(f"/proc/{pid}/stat"):
        return line[line.rfind(")") + 2 :].split()
    return []


def pids() -> list[int]:
    """Every process that is seen from here."""
    try:
        return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    except OSError:
        return []


def has_locks() -> bool:
    """Whether /proc is here to be asked."""
    return os.path.exists("/proc/locks")


def sees_all() -> bool:
    """Whether /proc/locks shows every lock: to a PID namespace it shows only those of processes in it (fs/locks.c)."""
    try:
        return os.readlink("/proc/self/ns/pid") == _FIRST
    except OSError:
        return False


def _identity(text: str) -> Identity | None:
    major, _, rest = text.partition(":")
    minor, _, inode = rest.partition(":")
    try:
        return int(major, 16), int(minor, 16), int(inode)
    except ValueError:
        return None  # "<none>:0" of a file that is going away


def lines(path: str) -> list[str]:
    """A file of /proc, line by line; empty where it is not there, or not for this user."""
    try:
        with open(path, "rb", buffering=0) as file:  # a text file costs twice the calls
            return file.readall().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
