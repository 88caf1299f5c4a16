"""Which release a uv is: asked only where releases differ so much that the caller must be helped."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT = 10.0
"""Seconds that uv has to say its version; it needs some hundredths."""


def version(launch: str | Sequence[str], environ: Mapping[str, str], cwd: str | None = None) -> tuple[int, ...] | None:
    """Asks a uv for its version.

    Args:
        launch: The words that start it, or the one word.
        environ: Its environment variables; PATH is that of these.
        cwd: Where to start it; by default this process's working directory.

    Returns:
        `(0, 7, 13)`, or None if it cannot be started, does not answer in time, or answers something else.
    """
    import re
    import subprocess

    words = [launch] if isinstance(launch, str) else list(launch)
    try:
        done = subprocess.run(
            [*words, "--version"],
            env=environ,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    # As in "uv 0.7.13" and "uv 0.13.9 (x86_64-unknown-linux-gnu)"; uvx says its own name.
    found = re.match(rb"uvx? (\d{1,9})\.(\d{1,9})\.(\d{1,9})", done.stdout)
    return tuple(int(number) for number in found.groups()) if found else None


def known(program: str, environ: Mapping[str, str], cwd: str, *, ask: bool = True) -> tuple[int, ...]:
    """The release of a uv, by the metadata of the environment that it stands in, or as it once said itself.

    Args:
        program: Its path, absolute.
        environ: Its variables; they say where answers are cached, too.
        cwd: The working directory; what lies below it is not executed.
        ask: Whether it may be executed at all.

    Returns:
        `(0, 7, 13)`, or () where that cannot be known.
    """
    return _installed(os.path.dirname(program)) or (_cached(program, environ, cwd) if ask else ())


def _installed(folder: str) -> tuple[int, ...]:
    """The release by the metadata of the environment that a folder of programs belongs to; () where there is none."""
    root = os.path.dirname(folder)
    if not os.path.exists(os.path.join(root, "pyvenv.cfg")):
        return ()
    library = os.path.join(root, "Lib" if sys.platform == "win32" else "lib")
    try:
        folders = [library, *(os.path.join(library, name) for name in os.listdir(library))]
        for packages in (os.path.join(one, "site-packages") for one in folders):
            for name in os.listdir(packages) if os.path.isdir(packages) else ():
                if name.startswith("uv-") and name.endswith(".dist-info"):
                    return _numbers(name.removeprefix("uv-").removesuffix(".dist-info"))
    except OSError:
        pass  # as if it were not there
    return ()


def _cached(path: str, environ: Mapping[str, str], cwd: str) -> tuple[int, ...]:
    """What a uv says of itself, kept for as long as its file is the same."""
    from policy import cache

    real = os.path.realpath(path)
    if real.startswith(os.path.join(cwd, "")):
        return ()
    try:
        status = os.stat(real)
    except OSError:
        return ()

    def ask() -> tuple[int, ...]:
        return version(path, environ) or ()

    key = (path, real, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return cache.cached("uv", key, ask, environ)  # type: ignore[no-any-return]  # what ask returns


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split(".")[:3]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()
