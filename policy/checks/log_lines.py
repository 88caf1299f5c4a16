"""The decisions in a file that LOCK_POLICY_LOG named, read with distrust: anybody may have written there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from attrs import frozen

from policy import host
from policy.errors import UsageError
from policy.locks.journal import EVENTS, LONGEST
from policy.rules import globs
from policy.rules.condition import ENVIRONMENT_KINDS, EnvironmentKind, FlagCondition, PathCondition
from policy.rules.decision_log import EVENT, field
from policy.rules.paths import normal
from policy.rules.supposition import FACTS
from policy.variables import MAX_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    from policy.rules.condition import Condition

    Answers = tuple[tuple[bool | str, ...], tuple[bool | str, ...]]

_CHUNK = 65_536


@frozen(eq=False)
class Logged:
    """A decision.

    Args:
        rule: What decided: `name`, `file`, `line`, `layer` and `lock`.
        effect: What that did.
        facts: By the key of their condition; one that could not be observed is not there.
        home: What `~` stood for, where a rule asked.
        variables: What each answered with yes and with no; None where it was unset.
        configuration: `cwd`, and what was asked for: `config_file`, `no_config`, `project`.
        plan: The locks, where the line had room for them.
        excluded: Who was kept out, the same.
    """

    rule: Mapping[str, Any]
    effect: Mapping[str, Any]
    facts: Mapping[str, Any]
    home: str | None
    variables: Mapping[str, Answers | None]
    configuration: Mapping[str, Any]
    plan: tuple[Mapping[str, str], ...]
    excluded: tuple[str, ...]


class UnreadableError(ValueError):
    """A line that is no decision, nor another event of the log."""


def lines(path: str) -> Iterator[tuple[int, Logged | UnreadableError | None]]:
    """Each line with its number: a decision, or why it cannot be read, or None for another event.

    Args:
        path: The log.

    Raises:
        UsageError: It is no regular file, or cannot be read.
    """
    try:
        descriptor, _ = host.open_regular(path)
        with os.fdopen(descriptor, "rb") as file:
            for number, line in enumerate(_lines(file), 1):
                try:
                    yield number, parse(line)
                except UnreadableError as error:
                    yield number, error
    except host.IrregularError as error:
        raise UsageError(f"{path} {error}; name a file that LOCK_POLICY_LOG named") from None
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError:
        raise UsageError(f"{path!r}: not the name of a file") from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines; of one that is too long no more than shows it."""
    while line := file.readline(LONGEST + 1):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(_CHUNK)


def _constant(name: str) -> None:
    raise ValueError(name)


_decoder = json.JSONDecoder(parse_constant=_constant)


def parse(line: bytes) -> Logged | None:
    """A decision; None for another event.

    Args:
        line: A line of the log.

    Raises:
        UnreadableError: It is something else.
    """
    if not line.endswith(b"\n"):
        raise UnreadableError("too long" if len(line) > LONGEST else "cut off")
    try:
        record = _decoder.decode(line.decode("ascii"))
    except (ValueError, RecursionError):
        raise UnreadableError("not JSON") from None
    event = record.get("event") if isinstance(record, dict) else None
    if event != EVENT:
        if isinstance(event, str) and event in EVENTS:
            return None
        raise UnreadableError("not from lock-policy")
    facts = _table(record, "facts")
    return Logged(
        _rule(_table(record, "rule")),
        _effect(_table(record, "effect")),
        _facts(facts),
        _text(facts, "home"),
        _variables(facts),
        _configuration(_table(record, "configuration")),
        tuple([_lock(one) for one in _list(record, "plan")]),
        tuple([str(one) for one in _list(record, "excluded")]),
    )


def _table(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    if not isinstance(value, dict):
        raise UnreadableError(f"a decision without {name}")
    return value


def _list(record: dict[str, Any], name: str) -> list[Any]:
    value = record.get(name, [])
    if not isinstance(value, list):
        raise UnreadableError(f"{name} is no list")
    return value


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is not None and not isinstance(value, str):
        raise UnreadableError(f"{name} is no text")
    return value


def _rule(record: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {name: _text(record, name) for name in ("name", "file", "layer")}
    line = record.get("line")
    return {
        **rule,
        "line": line if isinstance(line, int) else None,
        "lock": [str(one) for one in _list(record, "lock")],
    }


def _effect(record: dict[str, Any]) -> dict[str, Any]:
    _table(record, "lock")
    known = all(isinstance(record.get(name), bool) for name in ("required", "shared", "unused"))
    timeout = record.get("timeout", "")
    if not known or not (timeout is None or (isinstance(timeout, (int, float)) and 0 <= timeout <= MAX_TIMEOUT)):
        raise UnreadableError("effect cannot be that")
    return record


def _configuration(record: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {name: _text(record, name) for name in ("cwd", "config_file", "project")}
    if not os.path.isabs(said["cwd"] or ""):
        raise UnreadableError("cwd is not an absolute path")
    return {**said, "no_config": record.get("no_config") is True}


def _lock(entry: Any) -> dict[str, str]:
    if not isinstance(entry, dict) or not (entry.keys() >= {"purpose", "path"} or entry.keys() >= {"purpose", "key"}):
        raise UnreadableError("plan holds something other than locks")
    return {str(key): str(value) for key, value in entry.items()}


def _facts(record: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, name, can_be in _FACTS:
        value = record.get(name)
        if value is None:
            continue
        if not can_be(value):
            raise UnreadableError(f"{name} cannot be that")
        facts[key] = tuple(value) if isinstance(value, list) else value
    if not facts.keys() >= IDENTITY:
        raise UnreadableError("a decision without an environment")
    return facts


def _check(condition: Condition) -> Callable[[Any], bool]:
    """The function that says whether a condition's fact can be as a log has it."""
    if isinstance(condition, PathCondition):
        least, most = int(not condition.absent), condition.spellings
        return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(_is_path, value))
    if isinstance(condition, FlagCondition):
        return lambda value: isinstance(value, bool)
    if isinstance(condition, EnvironmentKind):
        return lambda value: value in ENVIRONMENT_KINDS
    return lambda value: isinstance(value, str)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and os.path.isabs(value) and normal(value) == value and "\0" not in value


def _variables(facts: dict[str, Any]) -> dict[str, Answers | None]:
    variables = facts.get("env", {})
    if not isinstance(variables, dict):
        raise UnreadableError("env is no table")
    return {name: None if answers is None else _answers(answers) for name, answers in variables.items()}


def _answers(value: Any) -> Answers:
    known = isinstance(value, list) and len(value) == 2 and all(isinstance(one, list) for one in value)  # noqa: PLR2004  (yes and no)
    if not known or not all(isinstance(one, bool) or _is_glob(one) for one in (*value[0], *value[1])):
        raise UnreadableError("env holds something other than answers")
    return tuple(value[0]), tuple(value[1])


def _is_glob(value: Any) -> bool:
    return isinstance(value, str) and globs.text_problem(value) is None


_FACTS = [(key, field(key), _check(condition)) for key, condition in FACTS.items() if condition.assumable]
IDENTITY = frozenset({"environment", "interpreter", "kind"})  # which say what is locked
