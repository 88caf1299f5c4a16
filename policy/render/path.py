"""The lock files, one path a line, for scripts."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def render(record: dict[str, Any], *, color: bool) -> str:
    """The paths of the plan, in the order in which they are taken; a line end in one is escaped."""
    del color
    return "\n".join(file["path"].replace("\n", "\\n") for file in record["plan"])
