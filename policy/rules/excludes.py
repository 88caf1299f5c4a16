"""Who is kept out by a plan, and who is not: one answer for each kind of neighbour, each a function in NEIGHBOURS."""

from __future__ import annotations

import os

from policy.rules.condition import KNOWN
from policy.rules.hints import may_be_remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from policy.rules.decision import Decision

    Answer = dict[str, Any]


def excludes(decision: Decision) -> list[Answer]:
    """Who is kept out while the plan of a decision is held, and who is not, with the reason and the remedy.

    Args:
        decision: What was decided.
    """
    return [answer for ask in NEIGHBOURS if (answer := ask(decision))]


def _answer(who: str, where: str, because: str, remedy: str = "", *, excluded: bool) -> Answer:
    answer: Answer = {"who": who, "where": where, "excluded": excluded, "because": because}
    return {**answer, "remedy": remedy} if remedy else answer


def _held(decision: Decision, *purposes: str) -> str:
    """The first of some purposes for which the plan holds a lock, "" where it does for none."""
    held = {lock.purpose for lock in decision.plan}
    return next((purpose for purpose in purposes if purpose in held), "")


def lock_key(lock: Sequence[str]) -> str:
    """The key of a rule that names some locations, as TOML.

    Args:
        lock: They.
    """
    quoted = [f'"{location}"' for location in lock]
    return f"lock = [{', '.join(quoted)}]" if len(quoted) > 1 else f"lock = {quoted[0]}"


def this_host(decision: Decision) -> Answer:
    """Lock-policy on this host: the gate is the same file for every caller."""
    who, where = "lock-policy", "this host"
    if _held(decision, "gate"):
        return _answer(who, where, "gate", excluded=True)
    return _answer(who, where, "this plan has no gate, and a caller with other rules holds other locks", excluded=False)


def uv(decision: Decision) -> Answer:
    """Uv itself, started without lock-policy: it locks its own file in the environment, or outside of a system one."""
    who, where = "uv", "this environment"
    own = "uv" if decision.environment.kind == "system" else "local"
    if _held(decision, own):
        return _answer(who, where, own, excluded=True)
    if own == "uv":
        because = "uv locks a system interpreter in files of its own, outside of it"
        return _answer(who, where, because, lock_key(("global", *decision.lock)), excluded=False)
    if decision.request.facts.get("writable") is False:
        because = "uv cannot lock it, and since 0.7.19 continues without a lock"
        return _answer(who, where, because, "start uv with `policy run -- uv ...`", excluded=False)
    because = f"uv locks {os.path.join(decision.environment.root, '.lock')}, which this plan does not hold"
    return _answer(who, where, because, lock_key((*decision.lock, "local")), excluded=False)


def pipx(decision: Decision) -> Answer | None:
    """Pipx, which locks a file beside an environment of its own."""
    if _held(decision, "beside"):
        return _answer("pipx", "this environment", "beside", excluded=True)
    if not KNOWN["pipx"].get(decision.request):
        return None
    because = "pipx locks a file beside its environments, which this plan does not hold"
    return _answer("pipx", "this environment", because, lock_key(("beside", *decision.lock)), excluded=False)


def other_hosts(decision: Decision) -> Answer:
    """Lock-policy on other hosts: a server, a lock that needs no flock, or a file system whose flock reaches them."""
    who, where = "lock-policy", "other hosts"
    if held := _held(decision, "cluster", "strict"):
        return _answer(who, where, held, excluded=True)
    because = "no lock of this plan reaches them"
    for lock in decision.plan:
        if lock.kind != "file":
            continue
        kind, fault = _reach(lock.name)
        if kind and not fault:
            return _answer(who, where, f"flock on {kind} reaches them: {lock.name}", excluded=True)
        because = fault or because
    return _answer(who, where, because, lock_key(("cluster", *decision.lock)), excluded=False)


def _reach(path: str) -> tuple[str, str]:
    """The type of the file system that other hosts share, and what keeps a lock on it from reaching them."""
    if not may_be_remote(path):
        return "", ""
    from policy.environment.mounts import REACHES, lock_reach, mount_of

    mount = mount_of(path)
    if mount is None or mount.type.partition(".")[0] not in REACHES:
        return "", ""
    return mount.type, lock_reach(mount) or ""


def other_namespaces(decision: Decision) -> Answer:
    """Containers that share the environment's volume, but not this host's directory for temporary files."""
    who, where = "lock-policy", "other mount namespaces"
    if held := _held(decision, "cluster", "strict", "beside", "local"):
        return _answer(who, where, held, excluded=True)
    because = "no lock of this plan lies beside the environment, where containers that share its volume look"
    return _answer(who, where, because, lock_key(("beside", *decision.lock)), excluded=False)


_REACHED = {"beside": "pipx", "cluster": "other hosts", "strict": "other hosts"}


def reached(lock: Sequence[str], kind: str) -> frozenset[str]:
    """Who besides lock-policy on this host is kept out by locks in some locations, as far as they alone say.

    Args:
        lock: The names of the locations.
        kind: That of the environment.
    """
    uv = {"uv"} if ("global" if kind == "system" else "local") in lock else set()
    return frozenset(uv | {_REACHED[location] for location in lock if location in _REACHED})


NEIGHBOURS: tuple[Callable[[Decision], Answer | None], ...] = (this_host, uv, pipx, other_hosts, other_namespaces)
