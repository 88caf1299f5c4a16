from __future__ import annotations

import ntpath
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.rules import globs

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


def every_way(glob: globs.Glob) -> Iterator[Callable[[str], bool]]:
    """The function in use, and the one that takes its place once it is warm."""
    yield glob.matches
    for _ in range(globs.WARM + 1):
        glob.matches("/never")
    yield glob.matches


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
    for matches in every_way(globs.compile_path(pattern, HOME, windows=False)):
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
    for matches in every_way(globs.compile_path(pattern, HOME, windows=False)):
        assert {path: matches(path) for path in PLACES} == {path: naive_path(pattern, path) for path in PLACES}


@pytest.mark.parametrize(
    "pattern",
    ["", "a", "*", "**", "a*", "*a", "a*b", "*a*", "**a**", "a**", "a*b*", "*a*b", "a*a", "?", "a?*", "[ab]", "[!a]*b"],
)
def test_text_shapes(pattern: str) -> None:
    """Every shape of another pattern that has its own way of being matched matches what trying everything matches."""
    texts = ["", "a", "b", "aa", "ab", "ba", "aab", "aba", "bab", "a/b", "A", "xax", "axb", "abxbx"]
    for matches in every_way(globs.compile_text(pattern)):
        assert {text: matches(text) for text in texts} == {text: naive_characters(pattern, text) for text in texts}


def test_many_characters() -> None:
    """A path may hold any number of different characters."""
    path = "/" + "".join(map(chr, range(0x4E00, 0x9000)))
    assert globs.compile_path("/*a*", HOME, windows=False).matches(path) is False
    assert globs.compile_path("/*\u8fff*", HOME, windows=False).matches(path) is True


@given(data=st.data(), pattern=PATTERNS)
def test_paths_that_match(data: st.DataObject, pattern: str) -> None:
    """A path made from the pattern is matched as trying everything says, so that matches are not rare."""
    path = data.draw(made_from(pattern))
    expected = naive_path(pattern, path)
    for matches in every_way(globs.compile_path(pattern, HOME, windows=False)):
        assert matches(path) is expected


@st.composite
def made_from(draw: st.DrawFn, pattern: str) -> str:
    """A path that a pattern matches or nearly matches."""
    text = re.sub(r"\[[!^]?\]?[^\]]*\]", lambda _: draw(st.sampled_from("aZ-]*")), pattern)
    text = re.sub(r"\*\*+", lambda _: draw(st.sampled_from(["", "a", "a/b", "b/a.é"])), text)
    text = re.sub(r"\*", lambda _: draw(st.sampled_from(["a", "", "ab", "中"])), text)
    text = re.sub(r"\?", lambda _: draw(st.sampled_from("aé")), text)
    text += draw(st.sampled_from(["", "", "/a", "a"]))
    return globs.normal("/" + text, windows=False)


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
    path = globs.normal(root + "\\".join(segments), windows=True)
    expected = naive_path(pattern.replace("\\", "/"), path, windows=True)
    for matches in every_way(globs.compile_path(pattern, "C:\\Users\\x", windows=True)):
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
    for matches in every_way(globs.compile_text(pattern)):
        assert matches(text) is expected


@given(pattern=PATTERNS, path=PATHS)
def test_prefix(pattern: str, path: str) -> None:
    """Whatever matches is the prefix or lies below it, and is found under it by walking up."""
    glob = globs.compile_path(pattern, HOME, windows=False)
    assert not glob.prefix.endswith("/")
    if glob.matches(path):
        assert path == glob.prefix or path.startswith(glob.prefix + "/")
        assert glob.prefix in globs.folders(path)


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
    assert globs.compile_path(pattern, HOME, windows=False).prefix == prefix


def test_windows_prefix() -> None:
    """On Windows the prefix is in the form in which paths are compared."""
    glob = globs.compile_path("C:\\Program Files\\Python\\[3-4]*", "", windows=True)
    path = globs.normal("C:\\PROGRAM FILES\\python\\3.11\\python.exe", windows=True)
    assert glob.matches(path)
    assert glob.prefix == "c:/program files/python"
    assert glob.prefix in globs.folders(path)
    assert globs.compile_path("C:\\*", "", windows=True).prefix in globs.folders("c:/")


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
    for matches in every_way(globs.compile_path(pattern, HOME, windows=False)):
        assert matches(path) is expected


