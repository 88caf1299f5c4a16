from __future__ import annotations

import ntpath
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.rules import globs, paths
from policy.rules.matcher import path_matcher


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
    assert paths.normal(path, windows=False) == expected


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
    assert paths.normal(path, windows=True) == expected
    assert len(paths.normal(path, windows=True)) <= len(ntpath.normpath(path))


def test_spellings() -> None:
    """A path has one spelling or two, each in the form in which paths are compared."""
    assert paths.spellings("/a/./b", "/a/b/") == ("/a/b",)
    assert paths.spellings("/a//b", "/c") == ("/a/b", "/c")


WORDS = ("/", "*", "**", "a", "b", ".", "..", "?", "[a]", "~", "\0", "/**", "/*")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other separators")
@given(
    pattern=st.lists(st.sampled_from(["/", "*", "**", "a", "b", ".", "..", "?", "[a]", "~", "\0", "/**", "/*"])).map(
        "".join
    ),
    path=st.lists(st.sampled_from(["a", "b", ".a", "ab"])).map(lambda names: "/" + "/".join(names)),
)
@example("/a/*/**", "/a/b/c")
@example("/a/**", "/a")
@example("/**", "/")
def test_simple(pattern: str, path: str) -> None:
    """The short way with a usual pattern says what the whole language says, and leaves all others to that."""
    matches = paths.simple(pattern)
    if matches is not None:
        assert globs.problem(pattern) is None
        assert matches(path) == path_matcher(pattern)(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other separators")
@pytest.mark.parametrize(
    ("pattern", "is_simple"),
    [
        ("/srv/app", True),
        ("/srv/app/*", True),
        ("/srv/app/**", True),
        ("/srv/app/.venv/**", True),
        ("/srv/..app", True),
        ("/srv/app*", False),
        ("/srv/*/app", False),
        ("~/app", False),
        ("**/app", False),
        ("/", False),
        ("/*", False),
        ("/a/../b", False),
        ("/a/./b", False),
        ("/a/..", False),
        ("", False),
    ],
)
def test_which_are_simple(pattern: str, is_simple: bool) -> None:
    """A folder, and all that lies below it, needs no parser."""
    assert (paths.simple(pattern) is not None) == is_simple
