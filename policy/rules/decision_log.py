"""A decision as a line of the log that LOCK_POLICY_LOG names: what it was, and the facts that decide it again.

Of an environment variable nothing is written but the answers to what rules ask about it: a value may be a secret.
"""

from __future__ import annotations

from policy.errors import PolicyError
from policy.rules.condition import Environ, Pipx, Root, matches_text
from policy.rules.conditions import CONDITIONS, flat
from policy.rules.effect import effect, inside
from policy.rules.excludes import excludes
from policy.rules.plain import BUILT_IN_LAYER
from policy.rules.request import Request
from policy.variables import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from policy.rules.condition import Match
    from policy.rules.decision import Decision
    from policy.rules.rule import AnyRules

    # of each variable what rules ask: true or false for a boolean, else a glob
    Spelled = Mapping[str, Mapping[bool | str, None]]

EVENT = "decided"
OF_HOME = ""  # no variable has this name


def entry(decision: Decision) -> dict[str, Any]:
    """What is written about a decision.

    Args:
        decision: It.

    Raises:
        PolicyError: When its plan cannot be made.
    """
    rule, environment = decision.matched, decision.environment
    own = inside(rule, CONDITIONS[Root.key].get(decision.request)[-1])
    file, line = (None, None) if rule.layer == BUILT_IN_LAYER else (rule.file, rule.line)
    return {
        "rule": {"name": rule.name, "file": file, "line": line, "layer": rule.layer, "lock": rule.lock},
        "effect": effect(rule, decision.chain.settings, system=environment.kind == "system", inside=own),
        "facts": facts(decision.request, decision.chain.rules),
        "plan": [lock.record() for lock in decision.plan],
        "excluded": [f"{one['who']} ({one['where']})" for one in excludes(decision) if one["excluded"]],
    }


def facts(request: Request, rules: AnyRules) -> dict[str, Any]:
    """The facts of a request; one that cannot be observed is left out.

    Args:
        request: It; what is observed here is not kept in it.
        rules: Those that were asked; of variables and of the home directory they say what is written.
    """
    asked = Request(request.environment, request.caller, request.facts)
    asked.project = request.project
    known: dict[str, Any] = {}
    for key, condition in CONDITIONS.items():
        if condition.assumable:
            try:
                known[field(key)] = condition.get(asked)
            except (PolicyError, OSError, ValueError):
                continue
    variables = spelled(rules)
    if OF_HOME in variables:
        known["home"] = request.home
    environ = request.caller.environ
    known[Environ.key] = {name: _answers(environ.get(name), asks) for name, asks in variables.items() if name}
    return known


def field(key: str) -> str:
    """The name of a fact in the log.

    Args:
        key: That of its condition.
    """
    return key.replace("-", "_")


def _answers(value: str | None, asks: Mapping[bool | str, None]) -> list[list[bool | str]] | None:
    """What a variable answers with yes, and what with no; None where it is unset."""
    if value is None:
        return None
    answers: list[list[bool | str]] = [[], []]
    for ask in asks:
        holds = boolean(value) is ask if isinstance(ask, bool) else matches_text((ask,), value)
        answers[not holds].append(ask)
    return answers


def spelled(rules: AnyRules) -> Spelled:
    """What rules ask of each environment variable, and that they ask about the home directory.

    Args:
        rules: They.
    """
    found: dict[str, dict[bool | str, None]] = {}
    for rule in rules:
        for name, ask in _asks(rule.match):
            found.setdefault(name, {})[ask] = None
    return found


def _asks(match: Match) -> Iterator[tuple[str, bool | str]]:
    for _, condition, expected in flat(match):
        if isinstance(condition, Environ):
            for name, wanted in expected:
                for ask in (wanted,) if isinstance(wanted, bool) else wanted:
                    yield name, ask
        elif isinstance(condition, Pipx) or (condition.is_path and any(pattern[:1] == "~" for pattern in expected)):
            yield OF_HOME, True