def test_odd_homes() -> None:
    """A root as home works, an unknown home holds nothing."""
    assert globs.compile_path("~/x", "/", windows=False).matches("/x/y")
    assert globs.compile_path("~", "/", windows=False).matches("/x")
    assert not globs.compile_path("~", "", windows=False).matches("/x")
    assert not globs.compile_path("~/**", "relative", windows=False).matches("/relative/x")
    assert globs.compile_path("~\\x", "C:\\Users\\Ä", windows=True).matches("c:/users/ä/x")


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
    assert globs.compile_path(pattern, HOME, windows=False).matches(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("//", "/"),
        ("//a", "/a"),
        ("/a/", "/a"),
        ("/a/../b", "/b"),
        ("/..", "/"),
        ("/a/./b//c/.d", "/a/b/c/.d"),
        ("/plain/path", "/plain/path"),
    ],
)
def test_normal(path: str, expected: str) -> None:
    """Dots and doubled separators are resolved without looking at the disk."""
    assert globs.normal(path, windows=False) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:\\", "c:/"),
        ("C:\\A\\..\\B\\", "c:/b"),
        ("\\\\Host\\Share\\X", "//host/share/x"),
        ("\\\\Host\\Share\\", "//host/share"),
        ("\\\\?\\C:\\X", "c:/x"),
        ("\\\\?\\UNC\\Host\\Share\\X", "//host/share/x"),
        ("C:/ΑΣ/İ", "c:/ασ/İ"),  # noqa: RUF001  (letters that `lower` treats specially)
    ],
)
def test_normal_on_windows(path: str, expected: str) -> None:
    """On Windows separators become slashes and letters small, one for one."""
    assert globs.normal(path, windows=True) == expected
    assert len(globs.normal(path, windows=True)) <= len(ntpath.normpath(path))


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
    assert globs.fault(pattern, windows=windows) == message
    with pytest.raises(ValueError, match=re.escape(message)):
        globs.compile_path(pattern, HOME, windows=windows)


@pytest.mark.parametrize(
    "pattern",
    ["/", "/a", "~", "~/a", "**", "**x", "C:\\a", "c:/a", "\\\\host\\share", "//host/share", "/a..b", "/...", "/a/[]]"],
)
@pytest.mark.parametrize("windows", [False, True])
def test_no_faults(pattern: str, windows: bool) -> None:
    """A pattern for the other platform is no fault, so that one file serves both."""
    assert globs.fault(pattern, windows=windows) is None
    globs.compile_path(pattern, HOME, windows=windows).matches("/a")


def test_foreign_patterns() -> None:
    """A pattern for the other platform matches nothing here."""
    assert not globs.compile_path("C:\\a", HOME, windows=False).matches("/a")
    assert not globs.compile_path("/a", "C:\\Users", windows=True).matches("c:/a")


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
    assert globs.text_fault(pattern) == message
    with pytest.raises(ValueError, match=re.escape(message)):
        globs.compile_text(pattern)


@given(st.text("/*?[]!^-~.\\aC:", max_size=12), st.booleans())
def test_no_surprises(pattern: str, windows: bool) -> None:
    """A pattern without a fault compiles and matches something or nothing, but never fails."""
    ways: list[Callable[[str], globs.Glob]] = [
        globs.compile_text,
        lambda text: globs.compile_path(text, "/h", windows=windows),
    ]
    for compiled in ways:
        try:
            glob = compiled(pattern)
        except ValueError:
            continue
        for matches in every_way(glob):
            assert matches(globs.normal("C:\\a" if windows else "/a/C:", windows=windows)) in {True, False}


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
            assert globs.compile_path(pattern, HOME, windows=False).matches(text) in {True, False}
            assert text.taken <= len(path)


@pytest.mark.parametrize("pattern", HARD)
@pytest.mark.parametrize("path", ["a", "/a", "aaab/", "b"])
def test_growth(pattern: str, path: str) -> None:
    """Warm matching of a hard pattern takes time in proportion to the path: 16 times, never 16 squared."""
    *_, matches = every_way(globs.compile_path(pattern, HOME, windows=False))

    def cost(length: int) -> float:
        text = "/" + path * (length // len(path)) + "/y"
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            for _ in range(20_000 // length + 1):
                matches(text)
            best = min(best, (time.process_time() - start) / (20_000 // length + 1))
        return best

    assert cost(16_000) < 80 * cost(1_000) + 0.005  # proportional is 16, quadratic 256


@pytest.mark.parametrize("pattern", ["*a" * 400 + "z", "a*?" * 300, "[ab]*" * 200 + "z"])
def test_growth_of_texts(pattern: str) -> None:
    """The longest text with the worst pattern is matched in a fraction of a second."""
    for matches in every_way(globs.compile_text(pattern)):
        start = time.process_time()
        assert matches("a" * 20_000 + "y") in {True, False}
        assert time.process_time() - start < 5


def test_no_imports() -> None:
    """Matching a few patterns of any shape imports neither `re` nor anything else that is slow."""
    program = """
import sys
before = set(sys.modules)
from policy.rules import globs
for pattern in ["/nix/store/*", "/usr/**", "**", "~/work/**", "/home/*/.venv", "/a**b", "/opt/py3.[0-9]*/bin"]:
    globs.compile_path(pattern, "/home/me").matches("/home/me/work/x")
for pattern in ["nfs*", "*fs", "exact", "a?c*d"]:
    globs.compile_text(pattern).matches("nfs4")
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


def test_lazy() -> None:
    """A matcher is made when it is first asked for, and kept."""
    glob = globs.compile_path("/a/*/b", HOME, windows=False)
    first = glob.matches
    assert glob.matches is first
    assert repr(glob) == "Glob('/a/*/b')"
    with pytest.raises(AttributeError):
        glob.missing  # type: ignore[attr-defined]  # noqa: B018  (the access is what is tested)
