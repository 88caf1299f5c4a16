"""The schema is what the code says, and says what the reader does."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from validate_pyproject.api import Validator
from validate_pyproject.errors import ValidationError
from validate_pyproject.plugins import PluginWrapper

from policy.__main__ import main
from policy.config import schema
from policy.config.layers import SYSTEM, Source
from policy.config.read import KEYS, SPECIFIERS, read_file
from policy.errors import ConfigError
from policy.rules import globs
from policy.rules.conditions import CONDITIONS
from policy.rules.match import DEEPEST
from policy.rules.shapes import PATHS, TEXTS
from tests.generated import VALIDATOR, odd, right
from tests.strategies import files

SCHEMAS = Path(__file__).parents[2] / "schemas"
FILES = {
    "lock-policy.schema.json": [],
    "pyproject.schema.json": ["--pyproject"],
    "pyproject-file.schema.json": ["--pyproject-file"],
}
FILE_SCHEMA = schema.file_schema()


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_fresh(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The schemas in the repository are what `policy schema` prints."""
    assert main(["schema", *FILES[name]]) == 0
    fresh = SCHEMAS.joinpath(name).read_text(encoding="utf-8") == capsys.readouterr().out
    assert fresh, f"stale: policy schema {' '.join(FILES[name])} > schemas/{name}"


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_they_are_schemas(name: str) -> None:
    """check-jsonschema finds them to be valid draft-07."""
    command = [sys.executable, "-m", "check_jsonschema", "--check-metaschema", str(SCHEMAS / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_key_is_described() -> None:
    """An editor has a sentence for each key that can be written."""
    undescribed = []

    def visit(node: object, path: str) -> None:
        if isinstance(node, list):
            for item in node:
                visit(item, path)
        if isinstance(node, dict):
            properties = node.get("properties")
            for key, value in properties.items() if isinstance(properties, dict) else ():
                definition = FILE_SCHEMA["definitions"].get(value.get("$ref", "").rpartition("/")[2], {})
                if not value.get("description", definition.get("description")):
                    undescribed.append(f"{path}.{key}")
            for key, value in node.items():
                visit(value, f"{path}.{key}")

    visit(FILE_SCHEMA, "")
    assert undescribed == []


def test_a_new_condition_is_in_it() -> None:
    """Every condition of CONDITIONS, and every key of the file, is a property."""
    definitions = FILE_SCHEMA["definitions"]
    assert set(definitions["match-1"]["properties"]) == set(CONDITIONS)
    assert set(definitions[f"match-{DEEPEST}"]["properties"]) == set(CONDITIONS) - {"any", "all", "not"}
    assert set(FILE_SCHEMA["properties"]) == set(KEYS)


@pytest.mark.parametrize("key", [key for key, condition in CONDITIONS.items() if hasattr(condition, "examples")])
def test_examples_of_conditions_are_right(key: str) -> None:
    """What the schema shows as an example, the schema accepts."""
    validator = jsonschema.Draft7Validator(FILE_SCHEMA)
    for example in CONDITIONS[key].examples:
        content = {"rules": [{"lock": "both", "match": {key: example}}]}
        assert list(validator.iter_errors(content)) == []


def _pyproject(table: dict[str, Any]) -> dict[str, Any]:
    return {"project": {"name": "a", "version": "1"}, "tool": {"lock-policy": table}}


def test_validate_pyproject_takes_it() -> None:
    """validate-pyproject accepts a right table and refuses a wrong one, however deep inside."""
    validator = Validator(plugins=[PluginWrapper("lock-policy", schema.tool_schema)])  # type: ignore[arg-type]  # it wants a schema of its own type
    right = {"rules": [{"lock": "both", "match": {"any": [{"not": {"env": {"CI": True}}}]}}]}
    wrong = {"rules": [{"lock": "both", "match": {"any": [{"not": {"writable": "no"}}]}}]}
    validator(_pyproject(right))
    with pytest.raises(ValidationError, match="lock-policy"):
        validator(_pyproject(wrong))


def test_whole_pyproject() -> None:
    """The schema of a whole pyproject.toml judges our table, at any depth, and lets everything else be."""
    validator = jsonschema.Draft7Validator(schema.whole_schema())
    right = {"rules": [{"lock": "both", "match": {"any": [{"not": {"env": {"CI": True}}}]}}]}
    wrong = {"rules": [{"lock": "both", "match": {"any": [{"not": {"writable": "no"}}]}}]}
    assert validator.is_valid(_pyproject(right))
    assert not validator.is_valid(_pyproject(wrong))
    assert validator.is_valid({"project": 5, "tool": {"other": {"x": 1}}, "build-system": {}})
    assert validator.is_valid({})


def test_validate_pyproject_finds_it() -> None:
    """The entry point is declared, and leads to the function."""
    text = Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8")
    group = "validate_pyproject.tool_schema"
    declared = tomllib.loads(text)["project"]["entry-points"][group]
    entry = importlib.metadata.EntryPoint("lock-policy", declared["lock-policy"], group)
    assert entry.load()("lock-policy") == schema.tool_schema()


def _accepts(part: dict[str, Any], value: object) -> bool:
    return jsonschema.Draft7Validator(part).is_valid(value)


PATTERNS = st.text("ab/[]!^-*?~.é", max_size=12)


@pytest.mark.slow
@given(PATTERNS)
@settings(max_examples=1000)
def test_the_rule_of_path_patterns(pattern: str) -> None:
    """The schema refuses exactly the path patterns that the reader refuses, except for empty ranges."""
    wrong = globs.problem(pattern, windows=False)
    assume(wrong is None or "range" not in wrong)
    assert _accepts(dict(PATHS.schema), pattern) is (wrong is None)


@pytest.mark.slow
@given(PATTERNS)
@settings(max_examples=1000)
def test_the_rule_of_other_patterns(pattern: str) -> None:
    """The schema refuses exactly the patterns that the reader refuses, except for empty ranges."""
    wrong = globs.text_problem(pattern)
    assume(wrong is None or "range" not in wrong)
    assert _accepts(dict(TEXTS.schema), pattern) is (wrong is None)


# What the reader refuses though the schema allows it; each is a reason that the reference gives.
BEYOND = (
    "is empty: its ends are in the wrong order",  # a range such as [z-a]
    "at most half of lease",
    "install a version that it allows",
    "must be an absolute path",
)


def _agree(folder: Path, content: Any) -> None:
    """The schema and the reader give one answer about a content, but for what a schema cannot say."""
    file = folder / "generated.toml"
    file.write_text(tomli_w.dumps(content), encoding="utf-8")
    messages: list[str] = []
    try:
        read_file(Source(SYSTEM, str(file)))
    except ConfigError as error:
        messages = [diagnostic.message for diagnostic in error.diagnostics]
    allowed = VALIDATOR.is_valid(content)
    assert not messages or not allowed or all(any(reason in message for reason in BEYOND) for message in messages), (
        f"the schema allows it: {messages}"
    )
    assert allowed or messages, "only the schema refuses it"


@pytest.mark.slow
def test_the_reader_and_the_schema_agree(tmp_path: Path) -> None:
    """Of 2,000 files, right and wrong ones, the schema and the reader refuse the same."""
    for seed in range(2_000):
        _agree(tmp_path, odd(seed))


@pytest.mark.soak
def test_the_reader_and_the_schema_agree_for_long(tmp_path: Path) -> None:
    """Of 100,000 files, right and wrong ones, the schema and the reader refuse the same."""
    for seed in range(100_000):
        _agree(tmp_path, odd(seed))


def test_generated_files_are_right_and_wrong() -> None:
    """Among the generated files some are refused and some are not, and those that should be right are."""
    answers = [VALIDATOR.is_valid(odd(seed)) for seed in range(300)]
    assert 50 < sum(answers) < 250
    assert all(VALIDATOR.is_valid(right(seed)) for seed in range(300))


@pytest.mark.slow
@given(st.text(" ,<>=!~.*+-_v0123456789abcdeprost", max_size=14))
@settings(max_examples=2_000)
def test_specifiers(text: str) -> None:
    """What the pattern takes for a version specifier, packaging reads; of what packaging reads it takes all but ===."""
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        assert not re.match(SPECIFIERS, text)
    else:
        assert re.match(SPECIFIERS, text) or "===" in text


@pytest.mark.slow
@given(files())
@settings(max_examples=150)
def test_the_reader_accepts_what_the_schema_does(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    """Files that are generated from the schema can be read."""
    assert _accepts(FILE_SCHEMA, json.loads(json.dumps(content)))
    file = tmp_path_factory.getbasetemp() / "generated.toml"
    file.write_text(tomli_w.dumps(content), encoding="utf-8")
    try:
        read_file(Source(SYSTEM, str(file)))
    except ConfigError as error:
        pytest.fail(f"{error}\n{file.read_text(encoding='utf-8')}")
