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
    from policy.rules.trace import Trace


def unwritable(decision: Decision, trace: Trace) -> str | None:
    """The case that uv fails on, or passes over in silence."""
    del trace
    environment = decision.environment
    if environment.kind != "virtualenv" or decision.request.facts.get("writable") is not False:
        return None
    return (
        f"uv cannot lock this environment itself: 0.7.12 to 0.7.18 fail (UV_PYTHON={environment.base_interpreter} "
        "makes them work), 0.7.19 and later go on unlocked and say nothing; `policy run -- uv ...` holds this lock "
        "around uv"
    )


def local_system(decision: Decision, trace: Trace) -> str | None:
    """A local lock where uv has none."""
    del trace
    if decision.environment.kind != "system" or decision.lock != ("local",):
        return None
    return 'uv locks a system interpreter outside of it, so it does not see this file; lock = "both" excludes it'


def no_boolean(decision: Decision, trace: Trace) -> str | None:
    """A flag of ours that is set to something that is no flag."""
    del trace
    value = decision.request.caller.environ.get("UV_ONLY_GLOBAL_LOCKS")
    if value is None or boolean(value) is not None:
        return None
    return "UV_ONLY_GLOBAL_LOCKS is not a boolean and is ignored: use true or false"


def confined(decision: Decision, trace: Trace) -> str | None:
    """A rule of a checkout that would go on without a lock where it has no say."""
    del trace
    rule = decision.matched
    if rule.required or not decision.required:
        return None
    return (
        f"`required = false` of rule {rule.label} counts below {os.path.dirname(rule.file)} only, and this environment "
        "lies elsewhere: the lock is required"
    )


def private_temporary_directory(decision: Decision, trace: Trace) -> str | None:
    """Uv's own locks of a system interpreter in a directory that only this shell uses."""
    del trace
    directory = decision.request.caller.environ.get("TMPDIR")
    if directory in {None, "/tmp", "/tmp/"} or decision.environment.kind != "system":  # noqa: S108  (only compared)
        return None
    return (
        "TMPDIR is set, and uv locks a system interpreter there: a uv in a shell with another TMPDIR is not excluded "
        "by uv's own lock; start it with `policy run -- uv ...`, whose lock does not depend on TMPDIR"
    )


def remote(decision: Decision, trace: Trace) -> str | None:
    """A file system whose locks do not reach other hosts."""
    del trace
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


def no_readers(decision: Decision, trace: Trace) -> str | None:
    """A lock for reading that excludes other readers, too."""
    del trace
    for lock in decision.plan:
        if lock.kind == "strict" and (decision.shared or lock.shared):
            return f"{lock.name}: a strict lock has no readers, so it is held exclusively: other readers wait"
    return None


def nearest_miss(decision: Decision, trace: Trace) -> str | None:
    """The rule of the user's that came nearest: the smallest share of its questions failed, and only one of them."""
    from policy.rules.trace import failing

    del trace
    for number in decision.chain.search.several:
        rule = decision.chain.rules[number]
        if number >= decision.index or rule.layer == BUILT_IN_LAYER:
            continue
        failed = failing(rule.match, decision.request)
        first, second = next(failed, None), next(failed, None)
        if first and not second:
            return f"rule {rule.label} failed by one condition only: {first}"
    return None


HINTS: tuple[Callable[[Decision, Trace], str | None], ...] = (
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


def hints(decision: Decision, trace: Trace) -> list[str]:
    """Every hint that applies, one sentence each, and where the documentation says more.

    Args:
        decision: What was decided.
        trace: Its steps, as `trace` gives them.
    """
    found = [(hint, ask.__name__) for ask in HINTS if (hint := ask(decision, trace))]
    if not found:
        return []
    from policy.manual import anchor

    return [f"{hint} ({anchor('hint', name)})" for hint, name in found]


def hints_in_run(decision: Decision) -> list[str]:
    """The hints that matter to someone who did not ask: those about a lock that may not exclude.

    Args:
        decision: What was decided.
    """
    return [hint for hint in (ask(decision, []) for ask in IN_RUN) if hint]
