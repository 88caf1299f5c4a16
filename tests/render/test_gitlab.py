from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from policy.checks.lint import check
from policy.render.gitlab import as_gitlab
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

# What GitLab's documentation of Code Quality says that each violation has.
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string"},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": r"^(?!\./)"},
                    "lines": {"type": "object", "required": ["begin"], "properties": {"begin": {"minimum": 1}}},
                },
            },
        },
    },
}


def shown(folder: Path, text: str) -> Any:
    """The report about a file."""
    record = json.loads(as_gitlab(check([factories.source(folder / "a.toml", text)], together=False)))
    jsonschema.Draft7Validator(SCHEMA).validate(record)
    return record


def test_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding is a violation with its file below the working directory, and a fingerprint of its own."""
    monkeypatch.chdir(tmp_path)
    text = '[[rules]]\nlock = "x"\n[[rules]]\nlock = "x"\n[[rules]]\nname = "default"\nlock = "both"\n'
    found = shown(tmp_path, text)
    assert [(one["check_name"], one["severity"], one["location"]["lines"]["begin"]) for one in found] == [
        ("wrong-value", "critical", 2),
        ("wrong-value", "critical", 4),
    ]
    assert {one["location"]["path"] for one in found} == {"a.toml"}
    assert len({one["fingerprint"] for one in found}) == 2


def test_fingerprints_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding is the same one when lines are put before it, so that only new ones are shown as new."""
    monkeypatch.chdir(tmp_path)
    before, after = (shown(tmp_path, f'{comment}timout = "x"\n') for comment in ("", "# more\n\n"))
    assert [one["fingerprint"] for one in before] == [one["fingerprint"] for one in after]
    assert before[0]["location"] != after[0]["location"]


def test_nothing(tmp_path: Path) -> None:
    """Without a finding the list is empty."""
    assert shown(tmp_path, "") == []


@pytest.mark.parametrize("name", ["description", "fingerprint", "location"])
def test_the_schema_refuses(name: str) -> None:
    """A violation that lacks something is refused, so that a report which is allowed says something."""
    whole = {"description": "d", "check_name": "c", "fingerprint": "f", "severity": "info"}
    whole |= {"location": {"path": "p", "lines": {"begin": 1}}}  # type: ignore[dict-item]  # another type than the rest
    validator = jsonschema.Draft7Validator(SCHEMA)
    assert validator.is_valid([whole])
    assert not validator.is_valid([{key: value for key, value in whole.items() if key != name}])
