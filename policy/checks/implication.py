"""Whether one match table holds whenever another does, without a request: what `policy check` reasons with.

Every answer is sound and none is complete: True is proven, False means that no proof was found.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from policy.rules import globs
from policy.rules.conditions import CONDITIONS, Combinator, asks_caller
from policy.rules.matcher import path_matcher, text_matcher
from policy.rules.shapes import PATHS, TEXTS
from policy.toml.shapes import FLAG
from policy.variables import boolean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policy.rules.condition import Match
    from policy.toml.shapes import Shape

STEP = 8  # values that are looked at in one step
HOME = "/\N{HOUSE BUILDING}"  # stands for the home directory, which is another one for each user


class TooMuchError(Exception):
    """The question costs more than the answer is worth."""


class Effort:
    """How many steps may be taken, so that no file can keep a check busy for long.

    Args:
        steps: For one question.
        total: For all of them.
    """

    __slots__ = ("_left", "_steps", "total")

    def __init__(self, steps: int, total: int) -> None:
        self._steps = self._left = steps
        self.total: int = total

    def renew(self) -> None:
        """Another question begins."""
        self._left = self._steps

    def spend(self, steps: int = 1) -> None:
        """Some steps.

        Raises:
            TooMuchError: When not so many are left.
        """
        if steps > self._left or steps > self.total:
            self.total -= min(self._left, self.total)
            raise TooMuchError
        self._left -= steps
        self.total -= steps


def flat(match: Match) -> Match:
    """The conditions that must all hold: `all` is taken apart, and `not` of a single condition as far as it can be."""
    return tuple(condition for key, expected in match for condition in _flat(key, expected))


def _flat(key: str, expected: Any) -> Match:
    if key == "all":
        return tuple(condition for table in expected for condition in flat(table))
    if key == "any" and len(expected) == 1:
        return flat(expected[0])
    if key == "not":
        inner = flat(expected)
        if len(inner) == 1:
            return _negated(*inner[0])
        return (("not", inner),)
    return ((key, expected),)


def _negated(key: str, expected: Any) -> Match:
    if key == "any":
        return tuple(condition for table in expected for condition in flat((("not", table),)))
    if key == "not":
        return flat(expected)
    if _shape(key) is FLAG:
        return ((key, not expected),)
    names = _names(key)
    if names and set(expected) < names:
        return ((key, tuple(sorted(names - set(expected)))),)
    return (("not", ((key, expected),)),)


def implies(premises: Match, goals: Match, effort: Effort) -> bool:
    """Whether goals hold whenever premises do.

    Args:
        premises: A match table, flat.
        goals: Another one, flat.
        effort: What may be spent.

    Raises:
        TooMuchError: When that is not enough.
    """
    return all(_follows(premises, key, expected, effort) for key, expected in goals)


def impossible(premises: Match, effort: Effort) -> bool:
    """Whether the conditions of a match table can never hold together.

    Args:
        premises: The match table, flat.
        effort: What may be spent.

    Raises:
        TooMuchError: When that is not enough.
    """
    effort.spend(_steps(premises) ** 2)
    for index, (key, expected) in enumerate(premises):
        if any(key == other and _apart(key, expected, wanted) for other, wanted in premises[:index]):
            return True
        if key == "not" and implies(premises[:index] + premises[index + 1 :], flat(expected), effort):
            return True
    return any(all(impossible(rest + flat(table), effort) for table in tables) for rest, tables in _cases(premises))


def certain(match: Match) -> bool:
    """Whether a match table holds always."""
    return all(_always(key, expected) for key, expected in flat(match))


def divided(match: Match) -> Match:
    """What is so of every environment in which a match table holds for some callers only, as a match table, flat."""
    conditions = flat(match)
    asking = [condition for condition in conditions if asks_caller((condition,))]
    if len(asking) != 1 or asking[0][0] != "any":
        return _possible(conditions)
    # where a table that does not ask about the caller holds, `any` holds for all of them
    _, tables = asking[0]
    kept = [condition for condition in conditions if condition != asking[0]]
    kept += [("not", table) for table in tables if not asks_caller(table)]
    kept.append(("any", tuple(divided(table) for table in tables if asks_caller(table))))
    return flat(tuple(kept))


def _possible(match: Match) -> Match:
    """What is so of every environment in which a match table holds for a caller."""
    kept: list[tuple[str, Any]] = []
    for key, expected in flat(match):
        if not asks_caller(((key, expected),)):
            kept.append((key, expected))
        elif key == "any":
            kept.append((key, tuple(map(_possible, expected))))
    return flat(tuple(kept))


def _follows(premises: Match, key: str, expected: Any, effort: Effort) -> bool:
    effort.spend(_steps(premises) * _steps(((key, expected),)))
    if _always(key, expected):
        return True
    if key == "not":
        if impossible(premises + flat(expected), effort):
            return True
    elif key == "any":
        if any(implies(premises, flat(table), effort) for table in expected):
            return True
    elif any(mine == key and _within(key, had, expected) for mine, had in premises):
        return True
    for rest, tables in _cases(premises):
        if all(
            impossible(case, effort) or _follows(case, key, expected, effort)
            for case in (rest + flat(table) for table in tables)
        ):
            return True
    return False


def _steps(match: Match) -> int:
    """How many steps it takes to look at conditions once: one for the few that people write."""
    return 1 + sum(len(expected) if isinstance(expected, tuple) else 1 for _, expected in match) // STEP


def _cases(premises: Match) -> Iterable[tuple[Match, tuple[Match, ...]]]:
    """Each `any` among premises, with the other premises."""
    for index, (key, tables) in enumerate(premises):
        if key == "any":
            yield premises[:index] + premises[index + 1 :], tables


def _shape(key: str) -> Shape | None:
    """How the value of a condition is read; None for a combinator."""
    return None if isinstance(CONDITIONS[key], Combinator) else CONDITIONS[key].shape


def _names(key: str) -> set[str]:
    """All that the fact of a condition can be, where those are some names."""
    return set(CONDITIONS[key].fact.schema.get("enum", ()))


def _always(key: str, expected: Any) -> bool:
    """Whether a condition holds forevery request."""
    if key == "any":
        return any(certain(table) for table in expected)
    if key == "not":
        return False
    shape = _shape(key)
    if shape is TEXTS:
        return any(_only_stars(pattern) for pattern in expected)
    if shape is PATHS:
        return any(_only_stars(pattern) and len(pattern) > 1 for pattern in expected)
    names = _names(key)
    return bool(names) and names <= set(expected)


def _within(key: str, had: Any, wanted: Any) -> bool:
    """Whether a condition's value is met whenever another value of the same condition is."""
    shape = _shape(key)
    if had == wanted:
        return True
    if _names(key):
        return set(had) <= set(wanted)
    if shape is TEXTS:
        return _each_covered(had, wanted, _text_covered)
    if shape is PATHS:
        return _each_covered(had, wanted, _path_covered)
    if key == "env":
        known = dict(had)
        return all(name in known and _variable_within(known[name], value) for name, value in wanted)
    return False


