"""What a program imports: `lock`, `explain`, `load`."""

from __future__ import annotations

import os
import sys

from policy import acquire
from policy.config.loading import Rules, seconds
from policy.environment.discovery import Environment, find
from policy.errors import LockLost
from policy.locks.hold import MARKER, Held, drive, drive_async, merged
from policy.rules.request import Caller, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from types import TracebackType
    from typing import Any, Self

    from policy.locks.backend import Lock, Pause
    from policy.locks.watch import Lost, Watch
    from policy.rules.decision import Decision

    Named = str | os.PathLike[str] | Environment | None

_RULES = Rules()  # of calls that name none: read again when the files change, as every Rules is


def load(
    *,
    project: str | os.PathLike[str] | None = None,
    config_file: str | os.PathLike[str] | None = None,
    no_config: bool = False,
    timeout: float | None = None,
    global_dir: str | os.PathLike[str] | None = None,
) -> Rules:
    """The rules that apply, read when they are first asked and read again when their files change.

    Args:
        project: Where to look for the project's configuration, and upward; absent: from the environment, then from the
            working directory.
        config_file: Use this file alone, as `--config-file` does.
        no_config: Use no file at all.
        timeout: Seconds to wait for a lock, before whatever the files say.
        global_dir: Directory of the global locks, before whatever the files say.

    Returns:
        The rules; `decide(request)` asks them.

    Raises:
        UsageError: When the timeout is not a number from 0 to 86,400.
    """
    return Rules(
        project=_path(project),
        config_file=_path(config_file),
        no_config=no_config,
        timeout=timeout,
        global_dir=_path(global_dir),
    )


