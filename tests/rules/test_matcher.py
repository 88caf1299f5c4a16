from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.rules import globs, paths
from policy.rules.matcher import path_matcher, text_matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HOME = "/home/a[b]*"


# The naive matcher. It shares nothing with the module, and tries everything.


def naive_path(pattern: str, path: str, *, windows: bool = False) -> bool:
    """Whether a pattern matches a path or a folder above it, by trying every way."""
    segments = path.rstrip("/").split("/")
    wanted = pattern.rstrip("/").split("/")
    return any(naive_segments(wanted, segments[:count], windows) for count in range(1, len(segments) + 1))


def naive_segments(wanted: Sequence[str], segments: Sequence[str], windows: bool) -> bool:  # noqa: PLR0911  (one for each thing a pattern may begin with)
    """Segment by segment; a glued `**` is tried with every run of whole characters instead."""
    if not wanted:
        return not segments
    first = wanted[0]
    if re.fullmatch(r"\*\*+", first):
        if len(wanted) == 1:
            return len(segments) > 0
        return any(naive_segments(wanted[1:], segments[skip:], windows) for skip in range(len(segments) + 1))
    if not segments:
        return False
    if "**" in first:
        # take one segment, or join it with the next one, so that the run may cross the separator
        joined = ["/".join(segments[:count]) for count in range(1, len(segments) + 1)]
        return any(
            naive_characters(first, text, windows, across=True)
            and naive_segments(wanted[1:], segments[count:], windows)
            for count, text in enumerate(joined, 1)
        )
    if set(first) == {"*"} and not segments[0]:
        return False
    return naive_characters(first, segments[0], windows) and naive_segments(wanted[1:], segments[1:], windows)


def naive_characters(  # noqa: PLR0911  (one for each thing a pattern may begin with)
    pattern: str,
    text: str,
    windows: bool = False,  # noqa: FBT002  (a naive matcher stays short)
    *,
    across: bool = False,
) -> bool:
    """Character by character."""
    if not pattern:
        return not text
    stars = re.match(r"\*+", pattern)
    if stars:
        rest = pattern[stars.end() :]
        for end in range(len(text) + 1):
            if "/" in text[:end] and across and len(stars.group()) == 1:
                return False
            if naive_characters(rest, text[end:], windows, across=across):
                return True
        return False
    if not text:
        return False
    forms = {text[0], text[0].lower(), text[0].upper()} if windows else {text[0]}
    forms |= {"ς"} if windows and "Σ" in forms else set()
    bracket = re.match(r"\[([!^]?)(\]?[^\]]*)\]", pattern)
    if bracket:
        body = bracket.group(2)
        members = re.findall(r"(.)-(.)|(.)", body, re.DOTALL)
        found = any((low <= form <= high) if low else form == single for low, high, single in members for form in forms)
        hit = found != bool(bracket.group(1)) and not (across and text[0] == "/")
        return hit and naive_characters(pattern[bracket.end() :], text[1:], windows, across=across)
    hit = pattern[0] == "?" or pattern[0] in forms or (windows and pattern[0].upper() in forms)
    if across and text[0] == "/" and pattern[0] == "?":
        hit = False
    return hit and naive_characters(pattern[1:], text[1:], windows, across=across)


# What is generated: few different characters, so that patterns and paths meet often.

CHARACTERS = "aab.é中 -Z\n"
CLASSES = ["[ab]", "[!a]", "[^a.]", "[a-c]", "[]a]", "[!]-a]", "[*]", "[?]", "[[]", "[a-]", "[!-~]", "[ -~]", "[A-Z]"]
SEGMENTS = st.text(CHARACTERS, min_size=1, max_size=4).filter(lambda segment: segment not in {".", ".."})
PATHS = st.lists(SEGMENTS, max_size=5).map(lambda segments: "/" + "/".join(segments))
WANTED = st.one_of(
    st.just("**"),
    st.just("*"),
    SEGMENTS,
    st.lists(
        st.one_of(st.sampled_from(["*", "?", "*", "**"]), st.sampled_from(CLASSES), st.text(CHARACTERS, max_size=2)),
        min_size=1,
        max_size=5,
    )
    .map("".join)
    .filter(lambda segment: segment not in {"", ".", ".."}),
)
PATTERNS = st.tuples(st.sampled_from(["/", "", "/"]), st.lists(WANTED, min_size=1, max_size=5)).map(
    lambda drawn: drawn[0] + "/".join(drawn[1]) if drawn[0] or drawn[1][0][:2] == "**" else "**/" + "/".join(drawn[1])
)


