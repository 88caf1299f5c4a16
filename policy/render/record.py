"""A decision as plain data: the one shape behind every output format (version 2 is a contract)."""

from __future__ import annotations

import os

from policy.rules import hints
from policy.rules.excludes import excludes
from policy.rules.trace import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from policy.rules.decision import Decision
    from policy.rules.rule import AnyRule
    from policy.subject import Subject
    from policy.wrap import Adaptation

VERSION = 2


def record(decision: Decision, warnings: Sequence[str] = (), most: int | None = None) -> dict[str, Any]:
    """The decision as dicts, lists, strings and numbers.

    What is for people only is left out by `contract`.

    Args:
        decision: What was decided.
        warnings: What was noticed while the configuration was read.
        most: About how many rules the steps show before and after the rule that matched; `untold` counts the others.
            Absent: every rule.
    """
    environment = decision.environment
    rules = decision.chain.rules
    told = trace(rules, decision.index, decision.request, most)
    result: dict[str, Any] = {
        "version": VERSION,
        "lock": list(decision.lock),
        "plan": [lock.record() for lock in decision.plan],
        "excludes": excludes(decision),
        "words": [str(lock) for lock in decision.plan],
        "rule": rule(decision.matched),
        "timeout": decision.timeout,
        "environment": {name: getattr(environment, name) for name in _ENVIRONMENT},
        "steps": [{"rule": rule(tried), "outcome": outcome, "checks": checks} for tried, outcome, checks in told],
        "hints": hints.hints(decision),
        "warnings": list(warnings),
    }
    if most is not None:
        tried = sum(outcome != "not-reached" for _, outcome, _ in told)
        result["untold"] = [decision.index + 1 - tried, len(rules) - decision.index - 1 - (len(told) - tried)]
    if decision.corrected:
        result["corrected"] = decision.corrected
    return result


def contract(record: dict[str, Any]) -> dict[str, Any]:
    """The record as programs read it: without the locks' own words."""
    return {key: value for key, value in record.items() if key != "words"}


_ENVIRONMENT = ("interpreter", "root", "exists", "kind", "base_interpreter", "found_by")


def command(subject: Subject, adaptation: Adaptation | None) -> dict[str, Any]:
    """What `policy run` does for a command.

    Args:
        subject: What the command is about.
        adaptation: What is different for it; None where nothing is held for it.
    """
    from policy.wrap import lockable  # an explanation of an environment needs none of it

    return {
        "apart": subject.apart,
        "uncertain": subject.uncertain,
        "shared": bool(adaptation and adaptation.shared),
        "left_to_uv": sorted(filter(lockable, adaptation.left)) if adaptation else [],
        "left_to_pipx": sorted(path for path in adaptation.left if not lockable(path)) if adaptation else [],
        "environ": adaptation.environ if adaptation else {},
        "notes": list(adaptation.notes) if adaptation else [],
    }


def command_rows(command: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is different for a command, for people: names and values; none where nothing is.

    Args:
        command: What `command` made of it.
    """
    rows = [("held", "for reading: others may read at the same time")] if command.get("shared") else []
    for program in ("uv", "pipx"):
        rows += [(f"left to {program}", path) for path in command.get(f"left_to_{program}", ())]
    rows += [("set for it", f"{name}={value}") for name, value in command.get("environ", {}).items()]
    rows += [("note", note) for note in command.get("notes", ())]
    if command.get("uncertain"):
        rows.append(("uncertain", command["uncertain"]))
    return rows


def notes(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The hints and warnings of a decision's record, each with its kind."""
    return [("hint", hint) for hint in record["hints"]] + [("warning", note) for note in record["warnings"]]


def apart(subject: Subject) -> dict[str, Any]:
    """The record of a command that changes no environment, for which nothing is held.

    Args:
        subject: What the command is about.
    """
    return {"version": VERSION, "lock": [], "plan": [], "environment": None, "command": command(subject, None)}


def name_of(entry: Mapping[str, Any]) -> str:
    """How people name a lock of a plan: its path, or its key."""
    return str(entry.get("path") or entry["key"])


def rule(rule: AnyRule) -> dict[str, Any]:
    """A rule as it is referred to; built-in ones have no file and no line."""
    own = rule.layer != "built-in"
    return {
        "name": rule.name,
        "file": rule.file if own else None,
        "line": rule.line if own else None,
        "layer": rule.layer,
        "lock": list(rule.lock),
        "reason": rule.reason,
    }


def effects(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """How locks were taken and how they are, by its name, where that differs.

    Args:
        old: What the one that decided did.
        new: What the one that decides does.
    """
    for key in ("timeout", "required", "shared", "unused"):
        values = _shown(old[key]), _shown(new[key])
        if values[0] != values[1]:
            yield key, *values


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g} s"


def written(lock: Sequence[str]) -> str:
    """The location of a lock as TOML has it, or the list of them."""
    quoted = [f'"{location}"' for location in lock]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


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
