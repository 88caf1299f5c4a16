"""Rules and settings that need no attrs, whose import costs more than Python's start; the built-in rules are such.

`policy run` decides with these, thawed from the cache; `Rule` has the same fields.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from policy.rules.condition import Match

    class Ranked(Protocol):
        """A rule, as far as settings ask for it."""

        @property
        def layer(self) -> str:
            """The layer that holds it."""

        @property
        def mandatory(self) -> bool:
            """Whether it stands before every other layer."""


BUILT_IN_LAYER = "built-in"


class Setting:
    """A single setting.

    Args:
        value: What it is set to.
        file: Where that is written; the option or the variable that says so.
        line: Counted from 1.
        layer: `file`, `project`, `user`, `system` or `caller`.
        reach: The layers for whose rules it counts, where it says where a lock lives; None: for all.
        weaker: What counts for the others: the same setting of a weaker layer.
    """

    __slots__ = ("file", "layer", "line", "reach", "value", "weaker")

    def __init__(
        self,
        value: Any,
        file: str,
        line: int,
        layer: str,
        reach: tuple[str, ...] | None = None,
        weaker: Setting | None = None,
    ) -> None:
        self.value: Any = value
        self.file: str = file
        self.line: int = line
        self.layer: str = layer
        self.reach: tuple[str, ...] | None = reach
        self.weaker: Setting | None = weaker

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and self.plain == other.plain

    def __hash__(self) -> int:
        return hash(self.plain)

    def __repr__(self) -> str:
        return f"Setting{self.plain[:4]!r}"

    @property
    def plain(self) -> tuple[Any, ...]:
        """Its fields, as a cache file keeps them."""
        weaker = self.weaker.plain if self.weaker else None
        return self.value, self.file, self.line, self.layer, self.reach, weaker

    @classmethod
    def of(cls, plain: tuple[Any, ...]) -> Setting:
        """A setting from its fields.

        Args:
            plain: As `plain` gives them.
        """
        value, file, line, layer, reach, weaker = plain
        return cls(value, file, line, layer, reach, cls.of(weaker) if weaker else None)

    def before(self, weaker: Setting | None) -> Setting:
        """The same setting, standing before one of a weaker layer.

        Args:
            weaker: The other one.
        """
        return Setting(self.value, self.file, self.line, self.layer, self.reach, weaker)

    def only_for(self, layer: str) -> Setting:
        """The same setting, for the rules of one layer.

        Args:
            layer: Its name.
        """
        return Setting(self.value, self.file, self.line, self.layer, (layer,), self.weaker)

    def for_rule(self, rule: Ranked) -> Setting | None:
        """The setting that counts for a rule: nobody but its own layer, and those weaker than it, moves its lock.

        Args:
            rule: It.
        """
        found: Setting | None = self
        while found is not None:
            of_caller = found.layer == "caller" and rule.mandatory
            if not of_caller and (found.reach is None or rule.layer in found.reach):
                break
            found = found.weaker
        return found


class PlainRule:
    """The slotted twin of `Rule`, whose fields are described there."""

    __slots__ = (
        "cluster_key",
        "confined",
        "file",
        "layer",
        "line",
        "lock",
        "mandatory",
        "match",
        "name",
        "reason",
        "required",
        "shared",
        "timeout",
        "unused",
    )

    def __init__(  # noqa: PLR0913, PLR0917  (the fields of Rule, in their order)
        self,
        lock: tuple[str, ...],
        match: Match = (),
        name: str = "",
        timeout: float | None = None,
        required: bool = True,  # noqa: FBT001, FBT002  (the fields of Rule, in their order)
        shared: bool = False,  # noqa: FBT001, FBT002  (the same)
        unused: bool = False,  # noqa: FBT001, FBT002  (the same)
        cluster_key: tuple[str, str] | None = None,
        reason: str = "",
        mandatory: bool = False,  # noqa: FBT001, FBT002  (the same)
        file: str = BUILT_IN_LAYER,
        line: int = 0,
        layer: str = BUILT_IN_LAYER,
        confined: bool = False,  # noqa: FBT001, FBT002  (the same)
    ) -> None:
        self.lock: tuple[str, ...] = lock
        self.match: Match = match
        self.name: str = name
        self.timeout: float | None = timeout
        self.required: bool = required
        self.shared: bool = shared
        self.unused: bool = unused
        self.cluster_key: tuple[str, str] | None = cluster_key
        self.reason: str = reason
        self.mandatory: bool = mandatory
        self.file: str = file
        self.line: int = line
        self.layer: str = layer
        self.confined: bool = confined

    @property
    def label(self) -> str:
        """The rule as messages name it."""
        return self.name or f"{self.file}:{self.line}"


BUILT_IN = (
    PlainRule(
        ("global",),
        (("env", (("UV_ONLY_GLOBAL_LOCKS", True),)),),
        "uv-only-global-locks",
        reason="UV_ONLY_GLOBAL_LOCKS asks for locks outside the environment",
    ),
    PlainRule(
        ("global",),
        (("externally-managed", True),),
        "externally-managed",
        reason="another package manager owns this environment (PEP 668)",
    ),
    PlainRule(
        ("global",),
        (("writable", False),),
        "read-only",
        reason="no lock file can be written in the environment",
    ),
    PlainRule(
        ("beside", "local"),
        (("pipx", True),),
        "pipx",
        reason="pipx locks its environments beside them",
    ),
    PlainRule(
        ("local",),
        (("kind", ("virtualenv", "target", "prefix")),),
        "environment",
        reason="uv locks these in the environment itself",
    ),
    PlainRule(("global",), (), "default", reason="uv locks a system interpreter outside of it"),
)
"""The rules that follow every file: without a file, nothing has to be read or compiled."""
