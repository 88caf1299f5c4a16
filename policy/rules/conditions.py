"""What a rule may ask about a request; a new condition is a class here and a name in CONDITIONS.

The reader of `match`, its JSON Schema, `explain`, `check`, `--assume` and the reference page are made from what a class
says of itself.
"""

from __future__ import annotations

import os
import sys

from policy.host import user_name
from policy.rules.condition import (
    Condition,
    FlagCondition,
    PathCondition,
    TextCondition,
    matches_text,
    one_or_list,
)
from policy.rules.paths import normal, spellings
from policy.variables import boolean, get

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from policy.rules.condition import Match
    from policy.rules.request import Request
    from policy.toml.shapes import Shape

PLAIN_ROOT, PLAIN_PREFIX = "/environment", "/python"  # neither exists, and no rule is about them


class Interpreter(PathCondition):
    """The interpreter's path."""

    key = "interpreter"
    plain: Any = f"{PLAIN_ROOT}/bin/python"
    help = (
        "Glob over the interpreter's path, as spelled or with the links of its folder resolved, or any folder above it."
    )

    def observe(self, request: Request) -> tuple[str, ...]:
        """The path as spelled, and with the links of its folder resolved: itself it leads to the base interpreter."""
        interpreter, _, _, real, _ = request.environment.settled
        return spellings(interpreter, real)


class BaseInterpreter(PathCondition):
    """The real path of the base interpreter."""

    key = "base-interpreter"
    absent = True
    spellings = 1
    plain: Any = f"{PLAIN_PREFIX}/bin/python3"
    help = "Glob over the real path of the interpreter that the environment was made from, or any folder above it."

    def observe(self, request: Request) -> tuple[str, ...]:
        """The real path."""
        base = request.environment.base_interpreter
        return (normal(base),) if base else ()


class Root(PathCondition):
    """The environment's root."""

    key = "environment"
    plain: Any = PLAIN_ROOT
    help = "Glob over the environment's root, as spelled or with its links resolved, or any folder above it."
    examples: tuple[Any, ...] = ("/srv/**/.venv", ["/builds/**"])

    def observe(self, request: Request) -> tuple[str, ...]:
        """The root, as spelled and with its links resolved."""
        _, root, _, _, real = request.environment.settled
        return spellings(root, real)


class Project(PathCondition):
    """The project directory."""

    key = "project"
    help = "Glob over the project's directory, as spelled or with its links resolved, or any folder above it."
    absent = True
    examples: tuple[Any, ...] = ("~/work/*",)
    caller = True

    def observe(self, request: Request) -> tuple[str, ...]:
        """The directory of the project's configuration, or the named directory; none where there is none."""
        project = request.project or request.caller.project
        return spellings(project, os.path.realpath(project)) if project else ()


ENVIRONMENT_KINDS = ("virtualenv", "system", "target", "prefix")


class EnvironmentKind(Condition):
    """The kind of the environment."""

    key = "kind"
    plain: Any = "virtualenv"
    help = (
        "What the environment is: a virtual environment (PEP 405), a system interpreter, or a directory of --target or "
        "--prefix."
    )
    examples: tuple[Any, ...] = ("virtualenv", ["target", "prefix"])

    @property
    def shape(self) -> Shape:
        """One of the four, or several."""
        from policy.rules.shapes import names

        return names(ENVIRONMENT_KINDS)[0]

    @property
    def fact(self) -> Shape:
        """One of the four."""
        from policy.rules.shapes import names

        return names(ENVIRONMENT_KINDS)[1]

    def observe(self, request: Request) -> str:
        """The kind that was found out when the environment was."""
        return request.environment.kind

    def compare(self, expected: tuple[str, ...], seen: str) -> bool:
        """True when it is one of them."""
        return seen in expected

    def assumed(self, value: str) -> object:
        """One of the four."""
        if value not in ENVIRONMENT_KINDS:
            raise ValueError(f"must be one of {', '.join(ENVIRONMENT_KINDS)}")
        return value


