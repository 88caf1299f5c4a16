"""Tests for rules that no test reaches, each made from a request that the rule is shown to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policy.checks.reach import Reach
from policy.config.cases import Case
from policy.config.read import chain
from policy.rules.supposition import request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policy.checks.run_cases import Results
    from policy.config.read import Configuration


def proposals(file: Configuration, results: Results) -> Iterator[Case]:
    """A test for each rule that decides none, where a request is known that it decides.

    Args:
        file: The file.
        results: Its tests, run.
    """
    together = chain([file])
    rules = together.rules
    reach = Reach(rules)
    names = {case.name for case in file.tests}
    for rule in results.coverage.unreached:
        number = rules.index(rule)
        answer = reach.of(number)
        given = _given(answer.examples[0].facts) if answer.decides else None
        if given is not None and together.decide(request(given)).index == number:
            name = _name(rule.name or f"rule {number + 1}", names)
            names.add(name)
            yield Case(name, given, rule.lock, rule.name or None)


def _given(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as a test gives them: of the spellings of a path the first."""
    return {key: value[0] if isinstance(value, tuple) and key != "env" else value for key, value in facts.items()}


def _name(rule: str, taken: set[str]) -> str:
    names = (f"{rule} decides{number}" for number in ("", *(f" {n}" for n in range(2, len(taken) + 3))))
    return next(name for name in names if name not in taken)
