"""Running the `[[tests]]` of a configuration file: the same deciding as always, with facts that are given.

Nothing is observed: a fact that a test does not give has a fixed value, so that it passes on every machine or on none.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from attrs import frozen

from policy.config.cases import FACTS
from policy.config.read import chain
from policy.environment.discovery import Environment
from policy.rules import globs
from policy.rules.conditions import PLAIN_PREFIX
from policy.rules.request import Caller, Request
from policy.rules.trace import checks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policy.config.cases import Case
    from policy.config.read import Configuration
    from policy.rules.chain import Chain
    from policy.rules.decision import Decision
    from policy.rules.rule import AnyRule, Rule

PATHS = ("interpreter", "base-interpreter", "environment", "project")

DEFAULTS: Mapping[str, Any] = {key: condition.plain for key, condition in FACTS.items()}
"""A writable virtual environment on Linux, and a caller without variables, project or operation."""


def facts(given: Mapping[str, Any]) -> dict[str, Any]:
    """All facts of a test: those that it gives, what follows from them, and the fixed rest.

    Args:
        given: By the key of their condition.
    """
    known = {key: _path(value) if key in PATHS else value for key, value in given.items()}
    kind = known.get("kind", DEFAULTS["kind"])
    if kind == "system":
        known.setdefault("environment", _above(known["interpreter"]) if "interpreter" in known else PLAIN_PREFIX)
    elif kind == "virtualenv" and "interpreter" in known:
        known.setdefault("environment", _above(known["interpreter"]))
    if kind == "system" or (kind == "virtualenv" and "environment" in known):
        name = "python3" if kind == "system" else "python"
        known.setdefault("interpreter", f"{known['environment'].rstrip('/')}/bin/{name}")
    elif kind != "virtualenv":  # --target and --prefix: the interpreter stands elsewhere
        known.setdefault("interpreter", DEFAULTS["base-interpreter"])
    if kind != "virtualenv":
        known.setdefault("base-interpreter", known["interpreter"])
    return {**DEFAULTS, **known}


def _path(value: str) -> str:
    return globs.normal(os.path.expanduser(value))


def _above(interpreter: str) -> str:
    """The root that an interpreter in its `bin` folder has."""
    return os.path.dirname(os.path.dirname(interpreter)) or "/"


@frozen(eq=False)
class Trial:
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
class Trials:
    """The tests of a file, run.

    Args:
        file: The file.
        trials: In its order.
        rules: How many rules it has.
        unreached: Those of its rules that decide none of its tests.
    """

    file: str
    trials: tuple[Trial, ...]
    rules: int
    unreached: tuple[Rule, ...]

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(not trial.passed for trial in self.trials)


def run(configuration: Configuration) -> Trials:
    """Runs the tests of a file against its own rules, which the built-in ones follow.

    Args:
        configuration: The file.
    """
    rules = chain([configuration])
    trials = tuple(_try(rules, case) for case in configuration.tests)
    reached = {trial.decision.index for trial in trials}
    own = range(len(configuration.rules))
    unreached = tuple(rules.rules[number] for number in own if number not in reached)
    return Trials(configuration.document.file, trials, len(configuration.rules), unreached)


def _try(rules: Chain, case: Case) -> Trial:
    known = facts(case.given)
    # where the lock files would be does not matter, so nothing on this machine is looked at
    environment = Environment(
        known["interpreter"], known["environment"], known["kind"], known["base-interpreter"], "test"
    )
    caller = Caller(dict(known.pop("env")), "/", known["operation"], known["project"] or None)
    return Trial(case, rules.decide(Request(environment, caller, known)))
