"""The folders that lock files are created in, and the file systems that these lie on."""

from __future__ import annotations

import os
import shlex
import stat
import sys
import time

from policy.commands.health.finding import NOTE, Finding, move_locks
from policy.environment.mounts import lock_reach, mount_of
from policy.host import NOFOLLOW, SAFELY
from policy.locks import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.commands.health.finding import Surroundings

_SMALL = 64 * 1024  # bytes
_OLD = 30 * 24 * 60 * 60.0  # seconds
_PROTECTED = "/proc/sys/fs/protected_regular"
_SKEW = 2.0  # seconds; FAT rounds to as many


def mounts(surroundings: Surroundings) -> Iterator[Finding]:
    """File systems whose locks other hosts do not see, or that need a service for them."""
    for folder in surroundings.folders:
        mount = mount_of(folder)
        if mount is None:
            continue
        reason = lock_reach(mount)
        if reason:
            yield Finding(
                "locks-stay-here", f"{folder}: {reason}", move_locks(surroundings, folder, '["cluster", "local"]')
            )
        version_3 = {"vers=3", "nfsvers=3"} & set(mount.options)
        if mount.type == "nfs" and version_3 and "nolock" not in mount.options and not _runs("lockd"):
            message = f"{folder}: {mount.point} is mounted with NFS 3, and lockd does not run"
            yield Finding("nfs-without-lockd", message, "systemctl start rpc-statd")


def _runs(name: str) -> bool:
    """Whether a process of a name exists, a part of the kernel too."""
    for pid in proc.pids():
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                if file.read().strip() == name:
                    return True
        except OSError:
            continue
    return False


def space(surroundings: Surroundings) -> Iterator[Finding]:
    """Whether a lock file can be created, and how much room there is."""
    if sys.platform == "win32":
        return
    from policy.commands.health import flock

    for folder in surroundings.folders:
        try:
            os.close(flock.unnamed(folder))
        except FileNotFoundError:
            continue  # said of the gate elsewhere
        except OSError as error:
            if folder == surroundings.gate:
                message = f"{folder}: a lock file cannot be created: {error.strerror}"
                yield Finding("cannot-create", message, f"df -h {shlex.quote(folder)}")
            continue  # an environment that cannot be written has a rule
        seen = os.statvfs(folder)
        files = seen.f_files and seen.f_favail < 16  # noqa: PLR2004  (as many as a few commands create at once)
        if seen.f_bavail * seen.f_frsize < _SMALL or files:
            what = "files" if files else "bytes"
            left = seen.f_favail if files else seen.f_bavail * seen.f_frsize
            yield Finding("nearly-full", f"{folder}: only {left:,} {what} are left", f"df -h {shlex.quote(folder)}")


def gate(surroundings: Surroundings) -> Iterator[Finding]:
    """The directory of the global locks: open to all, sticky, and the same for all."""
    folder = surroundings.gate
    try:
        mode = os.stat(folder).st_mode
    except OSError as error:
        yield Finding("gate-missing", f"{folder}: {error.strerror}", f"install -d -m 1777 {shlex.quote(folder)}")
        return
    if sys.platform != "win32" and mode & 0o1777 != 0o1777:  # noqa: PLR2004  (what /tmp has)
        message = f"{folder}: has mode {stat.S_IMODE(mode):04o}, not 1777"
        yield Finding("gate-mode", message, f"chmod 1777 {shlex.quote(folder)}")
    mount = mount_of(folder)
    if mount and "/systemd-private-" in mount.root:
        message = f"{folder}: this service has its own (PrivateTmp=), which no other process sees"
        yield Finding("private-tmp", message, "systemctl edit SERVICE  # [Service] PrivateTmp=no")
    yield from protected(folder, mode)


def protected(folder: str, mode: int) -> Iterator[Finding]:
    """Whether the kernel refuses O_CREAT on files of other users here, as it does where systemd sets it up.

    Args:
        folder: The directory of the global locks.
        mode: Its mode.
    """
    try:
        with open(_PROTECTED, encoding="ascii") as file:
            level = int(file.read())
    except (OSError, ValueError):
        return  # an older kernel, or another system
    if mode & stat.S_ISVTX and (mode & stat.S_IWOTH or (level > 1 and mode & stat.S_IWGRP)) and level > 0:
        message = f"{folder}: fs.protected_regular is {level}: flock(1) cannot open another user's lock file there"
        yield Finding("protected-regular", message, "sysctl fs.protected_regular", NOTE)


