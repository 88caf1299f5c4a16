"""What every package asks of the host: homes and names of users, the XDG folders, mounts, files of somebody else."""

from __future__ import annotations

import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, TypeVar

    T = TypeVar("T")

SAFELY: int = (
    getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)
"""How a file is opened that somebody else may replace: a FIFO is not waited for, no terminal becomes ours."""
NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"})
"""The shells that read a line as POSIX has it."""


class IrregularError(OSError):
    """What stands at a path is no regular file.

    Args:
        mode: Its st_mode.
    """

    def __init__(self, mode: int) -> None:
        super().__init__(f"is {type_name(mode)}, not a regular file")
        self.mode = mode


def type_name(mode: int) -> str:
    """What a file is, with its article.

    Args:
        mode: Its st_mode.
    """
    return _TYPES.get(stat.S_IFMT(mode), "something else")


_TYPES = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


def open_regular(path: str, *, follow: bool = True) -> tuple[int, os.stat_result]:
    """Opens a regular file for reading that somebody else may replace at any time.

    Args:
        path: The file.
        follow: False: a symbolic link is refused.

    Returns:
        A descriptor, and its status.

    Raises:
        IrregularError: It is another kind of file. Nothing was opened, since opening some devices does something.
        OSError: It cannot be opened.
        ValueError: The path has a NUL.
    """
    _require_regular(os.stat(path, follow_symlinks=follow))
    descriptor = os.open(path, os.O_RDONLY | SAFELY | (0 if follow else NOFOLLOW))
    try:
        status = os.fstat(descriptor)
        _require_regular(status)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise IrregularError(status.st_mode)


