"""Which rules a request can match at all, by the literal part of their path patterns.

Of ten thousand rules with patterns such as `/srv/app-17/**` a decision then tries one or two. What the index passes
over could not have matched, so the first match stays the same; a property test holds the two ways to each other.
"""

from __future__ import annotations

import os
import sys

from policy.rules import globs
from policy.rules.conditions import CONDITIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from policy.rules.engine import Row
    from policy.rules.request import Request

    # rules that must always be tried; for each fact: rules by a folder above it, by a name on its path, by how a name
    # begins (of each length), and by a part of a name
    Index = tuple[Any, ...]
    Anchor = tuple[str, str]

PATHS = ("interpreter", "environment")  # facts that are known before they are asked for
MATCH = 1


def build(rows: Iterable[Row]) -> Index:
    """The index of some rules, in a form that a cache file can hold.

    Args:
        rows: Rules in their plain form.
    """
    always: list[int] = []
    anchored: list[tuple[int, str, list[list[Anchor]]]] = []
    shared: dict[tuple[str, Anchor], int] = {}
    for number, row in enumerate(rows):
        for key, expected in row[MATCH]:
            if key not in PATHS:
                continue
            anchors = [_anchors(pattern) for pattern in expected]
            if not all(anchors):
                continue
            anchored.append((number, key, anchors))
            for anchor in {anchor for several in anchors for anchor in several}:
                shared[key, anchor] = shared.get((key, anchor), 0) + 1
            break
        else:
            always.append(number)
    tables: Any = {kind: {} for kind in TABLES}
    for number, key, anchors in anchored:
        # the anchor that the fewest rules share passes over the most of them
        chosen = {min(several, key=lambda anchor: (_RANK[anchor[0]], shared[key, anchor])) for several in anchors}
        for kind, text in chosen:
            table = tables[kind].setdefault(key, {})
            if kind == "stem":
                table = table.setdefault(len(text), {})
            table.setdefault(text, []).append(number)
    return tuple(always), *(tables[kind] for kind in TABLES)


TABLES = ("folder", "name", "stem", "inside")
_RANK = {"folder": 0, "name": 0, "stem": 0, "inside": 1}  # those inside a name must be looked for one by one


def _anchors(pattern: str) -> list[Anchor]:
    """What stands on every path that a pattern matches: a folder above it, a name, how a name begins, a part of one."""
    prefix = globs.compile_path(pattern, os.path.expanduser("~")).prefix
    anchors = [("folder", prefix)] if prefix else []
    if sys.platform == "win32":  # folds case and separators
        return anchors
    for name in pattern.split("/"):
        if name in {"", ".", "~"}:
            continue
        literal = _literals(name)
        if literal[0] == name:
            anchors.append(("name", name))
            continue
        if literal[0]:
            anchors.append(("stem", literal[0]))
        longest = max(literal, key=len)
        if longest:
            anchors.append(("inside", longest))
    return anchors


def _literals(name: str) -> list[str]:
    """The literal parts of a segment, before, between and behind what is magic."""
    parts = [""]
    at = 0
    while at < len(name):
        character = name[at]
        at += 1
        if character == "[":
            end = name.find("]", at + 2 if name[at : at + 1] in ("!", "^") else at + 1)
            at = end + 1
            parts.append("")
        elif character in "*?":
            parts.append("")
        else:
            parts[-1] += character
    return parts


def candidates(index: Index, request: Request) -> Sequence[int]:
    """The rules that can match a request, in order.

    Args:
        index: Of the rules.
        request: What is to be locked, and who asks.
    """
    always, folders, names, stems, inside = index
    found: list[int] = []
    for key, table in folders.items():
        path = CONDITIONS[key].seen(request)
        end = len(path)
        while end > 0:
            if (folder := path[:end]) in table:
                found += table[folder]
            end = path.rfind("/", 0, end)
    for key, table in names.items():
        for name in CONDITIONS[key].seen(request).split("/"):
            if name in table:
                found += table[name]
    for key, lengths in stems.items():
        found += _by_stem(lengths, CONDITIONS[key].seen(request).split("/"))
    for key, table in inside.items():
        path = CONDITIONS[key].seen(request)
        for text in [text for text in table if text in path]:
            found += table[text]
    return sorted({*always, *found}) if found else always


def _by_stem(lengths: dict[int, dict[str, list[int]]], names: list[str]) -> list[int]:
    found: list[int] = []
    for name in names:
        for length, table in lengths.items():
            if (stem := name[:length]) in table:
                found += table[stem]
    return found
