from __future__ import annotations

from policy.render import render


def test_only_paths() -> None:
    """A lock without a path has no line, and a path is one line whatever it holds."""
    plan = [{"path": "/tmp/a"}, {"key": "team:/envs"}, {"path": "/b\nc"}]
    assert render("path", {"plan": plan}) == "/tmp/a\n/b\\nc"
    assert render("path", {"plan": []}) == ""
