"""A request that is supposed: an environment and a caller of their own, and every fact given.

Nothing of this machine is looked at, and nothing of it is remembered for real requests.
"""

from __future__ import annotations

import os

from policy.environment.discovery import Environment
from policy.rules import paths
from policy.rules.condition import PLAIN_PREFIX
from policy.rules.conditions import CONDITIONS, Combinator
from policy.rules.request import Caller, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

HOME, CWD = "home", "cwd"
PLAIN_HOME = "/home/user"

FACTS = {key: condition for key, condition in CONDITIONS.items() if not isinstance(condition, Combinator)}

DEFAULTS: Mapping[str, Any] = {HOME: PLAIN_HOME, CWD: "/", **{key: condition.plain for key, condition in FACTS.items()}}
"""A writable virtual environment on Linux, and a caller without variables, project or operation."""


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All facts: those that are given, what follows from them, and the fixed rest.

    Args:
        given: By the key of their condition, `home` among them.
    """
    home = given.get(HOME) or dict(given.get("env", ())).get("HOME") or PLAIN_HOME
    known = {
        key: _path(value, home)
        if isinstance(value, str) and (key == CWD or (key in FACTS and FACTS[key].is_path))
        else value
        for key, value in given.items()
    }
    kind = known.get("kind", DEFAULTS["kind"])
    if kind == "system":
        known.setdefault("environment", _above(known["interpreter"]) if "interpreter" in known else PLAIN_PREFIX)
    elif kind == "virtualenv" and "interpreter" in known:
        known.setdefault("environment", _above(known["interpreter"]))
    if kind == "system" or (kind == "virtualenv" and "environment" in known):
        name = "python3" if kind == "system" else "python"
        known.setdefault("interpreter", f"{_spelled(known['environment']).rstrip('/')}/bin/{name}")
    elif kind != "virtualenv":  # --target and --prefix: the interpreter stands elsewhere
        known.setdefault("interpreter", DEFAULTS["base-interpreter"])
    if kind != "virtualenv":
        known.setdefault("base-interpreter", known["interpreter"])
    return {**DEFAULTS, **known, HOME: home}


def request(given: Mapping[str, Any]) -> Request:
    """The request of which some facts are given.

    Args:
        given: By the key of their condition, `home` among them; a fact that is not given has a fixed value.
    """
    known = complete(given)
    caller = Caller(dict(known.pop("env")), known.pop(CWD))
    supposed = Request(Environment("", "", "", "", "assumption"), caller)
    follow(supposed, known)
    supposed.caller.project = supposed.caller.project or None
    return supposed


def _path(value: str, home: str) -> str:
    return paths.normal(home + value[1:] if value[:1] == "~" else value) if value else ""


def _spelled(path: str | tuple[str, ...]) -> str:
    """A path as spelled; "" where there is none."""
    return path if isinstance(path, str) else path[0] if path else ""


def _above(interpreter: str | tuple[str, ...]) -> str:
    """The root that an interpreter in its `bin` folder has."""
    interpreter = _spelled(interpreter)
    return os.path.dirname(os.path.dirname(interpreter)) or "/"


def follow(request: Request, assumed: Mapping[str, Any]) -> None:
    """Takes facts for true in a request: what is locked and who asks are then of its own, and the plan follows them.

    Args:
        request: The request.
        assumed: By the key of their condition.
    """
    request.facts.update(assumed)
    request.given = True
    known, real = request.environment, dict(assumed)
    request.environment = Environment(
        _spelled(real.get("interpreter", known.interpreter)),
        _spelled(real.get("environment", known.root)),
        real.get("kind", known.kind),
        _spelled(real["base-interpreter"]) if "base-interpreter" in real else lambda: known.base_interpreter,
        known.found_by,
        known.stdlib,
    )
    caller = request.caller
    project = _spelled(real["project"]) if "project" in real else caller.project
    request.caller = Caller(caller.environ, caller.cwd, real.get("operation", caller.operation), project)
