"""What changes when rules do: for each pair of an old and a new rule a request that shows it, or that there is none."""

from __future__ import annotations

import os
from bisect import bisect_left
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from attrs import frozen

from policy.checks.languages import TooMuchError
from policy.checks.reach import KIND_GROUPS, Reach, Wish, meet
from policy.checks.regions import Asked, Atom, Solver
from policy.errors import PolicyError
from policy.rules import supposition
from policy.rules.condition import KNOWN
from policy.rules.decision import Decision
from policy.rules.effect import effect
from policy.rules.excludes import excludes
from policy.rules.rule import KEY_FIELDS, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from policy.checks.regions import Example, Formula
    from policy.rules.chain import Chain
    from policy.rules.decision import BaseChain
    from policy.rules.request import Request

PAIRS = 5_000  # of rules that are compared; what people write needs some hundreds
Effect = dict[str, Any]


@frozen
class Side:
    """What a request gets under one of the two chains.

    Args:
        rule: The rule that decides.
        plan: The entries of the plan.
        excluded: Who is kept out, and where.
        effect: What the rule does: `lock`, `timeout`, `required`, `shared`, `unused`.
    """

    rule: Rule
    plan: tuple[dict[str, Any], ...]
    excluded: tuple[str, ...]
    effect: Effect


@frozen
class Region:
    """Requests for which one rule decided and another one does now.

    Args:
        example: One of them.
        before: What it got.
        after: What it gets.
    """

    example: Example
    before: Side
    after: Side


@frozen
class Edit:
    """A rule that is not where or what it was.

    Args:
        what: `new`, `gone`, `moved` or `changed`.
        rule: It; of one that was changed, how it is now.
    """

    what: str
    rule: Rule


@frozen
class Difference:
    """Everything that differs.

    Args:
        regions: Where decisions differ.
        open: Pairs of rules of which it was not found out whether any request shows a difference.
        edits: The rules that differ.
        complete: False where there are too many pairs of rules to compare them all.
    """

    regions: tuple[Region, ...]
    open: tuple[tuple[Rule, Rule], ...]
    edits: tuple[Edit, ...]
    complete: bool = True

    @property
    def differs(self) -> bool:
        """Whether decisions differ, or may."""
        return bool(self.regions or self.open) or not self.complete


def diff(old: Chain, new: Chain, folder: str) -> Difference:
    """What differs between two chains.

    Args:
        old: The rules before.
        new: The rules after.
        folder: Where the file of both stands: `required = false` of a checkout counts below it only.
    """
    search = _Search(old, new, os.path.realpath(folder))
    regions: list[Region] = []
    left: list[tuple[Rule, Rule]] = []
    pairs = list(islice(search.pairs(), PAIRS + 1))
    for one, other in pairs[:PAIRS]:
        found = search.between(one, other)
        if isinstance(found, Region):
            regions.append(found)
        elif found is None:
            left.append((old.rules[one], new.rules[other]))
    return Difference(tuple(regions), tuple(left), tuple(edits(old.rules, new.rules)), len(pairs) <= PAIRS)


