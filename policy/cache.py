"""Files under the user's cache directory: cheap to read, safe to delete, trusted only if they are this user's alone.

`directory` is what platformdirs answers, without importing it where the rule is three lines long: importing it costs
twice as much as starting Python, and this is read before every `policy run`.
"""

from __future__ import annotations

import _imp  # its hash is `importlib.util.source_hash`; importing that or another costs more than the rest of reading
import marshal
import os
import stat
import sys

from policy import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

VERSION = 4  # another one when what is kept changes its shape
CHECKSUM = 8  # bytes
LARGEST = 64 * 1024 * 1024
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def directory(environ: Mapping[str, str] | None = None) -> str:
    """The directory of this program's cached files, which need not exist.

    Args:
        environ: Environment variables; this process's own if not given.

    Returns:
        An absolute path as platformdirs' `user_cache_path("lock-policy", appauthor=False)` has it; "" if there is no
        home directory to put it in.
    """
    if environ is None:
        environ = os.environ
    if sys.platform in ("darwin", "win32"):
        import platformdirs

        return platformdirs.user_cache_dir("lock-policy", appauthor=False)
    base = host.folder(environ, "XDG_CACHE_HOME", ".cache")
    return os.path.join(base, "lock-policy") if base else ""


def load(name: str, environ: Mapping[str, str] | None = None) -> bytes | None:
    """Reads a cached file if it can be trusted.

    Args:
        name: The file's name in the directory.
        environ: Environment variables; this process's own if not given.

    Returns:
        What `store` was given last, or None: not there, not ours, not private, or not readable.
    """
    folder = directory(environ)
    if not folder:
        return None
    try:
        if not _ours(os.stat(folder)):
            return None
        descriptor, status = host.open_regular(os.path.join(folder, name), follow=False)
    except (OSError, ValueError):
        return None
    try:
        if not _ours(status) or status.st_size > LARGEST:
            return None
        # A file is replaced whole, never written in place, so its size is known before it is read.
        return host.content(descriptor, status.st_size)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def store(name: str, data: bytes, environ: Mapping[str, str] | None = None) -> None:
    """Replaces a cached file whole; does nothing where that cannot be done.

    Args:
        name: The file's name in the directory.
        data: What `load` is to return.
        environ: Environment variables; this process's own if not given.
    """
    folder = directory(environ)
    if not folder:
        return
    try:
        _make(folder)
        if _ours(os.stat(folder)):
            from policy.files import replace  # most calls find what they look for

            replace(os.path.join(folder, name), data, 0o600)
    except (OSError, ValueError):
        return


def cached(name: str, key: Any, make: Callable[[], Any], environ: Mapping[str, str]) -> Any:
    """A plain value that is made once for a key.

    Args:
        name: The file in the directory; one value is kept under it.
        key: A tuple of plain values; another one makes the value anew.
        make: Makes it.
        environ: Environment variables, which say where the directory is.

    Returns:
        The value, from the file or from `make`.
    """
    data = load(name, environ) or b""
    if data and data == sealed(data[CHECKSUM:]):
        version, found_key, value = marshal.loads(data[CHECKSUM:])  # noqa: S302  (only this user can write the file)
        if version == VERSION and found_key == key:
            return value
    value = make()
    store(name, sealed(marshal.dumps((VERSION, key, value))), environ)
    return value


def sealed(data: bytes) -> bytes:
    """Data with its checksum before it: of what a bad disk left, marshal would make anything, or end the process.

    Args:
        data: What is to be recognised when it is read again.
    """
    return _imp.source_hash(VERSION, data) + data


def _ours(status: os.stat_result) -> bool:
    """Whether a file or directory is this user's and nobody else may write it."""
    if sys.platform == "win32":
        return True  # the folder lies in the user's profile, whose access list keeps the others out
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE


def _make(folder: str) -> None:
    """Makes the directory, unless what it would stand in is another's: root leaves nothing of its own in a user's home.

    Raises:
        OSError: It cannot be made.
    """
    missing = []
    while True:
        try:
            status = os.stat(folder)
            break
        except FileNotFoundError:
            missing.append(folder)
            folder = os.path.dirname(folder)
    if missing and sys.platform != "win32" and status.st_uid != os.geteuid():
        raise PermissionError
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
