from __future__ import annotations

import json

import pytest

from policy.__main__ import main
from policy.config.schema import file_schema, tool_schema


@pytest.mark.parametrize(("options", "expected"), [([], file_schema()), (["--pyproject"], tool_schema())])
def test_schema(options: list[str], expected: object, capsys: pytest.CaptureFixture[str]) -> None:
    """The schema of a file, or of the table in pyproject.toml, is printed as JSON and nothing else."""
    assert main(["schema", *options]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == expected
    assert err == ""


def test_they_differ() -> None:
    """The two are different schemas: each names itself."""
    assert file_schema() != tool_schema()
