"""Well-known traps that apply to one request; a new hint is a function here and a name in HINTS."""

from __future__ import annotations

import os
import sys

from policy.rules.plain import BUILT_IN_LAYER
from policy.variables import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from policy.rules.decision import Decision


def unwritable(decision: Decision) -> str | None:
    """The environment cannot be written: uv fails there, or works without its lock in silence."""
    environment = decision.environment
    if environment.kind != "virtualenv" or decision.request.facts.get("writable") is not False:
        return None
    return (
        f"uv cannot lock this environment itself: 0.7.12 to 0.7.18 fail (UV_PYTHON={environment.base_interpreter} "
        "makes them work), 0.7.19 and later go on unlocked and say nothing; `policy run -- uv ...` holds this lock "
        "around uv"
    )


def local_system(decision: Decision) -> str | None:
    """The only lock beside the gate is local, in a system interpreter, where uv takes no lock."""
    if decision.environment.kind != "system" or decision.lock != ("local",):
        return None
    return 'uv locks a system interpreter outside of it, so it does not see this file; lock = "both" excludes it'


def no_boolean(decision: Decision) -> str | None:
    """UV_ONLY_GLOBAL_LOCKS is set to something that is no boolean, and is ignored."""
    value = decision.request.caller.environ.get("UV_ONLY_GLOBAL_LOCKS")
    if value is None or boolean(value) is not None:
        return None
    return "UV_ONLY_GLOBAL_LOCKS is not a boolean and is ignored: use true or false"


def confined(decision: Decision) -> str | None:
    """A rule of a project says `required = false` of an environment outside of the project: it does not count."""
    rule = decision.matched
    if rule.required or not decision.required:
        return None
    return (
        f"`required = false` of rule {rule.label} counts below {os.path.dirname(rule.file)} only, and this environment "
        "lies elsewhere: the lock is required"
    )


def private_temporary_directory(decision: Decision) -> str | None:
    """TMPDIR moves uv's lock on a system interpreter into a directory that other shells do not use."""
    directory = decision.request.caller.environ.get("TMPDIR")
    if directory in {None, "/tmp", "/tmp/"} or decision.environment.kind != "system":  # noqa: S108  (only compared)
        return None
    return (
        "TMPDIR is set, and uv locks a system interpreter there: a uv in a shell with another TMPDIR is not excluded "
        "by uv's own lock; start it with `policy run -- uv ...`, whose lock does not depend on TMPDIR"
    )


def remote(decision: Decision) -> str | None:
    """The file system of a lock does not carry it to other hosts, or may not."""
    for lock in decision.plan:
        if lock.kind != "file" or not may_be_remote(lock.name):
            continue
        from policy.environment.mounts import lock_reach, mount_of

        mount = mount_of(lock.name)
        reach = lock_reach(mount) if mount else None
        if reach:
            return f"{lock.name}: {reach}"
    return None


def may_be_remote(path: str) -> bool:
    """Whether a file can lie on a file system without a disk of its own; Linux gives those the major number 0.

    Args:
        path: The file, which need not exist.
    """
    try:
        return sys.platform != "linux" or os.major(os.stat(os.path.dirname(path)).st_dev) == 0
    except OSError:
        return False


def no_readers(decision: Decision) -> str | None:
    """A strict lock is asked for reading: it has no readers, so that other readers wait, too."""
    for lock in decision.plan:
        if lock.kind == "strict" and (decision.shared or lock.shared):
            return f"{lock.name}: a strict lock has no readers, so it is held exclusively: other readers wait"
    return None


def nearest_miss(decision: Decision) -> str | None:
    """A rule of a file failed by one condition only; of several such rules, the one with the most conditions."""
    from policy.rules.trace import failing

    for number in decision.chain.search.several:
        rule = decision.chain.rules[number]
        if number >= decision.index or rule.layer == BUILT_IN_LAYER:
            continue
        failed = failing(rule.match, decision.request)
        first, second = next(failed, None), next(failed, None)
        if first and not second:
            return f"rule {rule.label} failed by one condition only: {first}"
    return None


HINTS: tuple[Callable[[Decision], str | None], ...] = (
    unwritable,
    local_system,
    no_boolean,
    confined,
    private_temporary_directory,
    remote,
    no_readers,
    nearest_miss,
)


IN_RUN = (local_system, no_boolean, private_temporary_directory, remote, no_readers)


def meanings() -> dict[str, str]:
    """What each hint is given for, by its name."""
    return {hint.__name__.replace("_", "-"): (hint.__doc__ or "").partition("\n")[0] for hint in HINTS}


def hints(decision: Decision) -> list[str]:
    """Every hint that applies, one sentence each, and the command that says more.

    Args:
        decision: What was decided.
    """
    found = [(hint, ask.__name__) for ask in HINTS if (hint := ask(decision))]
    if not found:
        return []
    from policy.manual import command

    return [f"{hint} ({command(name)})" for hint, name in found]


def hints_in_run(decision: Decision) -> list[str]:
    """The hints that matter to someone who did not ask: those about a lock that may not exclude.

    Args:
        decision: What was decided.
    """
    return [hint for hint in (ask(decision) for ask in IN_RUN) if hint]
