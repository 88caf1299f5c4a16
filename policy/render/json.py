"""JSON, version 1."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def render(record: dict[str, Any], *, color: bool) -> str:
    """The record as it is; everything beyond ASCII is escaped."""
    import json

    del color
    return json.dumps(record, indent=2)