@given(pattern=PATTERNS, path=PATHS)
@example(pattern="/**", path="/")
@example(pattern="**", path="/")
@example(pattern="***", path="/")
@example(pattern="/a/***", path="/a")
@example(pattern="**/**", path="/")
@example(pattern="/*", path="/")
@example(pattern="**/*", path="/a")
@example(pattern="/**/a", path="/a")
@example(pattern="/a/**/**", path="/a")
@example(pattern="/a**/**/b", path="/a/b")
@example(pattern="/a**b", path="/a/x/b/c")
@example(pattern="**/a/*", path="/a")
@example(pattern="**/a/b", path="/a/a/b")
@example(pattern="/*a*a/b", path="/aaa/b")
@example(pattern="/**/a*/**/*b", path="/a/a/b")
@example(pattern="**?**", path="/")
@example(pattern="**a*b", path="/a/ab")
def test_paths(pattern: str, path: str) -> None:
    """A path pattern matches what trying everything matches, whichever way it is matched."""
    expected = naive_path(pattern, path)
    matches = path_matcher(pattern, HOME, windows=False)
    assert matches(path) is expected


SHAPES = [
    *["/", "/a", "/a/b", "/*", "/**", "/a/*", "/a/**", "/a/b*", "/a/b**", "/a*", "/a/*b", "/a/?", "/a/[a-b]", "/[a]/*"],
    *["**", "***", "**/a", "**/b", "**/a/b", "**/a/*", "**/a/**", "**/a*", "**/*", "**/*b", "**/a/*/b", "**/*/a"],
    *[
        "/a/**/b",
        "/**/b",
        "/a/*/b",
        "/*/*",
        "/*/**",
        "/**/*",
        "/a**",
        "**a",
        "/a**b",
        "**a**",
        "/a*b/*",
        "/a/**/a/**/b",
    ],
]
PLACES = [
    *["/", "/a", "/b", "/ab", "/a/b", "/a/ab", "/a/a/b", "/b/a", "/b/a/b", "/a/b/a/b", "/a/bb/x", "/ba/b", "/x/a"],
    *["/axb", "/a/x/b/y", "/.a/b", "/a/.b", "/aa", "/a/a", "/axb/c", "/a/a/x/b"],
]


@pytest.mark.parametrize("pattern", SHAPES)
def test_shapes(pattern: str) -> None:
    """Every shape of a path pattern that has its own way of being matched matches what trying everything matches."""
    matches = path_matcher(pattern, HOME, windows=False)
    assert {path: matches(path) for path in PLACES} == {path: naive_path(pattern, path) for path in PLACES}


@pytest.mark.parametrize(
    "pattern",
    ["", "a", "*", "**", "a*", "*a", "a*b", "*a*", "**a**", "a**", "a*b*", "*a*b", "a*a", "?", "a?*", "[ab]", "[!a]*b"],
)
def test_text_shapes(pattern: str) -> None:
    """Every shape of another pattern that has its own way of being matched matches what trying everything matches."""
    texts = ["", "a", "b", "aa", "ab", "ba", "aab", "aba", "bab", "a/b", "A", "xax", "axb", "abxbx"]
    matches = text_matcher(pattern)
    assert {text: matches(text) for text in texts} == {text: naive_characters(pattern, text) for text in texts}


def test_many_characters() -> None:
    """A path may hold any number of different characters."""
    path = "/" + "".join(map(chr, range(0x4E00, 0x9000)))
    assert path_matcher("/*a*", HOME, windows=False)(path) is False
    assert path_matcher("/*\u8fff*", HOME, windows=False)(path) is True


@given(data=st.data(), pattern=PATTERNS)
def test_paths_that_match(data: st.DataObject, pattern: str) -> None:
    """A path made from the pattern is matched as trying everything says, so that matches are not rare."""
    path = data.draw(made_from(pattern))
    expected = naive_path(pattern, path)
    matches = path_matcher(pattern, HOME, windows=False)
    assert matches(path) is expected


