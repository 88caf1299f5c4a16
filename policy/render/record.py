"""A decision as plain data: the one shape behind every output format (version 1 is a contract)."""

from __future__ import annotations

import os

from policy.rules import engine, hints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from policy.rules.plan import LockFile

VERSION = 1


def record(decision: engine.Decision, warnings: Sequence[str] = (), most: int | None = None) -> dict[str, Any]:
    """The decision as dicts, lists, strings and numbers.

    Args:
        decision: What was decided.
        warnings: What was noticed while the configuration was read.
        most: About how many rules the steps show before and after the one that matched, `untold` counting those left
            out; absent: every rule.
    """
    environment = decision.environment
    trace = engine.steps(decision, most)
    other = decision.other
    result: dict[str, Any] = {
        "version": VERSION,
        "lock": decision.lock,
        "plan": _plan(decision.plan),
        "rule": rule(decision.row),
        "timeout": decision.timeout,
        "environment": {name: getattr(environment, name) for name in _ENVIRONMENT},
        "steps": [{"rule": rule(row), "outcome": outcome, "checks": checks} for row, outcome, checks in trace],
        "agreement": {"agrees": decision.agrees, "plan": _plan(other.plan)},
        "hints": hints.hints(decision, trace),
        "warnings": list(warnings),
    }
    if most is not None:
        tried = sum(outcome != "not-reached" for _, outcome, _ in trace)
        rows = len(decision.program.rows)
        result["untold"] = [decision.index + 1 - tried, rows - decision.index - 1 - (len(trace) - tried)]
    if decision.corrected:
        result["corrected"] = decision.corrected
    return result


_ENVIRONMENT = ("interpreter", "root", "kind", "base_interpreter", "found_by")


def _plan(plan: Sequence[LockFile]) -> list[dict[str, str]]:
    return [{"path": file.path, "purpose": file.purpose} for file in plan]


def rule(row: engine.Row) -> dict[str, Any]:
    """A rule as it is referred to; built-in ones have no file and no line."""
    own = row[engine.LAYER] != "built-in"
    return {
        "name": row[engine.NAME],
        "file": row[engine.FILE] if own else None,
        "line": row[engine.LINE] if own else None,
        "layer": row[engine.LAYER],
        "lock": row[engine.LOCK],
        "reason": row[engine.REASON],
    }


def label(rule: dict[str, Any]) -> str:
    """A rule's name and where it is written, for people."""
    where = f"{shorten(rule['file'])}:{rule['line']}" if rule["file"] else "built in"
    if not rule["name"]:
        return where
    return f"{rule['name']} ({where})"


def shorten(path: str) -> str:
    """A path relative to the working directory where it is below it."""
    try:
        here = os.getcwd()
    except OSError:  # the working directory was removed
        return path
    return path[len(here) + 1 :] if path.startswith(here + "/") else path
