"""Decisions of a log, decided again: which of them the present rules, or other ones, would change.

The log has the facts of each decision, and of environment variables only what the rules of then asked. What other rules
ask beyond that may be answered either way: each is tried, and where they differ it is not known.
"""

from __future__ import annotations

import json
import os
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from policy.checks.diff import Side, side
from policy.checks.languages import Effort, TooMuchError
from policy.checks.log_lines import IDENTITY, UnreadableError, lines
from policy.checks.regions import Asked, Example, value_of_variable
from policy.config.layers import Query, Source, named_table
from policy.config.loading import Rules
from policy.config.read import chain, read_file
from policy.environment.discovery import Environment
from policy.errors import UsageError
from policy.rules.condition import Environ
from policy.rules.decision_log import OF_HOME, spelled
from policy.rules.effect import effect, inside
from policy.rules.request import Caller, Request, working_directory
from policy.rules.supposition import FACTS, HOME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from policy.checks.log_lines import Answers, Logged
    from policy.config.layers import Layer
    from policy.rules.decision import BaseChain, PlainChain
    from policy.rules.rule import AnyRule

MOST_OPEN = 64  # ways to answer what the log does not say
OF_CALLER = ("LOCK_POLICY_TIMEOUT", "LOCK_POLICY_GLOBAL_DIR", "LOCK_POLICY_CLUSTER_SERVICE")  # no rule says them
Asks = tuple["bool | str", ...]


@frozen
class Change:
    """Decisions that would change in the same way.

    Args:
        lines: Their lines, counted from 1.
        before: The first of them, as the log has it.
        after: What it would get.
        example: Its request.
    """

    lines: list[int]
    before: Logged
    after: Side
    example: Example


@frozen
class Replay:
    """What became of the lines of a log.

    Args:
        same: How many decisions would be the same.
        changes: Those that would not.
        unknown: Lines of decisions that cannot be taken again, by the reason.
        unreadable: Lines that are nothing of ours, with what is wrong with each.
    """

    same: int
    changes: tuple[Change, ...]
    unknown: Mapping[str, list[int]] = field(factory=dict)
    unreadable: Sequence[tuple[int, str]] = ()

    @property
    def changed(self) -> int:
        """How many decisions would change."""
        return sum(len(change.lines) for change in self.changes)

    @property
    def open(self) -> int:
        """Of how many decisions it is not known."""
        return sum(map(len, self.unknown.values()))

    @property
    def decisions(self) -> int:
        """How many decisions were found."""
        return self.same + self.changed + self.open

    @property
    def differs(self) -> bool:
        """Whether decisions would change, or may."""
        return self.decisions > self.same


class UnknownError(Exception):
    """A decision cannot be taken again; the message says what is missing."""


def replay(path: str, files: Files) -> Replay:
    """Decides all decisions of a log again.

    Args:
        path: The log.
        files: The configuration.

    Raises:
        UsageError: The log is no regular file.
        ConfigError: With every fault of the configuration.
    """
    same = 0
    changes: dict[str, Change] = {}
    unknown: dict[str, list[int]] = {}
    unreadable: list[tuple[int, str]] = []
    for number, found in lines(path):
        if found is None:
            continue
        if isinstance(found, UnreadableError):
            unreadable.append((number, str(found)))
            continue
        try:
            decider = files.decider(found)
            outcome = decider.decide(found)
        except UnknownError as error:
            unknown.setdefault(str(error), []).append(number)
            continue
        if outcome.effect == found.effect:
            same += 1
            continue
        rule = decider.rule(outcome)
        kind = json.dumps([found.rule, found.effect, rule.file, rule.line, rule.name, outcome.effect], sort_keys=True)
        if kind in changes:
            changes[kind].lines.append(number)
        else:
            changes[kind] = Change([number], found, *decider.shown(outcome))
    return Replay(same, tuple(changes.values()), unknown, unreadable)


