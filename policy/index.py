"""Which rules a request can match at all, by the literal part of their path patterns.

Of ten thousand rules with patterns such as `/srv/app-17/**` a decision then tries one or two. What the index passes
over could not have matched, so the first match stays the same; a property test holds the two ways to each other.
"""

from __future__ import annotations

import os
import sys

from policy import globs
from policy.conditions import CONDITIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from policy.engine import Row
    from policy.request import Request

    # rules that must always be tried; for each fact: rules by a folder above it, and by a name on its path
    Index = tuple[tuple[int, ...], dict[str, dict[str, tuple[int, ...]]], dict[str, dict[str, tuple[int, ...]]]]

PATHS = ("interpreter", "environment")  # facts that are known before they are asked for
MATCH = 1


def build(rows: Iterable[Row]) -> Index:
    """The index of some rules, in a form that a cache file can hold.

    Args:
        rows: Rules in their plain form.
    """
    always: list[int] = []
    folders: dict[str, dict[str, list[int]]] = {}
    names: dict[str, dict[str, list[int]]] = {}
    for number, row in enumerate(rows):
        for key, expected in row[MATCH]:
            anchors = [_anchor(pattern) for pattern in expected] if key in PATHS else [None]
            if None not in anchors:
                for kind, text in filter(None, anchors):
                    table = folders if kind == "folder" else names
                    table.setdefault(key, {}).setdefault(text, []).append(number)
                break
        else:
            always.append(number)
    return tuple(always), _frozen(folders), _frozen(names)


def _frozen(tables: dict[str, dict[str, list[int]]]) -> dict[str, dict[str, tuple[int, ...]]]:
    return {key: {text: tuple(numbers) for text, numbers in table.items()} for key, table in tables.items()}


def _anchor(pattern: str) -> tuple[str, str] | None:
    """What must stand on every path that a pattern matches: a folder above it, or a name."""
    prefix = globs.compile_path(pattern, os.path.expanduser("~")).prefix
    if prefix:
        return "folder", prefix
    literal = [
        name for name in pattern.split("/") if name not in {"", ".", "~"} and not any(magic in name for magic in "*?[")
    ]
    if not literal or sys.platform == "win32":  # Windows folds case and separators
        return None
    return "name", max(literal, key=len)


def candidates(index: Index, request: Request) -> Sequence[int]:
    """The rules that can match a request, in order.

    Args:
        index: Of the rules.
        request: What is to be locked, and who asks.
    """
    always, folders, names = index
    found: set[int] = set()
    for key, table in folders.items():
        for folder in globs.folders(_path(key, request)):
            found.update(table.get(folder, ()))
    for key, table in names.items():
        for name in _path(key, request).split("/"):
            found.update(table.get(name, ()))
    return sorted((*always, *found)) if found else always


def _path(key: str, request: Request) -> Any:
    return CONDITIONS[key].seen(request)
