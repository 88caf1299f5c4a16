"""What every condition has: how it is read, how its fact is observed, and when it holds; those that most rules ask."""

from __future__ import annotations

import os

from policy.rules import paths
from policy.variables import boolean, get

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
    examples: tuple[Any, ...] = ()
    caller = False
    assumable = True
    is_path: bool = False

    def shapes(self) -> tuple[Shape, Shape]:
        """How its value is read, and a fact that somebody gives: each kind defines it. Deciding alone loads neither."""
        raise NotImplementedError

    @property
    def shape(self) -> Shape:
        """How its value is read, and its schema."""
        return self.shapes()[0]

    @property
    def fact(self) -> Shape:
        """How a fact that somebody gives, in a test of the rules, is read."""
        return self.shapes()[1]

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

    def shapes(self) -> tuple[Shape, Shape]:
        """Globs over paths, and a path."""
        from policy.rules.shapes import PATH, PATHS

        return PATHS, PATH

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

    def shapes(self) -> tuple[Shape, Shape]:
        """Globs over texts, and a text."""
        from policy.rules.shapes import TEXTS
        from policy.toml.shapes import TEXT

        return TEXTS, TEXT

    def compare(self, expected: tuple[str, ...], seen: str) -> bool:
        """True when one of the patterns matches the whole value."""
        return matches_text(expected, seen)


class FlagCondition(Condition):
    """A fact that is true or false."""

    examples: tuple[Any, ...] = (True, False)

    def shapes(self) -> tuple[Shape, Shape]:
        """A boolean, both times."""
        from policy.toml.shapes import FLAG

        return FLAG, FLAG

    def compare(self, expected: bool, seen: bool) -> bool:  # noqa: FBT001  (values of this condition)
        """True when both are the same."""
        return expected is seen

    def assumed(self, value: str) -> object:
        """A boolean, spelled as uv spells them."""
        flag = boolean(value)
        if flag is None:
            raise ValueError("must be true or false")
        return flag


PLAIN_ROOT, PLAIN_PREFIX = "/environment", "/python"  # neither exists, and no rule is about them


class Interpreter(PathCondition):
    """The interpreter's path."""

    key = "interpreter"
    plain: Any = f"{PLAIN_ROOT}/bin/python"
    help = (
        "Glob over the interpreter's path, as spelled or with the links of its folder resolved, or any folder above it."
    )

    def observe(self, request: Request) -> tuple[str, ...]:
        """The path as spelled, and with the links of its folder resolved: itself it leads to the base interpreter."""
        interpreter, _, _, real, _ = request.environment.settled
        return paths.spellings(interpreter, real)


class Root(PathCondition):
    """The environment's root."""

    key = "environment"
    plain: Any = PLAIN_ROOT
    help = "Glob over the environment's root, as spelled or with its links resolved, or any folder above it."
    examples: tuple[Any, ...] = ("/srv/**/.venv", ["/builds/**"])

    def observe(self, request: Request) -> tuple[str, ...]:
        """The root, as spelled and with its links resolved."""
        _, root, _, _, real = request.environment.settled
        return paths.spellings(root, real)


ENVIRONMENT_KINDS = ("virtualenv", "system", "target", "prefix")


class EnvironmentKind(Condition):
    """The kind of the environment."""

    key = "kind"
    plain: Any = "virtualenv"
    help = (
        "What the environment is: a virtual environment (PEP 405), a system interpreter, or a directory of --target or "
        "--prefix."
    )
    examples: tuple[Any, ...] = ("virtualenv", ["target", "prefix"])

    def shapes(self) -> tuple[Shape, Shape]:
        """One of the four, or several, and one of the four."""
        from policy.rules.shapes import names

        return names(ENVIRONMENT_KINDS)

    def observe(self, request: Request) -> str:
        """The kind that was found out when the environment was."""
        return request.environment.kind

    def compare(self, expected: tuple[str, ...], seen: str) -> bool:
        """True when it is one of them."""
        return seen in expected

    def assumed(self, value: str) -> object:
        """One of the four."""
        if value not in ENVIRONMENT_KINDS:
            raise ValueError(f"must be one of {', '.join(ENVIRONMENT_KINDS)}")
        return value


class ExternallyManaged(FlagCondition):
    """A PEP 668 marker."""

    key = "externally-managed"
    plain: Any = False
    help = (
        "Whether an EXTERNALLY-MANAGED marker (PEP 668) stands in the interpreter's standard library or in the virtual "
        "environment's own."
    )

    def observe(self, request: Request) -> bool:
        """Looks for the marker."""
        from policy.environment.externally_managed import externally_managed

        marker = externally_managed(request.environment)
        if marker:
            request.details[self.key] = marker
        return marker is not None