def content(descriptor: int, most: int) -> bytes:
    """Reads from a descriptor until the end of the file, or as many bytes as are allowed.

    Args:
        descriptor: Of a regular file.
        most: How many bytes may be read.

    Raises:
        OSError: It cannot be read.
    """
    parts = []
    while most > 0 and (part := os.read(descriptor, min(most, 1 << 16))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def beginning(path: str, most: int) -> bytes:
    """The first bytes of a regular file.

    Args:
        path: The file.
        most: How many bytes.

    Raises:
        OSError: It is no regular file, or cannot be read.
        ValueError: The path has a NUL.
    """
    descriptor, _ = open_regular(path)
    try:
        return content(descriptor, most)
    finally:
        os.close(descriptor)


def of_others(path: str, most: int = 8 * 1024 * 1024) -> bytes:
    """The beginning of a file of another program, b"" if it cannot be read: that program will say what is wrong.

    Args:
        path: The file.
        most: How many bytes.
    """
    try:
        return beginning(path, most)
    except (OSError, ValueError):
        return b""


def toml_of_others(path: str) -> dict[str, Any]:
    """A TOML file of another program, empty if it cannot be read.

    Args:
        path: The file.
    """
    import tomllib

    try:
        return tomllib.loads(of_others(path).decode())
    except ValueError:
        return {}


def through(path: str, flags: int, look: Callable[[int], T]) -> T:
    """What a look through a descriptor says, which is closed again whatever interrupts.

    Args:
        path: What is opened.
        flags: Of open(2).
        look: Is given the descriptor.

    Raises:
        OSError: It cannot be opened, or looked at.
    """
    opened: list[int] = []
    try:
        opened.extend(map(os.open, (path,), (flags,)))  # no exception of a signal handler comes in between
        return look(opened[0])
    finally:
        try:
            _close(opened)
        finally:
            _close(opened)  # if one came before the first was at its end


def _close(opened: list[int]) -> None:
    for _ in map(os.close, map(list.pop, (opened,) if opened else ())):
        pass


def process_file(path: str) -> bytes:
    """A file of /proc; empty where there is none. Not opened as text, which may import an encoding.

    Args:
        path: The file.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        return through(path, os.O_RDONLY | SAFELY, lambda descriptor: content(descriptor, sys.maxsize))
    except FileNotFoundError:
        return b""


def descriptor_facts(descriptor: int) -> dict[str, str]:
    """What proc_pid_fdinfo(5) says of a descriptor of this process: `mnt_id`, ...; empty where there is no /proc.

    Args:
        descriptor: It.

    Raises:
        OSError: It cannot be read.
    """
    facts: dict[str, str] = {}
    for line in process_file(f"/proc/self/fdinfo/{descriptor}").decode("ascii", "replace").splitlines():
        name, _, value = line.partition(":")
        facts[name] = value.strip()
    return facts


def mount_number(path: str) -> str:
    """The number of the mount that a path lies on; "" where there is no /proc.

    The longest mount point alone is wrong where a later mount higher up hides it.

    Args:
        path: It.

    Raises:
        OSError: It cannot be looked at.
    """
    if sys.platform != "linux":
        return ""
    return through(path, os.O_PATH | os.O_CLOEXEC, lambda descriptor: descriptor_facts(descriptor).get("mnt_id", ""))


def mounts(number: str = "") -> Iterator[tuple[str, ...]]:
    """The mounts that this process sees, as `mount_fields` gives them; none where there is no /proc.

    Args:
        number: Only the mount with this number is wanted.

    Raises:
        OSError: The list cannot be read.
    """
    return mount_fields(process_file("/proc/self/mountinfo"), number)


def mount_fields(table: bytes, number: str = "") -> Iterator[tuple[str, ...]]:
    """The mounts of a table as proc_pid_mountinfo(5) describes it.

    Args:
        table: Its lines; one that is not understood is left out.
        number: Only the mount with this number is wanted.

    Yields:
        The mount's number, the device's, the part of the file system that is mounted, the mount point, its options,
        the file system's type, its source and its own options.
    """
    wanted = number.encode()
    for line in table.split(b"\n"):
        if wanted and line.partition(b" ")[0] != wanted:
            continue
        # The optional fields before the hyphen vary in number.
        mount, _, system = line.partition(b" - ")
        fields, rest = mount.split(b" ", 6), system.split(b" ")
        try:
            found = tuple(map(_unescaped, (fields[0], *fields[2:6], *rest[:3])))
        except ValueError:
            continue
        if len(found) == 8:  # noqa: PLR2004  (counted in the man page)
            yield found


def _unescaped(field: bytes) -> str:
    """A field without the kernel's escapes: a backslash and three octal digits."""
    first, *parts = os.fsdecode(field).split("\\")
    return first + "".join([chr(int(part[:3], 8)) + part[3:] for part in parts])


_FOLLOW = os.access not in os.supports_follow_symlinks
TICK_NANOSECONDS = 10_000_000
"""A kernel older than 6.13 may give two changes of a file within one tick the same timestamps."""


class Trail:
    """Files that were looked for, with what stood there, by which one sees later that nothing has changed.

    Attributes:
        folder: A folder that must be there; "" where none must.
        settled: False: something was looked at that can change without a trace here.
    """

    __slots__ = ("_absent", "_begun", "_present", "folder", "settled")

    def __init__(self) -> None:
        self._begun = time.time_ns()
        self._absent: list[str] = []
        self._present: dict[str, tuple[int, ...]] = {}
        self.folder: str = ""
        self.settled: bool = True

    def is_absent(self, path: str) -> bool:
        """Whether nothing stands at a path, not even a link that leads nowhere.

        Mostly nothing does, and the exception of lstat(2) costs twice as much.
        """
        if os.access(path, os.F_OK, follow_symlinks=_FOLLOW):
            return False
        self._absent.append(path)
        return True

    def look(self, path: str) -> tuple[int, ...] | None:
        """What stands at a path: device, inode, size, mtime and ctime in ns, mode and owner; None: nothing.

        Of the file that the path leads to; of the link itself where it leads nowhere.
        """
        if self.is_absent(path):
            return None
        found = _identity(path)
        if found is None:  # deleted meanwhile
            self.settled = False
            return None
        self._present[path] = found
        return found[:_WHOLE]

    def owners(self, path: str) -> set[int]:
        """The owners of a file that was looked at, and of the link that leads to it.

        Args:
            path: Something stood there.
        """
        found = self._present[path]
        return {found[_OWNER], found[-1]}

    def holds(self) -> bool:
        """Whether a look at the same paths finds the same."""
        for path in self._absent:
            if os.access(path, os.F_OK, follow_symlinks=_FOLLOW):
                return False
        for path, found in self._present.items():
            if _identity(path) != found:
                return False
        return not self.folder or os.path.isdir(self.folder)

    @property
    def is_young(self) -> bool:
        """Whether a file could have changed since it was looked at and have the same timestamps."""
        return is_young(self._present.values(), self._begun)


def is_young(identities: Iterable[tuple[int, ...]], moment: int = 0) -> bool:
    """Whether one of some files could have changed since a moment and have the same timestamps.

    Args:
        identities: What `Trail.look` gave.
        moment: In nanoseconds; absent: now.
    """
    newest = max([identity[_CTIME] for identity in identities], default=0)
    return (moment or time.time_ns()) - newest < TICK_NANOSECONDS


_CTIME, _OWNER, _WHOLE = 4, 6, 7  # in an identity: where two of its fields stand, and how many the file has


def _identity(path: str) -> tuple[int, ...] | None:
    """What stands at a path; through a link, and then its own ctime, inode and owner too."""
    try:
        found = os.lstat(path)
        link: tuple[int, ...] = ()
        if stat.S_ISLNK(found.st_mode):
            link = found.st_ctime_ns, found.st_ino, found.st_uid
            try:
                found = os.stat(path)
            except OSError:
                pass
    except OSError:
        return None
    return (
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_mode,
        found.st_uid,
        *link,
    )


def home(environ: Mapping[str, str]) -> str:
    """The home directory of the caller: HOME, or what the user database says; "" where neither knows one.

    Args:
        environ: The caller's environment variables.
    """
    if sys.platform == "win32":
        return environ.get("USERPROFILE") or os.path.expanduser("~")
    if environ.get("HOME"):
        return environ["HOME"]
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""


def user_name(number: int) -> str | None:
    """The name of a user, None where the user database has none.

    Args:
        number: The user's id.
    """
    if sys.platform == "win32":
        return None
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OSError):
        return None


