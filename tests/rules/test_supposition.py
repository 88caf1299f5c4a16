from __future__ import annotations

import sys
from typing import Any

import pytest

from policy.rules import supposition
from policy.rules.condition import holds
from policy.rules.supposition import DEFAULTS, FACTS

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def test_every_fact_has_a_fixed_value() -> None:
    """Nothing of this machine is observed: each condition that a test can give has a value without it."""
    assert set(DEFAULTS) == {*FACTS, "home", "cwd"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"interpreter": "/x/y/bin/python"}, {"environment": "/x/y"}),
        ({"environment": "/x/y"}, {"interpreter": "/x/y/bin/python"}),
        ({"environment": "/x//y/../z"}, {"environment": "/x/z", "interpreter": "/x/z/bin/python"}),
        (
            {"kind": "system"},
            {"environment": "/python", "interpreter": "/python/bin/python3", "base-interpreter": "/python/bin/python3"},
        ),
        (
            {"kind": "system", "interpreter": "/usr/bin/python3.11"},
            {"environment": "/usr", "base-interpreter": "/usr/bin/python3.11"},
        ),
        ({"kind": "system", "environment": "/"}, {"interpreter": "/bin/python3", "base-interpreter": "/bin/python3"}),
        ({"kind": "target", "environment": "/t"}, {"interpreter": "/python/bin/python3"}),
        ({"kind": "prefix", "interpreter": "/p/bin/python"}, {"base-interpreter": "/p/bin/python"}),
    ],
)
def test_what_follows_from_what_is_given(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """An interpreter and a root follow from each other as in a real environment."""
    assert supposition.complete(given) == {**DEFAULTS, **given, **expected}


def test_request() -> None:
    """A supposed request has an environment and a caller of its own, and looks at nothing."""
    given = {"environment": "~/work/.venv", "env": (("CI", "1"),), "operation": "sync", "home": "/h"}
    asked = supposition.request(given)
    assert (asked.environment.root, asked.environment.interpreter) == ("/h/work/.venv", "/h/work/.venv/bin/python")
    assert (asked.caller.environ, asked.caller.operation, asked.home) == ({"CI": "1"}, "sync", "/h")
    before = dict(asked.facts)
    for key, condition in FACTS.items():
        condition.get(asked)
        assert key == "env" or key in before
    assert holds((("environment", ("~/work/*",)),), asked)
    assert supposition.request({"env": (("HOME", "/e"),)}).home == "/e"
    assert supposition.request({}).home == "/home/user"
