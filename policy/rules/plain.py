"""Rules and settings that need no attrs, whose import costs more than Python's start; the built-in rules are such.

`policy run` decides with these, thawed from the cache; `Rule` has the same fields.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from policy.rules.conditions import Match

BUILT_IN_LAYER = "built-in"


class Setting:
    """A single setting.

    Args:
        value: What it is set to.
        file: Where that is written; the option or the variable that says so.
        line: Counted from 1.
        layer: `file`, `project`, `user`, `system` or `caller`.
    """

    __slots__ = ("file", "layer", "line", "value")

    def __init__(self, value: Any, file: str, line: int, layer: str) -> None:
        self.value = value
        self.file = file
        self.line = line
        self.layer = layer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and self.plain == other.plain

    def __hash__(self) -> int:
        return hash(self.plain)

    def __repr__(self) -> str:
        return f"Setting{self.plain!r}"

    @property
    def plain(self) -> tuple[Any, str, int, str]:
        """Its fields, as a cache file keeps them."""
        return self.value, self.file, self.line, self.layer


class PlainRule:
    """The slotted twin of `Rule`, whose fields are described there."""

    __slots__ = (
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
    )

    def __init__(  # noqa: PLR0913, PLR0917  (the fields of Rule, in their order)
        self,
        lock: tuple[str, ...],
        match: Match = (),
        name: str = "",
        timeout: float | None = None,
        required: bool = True,  # noqa: FBT001, FBT002  (the fields of Rule, in their order)
        shared: bool = False,  # noqa: FBT001, FBT002  (the same)
        reason: str = "",
        mandatory: bool = False,  # noqa: FBT001, FBT002  (the same)
        file: str = BUILT_IN_LAYER,
        line: int = 0,
        layer: str = BUILT_IN_LAYER,
    ) -> None:
        self.lock = lock
        self.match = match
        self.name = name
        self.timeout = timeout
        self.required = required
        self.shared = shared
        self.reason = reason
        self.mandatory = mandatory
        self.file = file
        self.line = line
        self.layer = layer

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
        ("local",),
        (("kind", ("virtualenv", "target", "prefix")),),
        "environment",
        reason="uv locks these in the environment itself",
    ),
    PlainRule(("global",), (), "default", reason="uv locks a system interpreter outside of it"),
)
"""The rules that follow every file: without a file, nothing has to be read or compiled."""
