"""How `policy run` treats a uv command: what it leaves to uv, and what it changes for it."""

from __future__ import annotations

import os

from policy.environment.writability import lock_errno
from policy.uv.environment import only_interpreter
from policy.uv.locks import certain, locks
from policy.uv.release import version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from policy.rules.decision import Decision
    from policy.uv.command import Command

UV_LOCK_TIMEOUT = "4294967295"
"""Seconds, 136 years. uv (0.9.16 and later) accepts up to 2**64 - 1, and takes its 300 s for what it cannot parse."""

# These fail on an environment that they cannot lock; older ones do not lock it, newer ones go on.
_FAIL_UNWRITABLE = ((0, 7, 12), (0, 7, 18))


class Treatment:
    """What is different for a uv command.

    Args:
        left: The files of the plan that are not to be held, because uv locks them by itself.
        environ: Environment variables to set for it.
        notes: What to tell the user, a line each.
    """

    __slots__ = ("environ", "left", "notes")

    def __init__(
        self, left: frozenset[str] = frozenset(), environ: Mapping[str, str] | None = None, notes: tuple[str, ...] = ()
    ) -> None:
        self.left = left
        self.environ = dict(environ or {})
        self.notes = notes


def treatment(command: Command, decision: Decision) -> Treatment:
    """Decides what to leave to uv, so that it neither waits for its own caller nor goes on unlocked.

    Args:
        command: A uv command.
        decision: What the rules say about its environment.

    Returns:
        What to hold, to change and to say. Nothing is executed, except `uv --version` where the environment cannot be
        written, a plan without it was chosen, and `UV_PYTHON` names it.
    """
    notes: list[str] = []
    changes: dict[str, str] = {}
    plan = [lock.name for lock in decision.plan]
    left = _left(command, decision, plan, notes)
    if _waits(command, decision, plan, left):
        own = command.environ.get("UV_LOCK_TIMEOUT")
        if own:
            notes.append(f"UV_LOCK_TIMEOUT={own} is set: after it uv 0.9.16 and later go on without their own lock")
        else:
            changes["UV_LOCK_TIMEOUT"] = UV_LOCK_TIMEOUT
    base = _replacement(command, decision)
    if base:
        changes["UV_PYTHON"] = base
        notes.append(
            f"uv {'.'.join(map(str, command.release or ()))} cannot work without writing to "
            f"{decision.environment.root}: it gets the base interpreter, UV_PYTHON={base}"
        )
    return Treatment(frozenset(left), changes, tuple(notes))


def lockable(path: str) -> bool:
    """Whether some uv could lock a file by itself: `.lock`, or `uv-....lock` outside of environments."""
    name = os.path.basename(path)
    return name == ".lock" or (name.startswith("uv-") and name.endswith(".lock"))


def _left(command: Command, decision: Decision, plan: list[str], notes: list[str]) -> list[str]:
    """The files of a plan that are left to uv."""
    left = []
    candidates = [path for path in plan if lockable(path)]
    if certain(command, decision.environment):
        own = {_real(path) for path in locks(command, decision.environment)}
        left = [path for path in candidates if _real(path) in own]
    elif candidates:
        left = candidates
    for path in candidates:
        if path not in left and not os.path.isdir(os.path.dirname(path)):
            # Making the folder for the lock would keep uv from making the environment.
            left.append(path)
            notes.append(f"{os.path.dirname(path)} does not exist yet, so its lock cannot be held")
    if command.operation == "run" and command.child and left and not command.no_sync:
        notes.append(f"{left[0]} is locked by uv itself, and only until it has synced: the command runs without it")
    return left


def _real(path: str) -> str:
    """A lock by the real path of its folder; the file itself may not exist yet."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _waits(command: Command, decision: Decision, plan: list[str], left: list[str]) -> bool:
    """Whether uv is to wait for its own locks as long as it takes.

    Not if a file is held that some other release might lock: better that uv gives up after its 300 s, and goes on under
    our lock, than that it waits for its own caller.
    """
    if left:
        return True
    if any(lockable(path) for path in plan):
        return False
    return bool(locks(command, decision.environment)) or not certain(command, decision.environment)


def _replacement(command: Command, decision: Decision) -> str:
    """The base interpreter, where uv fails because `UV_PYTHON` leads it to an environment that it cannot lock."""
    environment = decision.environment
    named = command.environ.get("UV_PYTHON")
    if "local" in decision.lock or environment.kind != "virtualenv" or not named or command.options.get("python"):
        return ""
    if not (only_interpreter(command) or (command.script and command.operation in {"add", "remove"})):
        return ""  # others change the environment, and another one is not what was asked for
    # A wrapper stands elsewhere and leads there all the same, so that what found the environment counts, too.
    if environment.found_by != "UV_PYTHON" and not _inside(os.path.join(command.cwd, named), environment.root):
        return ""
    request = decision.request
    if request.facts.get("writable", False) or lock_errno(environment.root) == 0:
        return ""
    if command.release is None:
        command.release = version(command.launch, command.environ, command.cwd) or ()
    first, last = _FAIL_UNWRITABLE
    return environment.base_interpreter if first <= command.release <= last else ""


def _inside(path: str, root: str) -> bool:
    """Whether an interpreter or a root that was named is the environment's, the interpreter's own link unfollowed."""
    real = os.path.realpath(root)
    if os.path.realpath(path) == real:
        return True
    folder = os.path.realpath(os.path.dirname(path))
    return folder.startswith(os.path.join(real, ""))
