"""What every package asks of the host: homes and names of users, the XDG folders, files that somebody else controls."""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# O_NONBLOCK: opening a FIFO that took the place of the file since it was looked at must not wait for a writer
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


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
    descriptor = os.open(path, _FLAGS if follow else _FLAGS | _NOFOLLOW)
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
    while most > 0 and (part := os.read(descriptor, min(most, 1 << 20))):
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


def config_folders(environ: Mapping[str, str]) -> list[str]:
    """The system's folders of configuration, the strongest first: `XDG_CONFIG_DIRS` as the XDG specification has it.

    Args:
        environ: The caller's environment variables.
    """
    configured = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [base for base in configured.split(":") if os.path.isabs(base)]


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