class _Search:
    """Looks for requests that two chains answer differently."""

    def __init__(self, old: Chain, new: Chain, folder: str) -> None:
        self._chains = old, new
        self._reaches = Reach(old.rules), Reach(new.rules)
        self._asked = Asked(old.rules), Asked(new.rules)
        self._below = os.path.join(folder, "")
        literal = "".join(f"[{one}]" if one in "*?[" else one for one in folder.rstrip("/"))
        self._patterns = (literal, f"{literal}/**") if literal else ("**",)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Rules that can decide for one request and do something else; not those behind a copy of the other one."""
        old, new = ([frozenset(rule.match) for rule in chain.rules] for chain in self._chains)
        first_new: dict[object, int] = {}
        for number, match in enumerate(new):
            first_new.setdefault(match, number)
        earlier: set[object] = set()
        for one, match in enumerate(old):
            if match not in earlier:
                for other in range(first_new.get(match, len(new) - 1) + 1):
                    if new[other] not in earlier and any(self._cases(one, other)):
                        yield one, other
            earlier.add(match)

    def _cases(self, one: int, other: int) -> Iterator[tuple[Formula, ...]]:
        """The kinds of environments on which two rules have different effects."""
        old, new = self._chains
        split = any(not rule.required and rule.confined for rule in (old.rules[one], new.rules[other]))
        for kinds in KIND_GROUPS:
            for inside in (True, False) if split else (True,):
                system = "system" in kinds
                effects = [
                    effect(chain.rules[number], chain.settings, system=system, inside=inside)
                    for chain, number in ((old, one), (new, other))
                ]
                if effects[0] != effects[1]:
                    place = (Atom(("environment", "", 0), self._patterns, inside),) if split else ()
                    yield (Atom(("kind", "", 0), kinds), *place)

    def between(self, one: int, other: int) -> Region | bool | None:
        """A request that shows the difference between two rules; False: there is none; None: not found out."""
        proven = True
        for case in self._cases(one, other):
            wishes = [Wish(reach, number) for reach, number in zip(self._reaches, (one, other), strict=True)]
            try:
                found = meet(wishes, case, Solver(tied=any(reach.tied for reach in self._reaches)))
            except TooMuchError:
                proven = False
                continue
            if found is not None:
                for example in (found[0][0], found[0][0].turned()):
                    if (region := self._region(example, (one, other))) is not None:
                        return region
                proven = False
        return False if proven else None

    def _region(self, example: Example, wanted: tuple[int, int]) -> Region | None:
        """What a request gets under both; None where that is the same, so that it shows nothing."""
        if tuple(reach.decider(example) for reach in self._reaches) != wanted:
            return None
        before, after = (self._side(chain, number, example) for chain, number in zip(self._chains, wanted, strict=True))
        if before.effect == after.effect:
            return None
        return Region(example.whole(*zip(self._asked, wanted, strict=True)), before, after)

    def _side(self, chain: Chain, number: int, example: Example) -> Side:
        request = supposition.request(example.facts)
        inside = os.path.join(KNOWN["environment"].get(request)[-1], "").startswith(self._below)
        does = effect(chain.rules[number], chain.settings, system=request.environment.kind == "system", inside=inside)
        return side(chain, number, request, does)


def side(chain: BaseChain, number: int, request: Request, does: Effect) -> Side:
    """What a request gets from a rule.

    Args:
        chain: The rules.
        number: Which rule.
        request: It.
        does: The rule's effect.
    """
    decision = Decision(chain, request, number)
    try:
        plan = tuple(lock.record() for lock in decision.plan)
        excluded = tuple(f"{one['who']} ({one['where']})" for one in excludes(decision) if one["excluded"])
    except PolicyError as error:  # a path that this host cannot look at
        plan, excluded = ({"purpose": "none", "kind": "fault", "path": str(error)},), ()
    return Side(Rule.of(chain.rules[number]), plan, excluded, does)


def edits(old: Sequence[Rule], new: Sequence[Rule]) -> Iterator[Edit]:
    """The rules that are new, gone, moved or changed; those that keep the others' order have not moved.

    Args:
        old: The rules before.
        new: The rules after.
    """
    partner: dict[int, int] = {}
    left = dict.fromkeys(range(len(old)))
    for alike in (_content, lambda rule: rule.name or None):  # an exact copy first, then one of the same name
        places: dict[object, list[int]] = {}
        for number in left:
            places.setdefault(alike(old[number]), []).append(number)
        for number, rule in enumerate(new):
            key = alike(rule)
            if number not in partner and key is not None and places.get(key):
                partner[number] = places[key].pop(0)
                del left[partner[number]]
    stayed = _rising([partner[number] for number in sorted(partner)])
    for number, rule in enumerate(new):
        if number not in partner:
            yield Edit("new", rule)
        else:
            if _content(rule) != _content(old[partner[number]]):
                yield Edit("changed", rule)
            if partner[number] not in stayed:
                yield Edit("moved", rule)
    for number in left:
        yield Edit("gone", old[number])


def _content(rule: Rule) -> object:
    return tuple(getattr(rule, name) for name in KEY_FIELDS.values())


def _rising(numbers: Sequence[int]) -> set[int]:
    """As many numbers as possible that stand in their order."""
    best: list[tuple[int, Any]] = []  # of each length the sequence that ends lowest: its last number, and the rest
    for number in numbers:
        at = bisect_left(best, number, key=itemgetter(0))
        best[at : at + 1] = [(number, best[at - 1] if at else None)]
    found: set[int] = set()
    rest = best[-1] if best else None
    while rest is not None:
        last, rest = rest
        found.add(last)
    return found
