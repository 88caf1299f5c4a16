"""The rules that follow every file, in their plain form: without a file, nothing has to be read or compiled."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.rules.conditions import Match
    from policy.rules.engine import Row

LAYER = "built-in"


def _rule(name: str, lock: str, reason: str, match: Match = ()) -> Row:
    return (lock, match, name, None, True, reason, False, LAYER, 0, LAYER)


ROWS: tuple[Row, ...] = (
    _rule(
        "uv-only-global-locks",
        "global",
        "UV_ONLY_GLOBAL_LOCKS asks for locks outside the environment",
        (("env", (("UV_ONLY_GLOBAL_LOCKS", True),)),),
    ),
    _rule(
        "externally-managed",
        "global",
        "another package manager owns this environment (PEP 668)",
        (("externally-managed", True),),
    ),
    _rule("read-only", "global", "no lock file can be written in the environment", (("writable", False),)),
    _rule(
        "environment",
        "local",
        "uv locks these in the environment itself",
        (("kind", ("virtualenv", "target", "prefix")),),
    ),
    _rule("default", "global", "uv locks a system interpreter outside of it"),
)
