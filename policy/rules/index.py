"""Finding the rule that decides: which rules can match at all, by the literal part of their path patterns.

Of ten thousand rules with patterns such as `/srv/app-17/**` a decision then tries one or two. What the index passes
over could not have matched, so the first match stays the same; a property test holds the two ways to each other.
"""

from __future__ import annotations

import sys

from policy.rules.condition import KNOWN, holds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from policy.rules.request import Request
    from policy.rules.rule import AnyRules

    # rules that must always be tried; for each fact: rules by a folder above it, by a name on its path, by how a name
    # begins (of each length), and by a part of a name; rules that ask several questions, those with the most first
    Index = tuple[Any, ...]
    Anchor = tuple[str, str]

PATHS = ("interpreter", "environment")  # facts that are known before they are asked for
MANY = 1024  # environments whose candidates are remembered
SETTLED = frozenset({"interpreter", "environment", "kind"})  # whose facts an environment has from the start


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
        # for each environment: the rules to try, and the rule that decides if none of them matches
        self._known: dict[tuple[object, ...], tuple[Sequence[int], int]] = {}

    @property
    def several(self) -> Sequence[int]:
        """The rules that ask more than one question, those that ask the most first, and the first of those."""
        if self._index is None:
            self._index = build(self._rules)
        return self._index[-1]  # type: ignore[no-any-return]  # as `build` makes it

    def first(self, request: Request) -> int:
        """Which rule decides.

        Args:
            request: What is to be locked, and who asks.
        """
        found = None if request.given else self._known.get(request.environment.settled)
        numbers, last = found or self._candidates(request)
        rules = self._rules
        for number in numbers:
            if holds(rules[number].match, request):
                return number
        return last

    def _candidates(self, request: Request) -> tuple[Sequence[int], int]:
        """The rules that can match, in order, and the rule that decides if none of them does."""
        if self._index is None:
            self._index = build(self._rules)
        found = candidates(self._index, request)
        if request.given:
            return found[:-1], found[-1]
        left = self._narrowed(found, request)
        if len(self._known) >= MANY:
            self._known.clear()
        self._known[request.environment.settled] = left
        return left

    def _narrowed(self, numbers: Sequence[int], request: Request) -> tuple[Sequence[int], int]:
        """The rules whose settled conditions hold, up to the first that has no others."""
        left: list[int] = []
        for number in numbers:
            match = self._rules[number].match
            settled = tuple([(key, expected) for key, expected in match if _is_settled(key, expected)])
            if settled and not holds(settled, request):
                continue
            if len(settled) == len(match):  # nothing else is asked, so it decides where it is reached
                return left, number
            left.append(number)
        raise AssertionError("the last rule of a chain matches everything")


def _is_settled(key: str, expected: Any) -> bool:
    """Whether a condition says the same of an environment each time."""
    return key in SETTLED and not KNOWN[key].asks(expected)


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
    return tuple(always), *(tables[kind] for kind in TABLES), _several(rules)


def _several(rules: AnyRules) -> tuple[int, ...]:
    """The rules that ask more than one question, those that ask the most first."""
    asked = {
        number: sum(len(tuple(KNOWN[key].questions(expected))) for key, expected in rules[number].match)
        for number in range(len(rules))
    }
    return tuple(sorted((number for number in asked if asked[number] > 1), key=lambda number: -asked[number]))


TABLES = ("folder", "name", "stem", "inside")
_RANK = {"folder": 0, "name": 0, "stem": 0, "inside": 1}  # those inside a name must be looked for one by one


def _anchors(pattern: str) -> list[Anchor]:
    """What stands on every path that a pattern matches: a folder above it, a name, how a name begins, a part of one."""
    from policy.rules import globs  # where the index is built, once for a file

    path = globs.parse(pattern)
    anchors: list[Anchor] = []
    if pattern[:1] != "~" and path.prefix:  # the home directory is another one for each caller
        anchors.append(("folder", path.prefix))
    if sys.platform == "win32":  # folds case and separators
        return anchors
    for segment in path.segments:
        name = globs.text_of(segment)
        if name is not None:
            anchors += [("name", name)] if name else []
            continue
        if isinstance(segment[0], str):
            anchors.append(("stem", segment[0]))
        longest = max((part for part in segment if isinstance(part, str)), key=len, default="")
        if longest:
            anchors.append(("inside", longest))
    return anchors


def candidates(index: Index, request: Request) -> Sequence[int]:
    """The rules that can match a request, in order.

    Args:
        index: Of the rules.
        request: What is to be locked, and who asks.
    """
    always, folders, names, stems, inside, _ = index
    found: list[int] = []
    for key in PATHS:
        for path in KNOWN[key].get(request):
            if key in folders:
                found += _under(folders[key], _folders(path))
            if key in names or key in stems:
                parts = path.split("/")
                found += _under(names.get(key, {}), parts)
                for length, table in stems.get(key, {}).items():
                    found += _under(table, [name[:length] for name in parts])
            if key in inside:
                found += _under(inside[key], [text for text in inside[key] if text in path])
    return sorted({*always, *found}) if found else always


def _under(table: dict[str, list[int]], texts: Iterable[str]) -> list[int]:
    """The rules that stand under some texts."""
    found: list[int] = []
    for text in texts:
        if text in table:
            found += table[text]
    return found


def _folders(path: str) -> Iterator[str]:
    """A path, and each folder above it."""
    end = len(path)
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)
