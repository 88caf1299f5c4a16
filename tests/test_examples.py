"""Every good example passes the reader, the schema, `check --strict` and `test`; every bad one fails as it says."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from policy.__main__ import main
from policy.checks.lint import check
from policy.config import layers
from policy.config.layers import Source
from policy.config.read import KEYS, read_file
from policy.config.schema import file_schema
from policy.render import findings
from policy.rules.conditions import CONDITIONS
from policy.rules.rule import KEYS as RULE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[1] / "examples"
GOOD = sorted([*EXAMPLES.glob("good/*.toml"), *EXAMPLES.glob("*.toml")])
BAD = sorted(EXAMPLES.glob("bad/*.toml"))
SCHEMA = jsonschema.Draft7Validator(file_schema())
LAYER = "# layer: "
REASON = "# schema: "


def _layer(file: Path) -> str:
    """The layer that an example is for."""
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix(LAYER) if first.startswith(LAYER) else "project"


def _expected(file: Path) -> tuple[str, str]:
    """The errors of a bad example, and why the schema accepts it; empty where it refuses it."""
    first, end, rest = file.with_suffix(".errors.txt").read_text(encoding="utf-8").partition("\n")
    return (rest, first.removeprefix(REASON)) if first.startswith(REASON) else (first + end + rest, "")


def _schema_refuses(file: Path) -> bool:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError:
        return False  # nothing reaches it
    return not SCHEMA.is_valid(content)


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_good(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good example is accepted by everything, and its tests pass and reach all of its rules."""
    layer = _layer(file)
    assert read_file(Source(layers.layer(layer), str(file))).document.file == str(file)
    assert not _schema_refuses(file)
    assert main(["check", "--strict", "--layer", layer, str(file)]) == 0
    assert main(["test", "--layer", layer, str(file)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "reaches" not in captured.out


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_bad(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad example is refused with exactly the errors beside it, by the schema too unless they say why not."""
    monkeypatch.chdir(file.parent)
    errors, reason = _expected(file)
    report = check([Source(layers.PROJECT, file.name)], together=False)
    assert findings.text(report, color=False) == errors
    assert main(["check", file.name]) == 2
    captured = capsys.readouterr()
    assert captured.err == errors
    assert captured.out == findings.summary(report) + "\n"
    assert _schema_refuses(file) is not bool(reason)


def test_each_bad_example_says_what_is_wrong() -> None:
    """No errors file lies there without its example, and none is missing."""
    assert {file.with_suffix("").stem for file in EXAMPLES.glob("bad/*.errors.txt")} == {file.stem for file in BAD}


def test_everything_is_shown() -> None:
    """The good examples use every key of the file and of a rule, and every condition."""

    def conditions(match: dict[str, object]) -> Iterator[str]:
        for key, value in match.items():
            yield key
            for table in value if isinstance(value, list) else [value]:
                if isinstance(table, dict) and key in {"any", "all", "not"}:
                    yield from conditions(table)

    contents = [tomllib.loads(file.read_text(encoding="utf-8")) for file in GOOD]
    rules = [rule for content in contents for rule in content.get("rules", ())]
    assert {key for content in contents for key in content} == set(KEYS)
    assert {key for rule in rules for key in rule} == set(RULE_KEYS)
    assert {key for rule in rules for key in conditions(rule.get("match", {}))} == set(CONDITIONS)
