from __future__ import annotations

import json

import pytest

from policy.__main__ import main
from policy.config.schema import file_schema, tool_schema, whole_schema


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], file_schema()), (["--pyproject"], tool_schema()), (["--pyproject-file"], whole_schema())],
)
def test_schema(options: list[str], expected: object, capsys: pytest.CaptureFixture[str]) -> None:
    """The schema of a file, or of the table in pyproject.toml, is printed as JSON and nothing else."""
    assert main(["schema", *options]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == expected
    assert err == ""


def test_they_differ() -> None:
    """They are different schemas: each names itself."""
    assert len({schema()["$id"] for schema in (file_schema, tool_schema, whole_schema)}) == 3


def test_one_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Two schemas at once are none."""
    assert main(["schema", "--pyproject", "--pyproject-file"]) == 2
    assert capsys.readouterr().err == "policy: error: --pyproject and --pyproject-file cannot be used together\n"
