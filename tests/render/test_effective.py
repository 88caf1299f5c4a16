from __future__ import annotations

import json
import tomllib

import pytest

from policy.render import effective
from policy.rules.chain import Chain
from policy.rules.rule import Rule


def test_rules_without_what_goes_without_saying() -> None:
    """A rule is written with its own keys only, and the built-in ones are left out."""
    chain = Chain((Rule("local", name="a", file="/p/x.toml", line=3, layer="project"), Rule("global")))
    assert effective.as_toml(chain, origin=False) == '[[rules]]\nname = "a"\nlock = "local"\n'


def test_origins() -> None:
    """With origins each rule says its layer, file and line, and the built-in ones are comments."""
    chain = Chain((Rule("local", file="/p/x.toml", line=3, layer="project"), Rule("global", name="last")))
    shown = effective.as_toml(chain, origin=True)
    assert shown.startswith("# project: /p/x.toml:3\n[[rules]]\n")
    assert shown.endswith("# Built-in rules follow:\n#   last: global, always\n")


def test_nothing() -> None:
    """Without any file that is said in a comment, so that it still is TOML."""
    shown = effective.as_toml(Chain((Rule("global"),)), origin=False)
    assert (shown[0], tomllib.loads(shown)) == ("#", {})


def test_json() -> None:
    """JSON has built-in rules too, without a file and a line."""
    (rule,) = json.loads(effective.as_json(Chain((Rule("global", name="last"),))))["rules"]
    assert (rule["name"], rule["file"], rule["line"], rule["layer"]) == ("last", None, None, "built-in")


@pytest.mark.parametrize(
    "value", [True, 1.5, "a\n\"b'", ["x", True], {"odd key": 1, "b": ["c", "d"]}, [f"item-{n}" * 3 for n in range(20)]]
)
def test_values_read_back(value: object) -> None:
    """Any value, a long array and a key that must be quoted too, reads back as it was."""
    assert tomllib.loads(f"value = {effective.written(value)}") == {"value": value}
