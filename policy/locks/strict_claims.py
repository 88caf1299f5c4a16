"""The records behind a strict lock: who published them, on which host, whether the owner still runs, their removal.

filelock calls a record a claim. It names a host, a process and when that was started. Two of them belong to a lock that
is held: one of intent, and one that says held.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import sys
import tempfile

import filelock
from attrs import evolve, frozen

from policy.errors import LockUnavailable, unavailable
from policy.escape import escape
from policy.host import NOFOLLOW, SAFELY, user_name
from policy.locks import proc
from policy.locks.holders import Holder, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from filelock import StrictSoftFileClaim, StrictSoftFileLock

_OLDEST = (4, 2, 1)  # older ones let another user end a lock that is held (CVE-2026-112908, CVE-2026-112911)
FOLDER = ".filelock"  # what filelock appends to the name of the lock
_CLAIMS = "claims"
_BOOT = 64  # bits of a process's start on Linux; above them filelock keeps the boot's own number
_STARTED = 19  # of the fields after the name in /proc/PID/stat: clock ticks since the boot (proc_pid_stat(5))
_NAMESPACE = "?pidns-"  # filelock's mark behind the host's name for any PID namespace but the host's own
ENDED = "ended without releasing it"
_EARLIER = "before this host restarted, or on another host of the same name"


@frozen
class Owner:
    """A process that published records.

    Args:
        host: Its host, as filelock names it.
        pid: Its number there.
        start: When it was started, as filelock counts; None where that is not known.
        names: Of its records.
        user: Whom the records belong to.
        since: When they were published, by the file server's clock.
    """

    host: str
    pid: int
    start: int | None
    names: tuple[str, ...]
    user: str = ""
    since: float | None = None

    @property
    def runs(self) -> bool | None:
        """Whether the process still runs; None where this host cannot tell."""
        host, boot = _here()
        if not host or self.host != host or (boot and self.start is not None and self.start >> _BOOT not in (0, boot)):
            return None
        return _runs(self.pid, self.start)

    @property
    def holder(self) -> Holder:
        """The process as messages name it."""
        runs = self.runs
        own = process(self.pid) if runs else None
        name, _, namespace = self.host.partition(_NAMESPACE)
        host = f"{name} (PID namespace {namespace})" if namespace else name
        if own is not None:
            return evolve(own, host=host, since=self.since)
        said = {True: "", False: ENDED, None: _EARLIER if self.host == _here()[0] else ""}[runs]
        return Holder(self.pid, self.user, said, self.since, host)


def unheld(path: str) -> StrictSoftFileLock:
    """The lock at a path, as filelock has it.

    Raises:
        LockUnavailable: The release of filelock is too old.
    """
    release = tuple(int(word) for word in filelock.__version__.split(".")[:3] if word.isdigit())
    if release < _OLDEST:
        reason = f"filelock {filelock.__version__} is installed, whose strict locks another user can end"
        raise LockUnavailable(path, 0, reason, remedy='pip install --upgrade "filelock>=4.2.1"')
    try:
        return filelock.StrictSoftFileLock(path, thread_local=False, mode=_mode(os.path.dirname(path)))
    except ValueError as error:  # a null byte
        raise LockUnavailable(path, errno.EINVAL, str(error)) from None


def _mode(folder: str) -> int:
    """The mode of the files: who may write their folder may take the lock."""
    try:
        above = os.stat(folder).st_mode
    except (OSError, ValueError):
        return 0o600  # said when it is taken
    write = above & 0o022
    return 0o600 | write | write << 1 | above & 0o044


def _name(state: str, token: str) -> str:
    """The name of a record, as filelock gives it."""
    return f"{state}-v1-{token}.claim"


def _record(path: str, name: str) -> str:
    """Where a record of a lock lies."""
    return os.path.join(path + FOLDER, _CLAIMS, name)


def attempt(lock: StrictSoftFileLock) -> bool:
    """Tries once to publish a record.

    Returns:
        True when the lock is held now, False when another holds it.

    Raises:
        LockUnavailable: The folder cannot be written, or what lies there is not understood.
    """
    path = lock.lock_file
    try:
        _make_folder(path)
        if _is_of_another(lock):
            return False
        lock.acquire(timeout=0, blocking=False)
        _open_to_others(path, holding_token(lock))
    except filelock.Timeout:
        return False
    except (OSError, ValueError, ExceptionGroup) as error:
        if _is_of_another(lock):  # they came meanwhile
            return False
        raise refused(path, error) from error
    return True


def _is_of_another(lock: StrictSoftFileLock) -> bool:
    """Whether another user has published a record.

    filelock links each record that it finds to a second name, to ask the file server whether it is still there. The
    kernel lets nobody link the file of another (fs.protected_hardlinks), and filelock takes that for damage.
    """
    if sys.platform == "win32" or os.geteuid() == 0:
        return False
    try:
        return any(os.lstat(_record(lock.lock_file, claim.name)).st_uid != os.geteuid() for claim in lock.claims)
    except OSError:
        return False  # gone meanwhile, or said when it is taken


def refused(path: str, error: Exception) -> LockUnavailable:
    """An error of filelock as one that names the lock and says what to do.

    Args:
        path: The lock.
        error: What filelock raised.
    """
    folder = os.path.dirname(path)
    if isinstance(error, filelock.SoftFileLockProtocolError):
        remedy = f"look at {path} and {path}{FOLDER}, and remove them when no host holds the lock"
        if "hard-link" in error.reason:
            remedy = 'this file system has no hard links: use `lock = "cluster"`'
        return LockUnavailable(path, 0, error.reason, remedy=remedy)
    if not isinstance(error, OSError):
        return LockUnavailable(path, errno.EINVAL, str(error))
    found = unavailable(path, error)
    remedies = {
        errno.EACCES: f'give this user write access to {folder}, or use `lock = "cluster"`',
        errno.EPERM: f'give this user write access to {folder}, or use `lock = "cluster"`',
        errno.EROFS: f'{folder} is on a read-only file system: mount it for writing, or use `lock = "cluster"`',
        errno.ENOENT: f"create {folder} first",
    }
    return LockUnavailable(path, found.errno or 0, found.reason, remedy=remedies.get(found.errno or 0, found.remedy))


def _make_folder(path: str) -> None:
    """Makes the folder of the records, as open as the folder around it, whatever the umask.

    Under another name first: filelock's own would be closed to a colleague for an instant, or forever.
    """
    if sys.platform == "win32" or os.path.lexists(path + FOLDER):
        return
    above = os.stat(os.path.dirname(path))
    mode = _mode(os.path.dirname(path))
    temporary = f"{path}.{os.urandom(8).hex()}.tmp"
    made = [temporary, os.path.join(temporary, _CLAIMS)]
    try:
        for folder in made:
            os.mkdir(folder, 0o700)
        for folder in made:
            if os.geteuid() == 0 and above.st_uid:
                _give(folder, above)
            os.chmod(folder, stat.S_ISVTX | mode | (mode & 0o444) >> 2)
        os.rename(temporary, path + FOLDER)
    except OSError:
        for folder in reversed(made):
            if os.path.lexists(folder):
                os.rmdir(folder)
        if not os.path.lexists(path + FOLDER):
            raise


def _give(folder: str, above: os.stat_result) -> None:
    """Lets the owner of the folder above take the lock, too, after root has."""
    if sys.platform != "win32":
        try:
            os.chown(folder, above.st_uid, above.st_gid)
        except PermissionError:
            return  # NFS that maps root to nobody


def _open_to_others(path: str, token: str) -> None:
    """Lets others read what this process made, and not write it, whatever the umask.

    A record that cannot be read is an error to them, which they say only after half a second.
    """
    if sys.platform == "win32":
        return
    mode = _mode(os.path.dirname(path)) & ~0o022
    for file in (path, *(_record(path, _name(state, token)) for state in ("intent", "held"))):
        descriptor = os.open(file, os.O_RDONLY | SAFELY | NOFOLLOW)
        try:
            seen = os.fstat(descriptor)
            if seen.st_uid == os.geteuid() and stat.S_IMODE(seen.st_mode) != mode:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def holding_token(lock: StrictSoftFileLock) -> str:
    """The token of the holder of a lock, "" where there is none or its record is not understood."""
    try:
        return next((claim.token for claim in lock.claims if claim.state == "held"), "")
    except OSError:
        return ""


def is_there(path: str, token: str) -> bool:
    """Whether a record that says held is still there: opening it makes an NFS client ask the server.

    Args:
        path: The lock.
        token: Of the record.
    """
    try:
        os.close(os.open(_record(path, _name("held", token)), os.O_RDONLY | SAFELY | NOFOLLOW))
    except OSError:
        return False
    return True


def is_held(path: str) -> bool | None:
    """Whether there is any record; None where the folder cannot be read or understood.

    Args:
        path: The lock.
    """
    try:
        return bool(unheld(path).claims)
    except OSError:
        return None


def release(lock: StrictSoftFileLock, advice: str) -> None:
    """Removes the records of a lock, where this process holds it; says so on stderr where it cannot.

    Args:
        lock: The lock; in a forked child it is not held.
        advice: What to do about records that stay.
    """
    try:
        lock.release()
    except (OSError, ExceptionGroup) as error:
        sys.stderr.write(f"lock-policy: {lock.lock_file}: cannot be released: {error}; {advice}\n")


def owners(path: str) -> tuple[Owner, ...]:
    """The processes that published the records of a lock, each once, who holds it first.

    Args:
        path: The lock.

    Raises:
        LockUnavailable: The folder cannot be read or understood.
    """
    lock = unheld(path)
    try:
        claims = lock.claims
    except OSError as error:
        raise refused(path, error) from error
    found: dict[tuple[str, int, int | None], list[StrictSoftFileClaim]] = {}
    for claim in claims:  # by name, so that "held" comes before "intent"
        found.setdefault((claim.hostname, claim.pid, claim.start), []).append(claim)
    return tuple(
        Owner(*of, tuple(claim.name for claim in claims), *_published(_record(path, claims[0].name)))
        for of, claims in found.items()
    )


def _published(path: str) -> tuple[str, float | None]:
    """Whose a record is, and since when."""
    try:
        seen = os.lstat(path)
    except OSError:
        return "", None
    user = "" if sys.platform == "win32" else escape(user_name(seen.st_uid) or f"uid {seen.st_uid}")
    return user, seen.st_mtime


def holders(path: str) -> tuple[Holder, ...]:
    """Who holds a lock; without anybody, who is about to, for a record of intent keeps others out as well.

    Args:
        path: The lock.
    """
    try:
        found = owners(path)
    except LockUnavailable:
        return ()
    held = [owner for owner in found if any(name.startswith("held") for name in owner.names)]
    return tuple(owner.holder for owner in held or found)


def remove(path: str, owner: Owner) -> None:
    """Removes all records of one owner that are still there, by their names, which nobody else's ever bear.

    Args:
        path: The lock.
        owner: As it was seen.

    Raises:
        LockUnavailable: They cannot be removed.
    """
    lock = unheld(path)
    for name in owner.names:
        try:
            lock.force_break(name)
        except FileNotFoundError:
            continue
        except PermissionError as error:
            remedy = f"only {owner.user}, the owner of {path}{FOLDER} and root can remove it"
            raise LockUnavailable(path, error.errno or 0, remedy=remedy) from None
        except OSError as error:
            raise refused(path, error) from error


@functools.cache
def _here() -> tuple[str, int]:
    """How filelock names this host, and this boot of it: read from the record of a lock of our own."""
    try:
        with tempfile.TemporaryDirectory(prefix="lock-policy-") as folder:
            lock = unheld(os.path.join(folder, "here"))
            with lock:
                claim = lock.claims[0]
    except OSError:
        return "", 0  # then no record is known to be of this host
    return claim.hostname, (claim.start or 0) >> _BOOT


def _runs(pid: int, start: int | None) -> bool | None:
    """Whether the process of this host that was started then still runs."""
    if sys.platform == "win32":
        return None  # os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    fields = proc.stat_fields(pid)
    if not fields or sys.platform != "linux":
        return True
    if fields[0] in {"Z", "X"}:
        return False
    return start is None or int(fields[_STARTED]) == start % 2**_BOOT
