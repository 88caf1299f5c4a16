"""An environment, a caller, and the facts observed so far."""

from __future__ import annotations

import os

from policy import host
from policy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from policy.environment.discovery import Environment


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
    """A question to the rules; each fact is observed when it is first asked for, then kept with the request.

    What the Environment itself keeps, as where its links lead, counts for all requests about that object.

    Args:
        environment: What is to be locked.
        caller: Who asks.
        facts: Facts known beforehand, by the key of their condition: another machine's, or assumed ones.

    Attributes:
        given: Whether facts may differ from what the environment itself says.
        details: More about a fact that was observed: an errno's text, the path of a marker.
        project: The directory whose configuration was found, where the caller named none.
    """

    __slots__ = ("_home", "caller", "details", "environment", "facts", "given", "project")

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

    @property
    def home(self) -> str:
        """What `~` stands for: the caller's HOME, else what the user database says; "" where neither knows one."""
        if self._home is None:
            given = self.facts.get("home")
            self._home = given if isinstance(given, str) else host.home(self.caller.environ)
        return self._home
