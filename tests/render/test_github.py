from __future__ import annotations

from policy.render.github import annotation
from policy.toml.diagnostic import Diagnostic, Location


def test_annotation() -> None:
    """A finding is one command with its place, escaped as GitHub's toolkit does."""
    one = Diagnostic(Location("a,b:c%.toml"), "50 %\nof it\x1b", line=3, column=2, width=4)
    assert annotation("warning", one, "title: x") == (
        "::warning file=a%2Cb%3Ac%25.toml,line=3,col=2,endColumn=6,title=title%3A x::50 %25\\nof it\\x1b\n"
    )


def test_without_a_place() -> None:
    """What is about the whole file, or about a line only, has no column."""
    assert annotation("error", Diagnostic(Location("a"), "m"), "t") == "::error file=a,title=t::m\n"
    assert annotation("error", Diagnostic(Location("a"), "m", line=2), "t") == "::error file=a,line=2,title=t::m\n"
