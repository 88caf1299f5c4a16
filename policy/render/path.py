"""The lock files, one path a line, for scripts; a lock that is no file is left out."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def render(record: dict[str, Any], *, color: bool) -> str:
    """The paths of the plan, in the order in which they are taken; a line end in one is escaped."""
    del color
    return "\n".join(entry["path"].replace("\n", "\\n") for entry in record["plan"] if "path" in entry)
