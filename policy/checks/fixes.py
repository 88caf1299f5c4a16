"""Corrections of what `policy check` found that need no thought: a misspelled name, a name given twice, a dead copy.

Text is exchanged where it stands, so that comments, order and everything else stay. Each correction is checked before
it is kept: it must take away what it is for, and may add nothing.
"""

from __future__ import annotations

import os
import tomllib
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from attrs import evolve

from policy.checks.codes import ERROR
from policy.checks.lint import check
from policy.config.read import chain, read_file
from policy.errors import ConfigError
from policy.files import replace
from policy.rules.supposition import request
from policy.toml.diagnostic import Diagnostic, Location
from policy.toml.document import locate, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policy.checks.finding import Finding
    from policy.config.layers import Source
    from policy.config.read import Configuration

MOST = 200  # corrections of one file
ALIKE = 0.8  # of two spellings, as difflib measures it; below that it may be another name


def fixed(source: Source) -> tuple[str, str]:
    """The text of a file, before and after all corrections that can be made.

    Args:
        source: The file, which stays as it is.

    Raises:
        ConfigError: When it cannot be read, or is not valid TOML.
    """
    before = after = read(source.path, limit=source.limit).text
    found = _findings(source, after)
    for _ in range(MOST):
        better = _better(source, after, found)
        if better is None:
            break
        after, found = better
    return before, after


def write(path: str, text: str) -> None:
    """Replaces the text of a file whole, with its mode; a link keeps leading to it.

    Args:
        path: The file.
        text: What it holds then.

    Raises:
        OSError: When it cannot be written.
    """
    real = os.path.realpath(path)
    replace(real, text.encode(), os.stat(real).st_mode & 0o7777, exact=True)


def _findings(source: Source, text: str) -> tuple[Finding, ...]:
    return check([source], together=False, text=text).findings


def _better(source: Source, text: str, found: tuple[Finding, ...]) -> tuple[str, tuple[Finding, ...]] | None:
    """The text after the first correction that takes something away and adds nothing."""
    for tried in _corrections(source, text, found):
        left = _findings(source, tried)
        if len(tried.encode()) <= source.limit and _is_better(left, found):
            return tried, left
    return None


def _is_better(left: tuple[Finding, ...], found: tuple[Finding, ...]) -> bool:
    """Whether something was taken away and nothing added; warnings are only found once there are no errors."""
    errors, before = ([one for one in some if one.severity == ERROR] for some in (left, found))
    if before:
        return len(errors) < len(before) and _meanings(errors) <= _meanings(before)
    return len(left) < len(found) and _meanings(left) <= _meanings(found)


def _meanings(found: Iterable[Finding]) -> set[tuple[str, str]]:
    return {(finding.code, finding.diagnostic.message.partition(" in line ")[0]) for finding in found}


def _corrections(source: Source, text: str, found: tuple[Finding, ...]) -> Iterator[str]:
    for finding in found:
        diagnostic = finding.diagnostic
        if diagnostic.suggestion and diagnostic.line and _alike(diagnostic.suggested_for, diagnostic.suggestion):
            written = _written(text, diagnostic)
            quote = written[:1] if written[:1] in {'"', "'"} else ""
            yield _exchanged(text, (diagnostic, f"{quote}{diagnostic.suggestion}{quote}"))
    try:
        file = read_file(source, (source.path, text.encode()))
    except ConfigError:
        return
    for finding in found:
        keys = finding.diagnostic.location.keys[len(source.keys) :]
        if finding.code == "duplicate-name":
            yield from _renamed(file, finding.diagnostic, str(keys[0]), int(keys[1]))
        if keys[:1] == ("rules",) and len(keys) > 1 and finding.severity != ERROR:
            yield from _without_copy(file, int(keys[1]))


def _written(text: str, diagnostic: Diagnostic) -> str:
    """What a diagnostic points to."""
    return text.split("\n")[diagnostic.line - 1][diagnostic.column - 1 :][: diagnostic.width]


def _exchanged(text: str, *edits: tuple[Diagnostic, str]) -> str:
    """A text with something else in the place of what diagnostics point to."""
    lines = text.split("\n")
    for one, new in sorted(edits, key=lambda edit: (edit[0].line, edit[0].column), reverse=True):
        line, begin = lines[one.line - 1], one.column - 1
        lines[one.line - 1] = line[:begin] + new + line[begin + one.width :]
    return "\n".join(lines)


def _alike(name: str, other: str) -> bool:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, name, other).ratio() >= ALIKE


def _renamed(file: Configuration, named: Diagnostic, kind: str, index: int) -> Iterator[str]:
    """Another name for the second of two rules, or tests, that have one."""
    entries = file.rules if kind == "rules" else file.tests
    names = {entry.name for entry in entries}
    name, written = entries[index].name, _written(file.document.text, named)
    if written not in {f'"{name}"', f"'{name}'"}:  # with an escape, or over several lines
        return
    new = next(f"{name}-{number}" for number in range(2, len(entries) + 3) if f"{name}-{number}" not in names)
    expecting = _expecting(file, index) if kind == "rules" else ()
    yield _exchanged(
        file.document.text, (named, f"{written[0]}{new}{written[0]}"), *((one, f'"{new}"') for one in expecting)
    )


def _expecting(file: Configuration, index: int) -> Iterator[Diagnostic]:
    """Where tests name a rule that they expect, which are those that it decides."""
    rules, rule = chain([file]), file.rules[index]
    for number, case in enumerate(file.tests):
        if case.rule == rule.name and rules.decide(request(case.given)).matched is rule:
            keys: tuple[str | int, ...] = (*file.source.keys, "tests", number, "expect", "rule")
            yield locate(file.document, Diagnostic(Location(file.document.file, keys), ""))


def _without_copy(file: Configuration, index: int) -> Iterator[str]:
    """No second one of two rules that say the same, whatever people call them."""
    meanings = [evolve(rule, name="", reason="", line=0) for rule in file.rules]
    lines = file.document.text.split("\n")
    header = file.rules[index].line - 1
    if meanings[index] not in meanings[:index] or not lines[header].lstrip().startswith("[["):  # an inline table
        return
    begin, end = _above(lines, header), _above(lines, _following(file, index, len(lines)))
    left = "".join(f"{line}\n" for line in lines[:begin]) + "\n".join(lines[end:])
    wanted = table = deepcopy(file.document.data)
    for key in file.source.keys:
        table = table[key]
    del table["rules"][index]
    try:
        if tomllib.loads(left) == wanted:
            yield left
    except tomllib.TOMLDecodeError:
        return


def _following(file: Configuration, index: int, last: int) -> int:
    """The line of the next thing after a rule."""
    rule = (*file.source.keys, "rules", index)
    others = (path for path in _paths(file.document.data) if path[: len(rule)] != rule)
    lines = [span.line - 1 for path in others if (span := file.document.positions.value(path))]
    return min([line for line in lines if line >= file.rules[index].line], default=last)


def _paths(data: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The keys and indices that lead to all there is in a file."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*above, key)
        yield from _paths(value, (*above, key))


def _above(lines: list[str], line: int) -> int:
    """The first of the comment lines that stand directly above a line, and so are about it."""
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line
