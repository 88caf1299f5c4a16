"""The commands that GitHub's runner turns into annotations of a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policy.escape import escape
from policy.render.record import shorten

if TYPE_CHECKING:
    from policy.toml.diagnostic import Diagnostic


def annotation(severity: str, diagnostic: Diagnostic, title: str) -> str:
    """One workflow command, with its line end.

    Args:
        severity: `error`, `warning` or `notice`.
        diagnostic: Where and what.
        title: The annotation's heading.
    """
    properties = {"file": shorten(diagnostic.location.file)}
    if diagnostic.line:
        properties |= {"line": str(diagnostic.line)}
    if diagnostic.column:
        properties |= {"col": str(diagnostic.column), "endColumn": str(diagnostic.column + diagnostic.width)}
    properties["title"] = title
    fields = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"::{severity} {fields}::{_escaped(escape(diagnostic.message))}\n"


def _escaped(value: str, more: str = "") -> str:
    """As GitHub's toolkit escapes: `%`, line ends, and in properties `:` and `,` too."""
    for character in "%\r\n" + more:
        value = value.replace(character, f"%{ord(character):02X}")
    return value
