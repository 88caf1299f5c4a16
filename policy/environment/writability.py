"""Whether the lock file in an environment can be opened for writing, found out without creating anything."""

from __future__ import annotations

import errno
import os
import stat
import sys


def lock_errno(root: str) -> int:
    """Why `<root>/.lock` could not be made or opened for writing by this process; 0 when it could.

    Nothing is created: an existing file is opened for writing and closed, else the directory is asked (access(2) with
    the effective user).

    Args:
        root: The environment's root.

    Returns:
        An errno, as the kernel would give it.
    """
    path = os.path.join(root, ".lock")
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return 0  # its author must not choose the lock: it is refused, with the reason, when it is taken
        os.close(os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)))
    except FileNotFoundError:
        return _directory_errno(root)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _directory_errno(root: str) -> int:
    effective = os.access in os.supports_effective_ids
    if os.access(root, os.W_OK | os.X_OK, effective_ids=effective):
        return 0
    try:
        if sys.platform != "win32" and os.statvfs(root).f_flag & os.ST_RDONLY:
            return errno.EROFS
    except OSError as error:
        return error.errno or errno.EIO
    return errno.EACCES
