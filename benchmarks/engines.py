"""Each engine: from the same rules to a statement that timeit can repeat, and a function that answers."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import scenarios
from policy.environment.discovery import Environment
from policy.rules.decision import PlainChain
from policy.rules.plain import BUILT_IN, PlainRule
from policy.rules.request import Caller, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

OURS, OURS_NEW = "lock-policy", "lock-policy, another environment each time"
IF, IF_NEW, IF_PATH = (
    "hand-written `if`",
    "hand-written `if`, another path each time",
    "hand-written `if` that also names the file",
)
LOOP = "regex loop"


@dataclass(frozen=True)
class Engine:
    """Rules, loaded.

    Attributes:
        statement: Decides about the environment that the last rule matches.
        names: What the statement uses.
        answer: The lock of any root.
    """

    statement: str
    names: Mapping[str, Any]
    answer: Callable[[str], str]


def interpreter(root: str) -> str:
    return f"{root}/bin/python"


def environment(root: str) -> Environment:
    return Environment(interpreter(root), root, "virtualenv", "/usr/bin/python3")


def program(patterns: list[tuple[str, str]]) -> PlainChain:
    """Rules about the interpreter, as (glob, lock), with the built-in ones below them."""
    rules = [
        PlainRule(
            (lock,),
            (("interpreter", (pattern,)),),
            f"rule-{at}",
            file="/lock-policy.toml",
            line=at + 1,
            layer="project",
        )
        for at, (pattern, lock) in enumerate(patterns)
    ]
    return PlainChain([*rules, *BUILT_IN])


def _ours(number: int) -> Engine:
    made = program([(f"{case.folder}/**", case.lock) for case in scenarios.cases(number)])
    caller = Caller({}, "/")
    names = {
        "decide": made.decide,
        "Request": Request,
        "environment": environment(scenarios.last(number)),
        "caller": caller,
    }

    def answer(root: str) -> str:
        # neither a marker nor a missing directory of this machine may answer for a root that does not exist
        facts = {"externally-managed": False, "writable": True}
        return made.decide(Request(environment(root), caller, facts)).lock[0]

    return Engine("decide(Request(environment, caller))", names, answer)


def _ours_new(number: int) -> Engine:
    found = _ours(number)
    several = itertools.cycle(scenarios.others(number))
    return Engine(
        "decide(Request(environment(next(several)), caller))",  # made anew, for one that is kept knows its links
        {**found.names, "environment": environment, "next": next, "several": several},
        found.answer,
    )


def _patterns(number: int) -> list[tuple[Callable[[str], object], str]]:
    return [(re.compile(f"(?s:{re.escape(case.folder)}/.*)").fullmatch, case.lock) for case in scenarios.cases(number)]


def _written(number: int, answer: str) -> Callable[[str, str], str]:
    """What a programmer would write, so many times; `answer` is the expression that follows each `return`."""
    names: dict[str, Any] = {"files": {"global": "/tmp/lock-policy.lock"}}
    lines = ["def decide(path, root):"]
    for at, (matches, lock) in enumerate(_patterns(number)):
        names[f"matches_{at}"] = matches
        lines += [f"    if matches_{at}(path):", f"        return {answer.format(lock=lock)}"]
    lines.append(f"    return {answer.format(lock=scenarios.DEFAULT)}")
    exec("\n".join(lines), names)
    return names["decide"]  # type: ignore[no-any-return]  # made by exec


def _if(number: int) -> Engine:
    decide = _written(number, "{lock!r}")
    root = scenarios.last(number)
    return Engine(
        "decide(path, root)",
        {"decide": decide, "path": interpreter(root), "root": root},
        lambda root: decide(interpreter(root), root),
    )


def _if_path(number: int) -> Engine:
    decide = _written(number, 'root + "/.lock" if {lock!r} == "local" else files["global"]')
    root = scenarios.last(number)
    return Engine(
        "decide(path, root)",
        {"decide": decide, "path": interpreter(root), "root": root},
        lambda root: "local" if decide(interpreter(root), root) == f"{root}/.lock" else "global",
    )


def _if_new(number: int) -> Engine:
    found = _if(number)
    several = itertools.cycle([interpreter(root) for root in scenarios.others(number)])
    return Engine("decide(next(several), root)", {**found.names, "several": several}, found.answer)


def _loop(number: int) -> Engine:
    patterns = _patterns(number)

    def decide(path: str) -> str:
        for matches, lock in patterns:
            if matches(path):
                return lock
        return scenarios.DEFAULT

    return Engine(
        "decide(path)",
        {"decide": decide, "path": interpreter(scenarios.last(number))},
        lambda root: decide(interpreter(root)),
    )


def _casbin(number: int) -> Engine:
    """The first policy decides (`priority`); keyMatch is casbin's quickest way to match a folder."""
    import casbin

    model = casbin.Enforcer.new_model(
        text="""
[request_definition]
r = obj
[policy_definition]
p = obj, eft
[policy_effect]
e = priority(p.eft) || deny
[matchers]
m = keyMatch(r.obj, p.obj)
"""
    )
    enforcer = casbin.Enforcer(model)
    enforcer.add_policies(
        [[f"{case.folder}/*", "allow" if case.lock == "global" else "deny"] for case in scenarios.cases(number)]
    )
    return Engine(
        "enforce(path)",
        {"enforce": enforcer.enforce, "path": interpreter(scenarios.last(number))},
        lambda root: "global" if enforcer.enforce(interpreter(root)) else "local",
    )


