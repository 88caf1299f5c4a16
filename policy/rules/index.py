"""Finding the rule that decides: which rules can match at all, by the literal part of their path patterns.

Of ten thousand rules with patterns such as `/srv/app-17/**` a decision then tries one or two. What the index passes
over could not have matched, so the first match stays the same; a property test holds the two ways to each other.
"""

from __future__ import annotations

import os
import sys

from policy.rules import globs
from policy.rules.conditions import CONDITIONS, holds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from policy.rules.request import Request
    from policy.rules.rule import AnyRules

    # rules that must always be tried; for each fact: rules by a folder above it, by a name on its path, by how a name
    # begins (of each length), and by a part of a name
    Index = tuple[Any, ...]
    Anchor = tuple[str, str]

PATHS = ("interpreter", "environment")  # facts that are known before they are asked for
MANY = 1024  # environments whose candidates are remembered
SETTLED = frozenset({"interpreter", "environment", "kind"})  # say the same of an environment each time


class Search:
    """Finds the first rule that matches.

    Args:
        rules: The strongest first; the last one matches everything.
        built: Their index; absent: made when it is first needed.
    """

    __slots__ = ("_index", "_known", "_rules")

    def __init__(self, rules: AnyRules, built: Index | None = None) -> None:
        self._rules = rules
        self._index = built
        # by interpreter, root and kind: the rules that can match, or the one that does where nothing else is asked
        self._known: dict[tuple[str, str, str], Sequence[int] | int] = {}

    def first(self, request: Request) -> int:
        """Which rule decides.

        Args:
            request: What is to be locked, and who asks.
        """
        environment = request.environment
        numbers: Sequence[int] | int | None = None
        if not request.given:
            numbers = self._known.get((environment.interpreter, environment.root, environment.kind))
        if numbers is None:
            numbers = self._candidates(request)
        if isinstance(numbers, int):
            return numbers
        rules = self._rules
        for number in numbers:
            match = rules[number].match
            if not match or holds(match, request):
                return number
        raise AssertionError("the last rule of a chain matches everything")

    def _candidates(self, request: Request) -> Sequence[int] | int:
        """The rules that can match, in order; where nothing but the environment decides, the one that does."""
        if self._index is None:
            self._index = build(self._rules)
        found = candidates(self._index, request)
        if request.given:
            return found
        left: Sequence[int] | int = self._narrowed(found, request)
        if len(self._known) >= MANY:
            self._known.clear()
        environment = request.environment
        self._known[environment.interpreter, environment.root, environment.kind] = left
        return left

    def _narrowed(self, numbers: Sequence[int], request: Request) -> Sequence[int] | int:
        """The rules whose settled conditions hold, up to the first that has no others."""
        left: list[int] = []
        for number in numbers:
            match = self._rules[number].match
            settled = tuple([condition for condition in match if condition[0] in SETTLED])
            if not holds(settled, request):
                continue
            if len(settled) == len(match):  # nothing else is asked, so it decides where it is reached
                return [*left, number] if left else number
            left.append(number)
        return left


def build(rules: AnyRules) -> Index:
    """The index of some rules, in a form that a cache file can hold.

    Args:
        rules: The strongest first.
    """
    always: list[int] = []
    anchored: list[tuple[int, str, list[list[Anchor]]]] = []
    shared: dict[tuple[str, Anchor], int] = {}
    for number in range(len(rules)):
        for key, expected in rules[number].match:
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
        path = CONDITIONS[key].get(request)
        end = len(path)
        while end > 0:
            if (folder := path[:end]) in table:
                found += table[folder]
            end = path.rfind("/", 0, end)
    for key, table in names.items():
        for name in CONDITIONS[key].get(request).split("/"):
            if name in table:
                found += table[name]
    for key, lengths in stems.items():
        found += _by_stem(lengths, CONDITIONS[key].get(request).split("/"))
    for key, table in inside.items():
        path = CONDITIONS[key].get(request)
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
