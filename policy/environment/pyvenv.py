"""pyvenv.cfg (PEP 405): its keys, and the base interpreter that they lead to. Nothing is executed."""

from __future__ import annotations

import os
import sys

from policy import host

_WINDOWS = sys.platform == "win32"
_LARGEST = 64 * 1024


def settings(root: str) -> dict[str, str] | None:
    """Reads a pyvenv.cfg as CPython's `site.py` does: a key ends at the first equals sign, in any case, spaces aside.

    Args:
        root: The root of a virtual environment.

    Returns:
        The values by their keys in lower case, the first of several as `getpath.py` has it; None if there is no regular
        file of at most 64 KiB that can be read.
    """
    path = os.path.join(root, "pyvenv.cfg")
    try:
        data = host.beginning(path, _LARGEST + 1)
    except (OSError, ValueError):
        return None
    if len(data) > _LARGEST:
        return None
    values: dict[str, str] = {}
    for line in data.decode("utf-8-sig", "surrogateescape").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values.setdefault(key.strip().lower(), value.strip())
    return values


def version(values: dict[str, str]) -> str:
    """The version of Python that a pyvenv.cfg tells of.

    Args:
        values: What `read` returned.

    Returns:
        Such as `3.11.2` (venv) or `3.11.2.final.0` (virtualenv; uv without the last two); "" if it tells none.
    """
    return values.get("version") or values.get("version_info", "")


def base_interpreter(interpreter: str, root: str) -> str:
    """Finds the interpreter that an environment was made from, through any number of nested environments.

    Links first, as CPython does it (`getpath.py`: "more accurate than assuming the executable in 'home'"), then `home`,
    then `executable` (venv) and `base-executable` (virtualenv).

    Args:
        interpreter: The environment's interpreter, which may be a broken link or missing.
        root: The environment's root.

    Returns:
        A real path; where nothing leads out of the environment, that of its own interpreter.
    """
    values = settings(root)
    real = os.path.realpath(interpreter)
    seen = set()
    while real not in seen:
        seen.add(real)
        # A link may lead into another environment, whose interpreter may be a copy.
        above = os.path.dirname(os.path.dirname(real))
        if (nested := settings(above)) is not None:
            root, values = above, nested
        elif os.path.isfile(real):
            return real
        following = _through(values or {}, root, interpreter)
        if following is None:
            return real
        interpreter = following
        real = os.path.realpath(interpreter)
    return real


def _through(values: dict[str, str], root: str, interpreter: str) -> str | None:
    """The interpreter that a pyvenv.cfg leads to, if it is there."""
    name = os.path.basename(interpreter)
    if _WINDOWS:
        names = [name, "python.exe"]
    else:
        numbers = version(values).split(".")
        names = [name, f"python{'.'.join(numbers[:2])}", "python3", "python", "pypy3"]
    candidates = []
    if home := values.get("home"):
        # PEP 405 wants it absolute; tools that move environments write it relative to the root.
        home = os.path.join(root, home)
        candidates = [os.path.join(home, name) for name in names] + [home]
    candidates += [value for key in ("executable", "base-executable") if os.path.isabs(value := values.get(key, ""))]
    return next((path for path in candidates if os.path.isfile(path)), None)
