"""Completion in PowerShell: asked in pwsh where there is one, and read as text everywhere."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from policy.commands import COMMANDS
from policy.commands.shells import hook
from policy.commands.shells.powershell import completions
from tests import shells

if TYPE_CHECKING:
    from pathlib import Path

ASK = """
$script, $words = $args
. $script
$line = $words -join ' '
(TabExpansion2 -inputScript $line -cursorColumn $line.Length).CompletionMatches.CompletionText
"""


if shutil.which("pwsh"):  # Debian has none

    @pytest.mark.parametrize(("words", "expected"), shells.CASES, ids=str)
    def test_offers(words: list[str], expected: set[str], tmp_path: Path) -> None:
        """It offers commands, options, the values of choices, and after `run --` programs."""
        script = shells.place(tmp_path, "powershell")
        ask = tmp_path / "ask.ps1"
        ask.write_text(ASK, encoding="utf-8")
        offered = shells.offers(["pwsh", "-NoProfile", "-File", str(ask), str(script), *words], tmp_path)
        assert expected <= {word.removeprefix("./") for word in offered}


def test_names_everything() -> None:
    """Every command and its options stand in the tables, and every bracket is closed."""
    text = completions()
    for name, summary in COMMANDS.items():
        assert f"'{name}' = '{summary}'" in text
    assert "'check:--output-format' = @('text'" in text
    for opened, closed in ("()", "{}", "[]"):
        assert text.count(opened) == text.count(closed)


def test_hook() -> None:
    """The folder is put first on PATH, with its quotes doubled."""
    assert "(, '/a/it''s' + @($rest))" in hook("powershell", "/a/it's")
