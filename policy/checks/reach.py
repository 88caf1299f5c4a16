"""Which rules of a chain can decide, and for whom: guessed, asked of the chain, proven where no guess is left.

A guess is a request for which a rule holds. Where an earlier rule decides it, the next guess must escape that rule,
too: so only the rules that matter are looked at. A rule that can decide is shown with a request that it decides.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from heapq import merge
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from policy.checks.languages import Effort, TooMuchError
from policy.checks.regions import OWN_HOME, Asked, Example, Solver, formula
from policy.rules import globs, supposition
from policy.rules.condition import ENVIRONMENT_KINDS, Environ, EnvironmentKind, PathCondition, TextCondition, holds
from policy.rules.conditions import CONDITIONS, AllOf, AnyOf, asks_caller
from policy.rules.decision_log import spelled
from policy.rules.plain import BUILT_IN_LAYER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from policy.checks.regions import Formula
    from policy.rules.condition import Match
    from policy.rules.request import Request
    from policy.rules.rule import Rule

    Anchor = tuple[str, str, Any]  # a fact, the variable of `env`, and a text that stands in it; or a match table alone

# uv locks these in different ways
KIND_GROUPS = (tuple(kind for kind in ENVIRONMENT_KINDS if kind != "system"), ("system",))
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


@frozen
class Wish:
    """A rule that is to decide for a caller.

    Args:
        reach: Its chain.
        number: Which.
        caller: Whose request.
        others: Rules with these locks may decide as well.
        escaped: Rules before it that decided a guess.
    """

    reach: Reach
    number: int
    caller: int = 1
    others: AbstractSet[tuple[str, ...]] = frozenset()
    escaped: list[int] = field(factory=list)

    def formulas(self) -> Iterator[Formula]:
        """What must be true of a guess."""
        rules = self.reach.rules
        yield formula(rules[self.number].match, caller=self.caller)
        for one in self.escaped:
            yield formula(rules[one].match, positive=False, caller=self.caller)

    def met(self, decided: int) -> bool:
        """Whether a rule that decides is one of those that are wished."""
        return decided == self.number or tuple(self.reach.rules[decided].lock) in self.others


def meet(wishes: Sequence[Wish], given: Sequence[Formula], solver: Solver) -> tuple[tuple[Example, int], ...] | None:
    """A request for each wish, with the rule that decides it; None where there are none.

    Args:
        wishes: They.
        given: What else must be true.
        solver: Looks for guesses.

    Raises:
        TooMuchError: When that cannot be found out with a bounded effort.
    """
    for _ in range(GUESSES):
        facts = solver.solve([*given, *(one for wish in wishes for one in wish.formulas())])
        if facts is None:
            return None
        examples = [Example.of(facts, wish.caller) for wish in wishes]
        found = tuple((example, wish.reach.decider(example)) for example, wish in zip(examples, wishes, strict=True))
        missed = [(wish, one) for wish, (_, one) in zip(wishes, found, strict=True) if not wish.met(one)]
        if not missed:
            return found
        for wish, decided in missed:
            if decided > wish.number or decided in wish.escaped:
                raise TooMuchError  # a request that facts of this program cannot describe
            wish.escaped.append(decided)
    raise TooMuchError


class Reach:
    """A chain, and who decides in it.

    Args:
        rules: The strongest first; the last one matches everything.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.tied: bool = OWN_HOME in spelled(rules)
        self._solver = Solver(Effort(len(rules)), tied=self.tied)
        self._asked: Asked | None = None
        self._answers: dict[int, Answer] = {}
        self._by_lock: dict[tuple[str, ...], list[int]] = {}  # the locks say who is kept out
        # a built-in rule about the caller is a caller's own wish, and no difference that a file makes
        own = [number for number, rule in enumerate(rules) if rule.layer == BUILT_IN_LAYER and asks_caller(rule.match)]
        self._own_wish = frozenset(own)
        # for each fact and each length: rules by a text of that length that stands in the fact where they hold
        self._anchored: dict[tuple[str, str], dict[int, dict[str, list[int]]]] = {}
        self._tables: dict[Match, list[int]] = {}  # the others, by a match table that holds where they do
        anchors = [_anchors(rule.match) for rule in rules]
        shared = Counter(anchor for several in anchors for one in several for anchor in one)
        for number, several in enumerate(anchors):
            self._by_lock.setdefault(tuple(rules[number].lock), []).append(number)
            rarest = min(several, key=lambda one: sum(shared[at] if at[0] else len(rules) for at in one))
            for key, name, wanted in rarest:
                lengths = self._anchored.setdefault((key, name), {}) if key else {}
                texts = lengths.setdefault(len(wanted), {}) if key else self._tables
                texts.setdefault(wanted, []).append(number)

    def decider(self, example: Example) -> int:
        """Which rule decides a request.

        Args:
            example: It.
        """
        request = supposition.request(example.facts)

        def first(numbers: Sequence[int], otherwise: int) -> int:
            return next((one for one in numbers if holds(self.rules[one].match, request)), otherwise)

        found = first(sorted(self._near(request)), len(self.rules))
        for table, numbers in self._tables.items():  # in the order of their first rules
            if numbers[0] > found:
                break
            if holds(table, request):
                found = first(numbers[: bisect_left(numbers, found)], found)
        return found

    def _near(self, request: Request) -> set[int]:
        """The rules of which an anchor stands in a fact of a request."""
        facts = [((Environ.key, name), text) for name, text in request.caller.environ.items()]
        for key in ANCHORED:
            if (key, "") in self._anchored:
                seen = CONDITIONS[key].get(request)
                facts += [((key, ""), text) for text in ((seen,) if isinstance(seen, str) else seen)]
        return {
            number
            for fact, text in facts
            for length, rules in self._anchored.get(fact, {}).items()
            for at in range(len(text) - length + 1)
            for number in rules.get(text[at : at + length], ())
        }

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
        if number not in self._answers:
            wish = Wish(self, number)
            self._solver.effort.begin()
            try:
                found = meet((wish,), (), self._solver)
                self._answers[number] = Answer((found[0][0],)) if found else self._dead(number, wish.escaped)
            except TooMuchError:
                self._answers[number] = Answer(rules=tuple(wish.escaped), proven=False)
        return self._answers[number]

    def _dead(self, number: int, before: Sequence[int]) -> Answer:
        """A rule that never decides: one that covers it alone, or several of which none is superfluous."""
        needed = next(([one] for one in before if self.covered(number, [one])), list(before))
        for one in before if len(needed) > 1 else ():
            fewer = [other for other in needed if other != one]
            if self.covered(number, fewer):
                needed = fewer
        facts = self._solver.solve(Wish(self, number).formulas())
        return Answer(() if facts is None else (Example.of(facts),), tuple(sorted(needed)))

    def covered(self, number: int, by: Sequence[int]) -> bool:
        """Whether one of some rules holds wherever a rule does; False where that is not found out.

        Args:
            number: The rule.
            by: The others.
        """
        self._solver.effort.begin()
        try:
            return self._solver.solve(Wish(self, number, escaped=list(by)).formulas()) is None
        except TooMuchError:
            return False

    def by_caller(self, number: int, missing: Callable[[str, int, int], object]) -> Answer | None:
        """Two requests about one environment, the first decided by a rule, the second by one that keeps out more.

        Args:
            number: The rule.
            missing: Whether one rule keeps out fewer than another one in an environment of some kind.

        Returns:
            The requests and the other rule; None where all callers get the same.
        """
        if not asks_caller(self.rules[number].match):
            return None
        answer = self.of(number)
        if not answer.decides:
            return None if answer.proven else answer
        proven = True
        for kinds in KIND_GROUPS:
            locks = {lock for lock, others in self._by_lock.items() if missing(kinds[0], number, others[0])}
            try:
                pair = self._pair(number, kinds, locks, answer.examples[0]) if locks else None
            except TooMuchError:
                proven = False
                continue
            if pair is not None:
                return pair
        return None if proven else Answer(proven=False)

    def _pair(
        self, number: int, kinds: tuple[str, ...], locks: AbstractSet[tuple[str, ...]], guess: Example
    ) -> Answer | None:
        """The same for environments of some kinds, and other rules with some locks."""
        anybody = guess.anybody()
        other = self.decider(anybody)
        if not self.tied and other != number and guess.kind in kinds and tuple(self.rules[other].lock) in locks:
            return Answer((guess, anybody), (other,))
        given = [formula(((EnvironmentKind.key, kinds),))]
        given += [formula(self.rules[one].match, positive=False, caller=2) for one in (number, *self._own_wish)]
        self._solver.effort.begin()
        # of callers about whom nothing is said, the last rules decide
        for other in merge(*(reversed(self._by_lock[lock]) for lock in locks), reverse=True):
            if other not in self._own_wish:
                pair = meet((Wish(self, number), Wish(self, other, 2, locks)), given, self._solver)
                if pair is not None:
                    return Answer(tuple(example for example, _ in pair), (pair[1][1],))
        return None


