"""Opening a lock file safely, creating it as uv does, and asking flock(2) once.

A lock file lies where other people may write, so nothing about it is believed: it is looked at before it is opened,
opened without following links and without O_CREAT, and looked at again through the descriptor. It is never written to,
truncated or chmod'ed, unless it was created here.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from _thread import RLock

from policy.errors import LockUnavailable, unavailable
from policy.host import NOFOLLOW, SAFELY, user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform != "win32":
    import fcntl

_FLAGS = SAFELY | NOFOLLOW
_TMPFILE: int = getattr(os, "O_TMPFILE", 0)  # Linux

_MODE = 0o666  # uv's, whatever the umask: every user of a shared directory opens the file for writing
_ATTEMPTS = 100  # openings of a path whose file changes each time
_SECOND_NAME_SECONDS = 0.5  # how long a second name may be that of a maker between link and unlink
_REFRESH_SECONDS = 60.0  # systemd-tmpfiles counts days; a lock taken in a loop need not write an inode each time
_NO_MODES = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)  # fchmod on vfat, on mounts without metadata
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)  # link(2) on vfat, exfat, some FUSE


class OpenFile:
    """A lock file that is open, or about to be.

    It exists before its descriptor does, so that an exception between two steps cannot lose the descriptor.

    Args:
        path: As it was asked for.

    Attributes:
        numbers: Its descriptor; empty before it is open, when it is closed, and in a forked child.
        device: With `inode`, which file it is.
        inode: Not used again by the file system while the descriptor is open.
        owned: Whether to lock and release is ours; False for a lock that an ancestor holds.
        inherited: Whether commands share it, so that closing must not unlock.
        modified: Its timestamp when it was opened.
    """

    __slots__ = ("device", "inherited", "inode", "modified", "numbers", "owned", "path")

    def __init__(self, path: str) -> None:
        self.path: str = path
        self.numbers: list[int] = []
        self.device: int = 0
        self.inode: int = 0
        self.owned: bool = True
        self.inherited: bool = False
        self.modified: float = 0.0

    @property
    def descriptor(self) -> int:
        """The open descriptor, -1 where this process has none."""
        return self.numbers[0] if self.numbers else -1

    def __repr__(self) -> str:
        return f"OpenFile({self.path!r}, {self.descriptor})"


# What a forked child must close: a copied descriptor would keep the lock when its holder dies. Between os.open, which
# gives other threads their turn, and the entry here nobody may fork, hence the guard.
_opened: set[OpenFile] = set()

unforked: RLock = RLock()
"""While it is held no thread forks."""

if sys.platform != "win32":

    def _forget() -> None:
        """In a forked child: it holds nothing, and its copies must not outlive the parent's hold."""
        for file in list(_opened):
            _close(file)
        _opened.clear()
        unforked.release()

    os.register_at_fork(before=unforked.acquire, after_in_parent=unforked.release, after_in_child=_forget)


def open_file(file: OpenFile, *, near: bool = False, make: str = "") -> None:
    """Opens a lock file that can be trusted, creating it where there is none. It is not locked yet.

    Args:
        file: What to open; closed again where that fails.
        near: True when it lies in or beside the environment that it locks. Who may write there may change the
            environment anyway, so its directory is not judged, and a file of the directory's owner is good.
        make: The one directory that is created, for this user alone, where it is missing.

    Raises:
        LockUnavailable: It cannot be created or opened, or cannot be trusted.
    """
    path = file.path
    try:
        _open(file, near=near, make=make)
    except LockUnavailable:
        raise
    except ValueError as error:  # a null byte or a lone surrogate
        raise LockUnavailable(path, errno.EINVAL, str(error)) from None
    except OSError as error:
        raise unavailable(path, error, near=near) from error


def _open(file: OpenFile, *, near: bool, make: str) -> None:
    """Looks, opens, looks again; starts over wherever the file changed in between."""
    path = file.path
    directory = os.path.dirname(path) or "."
    until = 0.0
    if make and make == directory:
        _make_directory(directory)
    for _ in range(_ATTEMPTS):
        if not near:
            _judge_directory(path, directory)
        try:
            seen = os.lstat(path)
        except FileNotFoundError:
            _create(path, directory)
            continue
        if seen.st_nlink > 1 and stat.S_ISREG(seen.st_mode):
            # A second name is a hostile hard link, or that of a maker who is between link and unlink.
            until = until or time.monotonic() + _SECOND_NAME_SECONDS
            if time.monotonic() < until:
                time.sleep(0.005)
                continue
        _judge(path, seen, directory, near=near)
        if not _opens(file, seen, near=near):
            continue
        try:
            found = os.fstat(file.descriptor)
            if _same(found, seen) and _stays(path, found):
                _judge(path, found, directory, near=near)
                file.device, file.inode, file.modified = found.st_dev, found.st_ino, found.st_mtime
                return
        except BaseException:
            close(file)
            raise
        close(file)
    raise LockUnavailable(path, 0, "it is replaced each time it is opened", remedy="find out who replaces it")