def _path(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def _request(
    env: Named,
    *,
    operation: str | None,
    target: str | os.PathLike[str] | None,
    prefix: str | os.PathLike[str] | None,
    environ: Mapping[str, str] | None,
) -> Request:
    caller = Caller(environ, operation=operation)
    if isinstance(env, Environment):
        return Request(env.now(), caller)  # one that is kept remembers where its links led
    return Request(
        find(_path(env), target=_path(target), prefix=_path(prefix), environ=caller.environ, cwd=caller.cwd), caller
    )


def find_environment(
    env: str | os.PathLike[str] | None = None,
    *,
    target: str | os.PathLike[str] | None = None,
    prefix: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Environment:
    """The environment that `lock` and `explain` with the same arguments would take.

    Args:
        env: An interpreter, or the root of an environment; absent: what `policy explain` would find.
        target: A directory that packages are installed into, as pip's `--target`.
        prefix: A prefix that packages are installed into, as pip's `--prefix`.
        environ: The caller's environment variables; absent: those of this process.

    Returns:
        The environment, for a Request.

    Raises:
        EnvironmentNotFound: When there is none.
    """
    return _request(env, operation=None, target=target, prefix=prefix, environ=environ).environment


def explain(
    env: Named = None,
    *,
    operation: str | None = None,
    target: str | os.PathLike[str] | None = None,
    prefix: str | os.PathLike[str] | None = None,
    rules: Rules | None = None,
    environ: Mapping[str, str] | None = None,
) -> Decision:
    """The decision that `lock` with the same arguments would carry out.

    Args:
        env: An interpreter, the root of an environment, or an Environment; absent: what `policy explain` would find.
        operation: What is about to be done, such as `sync`.
        target: A directory that packages are installed into, as pip's `--target`.
        prefix: A prefix that packages are installed into, as pip's `--prefix`.
        rules: What `load` gave; absent: read anew.
        environ: The caller's environment variables; absent: those of this process.

    Returns:
        The decision, its plan and its steps.

    Raises:
        EnvironmentNotFound: When there is no such environment.
        ConfigError: With every fault of the configuration files.
    """
    request = _request(env, operation=operation, target=target, prefix=prefix, environ=environ)
    return (rules or _RULES).decide(request)


def lock(
    env: Named = None,
    *,
    operation: str | None = None,
    timeout: float | None = None,
    target: str | os.PathLike[str] | None = None,
    prefix: str | os.PathLike[str] | None = None,
    rules: Rules | None = None,
    environ: Mapping[str, str] | None = None,
    shared: bool = False,
) -> EnvironmentLock:
    """The lock of an environment, decided anew and taken by `with` or `async with`.

    Args:
        env: An interpreter, the root of an environment, or an Environment; absent: what `policy explain` would find.
        operation: What is about to be done, such as `sync`.
        timeout: Seconds to wait, before whatever rules say; absent: what the rules say, else forever.
        target: A directory that packages are installed into, as pip's `--target`.
        prefix: A prefix that packages are installed into, as pip's `--prefix`.
        rules: What `load` gave; absent: read anew.
        environ: The caller's environment variables; absent: those of this process.
        shared: Take the locks for reading: with other readers, and without a writer.

    Returns:
        A lock that is not held yet. Entering it raises EnvironmentNotFound, ConfigError, LockTimeout or
        LockUnavailable; leaving it raises LockLost when a file was deleted or replaced meanwhile.

    Raises:
        UsageError: When the timeout is not a number from 0 to 86,400.
    """
    if timeout is not None:
        timeout = seconds(timeout, "timeout")
    question = {"operation": operation, "target": target, "prefix": prefix, "environ": environ}
    return EnvironmentLock(env, question, rules or _RULES, timeout, shared=shared)


class EnvironmentLock:
    """A lock on an environment, held between entering and leaving.

    Attributes:
        decision: What was decided when it was last entered.
    """

    __slots__ = ("_env", "_held", "_lost", "_question", "_rules", "_shared", "_timeout", "_watch", "decision")

    decision: Decision

    def __init__(
        self, env: Named, question: Mapping[str, Any], rules: Rules, timeout: float | None, *, shared: bool = False
    ) -> None:
        self._env = env
        self._question = question
        self._rules = rules
        self._timeout = timeout
        self._shared = shared
        self._held = Held()
        self._lost: Lost | None = None
        self._watch: Watch | None = None

    @property
    def lost(self) -> Lost:
        """Whether a lock on a server was lost: false while it is held; `wait` and `call` say so at once."""
        if self._lost is None:
            from policy.locks.watch import Lost  # costs threading

            self._lost = Lost()
        return self._lost

    @property
    def locks(self) -> tuple[Lock, ...]:
        """The locks that are held, in the order in which they were taken."""
        return tuple(self._held.locks)

    @property
    def environ(self) -> dict[str, str]:
        """Variables for a command that works under this lock: `policy run` and `policy.lock()` in it join the lock.

        A uv in it does not wait for the file that is held here (0.9.16 and later; older ones know no such variable, and
        wait: give these `lock = "global"`).
        """
        from policy.wrap import NOT_AT_ALL, lockable

        environ = dict(self.decision.request.caller.environ)
        if any(lockable(lock.name) for lock in self._held.locks):
            environ["UV_LOCK_TIMEOUT"] = NOT_AT_ALL
        marker = merged(self._held.marker, environ.get(MARKER, ""))
        if marker:
            environ[MARKER] = marker
        return environ

    def acquire(self) -> Self:
        """Decides, then takes the locks of the plan; `release` gives them back."""
        steps = self._steps(synchronous=True)
        self.decision = drive(self._held, steps)
        self._begin()
        return self

    def _begin(self) -> None:
        """Keeps locks on a server confirmed, in a thread, for as long as they are held."""
        if any(lock.deadline is not None for lock in self._held.taken):
            from policy.locks.postgresql import confirmable
            from policy.locks.watch import Watch

            self._lost = None
            self._watch = Watch(confirmable(self._held.taken), self.lost)

    def release(self) -> None:
        """Gives the locks back.

        Raises:
            LockLost: When one of them was deleted, replaced or lost while it was held.
        """
        watch, self._watch = self._watch, None
        if watch:
            watch.stop()
        try:
            self._held.release()
        finally:
            self._held.locks = ()

    def _steps(self, *, synchronous: bool) -> Generator[Pause, None, Decision]:
        if self._held.locks:
            raise RuntimeError("this lock is held already; make another one with policy.lock()")
        request = _request(self._env, **self._question)
        return acquire.steps(
            self._held,
            self._rules,
            self._rules.decide(request),
            warn=_warn,
            timeout=self._timeout,
            shared=self._shared,
            synchronous=synchronous,
        )

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _leave(self, error)

    async def __aenter__(self) -> Self:
        steps = self._steps(synchronous=False)
        self.decision = await drive_async(self._held, steps)
        self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _leave(self, error)


def _leave(lock: EnvironmentLock, error: BaseException | None) -> None:
    """Releases; a lost lock is a note on the error that is under way, which matters more."""
    try:
        lock.release()
    except LockLost as lost:
        if error is None:
            raise
        error.add_note(str(lost))


def _warn(message: str) -> None:
    sys.stderr.write(f"lock-policy: {message}\n")