ANCHORED = tuple(key for key, one in CONDITIONS.items() if isinstance(one, (PathCondition, TextCondition)))


def _anchors(match: Match) -> list[frozenset[Anchor]]:
    """Texts of which one must stand in a fact for a match table to hold, in several ways; else the table itself."""
    found: list[frozenset[Anchor]] = []
    for key, expected in match:
        condition = CONDITIONS[key]
        if isinstance(condition, Environ):
            for name, wanted in expected:
                texts = ("",) if wanted is True else map(_literal, wanted or ())
                found.append(frozenset((key, name, text) for text in texts))
        elif key in ANCHORED:
            found.append(frozenset((key, "", _literal(pattern, path=condition.is_path)) for pattern in expected))
        elif isinstance(condition, AnyOf):
            found.append(frozenset().union(*(_anchors(table)[0] for table in expected)))
        elif isinstance(condition, AllOf):
            found += [one for table in expected for one in _anchors(table)]
    return [one for one in found if one] or [frozenset({("", "", match)})]


def _literal(pattern: str, *, path: bool = False) -> str:
    """The longest text that stands in whatever a pattern matches."""
    parts = [globs.parse_text(pattern)]
    if path:
        parsed = globs.parse(pattern, "/")
        parts = [(parsed.prefix,), *parsed.segments]
    return max((part for several in parts for part in several if isinstance(part, str)), key=len, default="")
