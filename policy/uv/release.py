"""Which release a uv is: asked only where releases differ so much that the caller must be helped."""

from __future__ import annotations

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
