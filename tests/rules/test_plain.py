from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from policy.config.read import load_chain
from policy.rules.decision import PlainChain
from policy.rules.plain import BUILT_IN, BUILT_IN_LAYER, PlainRule, Setting
from policy.rules.rule import Rule
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

WRITABLE: dict[str, object] = {"writable": True, "externally-managed": False}


def decided(
    environ: dict[str, str] | None = None, facts: dict[str, object] | None = None, kind: str = "virtualenv"
) -> tuple[str, str]:
    """The rule and the lock that a request gets from the built-in rules."""
    decision = PlainChain(BUILT_IN).decide(factories.request(environ, {**WRITABLE, **(facts or {})}, kind=kind))
    return decision.label, " and ".join(decision.lock)


@pytest.mark.parametrize("kind", ["virtualenv", "target", "prefix"])
def test_environments_are_locked_in_themselves(kind: str) -> None:
    """A writable environment of one's own is locked where uv locks it."""
    assert decided(kind=kind) == ("environment", "local")


@pytest.mark.parametrize(
    ("environ", "facts", "kind", "rule"),
    [
        ({"UV_ONLY_GLOBAL_LOCKS": "1"}, {"writable": False, "externally-managed": True}, "system", 0),
        ({"UV_ONLY_GLOBAL_LOCKS": "Yes"}, {}, "virtualenv", 0),
        ({}, {"writable": False, "externally-managed": True}, "virtualenv", 1),
        ({}, {"writable": False}, "virtualenv", 2),
        ({}, {"writable": False}, "system", 2),
        ({}, {}, "system", 5),
    ],
)
def test_all_others_are_locked_outside(environ: dict[str, str], facts: dict[str, object], kind: str, rule: int) -> None:
    """What asks for it, is managed by others, is read-only or is the system's gets a global lock, in this order."""
    assert decided(environ, facts, kind) == (BUILT_IN[rule].name, "global")


def test_applications_of_pipx_are_locked_as_pipx_does() -> None:
    """An application of pipx is locked beside it, and in it."""
    assert decided(facts={"pipx": True}) == ("pipx", "beside and local")


@pytest.mark.parametrize("value", ["0", "off", "", "maybe"])
def test_uv_only_global_locks_is_a_boolean(value: str) -> None:
    """UV_ONLY_GLOBAL_LOCKS counts when it is true as uv reads booleans, and not merely because it is set."""
    assert decided({"UV_ONLY_GLOBAL_LOCKS": value}) == ("environment", "local")


def test_order() -> None:
    """The names and their order are a contract: they stand in `explain` and in the documentation."""
    names = [row.name for row in BUILT_IN]
    assert names == ["uv-only-global-locks", "externally-managed", "read-only", "pipx", "environment", "default"]


def test_the_last_one_matches_everything() -> None:
    """A chain that ends with these always has an answer."""
    assert BUILT_IN[-1].match == ()
    assert all(row.match for row in BUILT_IN[:-1])


@pytest.mark.parametrize("row", BUILT_IN, ids=lambda row: row.name)
def test_each_is_a_rule(row: PlainRule) -> None:
    """A built-in rule is what a rule from a file is, of a layer of its own, with a reason, and never mandatory."""
    rule = Rule.of(row)
    assert Rule(rule.lock, rule.match, rule.name, reason=rule.reason) == rule
    where = (rule.layer, rule.file, rule.line)
    assert (where, rule.mandatory, rule.required) == ((BUILT_IN_LAYER, BUILT_IN_LAYER, 0), False, True)
    assert rule.reason
    assert rule.timeout is None


def test_they_follow_every_file(tmp_path: Path) -> None:
    """With files or without, the built-in rules come last, the same ones."""
    assert load_chain([]).rules == tuple(map(Rule.of, BUILT_IN))
    source = factories.source(tmp_path / "a.toml", '[[rules]]\nname = "mine"\nlock = "local"\n')
    assert load_chain([source]).rules[1:] == tuple(map(Rule.of, BUILT_IN))


def test_each_is_visible(tmp_path: Path) -> None:
    """`explain` names each of them."""
    root = factories.virtualenv(tmp_path / "env")
    done = factories.policy("explain", root, "--no-config", environ=factories.alone(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for row in BUILT_IN:
        assert row.name in done.stdout


def test_setting() -> None:
    """A setting is equal to another with the same value from the same place."""
    setting = Setting(5, "/p/a.toml", 1, "user")
    assert setting == Setting(5, "/p/a.toml", 1, "user") != Setting(6, "/p/a.toml", 1, "user")
    assert hash(setting) == hash(Setting(*setting.plain))
    assert repr(setting) == "Setting(5, '/p/a.toml', 1, 'user')"
