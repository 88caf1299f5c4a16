"""From a request to a plan; a new location is a function here and a name in LOCATIONS."""

from __future__ import annotations

import os
import sys

from policy.locks.file import FileLock
from policy.uv import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from policy.locks.backend import Lock
    from policy.rules.request import Request

    # the value of a single setting, by its name; None where no file has one
    Setting = Callable[[str], Any]

ORDER = ("gate", "cluster", "global", "strict", "beside", "uv", "local")
"""The purposes in the order in which everybody takes the locks, so that two never wait for each other crosswise."""


def plan(locations: Sequence[str], request: Request, setting: Setting) -> tuple[Lock, ...]:
    """The locks to hold, in the order in which they are taken, each once.

    Args:
        locations: Keys of LOCATIONS.
        request: What is to be locked.
        setting: Gives the value of a single setting.
    """
    found: dict[Lock, None] = {}
    for location in locations:
        found.update(dict.fromkeys(LOCATIONS[location](request, setting)))
    return tuple(sorted(found, key=_place))


def _place(lock: Lock) -> int:
    return ORDER.index(lock.purpose)


def default_global_directory(environ: Any) -> str:
    """Where global locks live unless configured: `/tmp`, whatever TMPDIR says, because every shell must meet there.

    Args:
        environ: Environment variables; only Windows looks at them.
    """
    if sys.platform == "win32":
        return os.path.join(environ.get("PROGRAMDATA", r"C:\ProgramData"), "lock-policy", "locks")
    return "/tmp"  # noqa: S108  (lock files there are opened as hostile ones)


def local(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """`<root>/.lock`, which is uv's own file."""
    del setting
    path = os.path.join(request.environment.root, ".lock")
    return (FileLock("local", path, near=True, words="in the environment; uv takes the same file"),)


def global_(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """A file named after the root's real path, so that every spelling of an environment meets in it.

    For a system environment uv's own locks follow, one for each spelling of the interpreter, so that uv is excluded
    whichever it was given; sorted, so that two of us never wait for each other crosswise.
    """
    caller, environment = request.caller, request.environment
    default = default_global_directory(caller.environ)
    directory = setting("global-dir") or default
    path = os.path.join(directory, f"lock-policy-{names.digest(os.path.realpath(environment.root))}.lock")
    make = "" if default == "/tmp" else default  # noqa: S108  (compared only)
    words = "one file forevery spelling of this environment"
    found: list[Lock] = [FileLock("global", path, make=make, words=words)]
    if environment.kind == "system":
        words = "uv's own, for one spelling of this interpreter"
        paths = names.interpreter_locks(environment.interpreter, caller.environ, caller.cwd)
        found += [FileLock("uv", path, words=words) for path in paths]
    return tuple(found)


def cluster(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """A lock on the server of `[cluster]`, named by the rule's `cluster-key`, or after the file system's server."""
    from policy.locks.cluster import cluster_lock  # costs attrs and json

    return (cluster_lock(request.environment.root, setting("cluster"), setting("cluster-key")),)


LOCATIONS: dict[str, Callable[[Request, Setting], tuple[Lock, ...]]] = {
    "local": local,
    "global": global_,
    "cluster": cluster,
}
