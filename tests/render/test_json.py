from __future__ import annotations

import json

from policy.render import render
from tests.render.test_render import plain


def test_ascii() -> None:
    """Everything beyond ASCII is escaped, so no locale can spoil it, and reads back as it was."""
    record = {**plain(), "hints": ["é\u202e"]}
    shown = render("json", record)
    assert shown.isascii()
    assert json.loads(shown)["hints"] == ["é\u202e"]


def test_no_words() -> None:
    """What locks say for people is no part of the contract."""
    assert "words" in plain()
    assert "words" not in json.loads(render("json", plain()))
