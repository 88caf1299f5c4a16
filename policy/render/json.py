"""JSON, version 2."""

from __future__ import annotations

from policy.render.record import contract

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def render(record: dict[str, Any], *, color: bool) -> str:
    """The record as it is; everything beyond ASCII is escaped."""
    import json

    del color
    return json.dumps(contract(record), indent=2)
