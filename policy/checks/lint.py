"""What can be said of configuration files without a request: every fault in them, and every rule that looks wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from policy.checks.finding import Finding, Report
from policy.checks.implication import Effort, TooMuchError, certain, divided, flat, implies, impossible
from policy.checks.surroundings import ignored, missing_directories, missing_servers, unnamed_keys
from policy.config.read import BUILT_IN, read_file
from policy.errors import ConfigError
from policy.rules.conditions import CONDITIONS, Combinator, asks_caller
from policy.toml.diagnostic import Diagnostic, Location
from policy.toml.document import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from policy.config.layers import Notice, Source
    from policy.config.read import Configuration
    from policy.rules.condition import Match
    from policy.rules.rule import Rule

STEPS = 2_000  # of one question about two rules; the hardest that people write takes some dozens
ALL_STEPS = 200_000  # of a whole check: about a second


@frozen(eq=False)
class Entry:
    """A rule of the chain.

    Args:
        rule: It.
        configuration: Its file; None for a built-in rule.
        index: Which rule of its file it is.
        conditions: Those of its `match` that can fail.
        keys: What they ask about.
    """

    rule: Rule
    configuration: Configuration | None = None
    index: int = 0
    conditions: Match = field(init=False, repr=False)
    keys: frozenset[str] = field(init=False, repr=False)

    @conditions.default
    def _flat(self) -> Match:
        return tuple(condition for condition in flat(self.rule.match) if not certain((condition,)))

    @keys.default
    def _keys(self) -> frozenset[str]:
        return frozenset(key for key, _ in self.conditions)

    def finding(self, code: str, message: str, *keys: str | int) -> Finding:
        """A warning about the rule.

        Args:
            code: Which.
            message: What is wrong and what to do.
            keys: Which value inside the rule is meant.
        """
        assert self.configuration is not None  # noqa: S101  (nothing is said of built-in rules)
        return _finding(self.configuration, code, message, "rules", self.index, *keys)

    def named(self, other: Entry) -> str:
        """This rule, as a message about another one names it."""
        name = f'rule "{self.rule.name}"' if self.rule.name else "the rule"
        if self.configuration is None:
            return f"{name} (built in)"
        if self.configuration is other.configuration:
            return f"{name} in line {self.rule.line}"
        return f"{name} in {self.rule.file}:{self.rule.line}"


def _finding(configuration: Configuration, code: str, message: str, *keys: str | int) -> Finding:
    document = configuration.document
    location = Location(document.file, (*configuration.source.keys, *keys))
    of_key = keys[-1] not in {"name", "rule"}  # what is wrong with these is their value
    return Finding(code, locate(document, Diagnostic(location, message, of_key)))


@frozen
class Chain:
    """The rules of some files in the order in which they are asked, and what may be spent on judging them.

    Args:
        entries: All of them, the built-in ones at the end.
        effort: What is left.
    """

    entries: tuple[Entry, ...]
    effort: Effort = field(factory=lambda: Effort(STEPS, ALL_STEPS))

    @classmethod
    def of(cls, files: Sequence[Configuration]) -> Chain:
        """The chain that the files make together, as configuration.chain orders it."""
        entries = [Entry(rule, file, index) for file in files for index, rule in enumerate(file.rules)]
        entries.sort(key=lambda entry: not entry.rule.mandatory)
        return cls((*entries, *map(Entry, BUILT_IN)))

    def proven(self, question: Callable[..., bool], *matches: Match) -> bool | None:
        """The answer to a question of policy.entailment; None when it costs too much."""
        if not self.effort.total:
            return None
        self.effort.renew()
        try:
            return question(*matches, self.effort)
        except TooMuchError:
            return None


def check(sources: Sequence[Source], *, together: bool, notices: Sequence[Notice] = ()) -> Report:
    """Every fault of some files, and every rule that looks wrong.

    Args:
        sources: The files, the strongest first.
        together: Whether their rules make one chain; else each is judged as if it were alone.
        notices: What was noticed while they were looked for.
    """
    findings = list(ignored(notices))
    files: list[Configuration] = []
    for source in sources:
        try:
            files.append(read_file(source))
        except ConfigError as error:
            findings += [Finding(diagnostic.code, diagnostic) for diagnostic in error.diagnostics]
    for file in files:
        findings += missing_directories(file, here=together)
        findings += unnamed_keys(file)
    if together and len(files) == len(sources):
        findings += missing_servers(files, os.environ)
    chains = [[file] for file in files]
    if together:
        chains = [files] if len(files) == len(sources) else []  # rules that could not be read may stand in between
    complete = True
    for group in chains:
        warnings, all_compared = judge(group)
        findings += warnings
        complete = complete and all_compared
    order = {source.path: number for number, source in enumerate(sources)}
    findings.sort(
        key=lambda finding: (
            order.get(finding.diagnostic.location.file, -1),
            finding.diagnostic.line,
            finding.diagnostic.column,
        )
    )
    return Report(tuple(sources), tuple(findings), sum(len(file.rules) for file in files), complete)


def judge(files: Sequence[Configuration]) -> tuple[list[Finding], bool]:
    """The warnings about files whose rules make one chain.

    Args:
        files: The strongest first.

    Returns:
        The warnings, and whether all rules could be compared.
    """
    chain = Chain.of(files)
    dead, findings = _unreachable(chain)
    findings += [finding for entry in chain.entries if entry not in dead for finding in _disagreement(chain, entry)]
    findings += [finding for file in files for finding in (*_names(file), *_tests(file))]
    return findings, chain.effort.total > 0


_SPLIT = {"any", "not"}  # conditions that can follow from others than their like


@frozen(eq=False)
class _Earlier:
    """Rules that stand before others, which a later one is held against.

    Args:
        same: By their conditions.
        by_keys: By what they ask about.
        certain: The first that matches everything, if there is one.
    """

    same: dict[frozenset[tuple[str, Any]], Entry] = field(factory=dict)
    by_keys: dict[frozenset[str], list[Entry]] = field(factory=dict)
    certain: list[Entry] = field(factory=list)

    def add(self, entry: Entry) -> None:
        """One more."""
        self.by_keys.setdefault(entry.keys, []).append(entry)
        self.same.setdefault(frozenset(entry.conditions), entry)
        if not entry.conditions:
            self.certain.append(entry)

    def covering(self, entry: Entry, chain: Chain) -> Entry | None:
        """One that matches whenever a later one does."""
        same = self.same.get(frozenset(entry.conditions))
        if same:
            return same
        for keys, others in self.by_keys.items():
            if keys <= entry.keys or keys & _SPLIT or entry.keys & _SPLIT:  # else it asks for something more
                for other in others:
                    if not chain.effort.total:
                        return None
                    if chain.proven(implies, entry.conditions, other.conditions):
                        return other
        return None


def _unreachable(chain: Chain) -> tuple[set[Entry], list[Finding]]:
    """The rules that never decide, with the reason.

    A rule of a stronger file stands before one of a weaker file on purpose; only a mandatory one is held against it.
    """
    dead: set[Entry] = set()
    findings: list[Finding] = []
    mandatory = _Earlier()
    own: dict[int, _Earlier] = {}
    for entry in chain.entries:
        if entry.configuration is None:
            break
        mine = own.setdefault(id(entry.configuration), _Earlier())
        found = _why_unreachable(chain, entry, (mandatory, mine))
        if found:
            dead.add(entry)
            findings.append(found)
        else:
            (mandatory if entry.rule.mandatory else mine).add(entry)
    return dead, findings


def _why_unreachable(chain: Chain, entry: Entry, scopes: Sequence[_Earlier]) -> Finding | None:
    if chain.proven(impossible, entry.conditions):
        return entry.finding("impossible", "this rule never decides: its conditions can never hold together", "match")
    for scope in scopes:
        for other in scope.certain:
            message = f"this rule is never reached: {other.named(entry)} matches everything; move it before that"
            return entry.finding("unreachable", message)
        covering = scope.covering(entry, chain)
        if covering:
            message = f"this rule is never reached: {covering.named(entry)} matches whenever it does"
            return entry.finding("subsumed", f"{message}; move this one before it, or delete it", "match")
    return None


def _disagreement(chain: Chain, entry: Entry) -> Iterator[Finding]:
    """A rule that decides for some callers only, where others of one environment would hold no file of its plan."""
    match, lock = entry.rule.match, entry.rule.lock
    if entry.configuration is None or len(lock) > 1 or not asks_caller(match):
        return
    # an environment for which this rule can decide, and a caller for whom it does not
    others = (*divided(match), *flat((("not", match),)))
    for other in chain.entries[chain.entries.index(entry) + 1 :]:
        if not chain.effort.total:
            return
        if chain.proven(impossible, (*others, *other.conditions)) is not False:
            continue
        if not set(lock) & set(other.rule.lock):
            message = (
                f"callers may disagree: where this does not hold, {other.named(entry)} can decide, and its "
                f'{other.rule.lock[0]} lock does not exclude this {lock[0]} one; lock = "both" here excludes either'
            )
            yield entry.finding("disagreement", message, "match", *_asking(match))
            return
        if not asks_caller(other.rule.match) and chain.proven(implies, others, other.conditions):
            return


def _asking(match: Match) -> tuple[str | int, ...]:
    """The keys that lead to the first condition about the caller."""
    for key, expected in match:
        condition = CONDITIONS[key]
        if not isinstance(condition, Combinator):
            if condition.caller:
                return (key, expected[0][0]) if key == "env" else (key,)
            continue
        for index, table in enumerate(condition.tables(expected)):
            if asks_caller(table):
                return (key, *(() if key == "not" else (index,)), *_asking(table))
    return ()


def _names(file: Configuration) -> Iterator[Finding]:
    """Names that two rules, or two tests, share: an explanation names rules by them."""
    known = {rule.name: "a built-in rule has" for rule in BUILT_IN}
    for index, rule in enumerate(file.rules):
        if rule.name in known:
            message = f'the name "{rule.name}" is taken: {known[rule.name]} it too'
            yield _finding(file, "duplicate-name", message, "rules", index, "name")
        elif rule.name:
            known[rule.name] = f"the rule in line {rule.line} has"
    lines: dict[str, int] = {}
    for index, test in enumerate(file.tests):
        if test.name in lines:
            message = f'the name "{test.name}" is taken: the test in line {lines[test.name]} has it too'
            yield _finding(file, "duplicate-name", message, "tests", index, "name")
        lines.setdefault(test.name, test.line)


def _tests(file: Configuration) -> Iterator[Finding]:
    """Tests that expect a rule which is not there."""
    from policy.toml.shapes import nearest

    known = {rule.name for rule in (*file.rules, *BUILT_IN) if rule.name}
    for index, test in enumerate(file.tests):
        if test.rule is not None and test.rule not in known:
            message = (
                f'no rule here is named "{test.rule}", so this test can never pass{nearest(test.rule, sorted(known))}'
            )
            yield _finding(file, "unknown-rule", message, "tests", index, "expect", "rule")