class ExternallyManaged(FlagCondition):
    """A PEP 668 marker."""

    key = "externally-managed"
    plain: Any = False
    help = (
        "Whether an EXTERNALLY-MANAGED marker (PEP 668) stands in the interpreter's standard library or in the virtual "
        "environment's own."
    )

    def observe(self, request: Request) -> bool:
        """Looks for the marker."""
        from policy.environment.externally_managed import externally_managed

        marker = externally_managed(request.environment)
        if marker:
            request.details[self.key] = marker
        return marker is not None


class Writable(FlagCondition):
    """Whether the lock file in the environment can be opened for writing."""

    key = "writable"
    plain: Any = True
    help = "Whether this process could make or open `.lock` in the environment's root for writing."

    def observe(self, request: Request) -> bool:
        """Asks the kernel, and keeps the errno as the detail."""
        from policy.environment.writability import lock_errno

        number = lock_errno(request.environment.root)
        if number:
            request.details[self.key] = os.strerror(number)
        return number == 0


class Filesystem(TextCondition):
    """The type of the file system."""

    key = "filesystem"
    plain: Any = "ext4"
    help = "Type of the file system that holds the environment's root."
    examples: tuple[Any, ...] = ("nfs*", ["overlay", "squashfs", "tmpfs"])

    def observe(self, request: Request) -> str:
        """Asks the mount table; empty where the type cannot be known."""
        from policy.environment.mounts import mount_of

        mount = mount_of(request.environment.root)
        return mount.type if mount else ""


class Platform(TextCondition):
    """`sys.platform`."""

    key = "platform"
    plain: Any = "linux"
    help = "Python's `sys.platform`."
    examples: tuple[Any, ...] = ("linux", ["darwin", "win32"])

    def observe(self, request: Request) -> str:
        """The running Python's."""
        del request
        return sys.platform


class Host(TextCondition):
    """The host name."""

    key = "host"
    plain: Any = "host"
    help = "The host's name."
    examples: tuple[Any, ...] = ("login*", ["build-[0-9]*"])

    def observe(self, request: Request) -> str:
        """The kernel's node name."""
        del request
        if sys.platform == "win32":
            import platform

            return platform.node()
        return os.uname().nodename


class Environ(Condition):
    """Environment variables."""

    key = "env"
    plain: Any = ()
    help = (
        "Environment variables, all of which must hold: true or false for a boolean as uv reads one (unset is false), "
        "or globs."
    )
    examples: tuple[Any, ...] = ({"CI": True}, {"DEPLOY": ["staging", "prod*"]})
    caller = True
    assumable = False  # there are --env and --unset

    @property
    def shape(self) -> Shape:
        """Booleans and globs by the variable's name."""
        from policy.rules.shapes import VARIABLES

        return VARIABLES

    @property
    def fact(self) -> Shape:
        """Texts by the variable's name."""
        from policy.rules.shapes import GIVEN_VARIABLES

        return GIVEN_VARIABLES

    def get(self, request: Request) -> Any:
        """All variables: which of them matter only the rule knows."""
        return request.caller.environ

    def compare(self, expected: tuple[tuple[str, Any], ...], seen: Any) -> bool:
        """True when every variable that is named holds."""
        for name, wanted in expected:  # noqa: SIM110  (a generator costs more than the question)
            if not self._holds(wanted, get(seen, name)):
                return False
        return True

    @staticmethod
    def _holds(wanted: Any, value: str | None) -> bool:
        if isinstance(wanted, bool):
            return wanted is (False if value is None else boolean(value))
        return value is not None and matches_text(wanted, value)

    def display(self, expected: Any, seen: Any) -> object:
        """Never a value: a variable may hold a secret."""
        return {name: self._displayed(wanted, seen.get(name)) for name, wanted in expected}

    def _displayed(self, wanted: Any, value: str | None) -> str:
        if value is None:
            return "unset"
        if isinstance(wanted, bool):
            flag = boolean(value)
            return "set, but no boolean" if flag is None else "true" if flag else "false"
        return "set, matches" if self._holds(wanted, value) else "set, does not match"

    def questions(self, expected: tuple[tuple[str, Any], ...]) -> Iterable[tuple[str, Any]]:
        """One for each variable."""
        return ((f"{self.key}.{name}", ((name, wanted),)) for name, wanted in expected)

    def toml(self, expected: Any) -> Any:
        """A table of variables."""
        return {name: one_or_list(wanted) for name, wanted in expected}


