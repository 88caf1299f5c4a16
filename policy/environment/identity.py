"""Which environment a path means, whatever it is called: one name on which all callers of a host agree.

The name says where the environment lies in its file system, so that every spelling, link and bind mount of it gives the
same one, before its folders exist and after. A look that fails is an error: an answer that depended on errors would be
two answers.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from policy import host

_MANY = 1024  # environments that are remembered
_MOST_LINKS = 40  # the kernel's limit
# Of these the kernel shows each mounted part as if it were the whole; the source says which part.
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph"})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    FolderIdentity: TypeAlias = tuple[
        int, int, str
    ]  # device, inode, and the number of the mount through which it was seen

FOLDER: int = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
"""Of open(2), for a folder that is looked at and not read."""

# By the real path of a root that exists and to which no bind mount leads: which folder it is, and its name.
_known: dict[str, tuple[FolderIdentity, str]] = {}


def identity(root: str, seen: FolderIdentity | None = None) -> str:
    """The name of an environment.

    Args:
        root: Its root, absolute; it need not exist, nor the folders above it.
        seen: What `real_folder` has just said of it; absent: it is asked.

    Raises:
        OSError: It cannot be looked at.
    """
    seen = seen or real_folder(root)
    known = _known.get(root)
    if known is not None and seen == known[0]:
        return known[1]
    folder, rest = (root, "") if seen else _what_exists(real_path(root))
    name, whole = _in_file_system(folder, rest, seen[2] if seen else "")
    if whole and seen:
        if len(_known) >= _MANY:
            _known.clear()
        _known[root] = seen, name
    return name


def _what_exists(path: str) -> tuple[str, str]:
    """The part of a real path that exists, and the rest."""
    rest = ""
    while _look(path) is None:
        path, name = os.path.split(path)
        rest = os.path.join(name, rest) if rest else name
    return path, rest


def _in_file_system(folder: str, rest: str, number: str) -> tuple[str, bool]:
    """Where something lies in its file system, and whether the mount shows all of that.

    The mount is not looked for by the longest mount point, which a later mount may hide. Where /proc is not there, or
    does not list the mount, as in a chroot, the path must do.
    """
    if sys.platform != "linux":
        return os.path.join(folder, rest), True
    number = number or host.mount_number(folder)
    for _, device, part, point, _, kind, source, _ in host.mounts(number) if number else ():
        place = source.rstrip("/") if kind in _REMOTE else device
        inside = os.path.join(part, folder[len(point) :].lstrip("/"), rest)
        return f"{place}:{inside.rstrip('/') or '/'}", part == "/"
    return os.path.join(folder, rest).rstrip("/") or "/", True


def real_folder(path: str) -> FolderIdentity | None:
    """Device, inode and mount of a folder, where no link is in its path; `realpath` would look at each part.

    Args:
        path: Absolute. None says nothing: the folder may not exist, or there is no /proc to be asked.
    """
    if sys.platform != "linux":
        return None
    try:
        return host.through(path, FOLDER, lambda descriptor: _real(path, descriptor))
    except (OSError, ValueError):
        return None


def _real(path: str, descriptor: int) -> FolderIdentity | None:
    """What is open, where the kernel gives it the name by which it was opened."""
    if not is_at(path, descriptor):
        return None
    seen = os.fstat(descriptor)
    # A folder that was moved away may be mounted where it was: the same folder by the same path, and another name.
    return seen.st_dev, seen.st_ino, host.descriptor_facts(descriptor).get("mnt_id", "")


def is_at(path: str, descriptor: int) -> bool:
    """Whether the kernel calls a folder that is open what it was opened as.

    Not where the folder was moved, or was reached through a link, nor where its mount is gone.

    Args:
        path: Absolute.
        descriptor: The folder's.

    Raises:
        OSError: There is no /proc to be asked.
    """
    return os.readlink(f"/proc/self/fd/{descriptor}") == path


def remembered(root: str, descriptor: int) -> FolderIdentity | None:
    """What is seen of a root that is open, where its name follows from that alone: not below a bind mount.

    Args:
        root: Absolute.
        descriptor: Its own.

    Raises:
        OSError: It cannot be looked at.
    """
    seen = _real(root, descriptor)
    return seen if root in _known and _known[root][0] == seen else None


def without_links(interpreter: str, root: str) -> tuple[FolderIdentity | None, str, str]:
    """What `real_folder` says of a root, the interpreter in the real path of its folder, and the root's real path.

    Args:
        interpreter: Absolute; its own link leads to the base interpreter, and stays.
        root: Absolute; the interpreter need not lie in it.
    """
    folder, name = os.path.split(interpreter)
    seen = real_folder(root)
    if seen is not None and os.path.dirname(folder) == root and not os.path.islink(folder):
        return seen, interpreter, root
    return seen, os.path.join(os.path.realpath(folder), name), os.path.realpath(root)


def real_path(path: str) -> str:
    """A path without links, of which the last parts need not exist.

    `os.path.realpath` takes what it cannot look at for no link, and so answers differently to different callers.

    Args:
        path: An absolute path.

    Raises:
        OSError: A part of it cannot be looked at.
    """
    rest = ""
    for _ in range(_MOST_LINKS):
        try:
            return os.path.join(os.path.realpath(path, strict=True), rest).rstrip("/") or "/"
        except FileNotFoundError:
            while (seen := _look(path)) is None:
                path, name = os.path.split(path.rstrip("/"))
                rest = os.path.normpath(os.path.join(name, rest)) if rest else name
            if stat.S_ISLNK(seen.st_mode):  # it leads to what does not exist yet
                path = os.path.join(os.path.dirname(path), os.readlink(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _look(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
