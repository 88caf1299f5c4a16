"""How a decision is shown; a new format is a module here with a function `render` and a name in DECISION_FORMATS."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DECISION_FORMATS = ("text", "json", "toml", "path", "html")
MANY = 12  # rules before and after the matching one that text shows, unless all are asked for


def render(format: str, record: dict[str, Any], *, color: bool = False) -> str:
    """A decision's record in one of the DECISION_FORMATS.

    Args:
        format: Its name.
        record: What `policy.render.record.record` made of the decision.
        color: Whether colours may be used.

    Returns:
        The text, without a line end at its end.
    """
    module = __import__(f"policy.render.{format}", fromlist=["render"])  # importlib costs more
    return module.render(record, color=color)  # type: ignore[no-any-return]  # a module that is found by its name
