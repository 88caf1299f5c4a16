"""A path that is named although no environment is there yet: it may be the root of one that is about to be made."""

from __future__ import annotations

import os

# What `python -m venv`, virtualenv, uv and conda put into a root before its interpreter.
_FIRST = frozenset(
    {".gitignore", ".lock", "CACHEDIR.TAG", "Include", "Lib", "Scripts", "bin", "conda-meta", "include", "lib", "lib64"}
    | {"man", "pyvenv.cfg", "share"}
)


def root_of(path: str) -> str:
    """The root that a path names, which may be that of the interpreter in it.

    Args:
        path: Absolute; nothing need be there.
    """
    folder, name = os.path.split(path)
    if name.startswith(("python", "pypy", "graalpy")) and os.path.basename(folder) in {"bin", "Scripts"}:
        return os.path.dirname(folder)
    return path


def begun(root: str) -> bool:
    """Whether a directory holds nothing but what is put into a new environment first, so that one may become of it.

    Args:
        root: A directory without an interpreter.
    """
    try:
        return _FIRST.issuperset(os.listdir(root))
    except OSError:
        return False


def unusable(path: str, error: OSError) -> str:
    """Why a path that was named cannot be used.

    Args:
        path: It.
        error: What looking at it gave.
    """
    if isinstance(error, FileNotFoundError) and os.path.islink(path):
        return dangling(path)
    return f"{path}: {(error.strerror or str(error)).lower()}"


def dangling(path: str) -> str:
    """What is wrong with a broken link.

    Args:
        path: The link.
    """
    return f"{path}: a broken link to {os.readlink(path)}"