def _stays(path: str, found: os.stat_result) -> bool:
    """Whether an open file is at its path, and had the same number of names all the time.

    A hard link that is swapped in for each look at the path and out for each count of the names shows a victim with
    one name; but each link and unlink of it sets its ctime. lstat(2) walks to the file before it reads the ctime, so
    where that is what it was before the walk, nothing was swapped in for it.
    """
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return _same(there, found) and (there.st_nlink, there.st_ctime_ns) == (found.st_nlink, found.st_ctime_ns)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _opens(file: OpenFile, seen: os.stat_result, *, near: bool) -> bool:
    """Opens what was seen; False where it is gone or has become something else.

    For writing, since NFS gives an exclusive flock to nothing less (flock(2)). Root's file, our own and that of a
    colleague in an environment may be read-only: flock then works on every local file system, and NFS refuses it, so
    nobody is let in by mistake.
    """
    try:
        enter(file, os.O_RDWR | _FLAGS)
    except FileNotFoundError:
        return False
    except PermissionError as error:
        if error.errno != errno.EACCES or not (near or seen.st_uid in (0, _user())):
            raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ESTALE, errno.EMLINK):
            return False  # a link, a socket, a directory was swapped in: seen as such at the next look
        raise
    else:
        return True
    try:
        enter(file, os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        return False
    return True


def enter(file: OpenFile, flags: int) -> None:
    """Opens and notes the descriptor; neither a fork nor an exception of a signal handler falls between the two.

    Args:
        file: Its path is opened as it is, without any check.
        flags: Of open(2).

    Raises:
        OSError: It cannot be opened.
    """
    with unforked:
        _opened.add(file)
        # One step for the interpreter, which runs signal handlers between its steps only.
        try:
            file.numbers.extend(map(os.open, (file.path,), (flags,)))
        except OSError:
            _opened.discard(file)
            raise


def _judge(path: str, seen: os.stat_result, directory: str, *, near: bool) -> None:
    """Refuses what is no lock file of somebody who may make one."""
    mode = seen.st_mode
    if not stat.S_ISREG(mode):
        raise LockUnavailable(path, 0, f"it is {_kind(mode)}, not a regular file", remedy="find out who put it there")
    if seen.st_nlink > 1:
        raise LockUnavailable(
            path, 0, "it is a hard link to another file", remedy="find out who put it there, and remove the link"
        )
    if mode & _MODE == _MODE or sys.platform == "win32" or seen.st_uid in (0, _user()):
        return
    if near:
        # The owner of the environment's directory could put any file there; a group that may write there, too.
        owner = os.stat(directory)
        if owner.st_uid == seen.st_uid or (owner.st_mode & 0o020 and owner.st_gid == seen.st_gid):
            return
    raise LockUnavailable(
        path,
        0,
        f"it belongs to {_name(seen.st_uid)} alone (mode {stat.S_IMODE(mode):04o})",
        remedy="its owner must remove it or make it mode 0666",
    )


def _judge_directory(path: str, directory: str) -> None:
    """Refuses a directory in which somebody else could replace a lock file that is held."""
    if sys.platform == "win32":
        return  # POSIX modes and owners say nothing there; the default lies under %PROGRAMDATA%
    try:
        seen = os.lstat(directory)
        if stat.S_ISLNK(seen.st_mode):
            if not _placed_by_root(directory):
                raise LockUnavailable(
                    path,
                    0,
                    f"its directory {directory} is a symbolic link",
                    remedy=f"name the directory itself, perhaps {os.path.realpath(directory)}",
                )
            seen = os.stat(directory)
    except FileNotFoundError as error:
        raise unavailable(path, error, f"its directory {directory} does not exist") from None
    mode = seen.st_mode
    if not stat.S_ISDIR(mode):
        raise unavailable(path, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if seen.st_uid not in (0, _user()):
        raise LockUnavailable(
            path,
            0,
            f"its directory {directory} belongs to {_name(seen.st_uid)}, who could replace the lock",
            remedy="choose a `global-dir` that belongs to root (mode 1777 for several users) or to this user",
        )
    if mode & 0o002 and not mode & stat.S_ISVTX:
        raise LockUnavailable(
            path,
            0,
            f"its directory {directory} is writable by all, so that anyone could replace the lock",
            remedy=f"set the sticky bit: chmod +t {directory}",
        )


def _placed_by_root(directory: str) -> bool:
    """Whether only root can have made a link, as with /tmp on macOS and /var/lock on Debian: all above it is root's."""
    if os.lstat(directory).st_uid != 0:
        return False
    above = os.path.dirname(os.path.abspath(directory))
    while True:
        seen = os.stat(above)
        if seen.st_uid != 0 or seen.st_mode & 0o022:
            return False
        if above == os.path.dirname(above):
            return True
        above = os.path.dirname(above)


def _make_directory(directory: str) -> None:
    """Makes this user's own directory, and those above it."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        above = os.path.dirname(directory)
        if above in ("", directory):
            raise
        _make_directory(above)
        _make_directory(directory)


def _create(path: str, directory: str) -> None:
    """Creates the lock file atomically; losing the race to another creator is fine.

    uv gives a temporary file its mode and moves it into place without replacing. A file without a name (O_TMPFILE) is
    that, and leaves nothing behind even when killed; where the file system has none, a temporary name takes its place.
    """
    if _TMPFILE and sys.platform == "linux":
        try:
            descriptor = os.open(directory, _TMPFILE | os.O_RDWR | os.O_CLOEXEC, _MODE)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS):
                raise
        else:
            try:
                _open_to_all(descriptor)
                # With a directory descriptor os.link calls linkat, which follows /proc's link to the unnamed file.
                os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
            except FileExistsError:
                return
            except FileNotFoundError:
                pass  # no /proc
            else:
                return
            finally:
                os.close(descriptor)
    if sys.platform == "win32":
        _create_in_place(path)
    else:
        _create_by_name(path, directory)


def _create_by_name(path: str, directory: str) -> None:
    """Makes a lock file under a temporary name and gives it its own without replacing."""
    temporary = os.path.join(directory, f".lock-policy-{os.getpid()}-{os.urandom(6).hex()}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    linkless = False
    try:
        try:
            _open_to_all(descriptor)
            os.link(temporary, path)
        finally:
            os.close(descriptor)
            os.unlink(temporary)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        linkless = True
    if linkless:
        _create_in_place(path)


def _create_in_place(path: str) -> None:
    """Makes a lock file where it stands: for file systems without hard links, whose modes the mount decides."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, _MODE)
    except FileExistsError:
        return
    try:
        if sys.platform != "win32":
            _open_to_all(descriptor)
    finally:
        os.close(descriptor)


def _open_to_all(descriptor: int) -> None:
    """Sets the mode, whatever the umask; a mount without modes has none to set."""
    if sys.platform != "win32":
        try:
            os.fchmod(descriptor, _MODE)
        except OSError as error:
            if error.errno not in _NO_MODES:
                raise


def operation(*, shared: bool) -> int:
    """The operation of flock(2)."""
    if sys.platform != "win32":
        return fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    return 0


def attempt(descriptor: int, *, shared: bool = False) -> bool:
    """Tries once to lock a descriptor.

    Returns:
        True when it is locked now, False when another holds it.

    Raises:
        OSError: There is no flock here.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, operation(shared=shared) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    from filelock import lock_descriptor

    return lock_descriptor(descriptor, blocking=False)


def refresh(file: OpenFile) -> None:
    """Renews the timestamps of a file that is old, which a cleaner of /tmp would delete while it is held."""
    if time.time() - file.modified < _REFRESH_SECONDS or os.utime not in os.supports_fd:
        return
    try:
        os.utime(file.descriptor)
    except OSError:
        return  # root's read-only file: a cleaner that deletes it is noticed at release


def close(file: OpenFile, *, locked: bool = True) -> None:
    """Gives the file up: unlocked, unless a command has inherited the lock, and closed. Raises no OSError.

    Args:
        file: What is open, if anything.
        locked: False for what was never locked, only looked at.
    """
    if file.owned:
        try:
            if locked and file.numbers and not file.inherited:
                # Closing alone would leave the lock with a child that another thread is just starting.
                _unlock(file.descriptor)
        finally:
            try:
                _close(file)
            finally:
                _opened.discard(file)


def _close(file: OpenFile) -> None:
    """Closes the descriptor and forgets its number, in one step for the interpreter."""
    try:
        for _ in map(os.close, map(list.pop, (file.numbers,) if file.numbers else ())):
            pass
    except OSError:
        return  # close(2): the descriptor is gone all the same


def _unlock(descriptor: int) -> None:
    try:
        if sys.platform == "win32":
            from filelock import unlock_descriptor

            unlock_descriptor(descriptor)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:
        return  # closing unlocks as well


def is_ours(descriptor: int) -> bool:
    """Whether a descriptor is that of a lock file opened here, and not one that this process was started with."""
    return any(descriptor in file.numbers for file in tuple(_opened))


def inherit(file: OpenFile) -> None:
    """Lets commands that are started from here keep the lock until the last of them has closed its descriptor."""
    if file.owned and file.numbers:
        file.inherited = True
        _opened.discard(file)
        os.set_inheritable(file.descriptor, True)  # noqa: FBT003  (its only form)


def _kind(mode: int) -> str:
    for test, name in FILE_TYPES:
        if test(mode):
            return name
    return "of an unknown kind"


def _name(user: int) -> str:
    return user_name(user) or f"user {user}"


def _user() -> int:
    if sys.platform != "win32":
        return os.geteuid()
    return 0


FILE_TYPES: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)
