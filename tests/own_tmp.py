"""Programs with a /tmp of their own, where nothing lies that others have left, and nobody else holds a lock."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests import factories

_OWN = Path("/tmp")
_SCRIPT = """
own=$1; shift
while [ "$1" != -- ]; do mount --bind "$1" "$own/${1#/tmp/}" || exit 125; shift; done
shift; mount --rbind "$own" /tmp && exec "$@"
"""


def own_tmp(directory: Path, *more: Path) -> list[str]:
    """What goes before a command line to give the program a /tmp of its own.

    In it the directories, this checkout and this Python stand where they always do. Nothing goes before it where this
    user may not mount: the program then sees the machine's.

    Args:
        directory: Of the test; the /tmp is `own-tmp` in it and stays from one program to the next.
        more: Further directories that stand where they always do.
    """
    if not _can_mount():
        return []
    own = directory / "own-tmp"
    kept = [
        str(path)
        for path in dict.fromkeys((directory, *more, factories.CHECKOUT, Path(sys.prefix), Path(sys.base_prefix)))
        if path.is_relative_to(_OWN)
    ]
    for path in kept:
        (own / Path(path).relative_to(_OWN)).mkdir(parents=True, exist_ok=True)
    own.mkdir(exist_ok=True)
    own.chmod(0o1777)
    return ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", str(own), *kept, "--"]


@cache
def _can_mount() -> bool:
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    words = ["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
