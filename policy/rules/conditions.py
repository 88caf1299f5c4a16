"""What a rule may ask about a request; a new condition is a class here and a name in CONDITIONS.

Those that the built-in rules ask stand in condition.py: most decisions need no others, and do not load this module.

The reader of `match`, its JSON Schema, `explain`, `check`, `--assume` and the reference page are made from what a class
says of itself.
"""

from __future__ import annotations

import os
import sys

from policy.host import user_name
from policy.rules.condition import KNOWN, PLAIN_PREFIX, Condition, PathCondition, TextCondition, holds
from policy.rules.paths import normal, spellings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    from policy.rules.condition import Match
    from policy.rules.request import Request

    KeyPath: TypeAlias = tuple[str | int, ...]


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
        return expected if self.several else (expected,)

    def holds(self, expected: Any, request: Request) -> bool:
        """Whether the tables hold, or one of them, or not."""
        combined = any if self.one_suffices else all
        return combined(holds(match, request) for match in self.tables(expected)) is not self.negates

    def toml(self, expected: Any) -> Any:
        """An array of tables, or a table."""
        return list(map(toml, expected)) if self.several else toml(expected)


class AnyOf(Combinator):
    """One of several."""

    key = "any"
    help = "Holds when one of these match tables does."
    wants = "one of these to hold"
    one_suffices = True


class AllOf(Combinator):
    """Each of several."""

    key = "all"
    help = "Holds when each of these match tables does."
    wants = "each of these to hold"


class Not(Combinator):
    """The opposite."""

    key = "not"
    help = "Holds when this match table does not."
    wants = "this not to hold"
    several = False
    negates = True


CONDITIONS: dict[str, Condition] = {
    condition.key: condition
    for condition in (
        KNOWN["interpreter"],
        BaseInterpreter(),
        KNOWN["environment"],
        KNOWN["kind"],
        KNOWN["externally-managed"],
        KNOWN["pipx"],
        KNOWN["writable"],
        Filesystem(),
        Host(),
        Project(),
        KNOWN["env"],
        User(),
        Operation(),
        AnyOf(),
        AllOf(),
        Not(),
        Platform(),
    )
}


def toml(match: Match) -> dict[str, Any]:
    """A match table as TOML has it."""
    return {key: CONDITIONS[key].toml(expected) for key, expected in match}


def asks_caller(match: Match) -> bool:
    """Whether the answer may differ between two callers of one environment."""
    return any(CONDITIONS[key].asks(expected) for key, expected in match)


def flat(match: Match, above: KeyPath = ()) -> Iterator[tuple[KeyPath, Condition, Any]]:
    """The conditions of a match table and of those inside it: the keys that lead there, each, and what it expects.

    Args:
        match: The table.
        above: The keys that lead to it.
    """
    for key, expected in match:
        condition = CONDITIONS[key]
        if not isinstance(condition, Combinator):
            yield (*above, key), condition, expected
            continue
        for index, table in enumerate(condition.tables(expected)):
            yield from flat(table, (*above, key, index) if condition.several else (*above, key))
