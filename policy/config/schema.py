"""The JSON Schema of the configuration, made from the same values that read the files."""

from __future__ import annotations

from typing import Any

from policy.config.read import CONFIGURATION
from policy.rules.match import definitions

DRAFT = "http://json-schema.org/draft-07/schema#"
# URNs: an address would have to lead somewhere
FILE_ID = "urn:lock-policy:schema"
PYPROJECT_ID = "urn:lock-policy:pyproject"
WHOLE_ID = "urn:lock-policy:pyproject-file"


BEYOND = {
    "an empty range such as `[z-a]` in a pattern": "a regular expression cannot compare characters",
    "`..` and brackets between backslashes, on Windows only": "one schema serves every platform",
    "`nan`": "JSON has none, and a validator that is given one compares it with nothing",
    "a margin of more than half of the lease": "a schema cannot compare two values",
    "mandatory rules, `gate-dir`, `[cluster]` and a `global-dir` that a layer has no right to": (
        "one schema serves the files of every layer"
    ),
    "a path that is absolute on another platform only": "one schema serves every platform",
    "a release other than the running one, in `required-version`": "the schema does not know which one runs",
}
"""What the reader refuses though the schema allows it, and why; in everything else they agree, as a test holds."""


def file_schema() -> dict[str, Any]:
    """The schema of `lock-policy.toml` (draft-07, which editors and SchemaStore read)."""
    description = (
        "Rules that decide where the lock on a Python environment lives; the first whose conditions all hold decides."
    )
    return _schema(FILE_ID, "lock-policy.toml", {"description": description, **CONFIGURATION.schema})


def tool_schema(tool_name: str = "lock-policy") -> dict[str, Any]:
    """The schema of the table `[tool.lock-policy]` of pyproject.toml, as validate-pyproject takes it.

    Args:
        tool_name: The table's name, as the entry point has it.

    Returns:
        The same schema. validate-pyproject resolves references against an `$id` as if it were an address with a path,
        which a URN is not, so here they are written out.
    """
    table = {"description": "What lock-policy.toml holds, as a table of pyproject.toml.", **CONFIGURATION.schema}
    schema = _schema(PYPROJECT_ID, f"[tool.{tool_name}]", table)
    return _written_out(schema)  # type: ignore[no-any-return]  # a schema is a table


def whole_schema() -> dict[str, Any]:
    """The schema of a whole pyproject.toml, in which all but `[tool.lock-policy]` may be anything."""
    table = {"description": "What lock-policy.toml holds.", **CONFIGURATION.schema}
    tool = {"type": "object", "properties": {"lock-policy": table}}
    return _schema(WHOLE_ID, "pyproject.toml with [tool.lock-policy]", {"type": "object", "properties": {"tool": tool}})


def _schema(identity: str, title: str, table: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DRAFT, "$id": identity, "title": title, **table, "definitions": definitions()}


def _written_out(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: PYPROJECT_ID + value if key == "$ref" and isinstance(value, str) else _written_out(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_written_out(item) for item in schema]
    return schema


def as_text(schema: dict[str, Any]) -> str:
    """A schema as the files in `schemas/` hold it."""
    import json

    return json.dumps(schema, indent=2) + "\n"
