"""Deciding: a program and a request in, a decision out.

A program is the plain form of a chain of rules: tuples, numbers and strings, which a cache file can hold and which need
no attrs. `lock()`, `run` and `explain` all decide here.
"""

from __future__ import annotations

from policy.rules import index
from policy.rules.conditions import CONDITIONS, Combinator, asks_caller, holds
from policy.rules.plan import LOCATIONS, default_global_directory
from policy.rules.request import Caller, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    from policy.environment.discovery import Environment
    from policy.rules.conditions import Match
    from policy.rules.plan import LockFile
    from policy.rules.rule import Rule, Step

    # the fields of a Rule, in their order
    Row = tuple[Any, ...]
    # a value and where it comes from: file, line, layer
    Setting = tuple[Any, str, int, str]

    class Rows(Protocol):
        """Rules by their number."""

        def __len__(self) -> int: ...
        def __getitem__(self, number: int, /) -> Row: ...


MANY = 1024  # environments whose candidates are remembered
SETTLED = frozenset({"interpreter", "environment", "kind"})  # say the same of an environment each time

LOCK, MATCH, NAME, TIMEOUT, REQUIRED, REASON, MANDATORY, FILE, LINE, LAYER = range(10)


def label(row: Row) -> str:
    """A rule as messages name it."""
    return row[NAME] or f"{row[FILE]}:{row[LINE]}"


class Program:
    """Rules and settings, ready to decide.

    Args:
        rows: The rules as plain tuples, the strongest first.
        settings: Single settings by key.
        built: The index of the rows; absent: made when it is first asked for.
    """

    __slots__ = ("_index", "known", "rows", "settings")

    def __init__(self, rows: Rows, settings: Mapping[str, Setting], built: index.Index | None = None) -> None:
        self.rows = rows
        self.settings = settings
        self._index = built
        self.known: dict[tuple[str, str, str], Sequence[int] | int] = {}

    def candidates(self, request: Request) -> Sequence[int] | int:
        """The rules that can match, in order; where nothing but the environment decides, the one that does."""
        if self._index is None:
            self._index = index.build(self.rows[number] for number in range(len(self.rows)))
        found = index.candidates(self._index, request)
        if request.given:
            return found
        left: Sequence[int] | int = self._narrowed(found, request)
        if len(self.known) >= MANY:
            self.known.clear()
        environment = request.environment
        self.known[environment.interpreter, environment.root, environment.kind] = left
        return left

    def _narrowed(self, numbers: Sequence[int], request: Request) -> Sequence[int] | int:
        """The rules whose settled conditions hold, up to the first that has no others."""
        left: list[int] = []
        for number in numbers:
            match = self.rows[number][MATCH]
            settled = tuple([condition for condition in match if condition[0] in SETTLED])
            if not holds(settled, request):
                continue
            if len(settled) == len(match):  # nothing else is asked, so it decides where it is reached
                return [*left, number] if left else number
            left.append(number)
        return left

    def with_settings(self, settings: Mapping[str, Setting]) -> Program:
        """The same rules, with settings that stand before its own."""
        program = Program(self.rows, {**self.settings, **settings}, self._index)
        program.known = self.known
        return program

    def setting(self, name: str) -> Any:
        """The value of a single setting, None where no file has one."""
        found = self.settings.get(name)
        return found[0] if found else None


