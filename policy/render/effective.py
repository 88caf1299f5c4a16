"""The effective configuration: what the files, the variables and the options come to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from policy.config.layers import LAYERS, NAMED, RIGHTS
from policy.errors import UsageError
from policy.escape import escape
from policy.render.layout import json_text
from policy.render.record import shorten
from policy.rules.conditions import toml
from policy.rules.plain import BUILT_IN_LAYER
from policy.rules.rule import KEY_FIELDS, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from policy.rules.chain import Chain
    from policy.rules.plain import Setting

VERSION = 1
WIDTH = 100  # beyond this an array is written one item a line
HEADER = (
    "# The effective configuration. It decides the same when it is given to --config-file, or is the user's or the",
    "# system's file; a project's own file may not name a directory by its absolute path.",
)
NOTHING = "# No file applies here, and no setting: the built-in rules decide."

KEYS = ("name", *(name for name in KEY_FIELDS if name not in {"name", "match", "mandatory"}))
DEFAULTS = {field.name: field.default for field in attrs.fields(Rule)}


def as_toml(chain: Chain, *, origin: bool) -> str:
    """A file that decides the same.

    Mandatory rules are written as others are, since they stand first; the built-in rules are not written, since they
    follow every file.

    Args:
        chain: The rules and the settings.
        origin: Whether comments say where each setting and each rule stands.

    Raises:
        UsageError: When a setting cannot be written in TOML.
    """
    blocks = [_settings(chain, origin=origin)]
    blocks += [_rule(chain, rule, origin=origin) for rule in _own(chain)]
    text = "\n\n".join(filter(None, blocks))
    if not text:
        text = NOTHING
    elif "global-dir" in chain.settings:
        text = "\n".join([*HEADER, "", text])
    if origin:
        text += "\n\n" + "\n".join(_built_in(chain))
    try:
        text.encode()
    except UnicodeEncodeError:  # LOCK_POLICY_GLOBAL_DIR can hold any bytes
        raise UsageError("a directory whose name is not UTF-8 cannot be written in TOML") from None
    return text + "\n"


def _own(chain: Chain) -> Iterator[Rule]:
    """The rules of files; one that repeats another never decides, and is left out."""
    seen: set[object] = set()
    for rule in chain.rules:
        meaning = tuple([getattr(rule, KEY_FIELDS[name]) for name in ("match", *KEYS)])
        if not _is_built_in(rule) and meaning not in seen:
            seen.add(meaning)
            yield rule


def _is_built_in(rule: Rule) -> bool:
    return rule.layer == BUILT_IN_LAYER


def _forced(chain: Chain) -> bool:
    """Whether the caller's timeout stands before those of the rules."""
    setting = chain.settings.get("timeout")
    return setting is not None and setting.layer == "caller"


def _settings(chain: Chain, *, origin: bool) -> str:
    lines = []
    for name, setting in sorted(chain.settings.items()):
        for one, layers in _counting(setting):
            if origin:
                lines.append(f"# {_origin(one.layer, one.file, one.line)}")
            lines.append(f"{_aside(name, layers)}{name} = {written(_one(one.value))}")
    return "\n".join(lines)


def _counting(setting: Setting) -> Iterator[tuple[Setting, tuple[str, ...]]]:
    """A setting, and those of weaker layers that count for the rules of layers which it does not reach."""
    reached = setting.reach
    yield setting, ()
    while reached is not None and setting.weaker is not None:
        setting = setting.weaker
        left = tuple([name for name in setting.reach or () if name not in reached])
        if left:
            yield setting, left
            reached += left


def _aside(name: str, layers: Sequence[str]) -> str:
    """Makes a comment of what cannot stand in a file that --config-file names."""
    if layers:
        return f"# for rules of the layers {', '.join(layers)}: "
    if name in RIGHTS and name not in NAMED.may:
        return f"# in {' or '.join(layer.title for layer in LAYERS if name in layer.may)}: "
    return ""


def _rule(chain: Chain, rule: Rule, *, origin: bool) -> str:
    lines = ["[[rules]]"]
    if origin:
        mandatory = ", mandatory" if rule.mandatory else ""
        lines.insert(0, f"# {_origin(rule.layer, rule.file, rule.line)}{mandatory}")
    plain = _plain(chain, rule)
    body = [f"{name} = {written(value)}" for name, value in plain.items()]
    wants = [f"match.{key} = {written(value)}" for key, value in toml(rule.match).items()]
    body[1 if "name" in plain else 0 : 0] = wants
    return "\n".join([*lines, *body])


def _plain(chain: Chain, rule: Rule) -> dict[str, Any]:
    """A rule's own keys as TOML has them, without those that have their usual value."""
    given = {name: _value(rule, name) for name in KEYS if getattr(rule, KEY_FIELDS[name]) != DEFAULTS[KEY_FIELDS[name]]}
    if _forced(chain):
        given.pop("timeout", None)
    return given


def _value(rule: Rule, name: str) -> Any:
    """What a rule has under a key of TOML, as TOML has it."""
    value = getattr(rule, KEY_FIELDS[name])
    return {"name": value[0], "root": value[1]} if name == "cluster-key" and value else _one(value)


def _one(value: Any) -> Any:
    """A value that a rule or a setting holds, as TOML has it."""
    if not isinstance(value, tuple):
        return value
    if value and isinstance(value[0], tuple):
        return dict(value)
    return value[0] if len(value) == 1 else list(value)


def _origin(layer: str, file: str, line: int) -> str:
    if layer == "caller":
        return file
    return f"{layer}: {escape(shorten(file))}:{line}"


def _built_in(chain: Chain) -> Iterator[str]:
    yield "# Built-in rules follow:"
    for rule in filter(_is_built_in, chain.rules):
        wants = [f"{key} = {written(value)}" for key, value in toml(rule.match).items()]
        yield f"#   {rule.name}: {' and '.join(rule.lock)}, {' and '.join(wants) or 'always'}"


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


def as_json(chain: Chain) -> str:
    """The record."""
    return json_text(record(chain))


def record(chain: Chain) -> dict[str, Any]:
    """Version 1: settings and rules, each with its origin; built-in rules too."""
    return {
        "version": VERSION,
        "settings": {
            name.replace("-", "_"): {
                **_record(setting),
                **({"others": others} if (others := _others(setting)) else {}),
            }
            for name, setting in chain.settings.items()
        },
        "rules": [
            {
                **{KEY_FIELDS[name]: _value(rule, name) for name in KEYS},
                "lock": list(rule.lock),
                "timeout": None if _forced(chain) else rule.timeout,
                "match": toml(rule.match),
                "mandatory": rule.mandatory,
                **_where(rule.file, rule.line, rule.layer),
            }
            for rule in chain.rules
        ],
    }


def _record(setting: Setting) -> dict[str, Any]:
    return {"value": _one(setting.value), **_where(setting.file, setting.line, setting.layer)}


def _others(setting: Setting) -> list[dict[str, Any]]:
    return [{**_record(one), "layers": list(layers)} for one, layers in _counting(setting) if layers]


def _where(file: str, line: int, layer: str) -> dict[str, Any]:
    written = layer not in {"caller", BUILT_IN_LAYER}
    return {
        "file": file if written else None,
        "line": line if written else None,
        "layer": layer,
        **({"given_by": file} if layer == "caller" else {}),
    }
