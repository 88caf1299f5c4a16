"""TOML, which has no null: keys without a value are left out."""

from __future__ import annotations

from policy.render.record import contract

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def render(record: dict[str, Any], *, color: bool) -> str:
    """The record without its nulls."""
    import tomli_w

    del color
    text = tomli_w.dumps(_without_nulls(contract(record))).rstrip("\n")
    return "".join(
        character if character.isprintable() or character == "\n" else _escaped(character) for character in text
    )


def _escaped(character: str) -> str:
    """As TOML escapes it: whatever is not printable stands in a basic string."""
    return f"\\U{ord(character):08x}"


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {_without_nulls(key): _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, str):  # TOML has no lone surrogates, which stand for bytes of a path that are no UTF-8
        return value.encode("utf-8", "backslashreplace").decode()
    return value