class User(TextCondition):
    """The effective user."""

    key = "user"
    plain: Any = "user"
    help = "Name of the effective user."
    examples: tuple[Any, ...] = ("root", ["ci-*"])
    caller = True

    def observe(self, request: Request) -> str:
        """The name from the user database, or the number where there is none."""
        del request
        if sys.platform == "win32":
            import getpass

            return getpass.getuser()
        return user_name(os.geteuid()) or str(os.geteuid())


class Operation(TextCondition):
    """What the caller is about to do."""

    key = "operation"
    help = "What the caller is about to do, as uv names it."
    examples: tuple[Any, ...] = ("sync", ["add", "pip install"])
    caller = True

    def observe(self, request: Request) -> str:
        """What the caller said; empty where it said nothing."""
        return request.caller.operation or ""


class Combinator(Condition):
    """Match tables combined; what it asks about is what they ask about.

    Attributes:
        wants: What it wants of the tables, as `explain` says it.
        several: Whether its value is an array of tables.
        negates: Whether it holds when they do not.
        one_suffices: Whether one of them is enough.
    """

    wants: str
    several = True
    negates = False
    one_suffices = False
    assumable = False

    def asks(self, expected: Any) -> bool:
        """Whether one of the tables does."""
        return any(asks_caller(match) for match in self.tables(expected))

    def tables(self, expected: Any) -> tuple[Match, ...]:
        """The match tables inside."""
        return expected  # type: ignore[no-any-return]  # match tables, as its shape read them

    def holds(self, expected: Any, request: Request) -> bool:
        """Combines the answers of the tables; `any`, `all` and `not` each define how."""
        raise NotImplementedError

    def toml(self, expected: Any) -> Any:
        """An array of tables."""
        return list(map(toml, expected))


class AnyOf(Combinator):
    """One of several."""

    key = "any"
    help = "Holds when one of these match tables does."
    wants = "one of these to hold"
    one_suffices = True

    def holds(self, expected: tuple[Match, ...], request: Request) -> bool:
        """True when one table holds."""
        return any(holds(match, request) for match in expected)


class AllOf(Combinator):
    """Each of several."""

    key = "all"
    help = "Holds when each of these match tables does."
    wants = "each of these to hold"

    def holds(self, expected: tuple[Match, ...], request: Request) -> bool:
        """True when every table holds."""
        return all(holds(match, request) for match in expected)


class Not(Combinator):
    """The opposite."""

    key = "not"
    help = "Holds when this match table does not."
    wants = "this not to hold"
    several = False
    negates = True

    def tables(self, expected: Match) -> tuple[Match, ...]:
        """The one table."""
        return (expected,)

    def holds(self, expected: Match, request: Request) -> bool:
        """True when the table does not hold."""
        return not holds(expected, request)

    def toml(self, expected: Match) -> Any:
        """A table."""
        return toml(expected)


CONDITIONS: dict[str, Condition] = {
    condition.key: condition
    for condition in (
        Interpreter(),
        BaseInterpreter(),
        Root(),
        EnvironmentKind(),
        ExternallyManaged(),
        Writable(),
        Filesystem(),
        Host(),
        Project(),
        Environ(),
        User(),
        Operation(),
        AnyOf(),
        AllOf(),
        Not(),
        Platform(),
    )
}


def holds(match: Match, request: Request) -> bool:
    """Whether every condition of a match table holds."""
    for key, expected in match:  # noqa: SIM110  (a generator costs more than the question)
        if not CONDITIONS[key].holds(expected, request):
            return False
    return True


def toml(match: Match) -> dict[str, Any]:
    """A match table as TOML has it."""
    return {key: CONDITIONS[key].toml(expected) for key, expected in match}


def asks_caller(match: Match) -> bool:
    """Whether the answer may differ between two callers of one environment."""
    return any(CONDITIONS[key].asks(expected) for key, expected in match)


def asked(match: Match) -> Iterable[str]:
    """The keys of a match table, and of the tables inside it."""
    for key, expected in match:
        yield key
        for table in CONDITIONS[key].tables(expected):
            yield from asked(table)