def _apart(key: str, one: Any, other: Any) -> bool:
    """Whether two values of a condition are never met by the same fact."""
    shape = _shape(key)
    if shape is FLAG:
        return one is not other
    if _names(key):
        return set(one).isdisjoint(other)
    if shape is TEXTS:
        return all(_texts_apart(mine, yours) for mine in one for yours in other)
    if shape is PATHS:
        return all(_paths_apart(mine, yours) for mine in one for yours in other)
    if key == "env":
        known = dict(one)
        return any(name in known and _variables_apart(known[name], value) for name, value in other)
    return False


def _each_covered(had: tuple[str, ...], wanted: tuple[str, ...], covered: Any) -> bool:
    return all(any(covered(mine, pattern) for pattern in wanted) for mine in had)


def _only_stars(pattern: str) -> bool:
    return not pattern.strip("*") and bool(pattern)


def _literal(pattern: str) -> str:
    """The characters before the first that is not literal."""
    return next((pattern[:at] for at, character in enumerate(pattern) if character in "*?["), pattern)


def _text_covered(had: str, wanted: str) -> bool:
    literal = _literal(had)
    if had == wanted or _only_stars(wanted):
        return True
    if literal == had and text_matcher(wanted)(had):
        return True
    start = _literal(wanted)
    return _only_stars(wanted[len(start) :]) and literal.startswith(start)


def _texts_apart(one: str, other: str) -> bool:
    first, second = _literal(one), _literal(other)
    if not (first.startswith(second) or second.startswith(first)):
        return True
    if first == one:
        return not text_matcher(other)(one)
    return second == other and not text_matcher(one)(other)


def _variable_within(had: Any, wanted: Any) -> bool:
    """As _within, for the value of one environment variable: a boolean, or globs."""
    if had == wanted:
        return True
    if isinstance(wanted, bool):
        return not isinstance(had, bool) and all(_literal(text) == text and boolean(text) is wanted for text in had)
    if isinstance(had, bool):
        return had and any(_only_stars(pattern) for pattern in wanted)  # an unset one is false, and matches nothing
    return _each_covered(had, wanted, _text_covered)


def _variables_apart(one: Any, other: Any) -> bool:
    if isinstance(one, bool) and isinstance(other, bool):
        return one is not other
    if isinstance(one, bool):
        one, other = other, one
    if isinstance(other, bool):
        return all(_literal(text) == text and boolean(text) is not other for text in one)
    return all(_texts_apart(mine, yours) for mine in one for yours in other)


@cache
def _path(pattern: str) -> globs.Path:
    return globs.parse(pattern, HOME)


def _comparable(one: str, other: str) -> bool:
    """Whether two path patterns can be compared whatever the home directory is."""
    return one.startswith("~") is other.startswith("~")


def _path_covered(had: str, wanted: str) -> bool:
    """Whether every path that one pattern matches is matched by another: what matches a folder matches all below it."""
    if had == wanted or (_only_stars(wanted) and len(wanted) > 1):
        return True
    if not _comparable(had, wanted):
        return False
    prefix = _path(had).prefix
    if not prefix:
        return False
    if path_matcher(wanted, HOME)(prefix):
        return True
    # a pattern that is more than its literal beginning matches only below that
    above = wanted.rstrip("*").removesuffix("/") if wanted.endswith("/**") else ""
    more = _literal(had) != had
    return bool(above) and more and path_matcher(above, HOME)(prefix)


def _paths_apart(one: str, other: str) -> bool:
    """Whether no path is matched by both patterns: they begin with different folders."""
    if not _comparable(one, other):
        return False
    first, second = _path(one).prefix, _path(other).prefix
    if not first or not second:
        return False
    return first != second and not (first + "/").startswith(second + "/") and not (second + "/").startswith(first + "/")
