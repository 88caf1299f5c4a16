"""Which rules of a chain can decide, and for whom: guessed, asked of the chain, proven where no guess is left.

A guess is a request for which a rule holds. Where an earlier rule decides it, the next guess must escape that rule,
too: so only the rules that matter are looked at. A rule that can decide is shown with a request that it decides.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice, product
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from policy.checks.languages import Effort, TooMuchError
from policy.checks.regions import HOMES, Asked, Atom, Example, Node, Solver, formula, sample
from policy.rules import supposition
from policy.rules.condition import ENVIRONMENT_KINDS, Environ, EnvironmentKind, PathCondition, TextCondition, holds
from policy.rules.conditions import CONDITIONS, asks_caller
from policy.rules.index import PATHS, Search
from policy.rules.plain import BUILT_IN_LAYER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from policy.checks.regions import Facts, Formula
    from policy.rules.condition import Match
    from policy.rules.rule import Rule

T = TypeVar("T")

KINDS = (tuple(kind for kind in ENVIRONMENT_KINDS if kind != "system"), ("system",))  # uv locks these in different ways
MOST_BEFORE = 200  # rules of which one may decide for another caller
GUESSES = 60  # rules that a guess may have to escape; people's need two or three


@frozen
class Answer:
    """What was found out about a rule.

    Args:
        examples: Requests that it decides, or that show what was asked.
        rules: The rules that decide instead of it, or of the last example.
        proven: False where it could not be found out.
    """

    examples: tuple[Example, ...] = ()
    rules: tuple[int, ...] = ()
    proven: bool = True

    @property
    def decides(self) -> bool:
        """Whether it shows that the rule decides."""
        return bool(self.examples) and not self.rules


class Reach:
    """A chain, and who decides in it.

    Args:
        rules: The strongest first; the last one matches everything.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self._effort = Effort(len(rules))
        self._asked: Asked | None = None
        self._by_fact: dict[object, list[int]] = {}
        self._others: list[int] = []
        self._by_lock: dict[tuple[str, ...], list[int]] = {}  # rules with the same locks have the same effect
        for number, rule in enumerate(rules):
            self._by_lock.setdefault(tuple(rule.lock), []).append(number)
            anchors = _anchors(rule.match)
            for anchor in anchors:
                self._by_fact.setdefault(anchor, []).append(number)
            if not anchors:
                self._others.append(number)
        # a built-in rule about the caller is a caller's own wish, and no difference that a file makes
        own = (number for number, rule in enumerate(rules) if rule.layer == BUILT_IN_LAYER and asks_caller(rule.match))
        self._own_wish = tuple(own)
        self._search = Search([rules[number] for number in self._others])

    def decider(self, example: Example) -> int:
        """Which rule decides a request.

        Args:
            example: It.
        """
        request = supposition.request(example.facts)
        found = self._others[self._search.first(request)]
        facts: list[object] = [(key, value) for key, value in example.facts.items() if not isinstance(value, tuple)]
        facts += example.facts
        for name, text in request.caller.environ.items():
            facts += [(Environ.key, name), (Environ.key, name, text)]
        anchored = (number for fact in facts for number in self._by_fact.get(fact, ()))
        return next((one for one in sorted(anchored) if one < found and holds(self.rules[one].match, request)), found)

    def shown(self, number: int, answer: Answer) -> tuple[Example, ...]:
        """The examples of an answer, so that no fact of another machine matters.

        Args:
            number: Which rule was asked about.
            answer: What was answered.
        """
        if self._asked is None:
            self._asked = Asked(self.rules)
        last = max(number, *answer.rules, 0)
        return tuple(example.whole((self._asked, last)) for example in answer.examples)

    def of(self, number: int) -> Answer:
        """A request that a rule decides; else the rules that leave it none, as few as suffice, none if it never holds.

        Args:
            number: Which rule.
        """
        match = self.rules[number].match
        guess = sample(match)
        if guess is not None and self.decider(guess) == number:
            return Answer((guess,))
        before: list[int] = []
        try:
            while len(before) < GUESSES:
                example = self._escape(match, before)
                if example is None:
                    return self._covered(match, before)
                decided = self.decider(example)
                if decided == number:
                    return Answer((example,))
                if decided in before or decided > number:
                    break  # a request that facts of this program cannot describe
                before.append(decided)
        except TooMuchError:
            pass
        return Answer(rules=tuple(before), proven=False)

    def _escape(self, match: Match, before: Sequence[int]) -> Example | None:
        """A request for which a match table holds, and none of some rules."""
        return any_home(
            [formula(match), *(formula(self.rules[one].match, positive=False) for one in before)],
            1,
            Example.of,
            self._effort,
        )

    def _covered(self, match: Match, before: list[int]) -> Answer:
        """A rule that never decides: one that covers it alone, or several of which none is superfluous."""
        shown = self._escape(match, ())
        examples = () if shown is None else (shown,)
        alone = next(([one] for one in before if self._escape(match, [one]) is None), None)
        needed = alone or list(before)
        for one in before if len(needed) > 1 else ():
            fewer = [other for other in needed if other != one]
            if self._escape(match, fewer) is None:
                needed = fewer
        proven = self._never(match, needed) or self._never(match, before)
        return Answer(examples, tuple(sorted(needed)), proven=proven)

    def _never(self, match: Match, before: Sequence[int]) -> bool:
        """Whether no home directory lets a request escape."""
        formulas = [formula(match, apart=True)]
        formulas += [formula(self.rules[one].match, positive=False, apart=True) for one in before]
        return Solver(effort=self._effort).solve(formulas) is None

    def always(self, number: int) -> bool:
        """Whether a rule holds for every request.

        Args:
            number: Which rule.
        """
        try:
            return (
                Solver(effort=self._effort).solve([formula(self.rules[number].match, positive=False, apart=True)])
                is None
            )
        except TooMuchError:
            return False

    def same(self, one: int, other: int) -> bool:
        """Whether two rules hold for the same requests.

        Args:
            one: A rule.
            other: Another one.
        """
        first, second = self.rules[one].match, self.rules[other].match
        try:
            return self._escape(first, [other]) is None and self._escape(second, [one]) is None
        except TooMuchError:
            return False

    def by_caller(self, number: int, differs: Callable[[Example, int, int], object]) -> Answer | None:
        """Two requests about one environment, the first decided by a rule, the second by one with another effect.

        Args:
            number: The rule.
            differs: Whether two rules have different effects on the environment of an example.

        Returns:
            The requests and the other rule; None where all callers get the same.
        """
        match = self.rules[number].match
        if not asks_caller(match):
            return None
        guess = sample(match)
        if guess is not None and self.decider(guess) == number:
            other = self.decider(guess.anybody())
            if other != number and differs(guess, number, other):
                return Answer((guess, guess.anybody()), (other,))
        answers = (self._by_caller(number, kinds, differs) for kinds in KINDS)
        return next((answer for answer in answers if answer is not None), None)

    def _by_caller(
        self, number: int, kinds: tuple[str, ...], differs: Callable[[Example, int, int], object]
    ) -> Answer | None:
        """The same for environments of some kinds, among which effects do not differ."""
        match = self.rules[number].match
        asked = [formula(match), formula(((EnvironmentKind.key, kinds),)), self._not(number, 2)]
        asked += [self._not(one, 2) for one in self._own_wish]
        seen: set[int] = set()
        try:
            while len(seen) < GUESSES:
                pair = any_home(asked, 2, _pair, self._effort)
                if pair is None:
                    return None
                decided, other = map(self.decider, pair)
                if decided == number and differs(pair[0], number, other):
                    return Answer(pair, (other,))
                escaped = other if decided == number else decided
                if escaped in seen:
                    break
                seen.add(escaped)
                if decided != number:
                    asked.append(self._not(decided, 1))
                    continue
                # what this rule decides has the same effect; what another decides before it may have a different one
                before = [
                    one
                    for numbers in self._by_lock.values()
                    if differs(pair[0], number, numbers[0])
                    for one in islice(numbers, min(bisect_left(numbers, other), MOST_BEFORE + 1))
                    if one != number
                ]
                if len(before) > MOST_BEFORE:
                    break
                asked.append(
                    Node(
                        (self._not(other, 2), *(formula(self.rules[one].match, caller=2) for one in before)),
                        every=False,
                    )
                )
        except TooMuchError:
            pass
        return Answer(proven=False)

    def _not(self, number: int, caller: int) -> Formula:
        return formula(self.rules[number].match, positive=False, caller=caller)


