from __future__ import annotations

import re

import pytest
from hypothesis import given

from policy.rules import globs, paths
from policy.rules.matcher import path_matcher
from tests.rules.test_matcher import HOME, PATHS, PATTERNS


def test_tree() -> None:
    """A pattern is its literal beginning and its segments; a segment is literal runs, wildcards and classes."""
    path = globs.parse("~/a*b/**/**/[!x-z]?", "/home/me", windows=False)
    assert path.literal == "/home/me"
    empty, first, deep, last = path.segments
    assert (empty, first, deep) == ((), ("a", globs.STAR, "b"), (globs.DEEP,))
    (members, any_one) = last
    assert isinstance(members, globs.Class)
    assert (members.singles, members.ranges, members.negated) == ("", (("x", "z"),), True)
    assert any_one is globs.ANY
    assert [members.takes(character) for character in "wxyz"] == [True, False, False, False]
    assert [globs.text_of(segment) for segment in path.segments] == ["", None, None, None]
    assert globs.parse_text("a**c") == ("a", globs.DEEP, "c")
    assert repr(globs.DEEP) == "**"


@given(pattern=PATTERNS, path=PATHS)
def test_prefix(pattern: str, path: str) -> None:
    """Whatever matches is the prefix or lies below it."""
    prefix = globs.parse(pattern, HOME, windows=False).prefix
    assert not prefix.endswith("/")
    if path_matcher(pattern, HOME, windows=False)(path):
        assert path == prefix or path.startswith(prefix + "/")


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("/nix/store/*", "/nix/store"),
        ("/nix/sto*/x", "/nix"),
        ("/a//b/./c/", "/a/b/c"),
        ("/", ""),
        ("/*", ""),
        ("**", ""),
        ("**/a", ""),
        ("~", "/home/a[b]*"),
        ("~/w*", "/home/a[b]*"),
        ("/a/[b]/c", "/a"),
    ],
)
def test_prefixes(pattern: str, prefix: str) -> None:
    """The prefix is every literal folder that a pattern begins with."""
    assert globs.parse(pattern, HOME, windows=False).prefix == prefix


def test_windows_prefix() -> None:
    """On Windows the prefix is in the form in which paths are compared."""
    pattern = "C:\\Program Files\\Python\\[3-4]*"
    assert path_matcher(pattern, "", windows=True)(paths.normal("C:\\PROGRAM FILES\\python\\3.11", windows=True))
    assert globs.parse(pattern, "", windows=True).prefix == "c:/program files/python"
    assert globs.parse("C:\\*", "", windows=True).prefix == "c:"


ABSOLUTE = "a path pattern must be absolute, or begin with '~' or '**': this one can never match"
CLOSED = "'[' is not closed before the next '/'; write '[[]' for a literal one"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "an empty pattern can never match"),
        ("bin/python", f"{ABSOLUTE}; '**/bin/python' matches it in any folder"),
        ("*/python", f"{ABSOLUTE}; '**/python' matches it in any folder"),
        ("./python", ABSOLUTE),
        ("*", ABSOLUTE),
        ("C:relative", f"{ABSOLUTE}; '**/C:relative' matches it in any folder"),
        ("~other/x", "after '~' must come '/': the home directory of another user has to be written out"),
        ("/a/../b", "'..' in a pattern can never match: paths are compared after it has been resolved"),
        ("C:\\a\\..\\b", "'..' in a pattern can never match: paths are compared after it has been resolved"),
        ("/a/[b", CLOSED),
        ("/a/[b/c]", CLOSED),
        ("/a/[]", CLOSED),
        ("/a/[!]", CLOSED),
        ("/a/[z-a]", "the range 'z-a' is empty: its ends are in the wrong order"),
        ("/a\0", "a NUL character can never match"),
        ("/" + "a" * 1024, "a pattern may have 1024 characters, this one has 1025"),
    ],
)
@pytest.mark.parametrize("windows", [False, True])
def test_faults(pattern: str, message: str, windows: bool) -> None:
    """A path pattern that can never match is refused on every platform, with the reason."""
    assert globs.problem(pattern, windows=windows) == message
    with pytest.raises(ValueError, match=re.escape(message)):
        globs.parse(pattern, HOME, windows=windows)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a[b", "'[' is not closed; write '[[]' for a literal one"),
        ("[z-a]", "the range 'z-a' is empty: its ends are in the wrong order"),
        ("a" * 1025, "a pattern may have 1024 characters, this one has 1025"),
        ("\0", "a NUL character can never match"),
    ],
)
def test_text_faults(pattern: str, message: str) -> None:
    """A pattern that is not for paths is refused with the reason too."""
    assert globs.text_problem(pattern) == message
    with pytest.raises(ValueError, match=re.escape(message)):
        globs.parse_text(pattern)
