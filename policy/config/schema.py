"""The JSON Schema of the configuration, made from the same values that read the files."""

from __future__ import annotations

from typing import Any

from policy.config.read import CONFIGURATION
from policy.rules.match import REFERENCE, match_shape

DRAFT = "http://json-schema.org/draft-07/schema#"
# URNs: an address would have to lead somewhere
FILE_ID = "urn:lock-policy:schema"
PYPROJECT_ID = "urn:lock-policy:pyproject"


def file_schema() -> dict[str, Any]:
    """The schema of `lock-policy.toml` (draft-07, which editors and SchemaStore read)."""
    return _schema(
        FILE_ID,
        "lock-policy.toml",
        "Rules that decide where the lock on a Python environment lives; the first whose conditions all hold decides.",
    )


def tool_schema(tool_name: str = "lock-policy") -> dict[str, Any]:
    """The schema of the table `[tool.lock-policy]` of pyproject.toml, as validate-pyproject takes it.

    Args:
        tool_name: The table's name, as the entry point has it.

    Returns:
        The same schema. validate-pyproject resolves references against an `$id` as if it were an address with a path,
        which a URN is not, so here they are written out.
    """
    schema = _schema(PYPROJECT_ID, f"[tool.{tool_name}]", "What lock-policy.toml holds, as a table of pyproject.toml.")
    return _written_out(schema)  # type: ignore[no-any-return]  # a schema is a table


def _schema(identity: str, title: str, description: str) -> dict[str, Any]:
    return {
        "$schema": DRAFT,
        "$id": identity,
        "title": title,
        "description": description,
        **CONFIGURATION.schema,
        "definitions": {
            "match": {
                "title": "conditions, all of which must hold",
                **match_shape().schema,
            }
        },
    }


def _written_out(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: PYPROJECT_ID + value if key == "$ref" and value == REFERENCE["$ref"] else _written_out(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_written_out(item) for item in schema]
    return schema


def as_text(schema: dict[str, Any]) -> str:
    """A schema as the files in `schemas/` hold it."""
    import json

    return json.dumps(schema, indent=2) + "\n"