@st.composite
def made_from(draw: st.DrawFn, pattern: str) -> str:
    """A path that a pattern matches or nearly matches."""
    text = re.sub(r"\[[!^]?\]?[^\]]*\]", lambda _: draw(st.sampled_from("aZ-]*")), pattern)
    text = re.sub(r"\*\*+", lambda _: draw(st.sampled_from(["", "a", "a/b", "b/a.é"])), text)
    text = re.sub(r"\*", lambda _: draw(st.sampled_from(["a", "", "ab", "中"])), text)
    text = re.sub(r"\?", lambda _: draw(st.sampled_from("aé")), text)
    text += draw(st.sampled_from(["", "", "/a", "a"]))
    return paths.normal("/" + text, windows=False)


WINDOWS_SEGMENTS = st.text("aAbBéÉΣσς中. -", min_size=1, max_size=3).filter(lambda segment: bool(segment.strip(". ")))  # noqa: RUF001  (letters that `lower` treats specially)
WINDOWS_ROOTS = st.sampled_from(["C:\\", "c:/", "D:\\", "\\\\Host\\share\\"])


@given(
    root=WINDOWS_ROOTS,
    segments=st.lists(WINDOWS_SEGMENTS, max_size=4),
    pattern_root=WINDOWS_ROOTS | st.sampled_from(["**/", "**\\"]),
    wanted=st.lists(
        WINDOWS_SEGMENTS | st.sampled_from(["*", "**", "?", "*A", "a**B", "[A-Z]", "[!a]*", "[é]?", "[ςÉ]*", "*.É"]),
        max_size=4,
    ),
    separator=st.sampled_from("/\\"),
)
@example(root="C:\\", segments=[], pattern_root="c:/", wanted=["*"], separator="/")
@example(root="C:\\", segments=["ς"], pattern_root="c:/", wanted=["Σ"], separator="/")
@example(root="C:\\", segments=["A"], pattern_root="**/", wanted=["c:", "**"], separator="/")
@example(root="C:\\", segments=[], pattern_root="**/", wanted=["c:", "*"], separator="/")
def test_windows_paths(root: str, segments: list[str], pattern_root: str, wanted: list[str], separator: str) -> None:
    """On Windows separators of both kinds are one, case does not matter, and drives and shares are folders."""
    pattern = pattern_root + separator.join(wanted)
    path = paths.normal(root + "\\".join(segments), windows=True)
    expected = naive_path(pattern.replace("\\", "/"), path, windows=True)
    matches = path_matcher(pattern, "C:\\Users\\x", windows=True)
    assert matches(path) is expected


@given(
    pattern=st.lists(
        st.sampled_from(["*", "*", "?", "**"]) | st.sampled_from(CLASSES) | st.text("a/b\n", max_size=2), max_size=6
    ).map("".join),
    text=st.text("aab/Z-\n]*", max_size=8),
)
@example(pattern="a*a", text="a")
@example(pattern="*", text="")
@example(pattern="", text="")
def test_texts(pattern: str, text: str) -> None:
    """A pattern that is not for paths matches the whole text, and its star anything."""
    expected = naive_characters(pattern, text)
    matches = text_matcher(pattern)
    assert matches(text) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("~", HOME, True),
        ("~", HOME + "/x", True),
        ("~/x", HOME + "/x/y", True),
        ("~/*/y", HOME + "/x/y", True),
        ("~/**/y", HOME + "/y", True),
        ("~/x**y", HOME + "/x/1/y", True),
        ("~/x", "/home/ab/x", False),
        ("~/**", HOME, False),
        ("~/?", HOME.replace("*", "zz") + "/x", False),
    ],
)
def test_home(pattern: str, path: str, expected: bool) -> None:
    """A tilde is the home directory, whose own stars and brackets are literal."""
    matches = path_matcher(pattern, HOME, windows=False)
    assert matches(path) is expected


def test_odd_homes() -> None:
    """A root as home works, an unknown home holds nothing."""
    assert path_matcher("~/x", "/", windows=False)("/x/y")
    assert path_matcher("~", "/", windows=False)("/x")
    assert not path_matcher("~", "", windows=False)("/x")
    assert not path_matcher("~/**", "relative", windows=False)("/relative/x")
    assert path_matcher("~\\x", "C:\\Users\\Ä", windows=True)("c:/users/ä/x")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/nix/store/*", "/nix/store/abc-env/bin/python"),
        ("**/*.venv", "/a/.venv/bin"),
        ("/*/x", "/.hidden/x"),
        ("**/.venv", "/w/.venv/bin/python"),
    ],
)
def test_dots(pattern: str, path: str) -> None:
    """A leading dot is a character like any other, and a folder above is enough."""
    assert path_matcher(pattern, HOME, windows=False)(path)


