"""The PEP 668 marker, which says that another package manager owns an environment."""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.environment.discovery import Environment

_WINDOWS = sys.platform == "win32"
_MARKER = "EXTERNALLY-MANAGED"
_YOUNG = 2_000_000_000  # nanoseconds; no file system's clock is coarser
_MANY = 1024  # directories whose names are remembered


def externally_managed(environment: Environment) -> str | None:
    """Finds the PEP 668 marker that speaks of an environment.

    As pip and uv have it, a marker of the base says nothing about a virtual environment, which may have its own, and
    none speaks of a `--target` or `--prefix` directory.

    Args:
        environment: Any environment; nothing is executed.

    Returns:
        The marker's path, or None.
    """
    if environment.kind == "virtualenv":
        folders = list(_libraries(environment.root))
    elif environment.kind == "system":
        folders = [environment.stdlib or _stdlib(environment.base_interpreter)]
    else:
        return None
    for folder in folders:
        path = f"{folder}{os.sep}{_MARKER}"
        if folder and os.access(path, os.F_OK) and os.path.isfile(path):
            return path
    return None


def _stdlib(interpreter: str) -> str:
    """The standard library of an interpreter that was not asked, by its place; "" if there is none."""
    name = os.path.basename(interpreter)
    prefix = os.path.dirname(interpreter)
    # bin/ on POSIX, the prefix itself on Windows.
    for _ in range(2):
        found = [folder for folder in _libraries(prefix) if os.path.isfile(os.path.join(folder, "os.py"))]
        exact = [folder for folder in found if os.path.basename(folder) == name]
        if exact or len(found) == 1:
            return (exact or found)[0]
        prefix = os.path.dirname(prefix)
    return ""


def _libraries(prefix: str) -> Iterator[str]:
    """The directories in which a prefix may have its standard library: lib/python3.11, lib/pypy3.10, Lib."""
    for library in ("lib", "lib64") if not _WINDOWS else ("Lib",):
        folder = os.path.join(prefix, library)
        if _WINDOWS:
            yield folder
        for name in _names(folder):
            if name.startswith(("python3", "pypy3", "graalpy3")):
                yield f"{folder}{os.sep}{name}"


_listed: dict[str, tuple[int, int, list[str]]] = {}


def _names(folder: str) -> list[str]:
    """What a directory holds, read again when it has changed."""
    try:
        status = os.stat(folder)
        known = _listed.get(folder)
        # A change within the clock's tick of a listing could go unseen, so a young directory is read each time.
        if known is None or known[:2] != (status.st_ino, status.st_mtime_ns):
            names = sorted(os.listdir(folder))
            if time.time_ns() - status.st_mtime_ns < _YOUNG:
                return names
            if len(_listed) >= _MANY:
                _listed.clear()
            known = _listed[folder] = (status.st_ino, status.st_mtime_ns, names)
    except OSError:
        return []
    return known[2]
