"""What of a decision is written into the log."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from policy.environment.discovery import Environment
from policy.errors import LockUnavailable
from policy.rules import conditions
from policy.rules.chain import Chain
from policy.rules.decision_log import entry, facts, spelled
from policy.rules.request import Caller, Request
from policy.rules.rule import Rule

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

SECRET = "hunter2"  # noqa: S105  (a value that must not be written)


def _request(environ: dict[str, str], **known: Any) -> Request:
    environment = Environment("/e/bin/python", "/e", "virtualenv", "/usr/bin/python3", "a test")
    return Request(environment, Caller(environ, "/"), known)


def test_entry() -> None:
    """The rule, its effect, the facts, the plan and who is kept out, as JSON."""
    request = _request({}, writable=True, filesystem="ext4", host="h", user="u", **{"externally-managed": False})
    decision = Chain((Rule("local", name="a", file="/f.toml", line=3, layer="project"),)).decide(request)
    written = json.loads(json.dumps(entry(decision)))
    assert written["rule"] == {"name": "a", "file": "/f.toml", "line": 3, "layer": "project", "lock": ["local"]}
    assert written["effect"]["lock"] == {"gate": None, "local": True}
    expected = {
        "interpreter": ["/e/bin/python"],
        "environment": ["/e"],
        "base_interpreter": ["/usr/bin/python3"],
        "kind": "virtualenv",
        "externally_managed": False,
        "pipx": False,
        "writable": True,
        "filesystem": "ext4",
        "host": "h",
        "user": "u",
        "operation": "",
        "project": [],
        "platform": sys.platform,
        "env": {},
    }
    assert {name: written["facts"][name] for name in expected} == expected
    assert [lock["purpose"] for lock in written["plan"]] == ["gate", "local"]
    assert "uv (this environment)" in written["excluded"]


def test_no_values() -> None:
    """Of variables that rules name the answers are written, of others nothing, and never a value."""
    rules = (
        Rule("local", {"env": {"A": [f"{SECRET[:3]}*", "x"], "B": True}}),
        Rule("local", {"not": {"env": {"C": False}}, "any": [{"env": {"A": "?*"}}]}),
        Rule("global"),
    )
    environ = {"A": SECRET, "B": SECRET, "OTHER": SECRET, "HOME": f"/home/{SECRET}"}
    known = facts(_request(environ, writable=True), rules)
    assert known["env"] == {"A": [["hun*", "?*"], ["x"]], "B": [[], [True]], "C": None}
    assert SECRET not in json.dumps(known)


def test_home() -> None:
    """The home directory is written where a rule spells it with `~`, or asks where pipx keeps its applications."""
    for asks in ({"any": [{"environment": "~/x"}]}, {"pipx": True}):
        rules = (Rule("local", asks), Rule("global"))
        assert facts(_request({"HOME": "/home/a"}), rules)["home"] == "/home/a"
        assert list(spelled(rules)) == [""]


def test_observed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is observed for the log is no fact of the request, and what cannot be observed is left out."""

    def fail(_: Request) -> bool:
        raise LockUnavailable("/e/.lock", 24, "too many open files")

    monkeypatch.setattr(conditions.CONDITIONS["writable"], "observe", fail)
    request = _request({})
    known = facts(request, (Rule("global"),))
    assert "writable" not in known
    assert known["kind"] == "virtualenv"
    assert request.facts == {}
