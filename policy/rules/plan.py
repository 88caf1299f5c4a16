"""From a request to a plan; a new location is a function here and a name in LOCATIONS."""

from __future__ import annotations

import os

from policy.locks.file import FileLock
from policy.rules.condition import KNOWN
from policy.rules.gate import default_directory, gate, is_read_only

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
    """The locks to hold, in the order in which they are taken, each once: the gate, then what the locations say.

    On a read-only file system nobody can have a gate, and it is left out where something else is held. Where an
    environment may be being made around the interpreter, that one's gate is held too.

    Args:
        locations: Keys of LOCATIONS.
        request: What is to be locked.
        setting: Gives the value of a single setting.

    Raises:
        LockUnavailable: The environment cannot be looked at.
    """
    environ, environment = request.caller.environ, request.environment
    found: dict[Lock, None] = {}
    for location in locations:
        found.update(dict.fromkeys(LOCATIONS[location](request, setting)))
    directory = setting("gate-dir")
    if not (found and is_read_only(directory or default_directory(environ))):
        found[gate(environment.root, directory, environ, environment.seen)] = None
        if environment.again:
            around = os.path.dirname(os.path.dirname(environment.interpreter))
            words = "the gate of the folder around the interpreter, which may become an environment"
            found[gate(around, directory, environ, words=words)] = None
    return tuple(sorted(found, key=_position))


def _position(lock: Lock) -> tuple[int, str]:
    # Of two gates the first is the one of the lower name; other locks of one purpose come sorted.
    return ORDER.index(lock.purpose), lock.name if lock.purpose == "gate" else ""


def local(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """`<root>/.lock`, which is uv's own file."""
    del setting
    path = os.path.join(request.environment.root, ".lock")
    return (FileLock("local", path, near=True, words="in the environment; uv takes the same file"),)


def global_(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """Nothing in the environment: the gate alone, and a file of the same kind where `global-dir` is set.

    For a system environment uv's own locks follow, one for each spelling of the interpreter, so that uv is excluded
    whichever it was given; sorted, so that two of us never wait for each other crosswise.
    """
    caller, environment = request.caller, request.environment
    found: list[Lock] = []
    directory = setting("global-dir")
    if not directory and environment.kind != "system":
        return ()
    from policy.uv import names  # few plans need a digest of uv's

    if directory:
        path = os.path.join(directory, f"lock-policy-{names.digest(os.path.realpath(environment.root))}.lock")
        found.append(FileLock("global", path, words="in the directory that global-dir names"))
    if environment.kind == "system":
        words = "uv's own, for one spelling of this interpreter"
        paths = names.interpreter_locks(environment.interpreter, caller.environ, caller.cwd)
        found += [FileLock("uv", path, words=words) for path in paths]
    return tuple(found)


def beside(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """`<parent of root>/.<name of root>.lock`, which is pipx's own file: it outlives the environment."""
    del setting
    environment = request.environment
    # pipx knows no link to its environments
    above, name = os.path.split(environment.settled[-1] if KNOWN["pipx"].get(request) else environment.root)
    words = "beside the environment; pipx takes the same file"
    return (FileLock("beside", os.path.join(above, f".{name}.lock"), near=True, words=words),)


def cluster(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """A lock on the server of `[cluster]`, named by the rule's `cluster-key`, or after the file system's server."""
    from policy.locks.cluster import cluster_lock  # costs attrs and json

    return (cluster_lock(request.environment.root, setting("cluster"), setting("cluster-key")),)


def strict(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """Records in a folder beside the environment, for file systems where flock means nothing."""
    del setting
    from policy.locks.strict import StrictLock  # few rules ask for it

    return (StrictLock(request.environment.root),)


LOCATIONS: dict[str, Callable[[Request, Setting], tuple[Lock, ...]]] = {
    "local": local,
    "global": global_,
    "beside": beside,
    "cluster": cluster,
    "strict": strict,
}
