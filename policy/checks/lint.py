"""What can be said of configuration files without a request: every fault in them, and every rule that looks wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from policy.checks.finding import Finding, Report, located
from policy.checks.reach import Reach
from policy.checks.surroundings import ignored, missing_directories, missing_servers, unsuited_locks
from policy.config.layers import SYSTEM
from policy.config.read import BUILT_IN, read_file
from policy.errors import ConfigError
from policy.rules.condition import Environ
from policy.rules.conditions import flat
from policy.rules.excludes import lock_key, reached

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from policy.checks.regions import Example
    from policy.config.cases import Case
    from policy.config.layers import Notice, Source
    from policy.config.read import Configuration
    from policy.rules.condition import Match
    from policy.rules.rule import Rule


@frozen(eq=False)
class Entry:
    """A rule of the chain.

    Args:
        rule: It.
        configuration: Its file; None for a built-in rule.
        index: Which rule of its file it is.
        alone: The file, where it is judged alone; else "".
    """

    rule: Rule
    configuration: Configuration | None = None
    index: int = 0
    alone: str = ""

    def finding(self, code: str, message: str, *keys: str | int, examples: Sequence[Example] = ()) -> Finding:
        """A warning about the rule.

        Args:
            code: Which.
            message: What is wrong and what to do.
            keys: Which value inside the rule is meant.
            examples: Requests that show it.
        """
        assert self.configuration is not None  # noqa: S101  (nothing is said of built-in rules)
        found = located(self.configuration, code, message, "rules", self.index, *keys, of_key=True)
        return evolve(found, examples=tuple(example.command(self.alone) for example in examples))

    def named(self, other: Entry) -> str:
        """This rule, as a message about another one names it."""
        name = f'rule "{self.rule.name}"' if self.rule.name else "the rule"
        if self.configuration is None:
            return f"{name} (built in)"
        if self.configuration is other.configuration:
            return f"{name} in line {self.rule.line}"
        return f"{name} in {self.rule.file}:{self.rule.line}"


def _chain(files: Sequence[Configuration], *, together: bool) -> tuple[Entry, ...]:
    """The rules of some files in the order in which they are asked, the built-in ones at the end."""
    entries = [
        Entry(rule, file, index, _alone(file) if len(files) == 1 and not together else "")
        for file in files
        for index, rule in enumerate(file.rules)
    ]
    entries.sort(key=lambda entry: not entry.rule.mandatory)
    return (*entries, *map(Entry, BUILT_IN))


def _alone(file: Configuration) -> str:
    """A file as --config-file names it; "" where only the system's own may say what it says."""
    return "" if file.source.layer is SYSTEM else file.document.file


def check(
    sources: Sequence[Source], *, together: bool, notices: Sequence[Notice] = (), text: str | None = None
) -> Report:
    """Every fault of some files, and every rule that looks wrong.

    Args:
        sources: The files, the strongest first.
        together: Whether their rules make one chain; else each is judged as if it were alone.
        notices: What was noticed while they were looked for.
        text: What the one file would hold; absent: the files are read.
    """
    findings = list(ignored(notices))
    files: list[Configuration] = []
    for source in sources:
        try:
            files.append(read_file(source, None if text is None else (source.path, text.encode())))
        except ConfigError as error:
            findings += [Finding(diagnostic.code, diagnostic) for diagnostic in error.diagnostics]
    for file in files:
        findings += missing_directories(file, here=together)
        findings += unsuited_locks(file)
    if together and len(files) == len(sources):
        findings += missing_servers(files, os.environ)
    chains = [[file] for file in files]
    if together:
        chains = [files] if len(files) == len(sources) else []  # rules that could not be read may stand in between
    for group in chains:
        findings += judge(group, together=together)
    order = {source.path: number for number, source in enumerate(sources)}
    findings.sort(
        key=lambda finding: (
            order.get(finding.diagnostic.location.file, -1),
            finding.diagnostic.line,
            finding.diagnostic.column,
        )
    )
    return Report(tuple(sources), tuple(findings), sum(len(file.rules) for file in files))


def judge(files: Sequence[Configuration], *, together: bool) -> list[Finding]:
    """The warnings about files whose rules make one chain.

    Args:
        files: The strongest first.
        together: Whether they all apply here; else there is a single file, judged as if it were alone.
    """
    entries = _chain(files, together=together)
    everything = Reach([entry.rule for entry in entries])
    dead: dict[int, Finding] = {}
    for file in files:
        # a rule of a stronger file stands before one of a weaker file on purpose; a mandatory one is held against it
        numbers = [
            number
            for number, entry in enumerate(entries)
            if entry.rule.mandatory or entry.configuration is file or entry.configuration is None
        ]
        scope = [entries[number] for number in numbers]
        reach = everything if len(files) == 1 else Reach([entry.rule for entry in scope])
        for at, number in enumerate(numbers):
            if entries[number].configuration is file:
                found = _unreachable(scope, at, reach)
                if found:
                    dead[number] = found
    findings = list(dead.values())
    for number, entry in enumerate(entries):
        if entry.configuration is not None and number not in dead:
            findings += [found for ask in (_contradiction, _by_caller) if (found := ask(entries, number, everything))]
    return findings + [finding for file in files for finding in (*_names(file), *_tests(file))]