class Pipx(FlagCondition):
    """Whether pipx made the environment, or would make it there."""

    key = "pipx"
    plain: Any = False
    help = (
        "Whether the environment is an application of pipx: one with `pipx_metadata.json` in its root, or one below "
        "`venvs` in a folder where this caller's pipx keeps applications, such as PIPX_HOME."
    )
    caller = True

    def observe(self, request: Request) -> bool:
        """Looks at the environment only where its folder has the name that pipx gives it."""
        _, root, _, _, real = request.environment.settled
        if "venvs" not in (os.path.basename(os.path.dirname(root)), os.path.basename(os.path.dirname(real))):
            return False
        from policy.environment.pipx import is_application

        return is_application(root, {**request.caller.environ, "HOME": request.home}, request.caller.cwd)


class Writable(FlagCondition):
    """Whether the lock file in the environment can be opened for writing."""

    key = "writable"
    plain: Any = True
    help = "Whether this process could make or open `.lock` in the environment's root for writing."

    def observe(self, request: Request) -> bool:
        """Asks the kernel, and keeps the errno as the detail."""
        from policy.environment.writability import lock_errno

        number = lock_errno(request.environment.root)
        if number:
            request.details[self.key] = os.strerror(number)
        return number == 0


class Environ(Condition):
    """Environment variables."""

    key = "env"
    plain: Any = ()
    help = (
        "Environment variables, all of which must hold: true or false for a boolean as uv reads one (unset is false), "
        "or globs."
    )
    examples: tuple[Any, ...] = ({"CI": True}, {"DEPLOY": ["staging", "prod*"]})
    caller = True
    assumable = False  # there are --env and --unset

    def shapes(self) -> tuple[Shape, Shape]:
        """Booleans and globs by the variable's name, and texts."""
        from policy.rules.shapes import GIVEN_VARIABLES, VARIABLES

        return VARIABLES, GIVEN_VARIABLES

    def get(self, request: Request) -> Any:
        """All variables: which of them matter only the rule knows."""
        return request.caller.environ

    def compare(self, expected: tuple[tuple[str, Any], ...], seen: Any) -> bool:
        """True when every variable that is named holds."""
        for name, wanted in expected:  # noqa: SIM110  (a generator costs more than the question)
            if not self._holds(wanted, get(seen, name)):
                return False
        return True

    @staticmethod
    def _holds(wanted: Any, value: str | None) -> bool:
        if isinstance(wanted, bool):
            return wanted is (False if value is None else boolean(value))
        return value is not None and matches_text(wanted, value)

    def display(self, expected: Any, seen: Any) -> object:
        """Never a value: a variable may hold a secret."""
        return {name: self._displayed(wanted, seen.get(name)) for name, wanted in expected}

    def _displayed(self, wanted: Any, value: str | None) -> str:
        if value is None:
            return "unset"
        if isinstance(wanted, bool):
            flag = boolean(value)
            return "set, but not a boolean" if flag is None else "true" if flag else "false"
        return "set, matches" if self._holds(wanted, value) else "set, does not match"

    def questions(self, expected: tuple[tuple[str, Any], ...]) -> Iterable[tuple[str, Any]]:
        """One for each variable."""
        return ((f"{self.key}.{name}", ((name, wanted),)) for name, wanted in expected)

    def toml(self, expected: Any) -> Any:
        """A table of variables."""
        return {name: one_or_list(wanted) for name, wanted in expected}


class Known(dict[str, Condition]):
    """Conditions by their key; all of them are loaded when one is asked for that the built-in rules do not ask."""

    def __missing__(self, key: str) -> Condition:
        self.update(__import__("policy.rules.conditions", fromlist=["CONDITIONS"]).CONDITIONS)  # each is one of these
        return {**self}[key]


KNOWN = Known(
    {
        condition.key: condition
        for condition in (
            Interpreter(),
            Root(),
            EnvironmentKind(),
            ExternallyManaged(),
            Pipx(),
            Writable(),
            Environ(),
        )
    }
)


def holds(match: Match, request: Request) -> bool:
    """Whether every condition of a match table holds."""
    for key, expected in match:  # noqa: SIM110  (a generator costs more than the question)
        if not KNOWN[key].holds(expected, request):
            return False
    return True
