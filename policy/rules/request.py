"""An environment, a caller, and the facts observed so far."""

from __future__ import annotations

import os
import time

from policy import host
from policy.environment.identity import real_folder
from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from policy.environment.discovery import Environment


JUST_NOW = 0.001  # seconds in which a decision looks at a root once; longer ones look again, for it may have changed


def working_directory() -> str:
    """This process's working directory.

    Raises:
        UsageError: When it was deleted.
    """
    try:
        return os.getcwd()
    except OSError as error:
        raise UsageError(f"the working directory: {error.strerror}; change to one that exists") from None


class Caller:
    """Who asks for the lock.

    Args:
        environ: Environment variables; absent: those of this process.
        cwd: Working directory, absolute; absent: that of this process.
        operation: What the caller is about to do, such as `add` or `pip install`.
        project: The project directory named by the caller, absolute.
    """

    __slots__ = ("cwd", "environ", "operation", "project")

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        cwd: str | None = None,
        operation: str | None = None,
        project: str | None = None,
    ) -> None:
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self.cwd: str = working_directory() if cwd is None else cwd
        self.operation: str | None = operation
        self.project: str | None = project


class Request:
    """A question to the rules; each fact is observed when it is first asked for, then kept.

    Args:
        environment: What is to be locked.
        caller: Who asks.
        facts: Facts known beforehand, by the key of their condition: another machine's, or assumed ones.

    Attributes:
        given: Whether facts may differ from what the environment itself says.
        details: More about a fact that was observed: an errno's text, the path of a marker.
        project: The directory whose configuration was found, where the caller named none.
    """

    __slots__ = ("_home", "_looked", "_real", "_seen", "caller", "details", "environment", "facts", "given", "project")

    def __init__(
        self, environment: Environment, caller: Caller | None = None, facts: Mapping[str, object] | None = None
    ) -> None:
        self.environment: Environment = environment
        self.caller: Caller = caller or Caller()
        self.facts: dict[str, object] = dict(facts) if facts else {}
        self.given: bool = bool(facts)
        self.details: dict[str, str] = {}
        self.project: str | None = None
        self._home: str | None = None
        self._real: tuple[str, str] | None = None
        self._seen: tuple[int, int] | None = None
        self._looked = 0.0

    @property
    def real(self) -> tuple[str, str]:
        """The interpreter in the real path of its folder, and the root's real path; looked at once for a request."""
        if self._real is None:
            root, interpreter = self.environment.root, self.environment.interpreter
            folder, name = os.path.split(interpreter)
            self._looked = time.monotonic()
            self._seen = real_folder(root)
            if self._seen is not None and os.path.dirname(folder) == root and not os.path.islink(folder):
                self._real = interpreter, root
            else:
                self._real = os.path.join(os.path.realpath(folder), name), os.path.realpath(root)
        return self._real

    @property
    def seen(self) -> tuple[int, int] | None:
        """Device and inode of the root where it was looked at for `real` just now; None where a look is due."""
        return self._seen if time.monotonic() - self._looked < JUST_NOW else None

    @property
    def home(self) -> str:
        """What `~` stands for: the caller's HOME, else what the user database says; "" where neither knows one."""
        if self._home is None:
            given = self.facts.get("home")
            self._home = given if isinstance(given, str) else host.home(self.caller.environ)
        return self._home
