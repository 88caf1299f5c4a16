"""What every condition has: how it is read, how its fact is observed, and when it holds."""

from __future__ import annotations

import os

from policy.rules import paths
from policy.variables import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from policy.rules.request import Request
    from policy.toml.shapes import Shape

    Match = tuple[tuple[str, Any], ...]

_paths: dict[str, Callable[[str], bool]] = {}
_paths_at_home: dict[tuple[str, str], Callable[[str], bool]] = {}
_texts: dict[str, Callable[[str], bool]] = {}


def _path(pattern: str, request: Request) -> Callable[[str], bool]:
    """The compiled form of a path pattern; the first use pays for it."""
    if pattern[:1] != "~":
        return _paths.setdefault(pattern, paths.simple(pattern) or _compiled(pattern))
    key = pattern, request.home
    if key not in _paths_at_home:
        _paths_at_home[key] = _compiled(*key)
    return _paths_at_home[key]


def _compiled(pattern: str, home: str = "") -> Callable[[str], bool]:
    from policy.rules.matcher import path_matcher  # importing it costs more than most patterns need

    return path_matcher(pattern, home)


def matches_text(patterns: tuple[str, ...], text: str) -> bool:
    """Whether one of several patterns matches a whole text.

    Args:
        patterns: They.
        text: It.
    """
    for pattern in patterns:  # a generator costs more than the question
        if pattern not in _texts:
            from policy.rules.matcher import text_matcher

            _texts[pattern] = text_matcher(pattern)
        if _texts[pattern](text):
            return True
    return False


class Condition:
    """One question about one fact.

    Attributes:
        key: Its name in `match`, in JSON and in `--assume`.
        help: One sentence for the schema, the reference and the editor.
        plain: The fact where a test of the rules does not give it: a writable virtual environment on Linux, a caller
            without variables, project or operation. Never this machine's.
        examples: Values as TOML would have them.
        caller: Whether two callers of one environment may see different answers.
        assumable: Whether `--assume` can give its fact.
        is_path: Whether its fact is a path, in one spelling or two.
    """

    key: str
    help: str
    plain: Any = ""
    examples: tuple[Any, ...]
    caller = False
    assumable = True
    is_path: bool = False

    @property
    def shape(self) -> Shape:
        """How its value is read, and its schema: each condition defines it. Deciding alone does not load it."""
        raise NotImplementedError

    @property
    def fact(self) -> Shape:
        """How a fact that somebody gives, in a test of the rules, is read."""
        from policy.toml.shapes import TEXT

        return TEXT

    def observe(self, request: Request) -> Any:
        """Observes the fact; each condition defines how."""
        raise NotImplementedError

    def compare(self, expected: Any, seen: Any) -> bool:
        """Whether the fact is as expected; each kind of condition defines how."""
        raise NotImplementedError

    def get(self, request: Request) -> Any:
        """The fact, observed when it is first asked for."""
        try:
            return request.facts[self.key]
        except KeyError:
            fact = request.facts[self.key] = self.observe(request)
            return fact

    def holds(self, expected: Any, request: Request) -> bool:
        """Whether the fact is as the rule wants it."""
        return self.compare(expected, self.get(request))

    def assumed(self, value: str) -> object:
        """The fact that `--assume` spells; raises ValueError for one that cannot be."""
        return value

    def display(self, expected: Any, seen: Any) -> object:
        """What was seen, as it may be shown."""
        del expected
        return seen

    def asks(self, expected: Any) -> bool:
        """Whether the answer may differ between two callers of one environment."""
        del expected
        return self.caller

    def questions(self, expected: Any) -> Iterable[tuple[str, Any]]:
        """What is asked, each by a name and as a value of its own; all of them must hold."""
        return ((self.key, expected),)

    def tables(self, expected: Any) -> tuple[Match, ...]:
        """The match tables inside; none, except for a combinator."""
        del expected
        return ()

    def toml(self, expected: Any) -> Any:
        """The value of `match`, as TOML has it."""
        return one_or_list(expected)


def one_or_list(expected: Any) -> Any:
    """A value that was read as several, as TOML has it."""
    if not isinstance(expected, tuple):
        return expected
    return expected[0] if len(expected) == 1 else list(expected)


class PathCondition(Condition):
    """A glob over a path as spelled and with its links resolved, or over a folder above it; its fact is both.

    Attributes:
        absent: Whether there may be no path.
        spellings: How many spellings one path may have.
    """

    is_path: bool = True
    absent = False
    spellings = 2

    examples: tuple[Any, ...] = ("/nix/store/*", ["/opt/**", "~/shared/*"])

    @property
    def shape(self) -> Shape:
        """Globs over paths."""
        from policy.rules.shapes import PATHS

        return PATHS

    @property
    def fact(self) -> Shape:
        """A path."""
        from policy.rules.shapes import PATH

        return PATH

    def asks(self, expected: tuple[str, ...]) -> bool:
        """The home directory is the caller's, too."""
        return self.caller or any(pattern[:1] == "~" for pattern in expected)

    def get(self, request: Request) -> tuple[str, ...]:
        """One spelling of the path or two; none where there is no path."""
        try:
            seen = request.facts[self.key]
        except KeyError:
            seen = request.facts[self.key] = self.observe(request)
        return ((seen,) if seen else ()) if isinstance(seen, str) else seen  # type: ignore[return-value]  # a fact

    def holds(self, expected: tuple[str, ...], request: Request) -> bool:
        """True when one of the patterns matches a spelling of the path or a folder above it."""
        seen = self.get(request)
        for pattern in expected:  # a generator costs more than the question
            matches = _paths.get(pattern) or _path(pattern, request)
            for path in seen:
                if matches(path):
                    return True
        return False

    def assumed(self, value: str) -> object:
        """The path, made absolute; none where there may be none."""
        if not value:
            if self.absent:
                return ()
            raise ValueError("must be a path")
        return paths.normal(os.path.abspath(value))

    def display(self, expected: Any, seen: tuple[str, ...]) -> object:
        """The path as spelled."""
        del expected
        return seen[0] if seen else ""


class TextCondition(Condition):
    """A glob over a whole value."""

    @property
    def shape(self) -> Shape:
        """Globs over texts."""
        from policy.rules.shapes import TEXTS

        return TEXTS

    def compare(self, expected: tuple[str, ...], seen: str) -> bool:
        """True when one of the patterns matches the whole value."""
        return matches_text(expected, seen)


class FlagCondition(Condition):
    """A fact that is true or false."""

    examples: tuple[Any, ...] = (True, False)

    @property
    def shape(self) -> Shape:
        """A boolean."""
        from policy.rules.shapes import FLAGS

        return FLAGS

    @property
    def fact(self) -> Shape:
        """A boolean, too."""
        return self.shape

    def compare(self, expected: bool, seen: bool) -> bool:  # noqa: FBT001  (values of this condition)
        """True when both are the same."""
        return expected is seen

    def assumed(self, value: str) -> object:
        """A boolean, spelled as uv spells them."""
        flag = boolean(value)
        if flag is None:
            raise ValueError("must be true or false")
        return flag
