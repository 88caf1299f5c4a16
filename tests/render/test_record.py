from __future__ import annotations

import pytest

from policy.render import record
from policy.rules.chain import Chain
from policy.rules.rule import Rule
from tests import factories


@pytest.mark.parametrize(("lock", "text"), [(["local"], '"local"'), (["global", "local"], '["global", "local"]')])
def test_written(lock: list[str], text: str) -> None:
    """One location is written as text, several as a list."""
    assert record.written(lock) == text


def test_name_of() -> None:
    """A lock goes by its path, or by its key where it has none."""
    assert record.name_of({"path": "/a", "purpose": "local"}) == "/a"
    assert record.name_of({"key": "team:/envs", "purpose": "cluster"}) == "team:/envs"


def test_built_in_rules_have_no_place() -> None:
    """A rule of a file has its file and line; a built-in one has neither."""
    own = record.rule(Rule("local", name="a", file="/p/x.toml", line=3, layer="project"))
    ours = record.rule(Rule("global", name="b"))
    assert (own["file"], own["line"], own["lock"]) == ("/p/x.toml", 3, ["local"])
    assert (ours["file"], ours["line"], ours["layer"]) == (None, None, "built-in")


def test_rules_left_out_are_counted() -> None:
    """With a limit the steps are fewer, and how many were left out before and after the deciding one is said."""
    rules = [Rule("local", {"host": f"nowhere-{number}"}) for number in range(50)]
    chain = Chain((*rules, Rule("global", name="decides"), *rules, Rule("global")))
    shown = record.record(chain.decide(factories.request()), (), 6)
    assert sum(shown["untold"]) + len(shown["steps"]) == len(chain.rules)
    assert "untold" not in record.record(chain.decide(factories.request()))
