"""What each rule answered, condition by condition."""

from __future__ import annotations

from policy.rules.condition import KNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from policy.rules.condition import Match
    from policy.rules.request import Request
    from policy.rules.rule import AnyRule, AnyRules, Step

    Trace = list[tuple[AnyRule, str, list[dict[str, Any]]]]


def trace(rules: AnyRules, matched: int, request: Request, most: int | None = None) -> Trace:
    """Each rule, its outcome, its conditions answered.

    Args:
        rules: The chain's.
        matched: Which of them decides.
        request: What was asked; it keeps the facts, so nothing is observed twice.
        most: Leave out rules from the middle of those that said no, and from the end of those that were not reached, so
            that about as many remain on either side; absent: every rule.
    """
    found: Trace = []
    for number in _shown(matched, len(rules), most):
        rule = rules[number]
        if number > matched:
            found.append((rule, "not-reached", []))
        else:
            found.append((rule, "matched" if number == matched else "no", checks(rule.match, request)))
    return found


def steps(rules: AnyRules, matched: int, request: Request) -> tuple[Step, ...]:
    """The same for every rule, as values of the public API.

    Args:
        rules: The chain's.
        matched: Which of them decides.
        request: What was asked.
    """
    from policy.rules.rule import Check, Rule, Step

    return tuple(
        Step(Rule.of(rule), outcome, tuple(Check.of(record) for record in records))
        for rule, outcome, records in trace(rules, matched, request)
    )


def _shown(matched: int, count: int, most: int | None) -> list[int]:
    if most is None:
        return list(range(count))
    tried = list(range(matched + 1))
    if len(tried) > most:
        tried = [*tried[: most // 2], *tried[-(most // 2) :]]
    return [*tried, *range(matched + 1, min(count, matched + 1 + most))]


def checks(match: Match, request: Request) -> list[dict[str, Any]]:
    """Every condition of a match table, answered: what it wants, what it saw.

    Args:
        match: The table.
        request: What was asked.
    """
    return [_check(key, expected, request) for key, expected in match]


def _check(key: str, expected: Any, request: Request) -> dict[str, Any]:
    condition = KNOWN[key]
    record: dict[str, Any] = {
        "key": key,
        "expected": condition.toml(expected),
        "seen": None,
        "passed": condition.holds(expected, request),
        "caller": condition.asks(expected),
    }
    if tables := condition.tables(expected):
        record["checks"] = [checks(match, request) for match in tables]
    else:
        record["seen"] = condition.display(expected, condition.get(request))
        if key in request.details:
            record["detail"] = request.details[key]
    return record


def failing(match: Match, request: Request) -> Iterator[str]:
    """The questions of a match table that fail, each when it is asked for: an environment variable is one.

    Args:
        match: The table.
        request: What was asked.
    """
    for key, expected in match:
        for name, one in KNOWN[key].questions(expected):
            if not KNOWN[key].holds(one, request):
                yield name
