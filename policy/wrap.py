"""What `policy run` holds for a command, what it leaves to uv, and what it changes for it."""

from __future__ import annotations

import os

from policy import host
from policy.errors import UsageError
from policy.locks.hold import MARKER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from policy.locks.backend import Lock
    from policy.rules.decision import Decision
    from policy.subject import Subject
    from policy.uv.command import Command

UV_LOCK_TIMEOUT = "4294967295"
"""Seconds, 136 years. uv (0.9.16 and later) accepts up to 2**64 - 1, and takes its 300 s for what it cannot parse."""

NOT_AT_ALL = "0"
"""For a uv inside of another command, whose environment is locked by its own caller: it goes on at once."""

# These fail on an environment that they cannot lock; older ones do not lock it, newer ones go on.
FAIL_UNWRITABLE = ((0, 7, 12), (0, 7, 18))
_MAKE = frozenset({"conda create", "mamba create", "micromamba create", "venv", "virtualenv"})
TIMES_OUT = (0, 9, 16)  # the first to know UV_LOCK_TIMEOUT; older ones wait forever


class Adaptation:
    """What is different for a command.

    Args:
        left: The files of the plan that are not held, because uv or pipx locks them by itself.
        environ: Environment variables to set for it.
        notes: What to say to the user, a line each.
        shared: Whether the plan is held for reading: the command changes the environment at its start only, under a
            lock of its own.
        replaced: The files that are held and that the command itself deletes, which is no loss while the gate is held.
    """

    __slots__ = ("environ", "left", "notes", "replaced", "shared")

    def __init__(
        self,
        left: frozenset[str] = frozenset(),
        environ: Mapping[str, str] | None = None,
        notes: tuple[str, ...] = (),
        *,
        shared: bool = False,
        replaced: frozenset[str] = frozenset(),
    ) -> None:
        self.replaced: frozenset[str] = replaced
        self.left: frozenset[str] = left
        self.environ: dict[str, str] = dict(environ or {})
        self.notes: tuple[str, ...] = notes
        self.shared: bool = shared


class Wrapped:
    """A command that runs under locks; asked again where a decision is corrected.

    Args:
        subject: What the command is about.

    Attributes:
        adaptation: What is different for it.
    """

    __slots__ = ("_subject", "adaptation")

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.adaptation: Adaptation = Adaptation()

    def split(self, decision: Decision) -> tuple[Sequence[Lock], Sequence[Lock]]:
        """The locks to hold, and those that are left to uv or pipx and must be free when it starts.

        Raises:
            UsageError: It would wait for a lock that a `policy run` above it holds.
        """
        adapted = adaptation(self._subject, decision)
        self.adaptation = adapted
        left = [lock for lock in decision.plan if lock.name in adapted.left]
        inside = decision.request.caller.environ.get(MARKER, "")
        if inside and left:
            self._inside(left, inside)
        kept = [lock for lock in decision.plan if lock not in left]
        if adapted.shared:
            for lock in kept:
                lock.shared = True
        # What is not there is free, and uv makes it.
        return kept, [lock for lock in left if os.path.exists(lock.name)]

    def _inside(self, left: list[Lock], inside: str) -> None:
        """Lets uv go on where an ancestor of this process holds what is left to it, if it is new enough."""
        held = [lock for lock in left if lock.join(inside)]
        for lock in held:
            lock.release()
            left.remove(lock)
        uv = self._subject.uv
        if not held:
            return
        if uv is None:
            raise UsageError(
                f"{held[0].name}: a `policy run` that started this one holds it, and pipx would wait for it forever; "
                "start pipx without the outer `policy run`"
            )
        if (_release(uv) or TIMES_OUT) < TIMES_OUT:
            raise UsageError(
                f"{held[0].name}: a `policy run` that started this one holds it, and this uv, older than 0.9.16, would "
                "wait for it forever; start uv without the outer `policy run`, or give the outer one a rule with "
                'lock = "global"'
            )
        self.adaptation.environ["UV_LOCK_TIMEOUT"] = NOT_AT_ALL


def adaptation(subject: Subject, decision: Decision) -> Adaptation:
    """Decides what to leave to uv, so that it neither waits for its own caller nor goes on unlocked.

    Args:
        subject: What the command is about.
        decision: What the rules say about its environment.

    Returns:
        What to hold, to change and to say. Nothing is executed, except `uv --version`: of the uv on PATH where it may
        meet a lock that its caller holds, once for each file; and where the environment cannot be written, a plan
        without it was chosen, and `UV_PYTHON` names it.
    """
    adapted = _of_uv(subject.uv, decision) if subject.uv else _of_another(subject, decision)
    if subject.operation in _MAKE and any(lock.purpose == "gate" for lock in decision.plan):
        adapted.replaced = frozenset(lock.name for lock in decision.plan if lock.purpose == "local")
    return adapted


def lockable(path: str) -> bool:
    """Whether some uv could lock a file by itself: `.lock`, or `uv-....lock` outside of environments."""
    name = os.path.basename(path)
    return name == ".lock" or (name.startswith("uv-") and name.endswith(".lock"))