class Decision:
    """The rule that matched, and on demand the plan and every step that led there.

    Args:
        program: The rules that were asked.
        request: What they were asked.
        index: Which rule matched.

    Attributes:
        anonymous: Gives the decision for the same request without environment variables; None: the same rules do.
        corrected: Why the rules were asked a second time, "" where they were not.
    """

    anonymous: Callable[[], Decision] | None = None
    corrected = ""
    _other: Decision | None = None
    _plan: tuple[LockFile, ...] | None = None

    def __init__(self, program: Program, request: Request, index: int) -> None:
        self.program = program
        self.request = request
        self.index = index

    @property
    def plan(self) -> tuple[LockFile, ...]:
        """The lock files to hold, in the order in which they are taken."""
        if self._plan is None:
            directory = self.program.setting("global-dir") or default_global_directory(self.request.caller.environ)
            self._plan = LOCATIONS[self.lock](self.request, directory)
        return self._plan

    @property
    def row(self) -> Row:
        """The rule that matched, in its plain form."""
        return self.program.rows[self.index]

    @property
    def lock(self) -> str:
        """`local`, `global` or `both`."""
        return self.row[LOCK]  # type: ignore[no-any-return]

    @property
    def timeout(self) -> float | None:
        """Seconds to wait: the rule's own, else the setting; None waits for ever."""
        forced = self.program.settings.get("timeout")
        if forced and forced[3] == "caller":  # the command line and LOCK_POLICY_TIMEOUT stand before all files
            return forced[0]  # type: ignore[no-any-return]
        own = self.row[TIMEOUT]
        return own if own is not None else self.program.setting("timeout")  # type: ignore[no-any-return]

    @property
    def required(self) -> bool:
        """False: go on without a lock that cannot be had."""
        return self.row[REQUIRED]  # type: ignore[no-any-return]

    @property
    def environment(self) -> Environment:
        """What is to be locked."""
        return self.request.environment

    @property
    def rule(self) -> Rule:
        """The rule that matched."""
        from policy.rules.rule import Rule

        return Rule(*self.row)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every rule, with each of its conditions up to the rule that matched."""
        from policy.rules.rule import Check, Rule, Step

        return tuple(
            Step(Rule(*row), outcome, tuple(Check.of(record) for record in records))
            for row, outcome, records in steps(self)
        )

    @property
    def agrees(self) -> bool:
        """Whether a caller with no environment variables would hold a file of this plan too."""
        ours = {file.path for file in self.plan}
        return any(file.path in ours for file in self.other.plan)

    @property
    def other(self) -> Decision:
        """The decision for the same request without environment variables."""
        if self._other is None:
            self._other = self.anonymous() if self.anonymous else decide(self.program, anonymous(self.request))
        return self._other


def decide(program: Program, request: Request) -> Decision:
    """The first rule that matches, and the plan that follows from it.

    Args:
        program: The rules.
        request: What is to be locked, and who asks.

    Returns:
        The decision; the built-in rules end with one that matches everything.
    """
    environment = request.environment
    numbers: Sequence[int] | int | None = None
    if not request.given:
        numbers = program.known.get((environment.interpreter, environment.root, environment.kind))
    if numbers is None:
        numbers = program.candidates(request)
    if isinstance(numbers, int):
        return Decision(program, request, numbers)
    for number in numbers:
        match = program.rows[number][MATCH]
        if not match or holds(match, request):
            return Decision(program, request, number)
    raise AssertionError("the built-in rules end with one that matches everything")


def anonymous(request: Request) -> Request:
    """The same request without environment variables; what is the environment's is not observed again."""
    caller = request.caller
    other = Request(request.environment, Caller({}, caller.cwd, caller.operation, caller.project))
    other.facts, other.details, other.project = request.facts, request.details, request.project
    return other


def steps(decision: Decision, most: int | None = None) -> list[tuple[Row, str, list[dict[str, Any]]]]:
    """The trace: each rule, its outcome, its conditions answered.

    Args:
        decision: What was decided; its request keeps the facts, so nothing is observed twice.
        most: Leave out rules from the middle of those that said no, and from the end of those that were not reached, so
            that about as many remain on either side; absent: every rule.
    """
    rows = decision.program.rows
    trace: list[tuple[Row, str, list[dict[str, Any]]]] = []
    for number in _shown(decision.index, len(rows), most):
        row = rows[number]
        if number > decision.index:
            trace.append((row, "not-reached", []))
        else:
            outcome = "matched" if number == decision.index else "no"
            trace.append((row, outcome, checks(row[MATCH], decision.request)))
    return trace


def _shown(matched: int, count: int, most: int | None) -> list[int]:
    if most is None:
        return list(range(count))
    tried = range(matched + 1)
    if len(tried) > most:
        tried = [*tried[: most // 2], *tried[-(most // 2) :]]  # type: ignore[assignment]
    return [*tried, *range(matched + 1, min(count, matched + 1 + most))]


def checks(match: Match, request: Request) -> list[dict[str, Any]]:
    """Every condition of a match table, answered: what it wanted, what it saw."""
    return [_check(key, expected, request) for key, expected in match]


def _check(key: str, expected: Any, request: Request) -> dict[str, Any]:
    condition = CONDITIONS[key]
    record: dict[str, Any] = {
        "key": key,
        "expected": shown(key, expected),
        "seen": None,
        "passed": condition.holds(expected, request),
        "caller": asks_caller(((key, expected),)),
    }
    if isinstance(condition, Combinator):
        record["checks"] = [checks(match, request) for match in condition.tables(expected)]
    else:
        record["seen"] = condition.told(expected, condition.seen(request))
        if key in request.details:
            record["detail"] = request.details[key]
    return record


def shown(key: str, expected: Any) -> Any:
    """A condition's value as TOML would have it."""
    condition = CONDITIONS[key]
    if isinstance(condition, Combinator):
        tables = [{inner: shown(inner, value) for inner, value in match} for match in condition.tables(expected)]
        return tables[0] if key == "not" else tables
    if key == "env":
        return {name: _one(wanted) for name, wanted in expected}
    return _one(expected)


def _one(expected: Any) -> Any:
    if not isinstance(expected, tuple):
        return expected
    return expected[0] if len(expected) == 1 else list(expected)