def _cedar(number: int) -> Engine:
    """Policies and entities parsed beforehand, which cedarpy has handles for."""
    import cedarpy

    text = "\n".join(
        f"{'permit' if case.lock == 'global' else 'forbid'}(principal, action, resource) "
        f'when {{ context.interpreter like "{case.folder}/*" }};'
        for case in scenarios.cases(number)
    )
    policies = cedarpy.PolicySet.from_str(text)
    entities = cedarpy.Entities.from_json_str("[]")

    def request(root: str) -> dict[str, Any]:
        return {
            "principal": 'User::"u"',
            "action": 'Action::"lock"',
            "resource": 'Environment::"e"',
            "context": {"interpreter": interpreter(root)},
        }

    return Engine(
        "is_authorized(request, policies, entities)",
        {
            "is_authorized": cedarpy.is_authorized,
            "request": request(scenarios.last(number)),
            "policies": policies,
            "entities": entities,
        },
        lambda root: "global" if cedarpy.is_authorized(request(root), policies, entities).allowed else "local",
    )


def _rule_engine(number: int) -> Engine:
    """Rules compiled beforehand, asked in order."""
    import rule_engine

    rules = [
        (rule_engine.Rule(f'interpreter =~ "^{case.folder}/.*"').matches, case.lock) for case in scenarios.cases(number)
    ]

    def decide(thing: dict[str, str]) -> str:
        for matches, lock in rules:
            if matches(thing):
                return lock
        return scenarios.DEFAULT

    return Engine(
        "decide(thing)",
        {"decide": decide, "thing": {"interpreter": interpreter(scenarios.last(number))}},
        lambda root: decide({"interpreter": interpreter(root)}),
    )


def _rego(number: int) -> Engine:
    """The rules are data and the query is compiled beforehand, the quickest of the ways that were tried."""
    import regopy

    rego = regopy.Interpreter()
    rules = [{"prefix": f"{case.folder}/", "lock": case.lock} for case in scenarios.cases(number)]
    rego.add_data_json(json.dumps({"rules": rules}))
    rego.add_module(
        "locks.rego",
        "package locks\n"
        "found := [rule.lock | some rule in data.rules; startswith(input.interpreter, rule.prefix)]\n"
        f'default lock := "{scenarios.DEFAULT}"\n'
        "lock := found[0]\n",
    )
    query = rego.build("data.locks.lock", [])

    def decide(path: str) -> str:
        rego.set_input_term(f'{{"interpreter": "{path}"}}')
        return rego.query_bundle(query).results[0].expressions[0]  # type: ignore[no-any-return]  # regopy has no types

    return Engine(
        "decide(path)",
        {"decide": decide, "path": interpreter(scenarios.last(number))},
        lambda root: decide(interpreter(root)),
    )


ENGINES: dict[str, Callable[[int], Engine]] = {
    OURS: _ours,
    OURS_NEW: _ours_new,
    IF: _if,
    IF_NEW: _if_new,
    IF_PATH: _if_path,
    LOOP: _loop,
}

# each with the module that must be there
PEERS: dict[str, tuple[str, Callable[[int], Engine]]] = {
    "pycasbin": ("casbin", _casbin),
    "cedarpy": ("cedarpy", _cedar),
    "rule-engine": ("rule_engine", _rule_engine),
    "regopy": ("regopy", _rego),
}


def missing(module: str) -> bool:
    return importlib.util.find_spec(module) is None
