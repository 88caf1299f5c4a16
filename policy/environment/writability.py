"""Whether this process could change an environment, found out without creating anything."""

from __future__ import annotations

import errno
import os
import stat
import sys

from policy import host
from policy.errors import LockUnavailable

REFUSALS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""What the kernel says where something may not be written; any other error is no answer."""


def lock_errno(root: str) -> int:
    """Why this process could not change an environment: neither write its folder nor `<root>/.lock`; 0 when it could.

    Nothing is created: the folder is asked (access(2) with the effective user), then an existing file is opened for
    writing and closed. Where the folder does not exist yet, the one in which it would be created is asked.

    Args:
        root: The environment's root.

    Returns:
        One of REFUSALS, or 0.

    Raises:
        LockUnavailable: Looking failed.
    """
    path = os.path.join(root, ".lock")
    try:
        number = _folder_errno(root)
        return _file_errno(path, number) if number else 0
    except OSError as error:
        reason = f"cannot tell whether the environment can be written: {error.strerror}"
        raise LockUnavailable(path, error.errno or errno.EIO, reason) from error


def _folder_errno(folder: str) -> int:
    effective = os.access in os.supports_effective_ids
    if os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        return 0
    try:
        mode = os.stat(folder).st_mode  # access(2) hides errors that are no refusal
    except FileNotFoundError:
        above = os.path.dirname(folder)
        return _folder_errno(above) if above != folder else errno.ENOENT
    except PermissionError as error:
        return error.errno or errno.EACCES
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    if sys.platform != "win32" and os.statvfs(folder).f_flag & os.ST_RDONLY:
        return errno.EROFS
    return errno.EACCES


def _file_errno(path: str, of_folder: int) -> int:
    """The same for a lock file in a folder that cannot be written."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return 0  # its planter must not choose the lock: it is refused, with the reason, when it is taken
        os.close(os.open(path, os.O_RDWR | host.SAFELY | host.NOFOLLOW))
    except FileNotFoundError:
        return of_folder
    except OSError as error:
        if error.errno in REFUSALS:
            return error.errno or of_folder
        raise
    return 0
