"""What `policy test` found, as text, JSON or the XML of JUnit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policy.checks.coverage import Share
from policy.escape import escape
from policy.render.effective import written as toml
from policy.render.github import annotation
from policy.render.junit import Case, document
from policy.render.layout import json_text
from policy.render.record import label, rule, shorten, written
from policy.render.style import BOLD, DIM, GREEN, RED, YELLOW, paint
from policy.render.text import conditions
from policy.rules.trace import trace
from policy.toml.diagnostic import Diagnostic, Location

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from policy.checks.run_cases import Result, Results
    from policy.config.cases import Case as Test
    from policy.rules.rule import Rule

VERSION = 1


def as_text(files: Sequence[Results], *, color: bool, verbose: bool) -> str:
    """Each failure with its explanation, what no test reaches, how much the tests cover, and the sum."""
    lines: list[str] = []
    for results in files:
        for result in results.results:
            if not result.passed:
                lines += [*_failure(result, color=color), ""]
            elif verbose:
                lines.append(f"{paint('pass', BOLD, GREEN, color=color)} {_where(result)}")
    for results in files:
        lines += _unreached(results, color=color)
        lines += _unanswered(results, color=color) if verbose else []
    total, failed = sum(len(results.results) for results in files), sum(results.failed for results in files)
    rules, conditions = shares(files)
    if total and rules.total:
        answers = f", {_share(conditions)} answers of conditions" if conditions.total else ""
        lines.append(f"covered: {_share(rules)} {'rule' if rules.total == 1 else 'rules'}{answers}")
    return "\n".join([*lines, _sum(total, failed, len(files), color=color)]) + "\n"


def shares(files: Sequence[Results]) -> tuple[Share, Share]:
    """How many of the rules, and of the answers of their conditions, the tests of some files reach.

    Args:
        files: The tests of each file, run.
    """
    rules = sum((results.coverage.rules for results in files), Share(0, 0))
    return rules, sum((results.coverage.conditions for results in files), Share(0, 0))


def _share(share: Share) -> str:
    return f"{share.covered} of {share.total} ({share.percent:g} %)"


def _unanswered(results: Results, *, color: bool) -> list[str]:
    """The conditions of reached rules that no test makes hold, or fail."""
    lines = []
    for one in results.coverage.unanswered:
        never = " and ".join("held" if answer else "failed" for answer in one.missing)
        place = ".".join(map(str, one.keys))
        lines.append(paint(f"  {escape(label(rule(one.rule)))}: match.{place} never {never}", DIM, color=color))
    return [paint("conditions that gave only one answer:", YELLOW, color=color), *lines, ""] if lines else []


def _sum(total: int, failed: int, files: int, *, color: bool) -> str:
    if not total:
        return paint("no [[tests]] here", YELLOW, color=color)
    where = "1 file" if files == 1 else f"{files} files"
    passed = paint(f"{total - failed} passed", BOLD, GREEN, color=color)
    return (
        f"{paint(f'{failed} failed', BOLD, RED, color=color)}, {passed} in {where}"
        if failed
        else f"{passed} in {where}"
    )


def _where(result: Result) -> str:
    case = result.case
    return f"{escape(shorten(case.file))}:{case.line}: {escape(case.name)}"


def _failure(result: Result, *, color: bool) -> list[str]:
    """The diff of what was expected and what came, then why."""
    case, decision = result.case, result.decision
    lines = [f"{paint('FAIL', BOLD, RED, color=color)} {paint(_where(result), BOLD, color=color)}"]
    if decision.lock == case.lock:
        lines.append(f"    lock = {written(decision.lock)}")
    else:
        lines.append(paint(f"  - lock = {written(case.lock)}", RED, color=color))
        lines.append(paint(f"  + lock = {written(decision.lock)}", GREEN, color=color))
    decided = escape(label(rule(decision.matched)))
    if case.rule is None:
        lines.append(f"    decided by {decided}")
    elif case.rule != decision.matched.name:
        lines.append(paint(f"  - decided by {escape(case.rule)}", RED, color=color))
        lines.append(paint(f"  + decided by {decided}", GREEN, color=color))
    return [*lines, *_why(result, color=color)]


def _why(result: Result, *, color: bool) -> list[str]:
    """The conditions of the rule that was expected, where they fail; else those of the rule that decided."""
    wanted, decided = result.wanted, result.decision.matched
    lines: list[str] = []
    if result.case.rule is not None and wanted is None and result.case.rule != decided.name:
        lines.append(f"  no rule here is named {escape(result.case.rule)}")
    if wanted is not None:
        checks = result.checks(wanted)
        name = escape(label(rule(wanted)))
        if not all(check["passed"] for check in checks):
            return [f"  {name} does not match:", *conditions(checks, color=color)]
        lines.append(f"  {name} matches too, but stands after {escape(label(rule(decided)))}, which matches:")
    else:
        lines.append(f"  {escape(label(rule(decided)))} matches:")
    found = conditions(result.checks(decided), color=color)
    return lines + (found or ["         no conditions: always matches"])


def _unreached(results: Results, *, color: bool) -> list[str]:
    """The rules that decide no test of their file."""
    if not results.results or not results.coverage.unreached:
        return []
    names = [label(rule(one)) for one in results.coverage.unreached]
    title = (
        f"no test of {escape(shorten(results.file))} reaches {len(names)} of its {results.coverage.rules.total} rules:"
    )
    return [paint(title, YELLOW, color=color), *(paint(f"  {escape(name)}", DIM, color=color) for name in names), ""]


def as_json(files: Sequence[Results]) -> str:
    """Version 1."""
    total, failed = sum(len(results.results) for results in files), sum(results.failed for results in files)
    rules, conditions = shares(files)
    record = {
        "version": VERSION,
        "coverage": {"rules": _covered(rules), "conditions": _covered(conditions)},
        "files": [
            {
                "file": results.file,
                "tests": [_record(result) for result in results.results],
                "unreached": [rule(one) for one in results.coverage.unreached],
                "unanswered": [
                    {"rule": rule(one.rule), "key": list(one.keys), "missing": list(one.missing)}
                    for one in results.coverage.unanswered
                ],
            }
            for results in files
        ],
        "passed": total - failed,
        "failed": failed,
    }
    return json_text(record)


def _covered(share: Share) -> dict[str, float]:
    return {"covered": share.covered, "total": share.total, "percent": share.percent}


def _record(result: Result) -> dict[str, Any]:
    case, decision = result.case, result.decision
    entry: dict[str, Any] = {
        "name": case.name,
        "line": case.line,
        "passed": result.passed,
        "expected": {"lock": list(case.lock), "rule": case.rule},
        "decided": {"lock": list(decision.lock), "rule": rule(decision.matched)},
    }
    if not result.passed:
        entry["steps"] = [
            {"rule": rule(tried), "outcome": outcome, "checks": checks}
            for tried, outcome, checks in trace(decision.chain.rules, decision.index, decision.request)
        ]
    return entry


def as_junit(files: Sequence[Results]) -> str:
    """The XML that CI servers read: a suite for each file, a case for each test."""
    return document("policy test", {results.file: [_case(result) for result in results.results] for results in files})


def _case(result: Result) -> Case:
    if result.passed:
        return Case(result.case.name, result.case.line)
    text = "\n".join(_failure(result, color=False)[1:])
    return Case(result.case.name, result.case.line, "decision", _message(result), text)


def as_github(files: Sequence[Results]) -> str:
    """Workflow commands: an error for each test that fails, a warning for each rule that no test reaches."""
    lines = [
        annotation("error", Diagnostic(Location(results.file), _message(one), line=one.case.line), one.case.name)
        for results in files
        for one in results.results
        if not one.passed
    ]
    return "".join([*lines, *(_untested(results, rule) for results in files for rule in results.coverage.unreached)])


def _untested(results: Results, rule: Rule) -> str:
    diagnostic = Diagnostic(Location(results.file), f"no test reaches rule {rule.label}", line=rule.line)
    return annotation("warning", diagnostic, "policy test")


def as_tables(cases: Sequence[Test], keys: Sequence[str]) -> str:
    """Tests as a configuration file has them.

    Args:
        cases: The tests.
        keys: The table of the file that they stand in.
    """
    blocks = []
    for case in cases:
        given = {key: dict(value) if isinstance(value, tuple) else value for key, value in case.given.items()}
        expect = f"lock = {written(case.lock)}" + (f", rule = {toml(case.rule)}" if case.rule is not None else "")
        lines = [f"[[{'.'.join([*keys, 'tests'])}]]", f"name = {toml(case.name)}"]
        lines += [f"given = {toml(given)}"] if given else []
        blocks.append("\n".join([*lines, f"expect = {{ {expect} }}", ""]))
    return "\n".join(blocks)


def _message(result: Result) -> str:
    case, decision = result.case, result.decision
    wanted = f" by {escape(case.rule)}" if case.rule is not None else ""
    expected, got = " and ".join(case.lock), " and ".join(decision.lock)
    return f"expected {expected}{wanted}, got {got} by {escape(label(rule(decision.matched)))}"


CASE_FORMATS: dict[str, Callable[[Sequence[Results]], str]] = {
    "json": as_json,
    "junit": as_junit,
    "github": as_github,
}
"""The formats besides text; a new one is a line in this table."""
