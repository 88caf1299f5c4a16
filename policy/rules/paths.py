"""Paths in the form in which rules compare them, and the patterns for which that form is enough."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WINDOWS = sys.platform == "win32"
MAX_PATTERN = 1024  # characters of a pattern


def normal(path: str, *, windows: bool = WINDOWS) -> str:
    """The form in which paths are compared: `.`, `..` and `//` resolved without looking at the disk, so links stay.

    On Windows the separators become `/` and letters small ones. Only a root ends with a separator.

    Args:
        path: An absolute path.
        windows: Whether it is one of Windows.
    """
    if not windows:
        if "/." in path or "//" in path or path[-1:] == "/":
            import posixpath

            path = posixpath.normpath(path)
            return path[1:] if path[:2] == "//" else path  # POSIX keeps two leading slashes, no system here needs them
        return path
    import ntpath

    path = ntpath.normpath(path).replace("\\", "/")
    if path[:4] == "//?/":
        path = "//" + path[8:] if path[4:8].upper() == "UNC/" else path[4:]
    path = fold(path)
    return path if len(path) <= len("c:/") else path.removesuffix("/")


def spellings(path: str, real: str) -> tuple[str, ...]:
    """A path in the form in which paths are compared, and where its links lead if that is elsewhere.

    Args:
        path: As spelled.
        real: Without links.
    """
    spelled, resolved = normal(path), normal(real)
    return (spelled,) if spelled == resolved else (spelled, resolved)


def simple(pattern: str) -> Callable[[str], bool] | None:
    """The function that says whether one of the most usual patterns matches a path in its `normal` form.

    Those are a path, and a path before `/*` or `/**`, which both mean all that lies below it.

    Args:
        pattern: A path pattern; see globs.py, which agrees with what this says.

    Returns:
        None for another pattern, or a faulty one.
    """
    path = pattern.removesuffix("/**" if pattern[-2:] == "**" else "/*")
    inner = f"{path}/"
    if WINDOWS or pattern[:1] != "/" or "//" in inner or "/./" in inner or "/../" in inner:
        return None
    if not path or "*" in path or "?" in path or "[" in path or "\0" in path or len(pattern) > MAX_PATTERN:
        return None
    if path != pattern:
        return lambda text: text.startswith(inner) and text != inner
    return lambda text: text == path or text.startswith(inner)


def fold(text: str) -> str:
    """Small letters, one for one, by way of the capital as NTFS does: both small sigmas are one letter."""
    if text.isascii():
        return text.lower()
    return "".join(map(_small, text))


def _small(character: str) -> str:
    """The small form of a letter; itself where that is more than one character, as for U+0130."""
    capital = character.upper()
    small = (capital if len(capital) == 1 else character).lower()
    return small if len(small) == 1 else character