@pytest.mark.parametrize(
    "pattern",
    ["/", "/a", "~", "~/a", "**", "**x", "C:\\a", "c:/a", "\\\\host\\share", "//host/share", "/a..b", "/...", "/a/[]]"],
)
@pytest.mark.parametrize("windows", [False, True])
def test_no_faults(pattern: str, windows: bool) -> None:
    """A pattern for the other platform is no fault, so that one file serves both."""
    assert globs.problem(pattern, windows=windows) is None
    path_matcher(pattern, HOME, windows=windows)("/a")


def test_foreign_patterns() -> None:
    """A pattern for the other platform matches nothing here."""
    assert not path_matcher("C:\\a", HOME, windows=False)("/a")
    assert not path_matcher("/a", "C:\\Users", windows=True)("c:/a")


@given(st.text("/*?[]!^-~.\\aC:", max_size=12), st.booleans())
def test_no_surprises(pattern: str, windows: bool) -> None:
    """A pattern without a fault compiles and matches something or nothing, but never fails."""
    ways: list[Callable[[str], Callable[[str], bool]]] = [
        text_matcher,
        lambda text: path_matcher(text, "/h", windows=windows),
    ]
    for compiled in ways:
        try:
            matches = compiled(pattern)
        except ValueError:
            continue
        assert matches(paths.normal("C:\\a" if windows else "/a/C:", windows=windows)) in {True, False}


class Counted(str):  # noqa: SLOT000  (it has an attribute)
    """A text that counts how often a character is taken from it."""

    taken = 0

    def __iter__(self) -> Iterator[str]:
        """Counts."""
        for character in str.__iter__(self):
            self.taken += 1
            yield character


HARD = [
    "**" + "/a**" * 200,
    "**" + "a**" * 300,
    "/" + "*a" * 500,
    "/" + "*a*/" * 200 + "z",
    "**/" + "a/**/" * 150 + "z",
    "**/" + "*a*a/**/" * 100 + "z",
    "/" + "a**b*" * 150 + "z",
    "**/" + "a/" * 400 + "z",
    "**/" + "[ab]*" * 150,
]


@pytest.mark.parametrize("pattern", HARD)
def test_one_step_for_each_character(pattern: str) -> None:
    """Simulating a hard pattern takes one step for each character of the path, however often it nearly matches."""
    for length in (1000, 4000):
        for path in ("/" + "a" * length, "/a" * (length // 2), "/" + "aaab" * (length // 4) + "/"):
            text = Counted(path)
            assert path_matcher(pattern, HOME, windows=False)(text) in {True, False}
            assert text.taken <= len(path)


@pytest.mark.parametrize("pattern", ["*a" * 400 + "z", "a*?" * 300, "[ab]*" * 200 + "z"])
def test_one_step_for_each_character_of_a_text(pattern: str) -> None:
    """A hard pattern that is not for paths takes one step for each character, too."""
    text = Counted("a" * 20_000 + "y")
    assert text_matcher(pattern)(text) in {True, False}
    assert text.taken <= len(text)


def test_no_imports() -> None:
    """Matching a few patterns of any shape imports neither `re` nor anything else that is slow."""
    program = """
import sys
before = set(sys.modules)
from policy.rules.matcher import path_matcher, text_matcher
for pattern in ["/nix/store/*", "/usr/**", "**", "~/work/**", "/home/*/.venv", "/a**b", "/opt/py3.[0-9]*/bin"]:
    path_matcher(pattern, "/home/me")("/home/me/work/x")
for pattern in ["nfs*", "*fs", "exact", "a?c*d"]:
    text_matcher(pattern)("nfs4")
print(*sorted(set(sys.modules) - before))
"""
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": "."},
    ).stdout.split()
    assert not {"re", "typing", "functools", "enum", "fnmatch", "collections", "pathlib"} & set(loaded)
    assert "policy.rules.globs" in loaded
