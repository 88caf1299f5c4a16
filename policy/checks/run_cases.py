"""Running the `[[tests]]` of a configuration file: the same deciding as always, with facts that are given.

Nothing is observed: a fact that a test does not give has a fixed value, so that it passes on every machine or on none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from policy.checks.coverage import coverage
from policy.config.read import chain
from policy.rules.supposition import request
from policy.rules.trace import checks

if TYPE_CHECKING:
    from policy.checks.coverage import Coverage
    from policy.config.cases import Case
    from policy.config.read import Configuration
    from policy.rules.decision import Decision
    from policy.rules.rule import AnyRule


@frozen(eq=False)
class Result:
    """A test, run.

    Args:
        case: The test.
        decision: What the rules decided.
    """

    case: Case
    decision: Decision

    @property
    def passed(self) -> bool:
        """Whether the decision is the expected one."""
        wanted = self.case.rule
        return self.decision.lock == self.case.lock and wanted in {None, self.decision.matched.name}

    @property
    def wanted(self) -> AnyRule | None:
        """The rule that should have decided, where it did not; None where any may or there is none of that name."""
        if self.case.rule in {None, self.decision.matched.name}:
            return None
        return next((rule for rule in self.decision.chain.rules if rule.name == self.case.rule), None)

    def checks(self, rule: AnyRule) -> list[dict[str, Any]]:
        """The conditions of a rule, answered for this test."""
        return checks(rule.match, self.decision.request)


@frozen(eq=False)
class Results:
    """The tests of a file, run.

    Args:
        file: The file.
        results: In its order.
        coverage: What they reach of its rules.
    """

    file: str
    results: tuple[Result, ...]
    coverage: Coverage

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(not result.passed for result in self.results)


def run(configuration: Configuration) -> Results:
    """Runs the tests of a file against its own rules, which the built-in ones follow.

    Args:
        configuration: The file.
    """
    rules = chain([configuration])
    results = tuple(Result(case, rules.decide(request(case.given))) for case in configuration.tests)
    own = rules.rules[: len(configuration.rules)]
    return Results(configuration.document.file, results, coverage(own, [result.decision for result in results]))
