from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.checks import languages
from policy.checks.languages import Effort, TooMuchError, find, path_language, text_language
from policy.rules import paths
from policy.rules.matcher import path_matcher, text_matcher
from tests.rules.test_matcher import PATHS, PATTERNS

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

HOME = "/home/me"
TEXTS = st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]"]), min_size=1, max_size=4).map("".join)


@pytest.mark.parametrize(
    ("wanted", "refused", "expected"),
    [
        ([["/srv/*"]], ["/srv/a*"], "/srv/x"),
        ([["/srv"]], ["/srv/**"], "/srv"),
        ([["/srv/**"]], ["/srv"], None),
        ([["/srv/[a-c]"]], ["/srv/a", "/srv/b", "/srv/c"], None),
        ([["/srv/[a-d]"]], ["/srv/a", "/srv/b", "/srv/c"], "/srv/d"),
        ([["~/x"]], ["/home/*"], None),
        ([["/a", "/b"], ["/b/*"]], [], "/b/x"),
        ([], ["**"], None),
        ([["/"]], ["/*"], "/"),
    ],
)
def test_paths(wanted: list[list[str]], refused: list[str], expected: str | None) -> None:
    """The shortest path that patterns match and others do not; None where there is none."""
    groups = [[path_language(pattern, HOME) for pattern in group] for group in wanted]
    assert find(groups, [path_language(pattern, HOME) for pattern in refused], Effort(), path=True) == expected


@pytest.mark.slow
@given(st.lists(PATTERNS, max_size=3), st.lists(PATTERNS, max_size=3), PATHS)
@settings(max_examples=300)
def test_paths_as_matched(wanted: list[str], refused: list[str], path: str) -> None:
    """What is found is matched as wanted, and where nothing is found nothing is: the matcher is asked."""
    try:
        found = find(
            [[path_language(pattern, HOME)] for pattern in wanted],
            [path_language(pattern, HOME) for pattern in refused],
            Effort(),
            path=True,
        )
    except TooMuchError:
        return

    def fits(candidate: str) -> bool:
        return all(path_matcher(pattern, HOME)(candidate) for pattern in wanted) and not any(
            path_matcher(pattern, HOME)(candidate) for pattern in refused
        )

    if found is None:
        assert not fits(paths.normal(path))
    else:
        assert paths.normal(found) == found
        assert fits(found)


@given(st.lists(TEXTS, max_size=3), st.lists(TEXTS, max_size=3), st.text("abc", max_size=5))
def test_texts_as_matched(wanted: list[str], refused: list[str], text: str) -> None:
    """The same for texts that are no paths."""
    groups = [[text_language(pattern)] for pattern in wanted]
    found = find(groups, [text_language(pattern) for pattern in refused], Effort(), path=False)
    candidate = text if found is None else found
    fits = all(text_matcher(pattern)(candidate) for pattern in wanted) and not any(
        text_matcher(pattern)(candidate) for pattern in refused
    )
    assert fits is (found is not None)


def test_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that would take too long says so."""
    monkeypatch.setattr(languages, "MOST_STATES", 3)
    with pytest.raises(TooMuchError):
        find([[text_language("a*b*c")]], [text_language("abc")], Effort(), path=False)
