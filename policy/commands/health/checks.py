"""The checks of `policy doctor`, in the order in which they are shown."""

from __future__ import annotations

from policy.commands.health import cleaners, folders, programs
from policy.commands.health.flock import flock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from policy.commands.health.finding import Finding, Surroundings

CHECKS: dict[str, Callable[[Surroundings], Iterable[Finding]]] = {
    "locks exclude": flock,
    "lock files can be created": folders.space,
    "file systems": folders.mounts,
    "directory of global locks": folders.gate,
    "cleaners": cleaners.cleaners,
    "lock files": folders.lock_files,
    "old lock files": folders.stale,
    "strict lock": folders.strict,
    "temporary directory": folders.temporary_directory,
    "clock": folders.clock,
    "uv": programs.uv,
    "package": programs.foreign,
    "configuration": programs.configuration,
    "cluster": programs.cluster,
}
UNANSWERED = {"locks exclude": "flock-hangs", "uv": "uv-does-not-answer"}
"""What it means that a check does not come to its end, where that has a code of its own."""
