from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from policy.errors import ConfigError
from policy.rules.condition import FlagCondition, PathCondition, TextCondition, matches_text, one_or_list
from policy.rules.shapes import PATHS
from policy.toml.diagnostic import Location
from tests import factories

if TYPE_CHECKING:
    from policy.rules.request import Request

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


class Shell(TextCondition):
    """A fact that is counted when it is observed."""

    key = "shell"
    seen = 0

    def observe(self, request: Request) -> str:
        """Always bash."""
        del request
        self.seen += 1
        return "bash"


class Folder(PathCondition):
    """A path of two spellings."""

    key = "folder"

    def observe(self, request: Request) -> tuple[str, ...]:
        """As spelled, and where it leads."""
        del request
        return ("/srv/link/bin", "/data/real/bin")


def test_observed_once() -> None:
    """A fact is observed when it is first asked for, and once for a request."""
    condition, asked = Shell(), factories.request()
    assert [condition.holds((pattern,), asked) for pattern in ("ba*", "zsh", "bash")] == [True, False, True]
    assert condition.seen == 1


def test_a_given_fact_is_not_observed() -> None:
    """What a request is given is not looked at."""
    condition = Shell()
    assert condition.holds(("fish",), factories.request(facts={"shell": "fish"}))
    assert condition.seen == 0


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("/srv/link/*", True), ("/data/real", True), ("/data/*/bin", True), ("/srv/real", False), ("/srv/lin", False)],
)
def test_either_spelling(pattern: str, expected: bool) -> None:
    """A path matches as spelled or with its links resolved, itself or a folder above it."""
    assert Folder().holds((pattern,), factories.request()) is expected


def test_home_is_the_callers() -> None:
    """A pattern with `~` asks about the caller, any other one does not."""
    assert Folder().asks(("/a", "~/b"))
    assert not Folder().asks(("/a", "**/b"))
    asked = factories.request({"HOME": "/data"})
    assert Folder().holds(("~/real",), asked)
    assert not Folder().holds(("~/real",), factories.request({"HOME": "/srv"}))


@pytest.mark.parametrize("value", ["relative/*", "../x", "", "/a/[z-a]"])
def test_patterns_that_can_never_match(value: str) -> None:
    """A pattern that matches nothing, whatever there is, is refused where it is read."""
    with pytest.raises(ConfigError):
        PATHS.parse(value, Location("a.toml"))


def test_assumed() -> None:
    """A fact that is assumed is spelled as people spell it."""
    flag = FlagCondition()
    assert (flag.assumed("YES"), flag.assumed("0")) == (True, False)
    with pytest.raises(ValueError, match="must be true or false"):
        flag.assumed("maybe")
    assert Folder().assumed("/a/../b") == "/b"
    with pytest.raises(ValueError, match="must be a path"):
        Folder().assumed("")


def test_as_toml() -> None:
    """One value is written alone, several as a list."""
    assert one_or_list(("a",)) == "a"
    assert one_or_list(("a", "b")) == ["a", "b"]
    assert one_or_list("a") == "a"


def test_texts() -> None:
    """One of several patterns has to match the whole text."""
    assert matches_text(("x", "a*c"), "abc")
    assert not matches_text(("x", "ab"), "abc")
    assert not matches_text((), "abc")