def _of_another(subject: Subject, decision: Decision) -> Adaptation:
    """For any other command all is held; a uv that it starts must not wait for its own caller, nor pipx for its own."""
    plan = frozenset(lock.name for lock in decision.plan if lockable(lock.name))
    # pipx (1.18 and later) locks the file beside its environment itself, and waits for it forever.
    adapted = _for_a_uv_inside(subject, decision, plan)
    if subject.operation.startswith("pipx "):
        adapted.left |= {lock.name for lock in decision.plan if lock.purpose == "beside"}
    return adapted


def _for_a_uv_inside(subject: Subject, decision: Decision, plan: frozenset[str]) -> Adaptation:
    """What a uv needs that another command may start."""
    if not plan:
        return Adaptation()
    environ = subject.environ if subject.environ is not None else decision.request.caller.environ
    for program, is_on_path in _uvs(environ, decision.environment.root):
        from policy.uv.release import known  # where there is a uv at all

        release = known(program, environ, decision.request.caller.cwd, ask=is_on_path)
        if release and release < TIMES_OUT:
            note = (
                f"{program} is uv {'.'.join(map(str, release))}, which waits forever for a lock that its own caller "
                f"holds: {', '.join(sorted(plan))} is left to it"
            )
            return Adaptation(plan, {}, (note,))
    return Adaptation(frozenset(), {"UV_LOCK_TIMEOUT": NOT_AT_ALL})


def _uvs(environ: Mapping[str, str], root: str) -> list[tuple[str, bool]]:
    """The uvs that another command would start: the first on PATH, and the environment's own; which one it is."""
    own = os.path.join(root, *(("Scripts", "uv.exe") if os.name == "nt" else ("bin", "uv")))
    first = next(host.programs(environ, "uv"), "")
    return [(path, path is first) for path in (first, own) if path and (path is first or os.path.exists(path))]


def _of_uv(command: Command, decision: Decision) -> Adaptation:
    """For uv itself: what it locks is left to it, and it waits for that as long as it takes."""
    notes: list[str] = []
    changes: dict[str, str] = {}
    shared = _reads(command)
    left, waits = _left(command, decision, shared=shared)
    if waits:
        own = command.environ.get("UV_LOCK_TIMEOUT")
        ours = own == NOT_AT_ALL and MARKER in command.environ  # an outer `policy run` set it, for what it holds itself
        if own and not ours:
            notes.append(f"UV_LOCK_TIMEOUT={own} is set: after it uv 0.9.16 and later continue without their own lock")
        else:
            changes["UV_LOCK_TIMEOUT"] = UV_LOCK_TIMEOUT
    base = _replacement(command, decision)
    if base:
        changes["UV_PYTHON"] = base
        notes.append(
            f"uv {'.'.join(map(str, command.release or ()))} cannot work without writing to "
            f"{decision.environment.root}: it gets the base interpreter, UV_PYTHON={base}"
        )
    return Adaptation(frozenset(left), changes, tuple(notes), shared=shared)


def _reads(command: Command) -> bool:
    """Whether a uv command changes the environment at its start only: `uv run`, unless what it runs is an installer."""
    if command.operation != "run" or not command.child:
        return False
    from policy.environment.command import changed_by
    from policy.uv.command import parse

    if parse(command.child, command.environ, command.cwd):
        return False
    try:
        change = changed_by(command.child, command.environ, command.cwd)
    except UsageError:
        return False  # several environments are changed
    return change is None or change.apart != "" or change.operation is None


def _left(command: Command, decision: Decision, *, shared: bool) -> tuple[list[str], bool]:
    """The files of a plan that are left to uv, and whether it is to wait for its own locks as long as it takes.

    It is not if a file is held that some other release might lock: better that uv gives up after its 300 s, and goes on
    under our lock, than that it waits for its own caller.
    """
    from policy.uv.locks import certain, locks

    candidates = [lock.name for lock in decision.plan if lockable(lock.name)]
    if shared and candidates:
        return candidates, True
    known, own = certain(command, decision.environment), locks(command, decision.environment)
    if not candidates:
        return [], bool(own) or not known
    real = {_real(path) for path in own}
    left = [path for path in candidates if not known or _real(path) in real]
    return left, bool(left)


def _real(path: str) -> str:
    """A lock by the real path of its folder; the file itself may not exist yet."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _replacement(command: Command, decision: Decision) -> str:
    """The base interpreter, where uv fails because `UV_PYTHON` leads it to an environment that it cannot lock."""
    from policy.environment.writability import lock_errno
    from policy.uv.environment import only_interpreter

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
    first, last = FAIL_UNWRITABLE
    return environment.base_interpreter if first <= _release(command) <= last else ""


def _release(command: Command) -> tuple[int, ...]:
    """Which uv it is, asked once; () where it does not say."""
    if command.release is None:
        from policy.uv.release import version

        command.release = version(command.launch, command.environ, command.cwd) or ()
    return command.release


def _inside(path: str, root: str) -> bool:
    """Whether an interpreter or a root that was named is the environment's, the interpreter's own link unfollowed."""
    real = os.path.realpath(root)
    if os.path.realpath(path) == real:
        return True
    folder = os.path.realpath(os.path.dirname(path))
    return folder.startswith(os.path.join(real, ""))
