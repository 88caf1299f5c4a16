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

_MANY = 1024  # environments that are remembered
_MOST_LINKS = 40  # the kernel's limit
# Of these the kernel shows each mounted part as if it were the whole; the source says which part.
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph"})

# By the root as spelled, where it exists and no link and no bind mount leads to it: which folder it is, and its name.
_known: dict[str, tuple[int, int, str]] = {}


def identity(root: str) -> str:
    """The name of an environment.

    Args:
        root: Its root, absolute; it need not exist, nor the folders above it.

    Raises:
        OSError: It cannot be looked at.
    """
    known = _known.get(root)
    if known is not None:
        there = _look(root)
        if there is not None and (there.st_dev, there.st_ino) == known[:2]:
            return known[2]
    folder = real_path(root)
    rest = ""
    while (seen := _look(folder)) is None:
        folder, name = os.path.split(folder)
        rest = os.path.join(name, rest) if rest else name
    name, whole = _in_file_system(folder, rest)
    if whole and folder == root:
        if len(_known) >= _MANY:
            _known.clear()
        _known[root] = seen.st_dev, seen.st_ino, name
    return name


def _in_file_system(folder: str, rest: str) -> tuple[str, bool]:
    """Where something lies in its file system, and whether the mount shows all of that.

    The mount is not looked for by the longest mount point, which a later mount may hide. Where /proc is not there, or
    does not list the mount, as in a chroot, the path must do.
    """
    if sys.platform != "linux":
        return os.path.join(folder, rest), True
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        number = _read(f"/proc/self/fdinfo/{descriptor}").partition(b"mnt_id:")[2].split()[:1]
        table = _read("/proc/self/mountinfo").splitlines() if number else []
    finally:
        os.close(descriptor)
    for line in table:
        if line.split(b" ", 1)[:1] != number:
            continue
        # proc_pid_mountinfo(5): number, parent, device, the part that is mounted, the mount point
        mount, _, system = line.partition(b" - ")
        device, part, point = map(_text, mount.split(b" ", 5)[2:5])
        kind, source = map(_text, system.split(b" ", 2)[:2])
        if kind in _REMOTE:
            device = source.rstrip("/")
        inside = os.path.join(part, folder[len(point) :].lstrip("/"), rest)
        return f"{device}:{inside.rstrip('/') or '/'}", part == "/"
    return os.path.join(folder, rest).rstrip("/") or "/", True


def _read(path: str) -> bytes:
    """A file of /proc; nothing where it is not there. Not opened as text, which may import an encoding."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return b""
    try:
        parts = []
        while part := os.read(descriptor, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _text(field: bytes) -> str:
    """A field without the kernel's escapes: a backslash and three octal digits."""
    first, *parts = os.fsdecode(field).split("\\")
    return first + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts)


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
