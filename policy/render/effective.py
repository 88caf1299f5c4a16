"""The effective configuration: what the files, the variables and the options come to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from policy.config.layers import OUTLIVING
from policy.errors import UsageError
from policy.escape import printable
from policy.render.record import shorten
from policy.rules import engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.rules.engine import Program, Row, Setting

VERSION = 1
WIDTH = 100  # beyond this an array is written one item a line
HEADER = (
    "# The effective configuration. It decides the same when it is given to --config-file, or is the user's or the",
    "# system's file; a project's own file may not name a directory by its absolute path.",
)
NOTHING = "# No file applies here, and no setting: the built-in rules decide."

# the keys of a rule in TOML, where they stand in its plain form, and what they are when they are not written
KEYS = (
    ("name", engine.NAME, ""),
    ("lock", engine.LOCK, None),
    ("timeout", engine.TIMEOUT, None),
    ("required", engine.REQUIRED, True),
    ("reason", engine.REASON, ""),
)


def as_toml(program: Program, *, origin: bool) -> str:
    """A file that decides the same.

    Mandatory rules are written as others are, since they stand first; the built-in rules are not written, since they
    follow every file.

    Args:
        program: The rules and the settings.
        origin: Whether comments say where each setting and each rule stands.

    Raises:
        UsageError: When a setting cannot be written in TOML.
    """
    blocks = [_settings(program, origin=origin)]
    blocks += [_rule(program, row, origin=origin) for row in _own(program)]
    text = "\n\n".join(filter(None, blocks))
    if not text:
        text = NOTHING
    elif "global-dir" in program.settings:
        text = "\n".join([*HEADER, "", text])
    if origin:
        text += "\n\n" + "\n".join(_built_in(program))
    try:
        text.encode()
    except UnicodeEncodeError:  # LOCK_POLICY_GLOBAL_DIR can hold any bytes
        raise UsageError("a directory whose name is not UTF-8 cannot be written in TOML") from None
    return text + "\n"


def _own(program: Program) -> Iterator[Row]:
    """The rules of files; one that repeats another never decides, and is left out."""
    seen: set[object] = set()
    for row in _rows(program):
        if row[engine.LAYER] != "built-in" and row[: engine.MANDATORY] not in seen:
            seen.add(row[: engine.MANDATORY])
            yield row


def _rows(program: Program) -> Iterator[Row]:
    return (program.rows[number] for number in range(len(program.rows)))


def _forced(program: Program) -> bool:
    """Whether the caller's timeout stands before those of the rules."""
    setting = program.settings.get("timeout")
    return setting is not None and setting[3] == "caller"


def _settings(program: Program, *, origin: bool) -> str:
    lines = []
    for name, setting in sorted(program.settings.items()):
        if origin:
            lines.append(f"# {_origin(setting[3], setting[1], setting[2])}")
        outlives = "# for the whole host, and in its system file only: " if name in OUTLIVING else ""
        lines.append(f"{outlives}{name} = {written(setting[0])}")
    return "\n".join(lines)


def _rule(program: Program, row: Row, *, origin: bool) -> str:
    lines = ["[[rules]]"]
    if origin:
        mandatory = ", mandatory" if row[engine.MANDATORY] else ""
        lines.insert(0, f"# {_origin(row[engine.LAYER], row[engine.FILE], row[engine.LINE])}{mandatory}")
    plain = _plain(program, row)
    match = plain.pop("match", {})
    body = [f"{name} = {written(value)}" for name, value in plain.items()]
    body[1 if "name" in plain else 0 : 0] = [f"match.{name} = {written(value)}" for name, value in match.items()]
    return "\n".join([*lines, *body])


def _plain(program: Program, row: Row) -> dict[str, Any]:
    """A rule as TOML would have it, without what goes without saying."""
    plain = {name: row[at] for name, at, usual in KEYS if row[at] != usual}
    if _forced(program):
        plain.pop("timeout", None)
    if row[engine.MATCH]:
        plain["match"] = {key: engine.shown(key, expected) for key, expected in row[engine.MATCH]}
    return plain


def _origin(layer: str, file: str, line: int) -> str:
    if layer == "caller":
        return file
    return f"{layer}: {printable(shorten(file))}:{line}"


def _built_in(program: Program) -> Iterator[str]:
    yield "# Built-in rules follow:"
    for row in _rows(program):
        if row[engine.LAYER] == "built-in":
            wants = [f"{key} = {written(engine.shown(key, expected))}" for key, expected in row[engine.MATCH]]
            yield f"#   {row[engine.NAME]}: {row[engine.LOCK]}, {' and '.join(wants) or 'always'}"


_BARE = re.compile(r"[A-Za-z0-9_-]+")


def written(value: Any) -> str:
    """A value on one line, as people write it; arrays that are long take several."""
    if isinstance(value, dict):
        pairs = [f"{_key(name)} = {written(inner)}" for name, inner in value.items()]
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        items = [written(item) for item in value]
        line = f"[{', '.join(items)}]"
        if len(line) <= WIDTH or "\n" in line:
            return line
        return "\n".join(["[", *(f"  {item}," for item in items), "]"])
    import tomli_w

    return tomli_w.dumps({"value": value}).removeprefix("value = ").removesuffix("\n")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else written(name)


def as_json(program: Program) -> str:
    """Version 1: settings and rules, each with its origin; built-in rules too."""
    import json

    record = {
        "version": VERSION,
        "settings": {
            name.replace("-", "_"): {"value": setting[0], **_where(setting)}
            for name, setting in program.settings.items()
        },
        "rules": [
            {
                **{name: row[at] for name, at, _ in KEYS},
                "timeout": None if _forced(program) else row[engine.TIMEOUT],
                "match": {key: engine.shown(key, expected) for key, expected in row[engine.MATCH]},
                "mandatory": row[engine.MANDATORY],
                **_where((None, row[engine.FILE], row[engine.LINE], row[engine.LAYER])),
            }
            for row in _rows(program)
        ],
    }
    return json.dumps(record, indent=2) + "\n"


def _where(setting: Setting) -> dict[str, Any]:
    _, file, line, layer = setting
    written = layer not in {"caller", "built-in"}
    return {
        "file": file if written else None,
        "line": line if written else None,
        "layer": layer,
        **({"given_by": file} if layer == "caller" else {}),
    }