def _unreachable(entries: Sequence[Entry], number: int, reach: Reach) -> Finding | None:
    """Why a rule never decides, or that it could not be found out."""
    entry, answer = entries[number], reach.of(number)
    if not answer.proven:
        return entry.finding("not-proven", "could not prove whether this rule ever decides: it depends on too much")
    others = [entries[one] for one in answer.rules]
    if answer.decides:
        return None
    examples = reach.shown(number, answer)
    if not others:
        return entry.finding("impossible", "this rule never decides: its conditions can never hold together", "match")
    names = " and ".join(other.named(entry) for other in others)
    if len(others) == 1 and reach.covered(len(entries) - 1, answer.rules):
        message = f"this rule is never reached: {names} matches everything; move it before that"
        return entry.finding("unreachable", message, examples=examples)
    match = ("match",) if entry.rule.match else ()
    if len(others) == 1:
        message = f"this rule is never reached: {names} matches whenever it does; move this one before it, or delete it"
        return entry.finding("subsumed", message, *match, examples=examples)
    message = f"this rule is never reached: whenever it matches, one of {names} does; move this one up, or delete it"
    return entry.finding("covered", message, *match, examples=examples)


def _contradiction(entries: Sequence[Entry], number: int, reach: Reach) -> Finding | None:
    """A rule that a stronger file has, too, with another lock."""
    entry = entries[number]
    if entries[0].configuration is entry.configuration:  # no file stands before its own
        return None
    answer = reach.of(number)
    if not answer.proven or len(answer.rules) != 1 or answer.decides:
        return None
    other = entries[answer.rules[0]]
    if other.rule.lock == entry.rule.lock or not reach.covered(answer.rules[0], [number]):
        return None
    message = (
        f"{other.named(entry)} decides for the same requests, and takes {lock_key(other.rule.lock)} instead of "
        f"{lock_key(entry.rule.lock)}; delete one of the two"
    )
    return entry.finding("contradiction", message, "lock", examples=reach.shown(number, answer))


def _by_caller(entries: Sequence[Entry], number: int, reach: Reach) -> Finding | None:
    """A rule that keeps out fewer than other callers of the same environment do."""

    def missing(kind: str, one: int, other: int) -> frozenset[str]:
        return reached(entries[other].rule.lock, kind) - reached(entries[one].rule.lock, kind)

    entry, answer = entries[number], reach.by_caller(number, missing)
    if answer is None:
        return None
    keys = ("match", *_asking(entry.rule.match))
    if not answer.proven:
        message = "could not prove whether this rule makes who is kept out depend on the caller: it depends on too much"
        return entry.finding("not-proven", message, *keys)
    other = entries[answer.rules[0]]
    names = " and ".join(sorted(missing(answer.examples[0].kind, number, answer.rules[0])))
    message = (
        f"who is kept out depends on the caller: for others, {other.named(entry)} can decide, and keeps "
        f"out {names}; this rule does not"
    )
    return entry.finding("kept-out-by-caller", message, *keys, examples=reach.shown(number, answer))


def _asking(match: Match) -> tuple[str | int, ...]:
    """The keys that lead to the first condition about the caller."""
    for path, condition, expected in flat(match):
        if condition.asks(expected):
            return (*path, expected[0][0]) if isinstance(condition, Environ) else path
    return ()


def _names(file: Configuration) -> Iterator[Finding]:
    """Names that two rules, or two tests, share: an explanation names rules by them."""
    named: dict[str, Sequence[Rule | Case]] = {"rules": file.rules, "tests": file.tests}
    for kind, entries in named.items():
        known = {rule.name: "a built-in rule has" for rule in BUILT_IN if kind == "rules"}
        for index, entry in enumerate(entries):
            if entry.name in known:
                message = f'the name "{entry.name}" is taken: {known[entry.name]} it too'
                yield located(file, "duplicate-name", message, kind, index, "name")
            elif entry.name:
                known[entry.name] = f"the {kind[:-1]} in line {entry.line} has"


def _tests(file: Configuration) -> Iterator[Finding]:
    """Tests that expect a rule which is not there."""
    from policy.toml.shapes import closest, nearest

    known = {rule.name for rule in (*file.rules, *BUILT_IN) if rule.name}
    for index, test in enumerate(file.tests):
        if test.rule is not None and test.rule not in known:
            message = (
                f'no rule here is named "{test.rule}", so this test can never pass{nearest(test.rule, sorted(known))}'
            )
            found = located(file, "unknown-rule", message, "tests", index, "expect", "rule")
            meant = closest(test.rule, sorted(known))
            yield evolve(found, diagnostic=evolve(found.diagnostic, suggested_for=test.rule, suggestion=meant))
