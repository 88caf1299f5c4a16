"""Files that are written whole: created where nothing stands, or put in the place of another one."""

from __future__ import annotations

import os
import sys

from policy import host


def create(path: str, data: bytes, mode: int, *, exact: bool = False) -> None:
    """Creates a file where nothing stands, not even a link that leads nowhere.

    Args:
        path: The file.
        data: What it holds.
        mode: Its mode, from which the umask takes what it says.
        exact: Whether the umask takes nothing; on Windows it never does.

    Raises:
        OSError: Something stands there, or it cannot be written.
        ValueError: The path has a NUL.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | host.SAFELY | host.NOFOLLOW, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if exact and sys.platform != "win32":
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def replace(path: str, data: bytes, mode: int, *, exact: bool = False) -> None:
    """Puts a file in the place of what stands there, whole at any moment; a link is replaced, not followed.

    Two that do so at once never share a temporary file, and a reader sees the old file or a new one.

    Args:
        path: The file.
        data: What it holds.
        mode: Its mode, from which the umask takes what it says.
        exact: Whether the umask takes nothing; on Windows it never does.

    Raises:
        OSError: It cannot be written.
        ValueError: The path has a NUL.
    """
    folder, name = os.path.split(path)
    beside = os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        create(beside, data, mode, exact=exact)
        os.replace(beside, path)
    except OSError:
        try:
            os.unlink(beside)
        except OSError:
            pass  # it was not created
        raise
