"""`policy shims`: scripts named uv, pip and the like, which run the real ones under the lock."""

from __future__ import annotations

import os
import shlex
import sys

from policy import files
from policy.commands.reading import Arguments, Parser
from policy.commands.tools import TOOLS, is_shim
from policy.errors import UsageError

MODE = 0o755

_POSIX = """\
#!/bin/sh
# Written by `policy shims`: runs the {name} that follows on PATH, under the lock where it may change an environment.
# LOCK_POLICY_SHIMS=0 turns it off.
exec {python} -P -c 'from policy.shim import main; main("{name}"{more})' "$@"
"""
_WINDOWS = """\
@rem Written by `policy shims`: runs the {name} that follows on PATH, under the lock where it may change an environment.
@rem LOCK_POLICY_SHIMS=0 turns it off.
@"{python}" -P -c "from policy.shim import main; main('{name}'{more})" %*
"""


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", help="where to write them; default: where `policy hook` looks"
    )
    parser.add_argument(
        "--hold-runs",
        action="store_true",
        help="`uv run`, `uvx` and similar commands hold the lock as readers: nothing is changed while they run",
    )


def main(arguments: Arguments) -> int:
    """Writes them.

    Raises:
        UsageError: When one cannot be written, or would replace a file that is no shim.
    """
    folder = folder_of(arguments.folder)
    try:
        os.makedirs(folder, exist_ok=True)
        for name in TOOLS:
            _write(os.path.join(folder, f"{name}.cmd" if sys.platform == "win32" else name), name, arguments.hold_runs)
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: cannot be written: {error.strerror}") from None
    sys.stdout.write(f"{folder} has shims for {', '.join(TOOLS)}; `policy hook SHELL` puts them on PATH\n")
    return 0


def folder_of(named: str | None) -> str:
    """Where shims stand, absolute.

    Args:
        named: The folder that was named; None where none was.

    Raises:
        UsageError: The name is empty, as that of a variable that is not set.
    """
    if named == "":
        raise UsageError("DIR is empty; name a folder, or leave it out")
    return os.path.abspath(named or default_folder())


def default_folder() -> str:
    """Where shims stand unless a folder is named."""
    if sys.platform == "win32":
        data = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    else:
        data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.join(data, "lock-policy", "shims")


def _write(path: str, name: str, hold_runs: bool) -> None:  # noqa: FBT001  (as the option has it)
    """Puts a shim in the place of an older one, whole at any moment."""
    if os.path.lexists(path) and not is_shim(path):
        raise UsageError(f"{path}: is not a shim; name another folder, or remove the file")
    windows = sys.platform == "win32"
    text = (_WINDOWS if windows else _POSIX).format(
        name=name,
        python=sys.executable if windows else shlex.quote(sys.executable),
        more=", hold_runs=True" if hold_runs else "",
    )
    files.replace(path, text.encode("utf-8", "surrogateescape"), MODE)
