"""Corrections of what `policy check` found that need no thought: a misspelled name, a name given twice, a dead copy.

Text is exchanged where it stands, so that comments, order and everything else stay. Each correction is checked before
it is kept: it must take away what it is for, and may add nothing.
"""

from __future__ import annotations

import os
import tomllib
from copy import deepcopy
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from policy.checks.codes import ERROR
from policy.checks.lint import check
from policy.config.layers import Source
from policy.config.read import chain, read_file
from policy.errors import ConfigError
from policy.rules.supposition import request
from policy.toml.diagnostic import Diagnostic, Location
from policy.toml.document import locate, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policy.checks.finding import Finding
    from policy.config.read import Configuration
    from policy.rules.rule import Rule

MOST = 200  # corrections of one file
ALIKE = 0.8  # of two spellings, as difflib measures it; below that it may be another name


@frozen
class Edit:
    """An exchange of text.

    Args:
        begin: Where it begins, in characters.
        end: Where what is replaced ends.
        text: What stands there then.
    """

    begin: int
    end: int
    text: str

    def applied(self, to: str) -> str:
        """A text in which this was exchanged."""
        return to[: self.begin] + self.text + to[self.end :]


def fixed(source: Source) -> tuple[str, str]:
    """The text of a file, before and after all corrections that can be made.

    Args:
        source: The file, which stays as it is.

    Raises:
        ConfigError: When it cannot be read, or is not valid TOML.
    """
    before = after = read(source.path, limit=source.limit).text
    with TemporaryDirectory() as folder:
        trial = Source(
            source.layer, os.path.join(folder, os.path.basename(source.path)), source.keys, limit=source.limit
        )
        found = _findings(trial, after)
        for _ in range(MOST):
            better = _better(trial, after, found)
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
    status = os.stat(real)
    beside = f"{real}.{os.urandom(4).hex()}.new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, status.st_mode & 0o7777)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(beside, status.st_mode & 0o7777)  # the umask may have taken something away
        os.replace(beside, real)
    except OSError:
        os.unlink(beside)
        raise


def _findings(trial: Source, text: str) -> tuple[Finding, ...]:
    with open(trial.path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return check([trial], together=False).findings


def _better(trial: Source, text: str, found: tuple[Finding, ...]) -> tuple[str, tuple[Finding, ...]] | None:
    """The text after the first correction that takes something away and adds nothing."""
    _findings(trial, text)  # the file holds this text again
    for edit in list(_edits(trial, text, found)):
        tried = edit.applied(text)
        left = _findings(trial, tried)
        if _is_better(left, found):
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


def _edits(trial: Source, text: str, found: tuple[Finding, ...]) -> Iterator[Edit]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for finding in found:
        diagnostic = finding.diagnostic
        if diagnostic.suggestion and diagnostic.line and _alike(diagnostic.suggested_for, diagnostic.suggestion):
            begin = starts[diagnostic.line - 1] + diagnostic.column - 1
            written = text[begin : begin + diagnostic.width]
            quote = written[:1] if written[:1] in {'"', "'"} else ""
            yield Edit(begin, begin + diagnostic.width, f"{quote}{diagnostic.suggestion}{quote}")
    try:
        file = read_file(trial)
    except ConfigError:
        return
    for finding in found:
        yield from _of_names(file, finding, text, starts)
        yield from _of_copies(file, finding, text, starts)


def _alike(name: str, other: str) -> bool:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, name, other).ratio() >= ALIKE


def _of_names(file: Configuration, finding: Finding, text: str, starts: list[int]) -> Iterator[Edit]:
    """Another name for the second of two rules, or tests, that have one."""
    diagnostic = finding.diagnostic
    if finding.code != "duplicate-name":
        return
    kind, index, _ = diagnostic.location.keys[len(file.source.keys) :]
    entries = file.rules if kind == "rules" else file.tests
    names = {entry.name for entry in entries}
    name = entries[int(index)].name
    begin = starts[diagnostic.line - 1] + diagnostic.column - 1
    written = text[begin : begin + diagnostic.width]
    if written not in {f'"{name}"', f"'{name}'"}:  # with an escape, or over several lines
        return
    new = next(f"{name}-{number}" for number in range(2, len(entries) + 3) if f"{name}-{number}" not in names)
    edits = [Edit(begin, begin + diagnostic.width, f"{written[0]}{new}{written[0]}")]
    if kind == "rules":
        edits += _in_tests(file, int(index), new, starts)
    after = text
    for edit in sorted(edits, key=lambda edit: -edit.begin):
        after = edit.applied(after)
    yield Edit(0, len(text), after)


def _in_tests(file: Configuration, index: int, new: str, starts: list[int]) -> Iterator[Edit]:
    """The new name of a rule in the tests that expect it, which are those that it decides."""
    rules = chain([file])
    for number, case in enumerate(file.tests):
        if case.rule != file.rules[index].name:
            continue
        if rules.decide(request(case.given)).matched is file.rules[index]:
            keys: tuple[str | int, ...] = (*file.source.keys, "tests", number, "expect", "rule")
            found = locate(file.document, Diagnostic(Location(file.document.file, keys), ""))
            begin = starts[found.line - 1] + found.column - 1
            yield Edit(begin, begin + found.width, f'"{new}"')


def _of_copies(file: Configuration, finding: Finding, text: str, starts: list[int]) -> Iterator[Edit]:
    """No second one of two rules that say the same."""
    keys = finding.diagnostic.location.keys[len(file.source.keys) :]
    if keys[:1] != ("rules",) or len(keys) < 2 or finding.severity != "warning":  # noqa: PLR2004  (a rule's index)
        return
    index = int(keys[1])
    meanings = [_meaning(rule) for rule in file.rules]
    if meanings[index] not in meanings[:index]:
        return
    lines = text.split("\n")
    header = file.rules[index].line - 1
    if not lines[header].lstrip().startswith("[["):
        return  # an inline table
    begin, end = _above(lines, header), _above(lines, _following(file, header, len(lines)))
    edit = Edit(starts[begin], min(starts[end], len(text)), "")
    if _without(file, index) == _parsed(edit.applied(text)):
        yield edit


def _without(file: Configuration, index: int) -> dict[str, Any]:
    """What a file says without one of its rules."""
    data = deepcopy(file.document.data)
    table = data
    for key in file.source.keys:
        table = table[key]
    del table["rules"][index]
    return data


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _meaning(rule: Rule) -> Rule:
    """A rule without what people call it and where it stands."""
    return evolve(rule, name="", reason="", line=0)


def _following(file: Configuration, header: int, last: int) -> int:
    """The line of the next thing after a rule: another rule, a test, or a table of the file's top."""
    lines = [rule.line - 1 for rule in file.rules]
    lines += [case.line - 1 for case in file.tests]
    lines += [setting.line - 1 for setting in file.settings.values()]
    if file.source.keys:  # tables of others in a pyproject.toml
        lines += [number - 1 for number in _tables(file)]
    return min([line for line in lines if line > header], default=last)


def _tables(file: Configuration) -> Iterator[int]:
    document = file.document
    for key, value in document.data.items():
        for path in [(key,), *((key, inner) for inner in (value if isinstance(value, dict) else ()))]:
            if path != file.source.keys and (span := document.positions.value(path)):
                yield span.line


def _above(lines: list[str], line: int) -> int:
    """The first of the comment lines that stand directly above a line, and so are about it."""
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line
