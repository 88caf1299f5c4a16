"""From a request to a plan; a new location is a function here and a name in LOCATIONS."""

from __future__ import annotations

import os
import sys

from policy.uv import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from policy.rules.request import Request


class LockFile:
    """A file of a plan.

    Args:
        path: Where it is, absolute.
        purpose: `local` (uv's own file in the environment), `global` (ours), or `uv` (uv's for a system interpreter).
    """

    __slots__ = ("path", "purpose")

    def __init__(self, path: str, purpose: str) -> None:
        self.path = path
        self.purpose = purpose

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LockFile) and (self.path, self.purpose) == (other.path, other.purpose)

    def __hash__(self) -> int:
        return hash((self.path, self.purpose))

    def __repr__(self) -> str:
        return f"LockFile(path={self.path!r}, purpose={self.purpose!r})"


def default_global_directory(environ: Mapping[str, str]) -> str:
    """Where global locks live unless configured: `/tmp`, whatever TMPDIR says, because every shell must meet there.

    Args:
        environ: Environment variables; only Windows looks at them.
    """
    if sys.platform == "win32":
        return os.path.join(environ.get("PROGRAMDATA", r"C:\ProgramData"), "lock-policy", "locks")
    return "/tmp"  # noqa: S108  (lock files there are opened as hostile ones)


def local(request: Request, directory: str) -> tuple[LockFile, ...]:
    """`<root>/.lock`, which is uv's own file."""
    del directory
    return (LockFile(os.path.join(request.environment.root, ".lock"), "local"),)


def global_(request: Request, directory: str) -> tuple[LockFile, ...]:
    """A file named after the root's real path, so that every spelling of an environment meets in it.

    For a system environment uv's own locks follow, one for each spelling of the interpreter, so that uv is excluded
    whichever it was given; sorted, so that two of us never wait for each other crosswise.
    """
    digest = names.digest(os.path.realpath(request.environment.root))
    files = [LockFile(os.path.join(directory, f"lock-policy-{digest}.lock"), "global")]
    if request.environment.kind == "system":
        caller = request.caller
        locks = names.interpreter_locks(request.environment.interpreter, caller.environ, caller.cwd)
        files += [LockFile(path, "uv") for path in locks]
    return tuple(files)


LOCATIONS: dict[str, Callable[[Request, str], tuple[LockFile, ...]]] = {
    "local": local,
    "global": global_,
}

ORDER = ("global", "uv", "local")
"""In which locks are taken, by their purpose."""
