"""What the tests of a file reach: which of its rules decide, and which answers their conditions give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from policy.rules.conditions import flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from policy.rules.conditions import KeyPath
    from policy.rules.decision import Decision
    from policy.rules.rule import Rule


@frozen
class Share:
    """A part of a whole.

    Args:
        covered: How much is.
        total: Of how much.
    """

    covered: int
    total: int

    @property
    def percent(self) -> float:
        """With one decimal, and 100 only where all is covered; of nothing all is."""
        if self.covered == self.total:
            return 100.0
        return min(99.9, round(100 * self.covered / self.total, 1))

    def __add__(self, other: Share) -> Share:
        return Share(self.covered + other.covered, self.total + other.total)


@frozen
class Unanswered:
    """A condition that gave one answer only, or none.

    Args:
        rule: Whose it is.
        keys: The keys that lead to it below `match`.
        missing: The answers that it never gave.
    """

    rule: Rule
    keys: tuple[str | int, ...]
    missing: tuple[bool, ...]


@frozen(eq=False)
class Coverage:
    """What the tests of a file reach.

    Args:
        rules: How many of its rules decide a test.
        conditions: How many answers of their conditions came up; each can hold and fail.
        unreached: The rules that decide no test.
        unanswered: The conditions of the others that gave one answer only.
    """

    rules: Share
    conditions: Share
    unreached: tuple[Rule, ...]
    unanswered: tuple[Unanswered, ...]


def coverage(rules: Sequence[Rule], decisions: Iterable[Decision]) -> Coverage:
    """What some decisions reach of a file's rules, which stand first in their chain.

    Args:
        rules: Of the file, in the order in which they are asked.
        decisions: One for each test.
    """
    reached: set[int] = set()
    answers: dict[tuple[int, KeyPath], set[bool]] = {
        (number, path): set() for number, rule in enumerate(rules) for path, _, _ in flat(rule.match)
    }
    for decision in decisions:
        reached.add(decision.index)
        for number in range(min(decision.index + 1, len(rules))):
            for path, condition, expected in flat(rules[number].match):
                answers[number, path].add(condition.holds(expected, decision.request))
    unanswered = tuple(
        Unanswered(rules[number], path, tuple(answer for answer in (True, False) if answer not in given))
        for (number, path), given in answers.items()
        if len(given) < 2 and number in reached  # noqa: PLR2004  (both answers)
    )
    return Coverage(
        Share(len(reached & set(range(len(rules)))), len(rules)),
        Share(sum(map(len, answers.values())), 2 * len(answers)),
        tuple(rule for number, rule in enumerate(rules) if number not in reached),
        unanswered,
    )
