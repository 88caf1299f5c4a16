"""What rules do, as files say it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from policy.rules.effect import effect, inside
from policy.rules.plain import Setting
from policy.rules.rule import Rule

if TYPE_CHECKING:
    from pathlib import Path


def test_effect() -> None:
    """Locks with what settings say of them, the time to wait, and the rest; a caller's own settings are left out."""
    settings = {
        "timeout": Setting(5, "--timeout", 0, "caller", weaker=Setting(60, "/f", 1, "file")),
        "global-dir": Setting("/locks", "/f", 2, "file"),
    }
    rules = (Rule(["global", "local"], shared=True), Rule("beside", timeout=7, required=False))
    assert effect(rules[0], settings, system=True, inside=False) == {
        "lock": {"gate": None, "global": "/locks", "uv": True, "local": True},
        "timeout": 60,
        "required": True,
        "shared": True,
        "unused": False,
    }
    assert "uv" not in effect(rules[0], settings, system=False, inside=False)["lock"]
    assert effect(rules[1], settings, system=False, inside=False) == {
        "lock": {"gate": None, "beside": True},
        "timeout": 7,
        "required": False,
        "shared": False,
        "unused": False,
    }


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_inside(tmp_path: Path) -> None:
    """Below the folder of the rule's file, its links resolved, and not beside it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    rule = Rule("local", file=str(tmp_path / "link" / "lock-policy.toml"), confined=True, required=False)
    assert inside(rule, str(tmp_path.resolve() / "real" / ".venv"))
    assert not inside(rule, str(tmp_path.resolve() / "realistic"))
    for within in (True, False):
        assert effect(rule, {}, system=False, inside=within)["required"] is not within