def _pair(facts: Facts, homes: Sequence[str]) -> tuple[Example, Example]:
    return Example.of(facts, homes), Example.of(facts, homes, 2)


def _anchors(match: Match) -> list[object]:
    """Facts of which one must be given for a match table to hold; none where a folder or nothing leads to it."""
    keys = dict(match)
    if not keys.keys().isdisjoint(PATHS):
        return []
    for key, expected in match:
        condition = CONDITIONS[key]
        if isinstance(condition, Environ):
            for name, wanted in expected:
                if wanted is True or (wanted and any(map(_is_magic, wanted))):
                    return [(key, name)]
                if wanted:
                    return [(key, name, text) for text in wanted]
        elif isinstance(condition, PathCondition) and not condition.plain:
            return [key]  # there is none, unless it is given
        elif isinstance(condition, TextCondition) and not any(
            pattern == condition.plain or _is_magic(pattern) for pattern in expected
        ):
            return [(key, text) for text in expected]
    return []


def _is_magic(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")


def any_home(
    formulas: Sequence[Formula],
    callers: int,
    made: Callable[[Facts, Sequence[str]], T],
    effort: Effort | None = None,
) -> T | None:
    """The first answer under some homes of the callers; None where formulas are true under none of them.

    Args:
        formulas: They.
        callers: How many callers they ask about.
        made: Makes the answer of the facts and the homes.
        effort: What may be spent; None: as much as one question may.

    Raises:
        TooMuchError: When that cannot be found out with a bounded effort.
    """
    homes = HOMES if any(map(_asks_home, formulas)) else HOMES[:1]
    for chosen in product(homes, repeat=callers):
        facts = Solver(chosen, effort).solve(formulas)
        if facts is not None:
            return made(facts, chosen)
    return None


def _asks_home(one: Formula) -> bool:
    """Whether a pattern with `~` stands in a formula."""
    if isinstance(one, Atom):
        return any(isinstance(value, tuple) and str(value[0])[:1] == "~" for value in one.values)
    return any(map(_asks_home, one.parts))