def folder(environ: Mapping[str, str], variable: str, below_home: str) -> str:
    """A folder of the XDG base directory specification, by which a relative path in the variable is ignored.

    Args:
        environ: The caller's environment variables.
        variable: `XDG_CONFIG_HOME` or a similar one.
        below_home: Where it is without the variable.

    Returns:
        An absolute path; "" where the home directory is needed and unknown, or is relative.
    """
    named = environ.get(variable, "")
    if os.path.isabs(named):
        return named
    base = home(environ)
    return os.path.join(base, below_home) if os.path.isabs(base) else ""


def upward(folder: str) -> Iterator[str]:
    """A folder and all above it, the nearest first.

    Args:
        folder: Absolute.
    """
    above = os.path.dirname(folder)
    while above != folder:
        yield folder
        folder, above = above, os.path.dirname(above)
    yield folder


def nearest(folder: str, name: str) -> str:
    """The nearest folder with a file of a name, going up; "" where there is none.

    Args:
        folder: Where the search begins, absolute.
        name: The file's.
    """
    return next((one for one in upward(folder) if os.path.isfile(os.path.join(one, name))), "")


def config_folders(environ: Mapping[str, str]) -> list[str]:
    """The system's folders of configuration, the strongest first: `XDG_CONFIG_DIRS` as the XDG specification has it.

    Args:
        environ: The caller's environment variables.
    """
    configured = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [base for base in configured.split(":") if os.path.isabs(base)]


def program_name(path: str) -> str:
    """The name of a program, without `.exe`."""
    name = os.path.basename(path)
    return (name.lower() if os.name == "nt" else name).removesuffix(".exe")


def programs(environ: Mapping[str, str], *names: str) -> Iterator[str]:
    """The executable files of some names on PATH, folder by folder.

    Only absolute folders count: one that is relative to a checkout names nothing that may be executed unasked.

    Args:
        environ: Environment variables.
        names: The names, in the order in which each folder is looked through.
    """
    suffix = ".exe" if sys.platform == "win32" else ""
    for directory in environ.get("PATH", "").split(os.pathsep):
        if not os.path.isabs(directory):
            continue
        for name in names:
            path = os.path.join(directory, f"{name.removesuffix(suffix)}{suffix}")
            if os.path.isfile(path) and os.access(path, os.X_OK):
                yield path