class Files:
    """The chains that apply to the decisions of a log.

    Args:
        environ: Environment variables of this process.
        config_file: The file that counts instead; None: what counted then, as it stands now.
        no_config: Whether no file counts.
        project: Where to look for the project's configuration; None: where it was looked for then.
        layer: Read the file that counts instead as one of this layer.

    Raises:
        ConfigError: With every fault of that file.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        config_file: str | None = None,
        no_config: bool = False,  # noqa: FBT001, FBT002  (a value, as the option)
        project: str | None = None,
        layer: Layer | None = None,
    ) -> None:
        self._environ = {name: value for name, value in environ.items() if name not in OF_CALLER}
        cwd = working_directory()
        self._query = Query(self._environ, cwd, cwd, project, config_file, no_config)
        self._one = self._query.no_config or self._query.config_file is not None
        self._rules: dict[tuple[object, ...], Rules] = {}
        self._chains: dict[tuple[object, ...], Decider] = {}
        self._decider = cache(Decider)  # files of many places make one chain
        if layer and config_file:
            path = os.path.join(cwd, config_file)
            source = Source(layer, path, named_table(path), limit=self._query.limit)
            self._chains[()] = Decider(chain([read_file(source)]))

    def decider(self, logged: Logged) -> Decider:
        """The rules for a decision.

        Args:
            logged: It.

        Raises:
            UnknownError: The files that counted cannot be found.
            ConfigError: With every fault of the files.
            UsageError: When the file that counts instead is not there.
        """
        said = logged.configuration
        root = logged.facts["environment"][0]
        where = () if self._one else (root, logged.home, *said.values())
        if where not in self._chains:
            self._chains[where] = self._decider(self._find(logged, root))
        return self._chains[where]

    def _find(self, logged: Logged, root: str) -> PlainChain:
        asked, said = self._query, logged.configuration
        file, none = (asked.config_file, asked.no_config) if self._one else (said["config_file"], said["no_config"])
        rules = self._rules.setdefault((file, none), Rules(config_file=None if none else file, no_config=none))
        environ = self._environ if logged.home is None else {**self._environ, "HOME": logged.home}
        cwd = asked.cwd if self._one or asked.project else said["cwd"]
        caller = Caller(environ, cwd, project=asked.project or said["project"])
        try:
            return rules.chain_for(caller, root)
        except UsageError as error:
            if self._one:
                raise
            raise UnknownError(str(error)) from None


class Decider:
    """A chain that takes the decisions of a log again.

    Args:
        chain: It.
    """

    def __init__(self, chain: BaseChain) -> None:
        rules = chain.rules
        self._chain = chain
        self._asks: Mapping[str, Asks] = {name: tuple(asks) for name, asks in spelled(rules).items()}
        self._asked = Asked(rules)
        names = self._asked.until(len(rules) - 1)
        self._needed = [key for key in FACTS if key in names and FACTS[key].assumable]
        self._effects: dict[tuple[int, bool, bool], Mapping[str, Any]] = {}

    def decide(self, logged: Logged) -> Outcome:
        """What a decision would be.

        Args:
            logged: It.

        Raises:
            UnknownError: It depends on what the log does not say.
        """
        missing = [key for key in self._needed if key not in logged.facts]
        if OF_HOME in self._asks and logged.home is None:
            missing.append(HOME)
        if missing:
            raise UnknownError(f"the log does not say {', '.join(missing)}")
        request = _request(logged)
        found: list[Outcome] = []
        pending: list[dict[str, str | None]] = [{}]
        names: dict[str, None] = {}
        while pending and len(pending) + len(found) <= MOST_OPEN:
            settled = pending.pop()
            variables = _Variables(self._asks, logged.variables, settled)
            request.caller.environ = variables  # type: ignore[assignment]  # of an unset variable it says None
            number = self._chain.search.first(request)
            found.append(Outcome(number, self._effect(number, request), request, variables))
            for name, values in variables.open.items():
                names[name] = None
                pending += [{**settled, name: value} for value in values[:-1]]
                settled = {**settled, name: values[-1]}
        if pending or any(one.effect != found[0].effect for one in found):
            raise UnknownError(f"the log does not say enough of {', '.join(f'${name}' for name in names)}")
        return found[0]

    def rule(self, outcome: Outcome) -> AnyRule:
        """The rule that decides.

        Args:
            outcome: Of a decision.
        """
        return self._chain.rules[outcome.number]

    def _effect(self, number: int, request: Request) -> Mapping[str, Any]:
        """As the log writes it."""
        rule, system = self._chain.rules[number], request.environment.kind == "system"
        root = request.facts["environment"]
        own = rule.confined and not rule.required and inside(rule, root[-1])  # type: ignore[index]  # one spelling or two
        key = number, system, own
        if key not in self._effects:
            found = effect(rule, self._chain.settings, system=system, inside=own)
            self._effects[key] = json.loads(json.dumps(found))
        return self._effects[key]

    def shown(self, outcome: Outcome) -> tuple[Side, Example]:
        """What a request gets, and a request like it.

        Args:
            outcome: Of a decision.
        """
        request, names = outcome.request, self._asked.until(outcome.number)
        asked = self._asked.variables(outcome.number)
        variables = {name: value for name, value in outcome.variables.answers().items() if name in asked}
        request.caller.environ = variables
        facts = {key: request.facts[key] for key in FACTS if key in names.union(IDENTITY) and key != Environ.key}
        if variables:
            facts[Environ.key] = tuple(sorted(variables.items()))
        if HOME in names:
            facts[HOME] = request.home
        example = Example(facts).whole((self._asked, outcome.number))
        return side(self._chain, outcome.number, request, dict(outcome.effect)), example


def _request(logged: Logged) -> Request:
    """The request of a decision, without variables."""
    facts, said = dict(logged.facts), logged.configuration
    interpreter, root = facts["interpreter"][0], facts["environment"][0]
    base = (facts.get("base-interpreter") or [interpreter])[0]
    environment = Environment(interpreter, root, facts["kind"], base, "assumption")
    if logged.home is not None:
        facts[HOME] = logged.home
    return Request(environment, Caller({}, said["cwd"], facts.get("operation")), facts)


@frozen(eq=False)
class Outcome:
    """A decision, taken again.

    Args:
        number: The rule that decides.
        effect: What it does.
        request: The request.
        variables: Its variables.
    """

    number: int
    effect: Mapping[str, Any]
    request: Request
    variables: _Variables


class _Variables(dict[str, "str | None"]):
    """Environment variables of which the log has answers; itself it holds those that are settled, or were asked."""

    def __init__(
        self, asks: Mapping[str, Asks], answers: Mapping[str, Answers | None], settled: Mapping[str, str | None]
    ) -> None:
        super().__init__(settled)
        self._asks = asks
        self._answers = answers
        self.open: dict[str, tuple[str | None, ...]] = {}  # those that were asked and can have one of several values

    def _values(self, name: str) -> tuple[str | None, ...]:
        return _values(self._answers.get(name, ()), self._asks[name])

    def get(self, name: str, default: Any = None) -> Any:
        """A value that answers as the log says, the last one where it may be one of several."""
        if name not in self and name in self._asks:
            values = self._values(name)
            self[name] = values[-1]
            if len(values) > 1:
                self.open[name] = values
        return super().get(name, default)

    def answers(self) -> dict[str, str]:
        """The variables that are set."""
        known = {name: self.get(name) for name in self._asks if name in self or len(self._values(name)) == 1}
        return {name: value for name, value in known.items() if value is not None}


@lru_cache(4096)
def _values(answers: Answers | tuple[()] | None, asks: Asks) -> tuple[str | None, ...]:
    """A value for each way in which a variable may answer what is asked.

    Args:
        answers: What it answered with yes, and with no; None: it was unset; empty: it was not asked.
        asks: What is asked.
    """
    if answers is None:
        return (None,)
    yes, no = answers or ((), ())
    effort = Effort(MOST_OPEN)
    # `*`: it is set
    ways = [(frozenset([("*",), *((one,) for one in yes)]), frozenset(no))]
    for ask in asks:
        ways = [
            way
            for inside, outside in ways
            for way in ((inside | {(ask,)}, outside), (inside, outside | {ask}))
            if _value(*way, effort) is not None
        ]
        if len(ways) > MOST_OPEN:
            raise UnknownError("what the log says of variables can mean too many things")
    found = [value[0] for way in ways if (value := _value(*way, effort)) is not None]
    return (*found, *(() if answers else (None,)))


def _value(inside: frozenset[Any], outside: frozenset[Any], effort: Effort) -> tuple[Any] | None:
    effort.begin()
    try:
        return value_of_variable(inside, outside, effort)
    except TooMuchError:
        raise UnknownError("what the log says of variables takes too long to tell") from None