def _lock_files(folder: str) -> list[str]:
    """What stands where lock files of ours stand."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []  # said of the gate elsewhere
    return [os.path.join(folder, name) for name in names if name.startswith("lock-policy-") and name.endswith(".lock")]


def lock_files(surroundings: Surroundings) -> Iterator[Finding]:
    """What stands where lock files of ours stand, and whether this user can open it."""
    for path in _lock_files(surroundings.gate):
        try:
            seen = os.lstat(path)
            if not stat.S_ISREG(seen.st_mode) or seen.st_nlink > 1:
                what = "has several names" if stat.S_ISREG(seen.st_mode) else "is not a regular file"
                yield Finding("lock-file-strange", f"{path}: {what}", f"rm -r -- {shlex.quote(path)}")
                continue
            os.close(os.open(path, os.O_RDWR | SAFELY | NOFOLLOW))
        except FileNotFoundError:
            continue
        except OSError as error:
            message = f"{path}: cannot be opened: {error.strerror}"
            yield Finding("lock-file-unreadable", message, f"sudo chmod a+rw -- {shlex.quote(path)}")


def stale(surroundings: Surroundings) -> Iterator[Finding]:
    """Lock files of this user that nobody has taken for a month, and nobody holds."""
    if sys.platform == "win32":
        return
    from policy.locks import holders

    limit, own = time.time() - _OLD, os.geteuid()
    old = []
    for path in _lock_files(surroundings.gate):
        try:
            seen = os.lstat(path)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(seen.st_mode) and seen.st_uid == own and not seen.st_size and seen.st_mtime < limit:
            old.append(path)
    free = [found.name for found in holders.locks((), *old) if found.locked is False]
    if free:
        files = "a lock file" if len(free) == 1 else f"{len(free):,} lock files"
        message = f"{surroundings.gate}: nobody has taken {files} of this user for a month, such as {free[0]}"
        yield Finding("stale-lock-files", message, "policy locks --prune", NOTE)


def strict(surroundings: Surroundings) -> Iterator[Finding]:
    """Records of a strict lock whose owner has ended: they keep everybody out until somebody removes them."""
    environment = surroundings.environment
    if environment is None:
        return
    from policy.errors import LockUnavailable
    from policy.locks import strict_claims
    from policy.locks.strict import StrictLock

    path = StrictLock(environment.root).name
    if not os.path.lexists(path + strict_claims.FOLDER):
        return  # nobody ever took it
    try:
        owners = strict_claims.owners(path)
    except LockUnavailable as error:
        yield Finding("lock-file-unreadable", str(error), f"ls -la -- {shlex.quote(path)}*")
        return
    for owner in owners:
        if owner.runs is False:
            message = f"{path}: held by {owner.holder}"
            yield Finding("stale-strict-lock", message, f"policy locks --break {shlex.quote(environment.root)}")


def temporary_directory(surroundings: Surroundings) -> Iterator[Finding]:
    """Uv keeps its locks on system interpreters in TMPDIR, and shells that have another one do not meet."""
    named = surroundings.environ.get("TMPDIR")
    environment = surroundings.environment
    if environment is None or environment.kind != "system" or not named:
        return
    if os.path.realpath(os.path.join(surroundings.cwd, named)) != os.path.realpath("/tmp"):  # noqa: S108  (compared only)
        message = f"TMPDIR is {named}: uv's locks on {environment.root} lie there, and in /tmp for other shells"
        yield Finding("tmpdir-differs", message, "unset TMPDIR")


def clock(surroundings: Surroundings) -> Iterator[Finding]:
    """What time a new file gets, beside the time of this host."""
    if sys.platform == "win32":
        return
    from policy.commands.health import flock

    for folder in surroundings.folders:
        try:
            before = time.time()
            descriptor = flock.unnamed(folder)
        except OSError:
            continue  # another check says why
        try:
            seen = os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)
        difference = seen - before if seen < before else max(0.0, seen - time.time())
        if abs(difference) > _SKEW:
            message = f"{folder}: its clock differs from this host's by {difference:+.0f} s"
            yield Finding("clock-differs", message, "timedatectl set-ntp true")
