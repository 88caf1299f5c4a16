"""A finding of `policy check`, and the report that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from policy.checks.codes import CODES
from policy.toml.diagnostic import Diagnostic, Location
from policy.toml.document import locate

if TYPE_CHECKING:
    from policy.config.layers import Source
    from policy.config.read import Configuration


@frozen
class Finding:
    """A fault, or something that looks wrong.

    Args:
        code: Which kind, as `policy rule` describes it.
        diagnostic: Where and what.
        examples: Command lines that show it.
    """

    code: str
    diagnostic: Diagnostic
    examples: tuple[str, ...] = ()

    @property
    def severity(self) -> str:
        """`error` or `warning`."""
        return CODES[self.code].severity


def located(file: Configuration, code: str, message: str, *keys: str | int, of_key: bool = False) -> Finding:
    """A finding about a value of a file, or about its key.

    Args:
        file: The file.
        code: Which.
        message: What is wrong and what to do.
        keys: Those that lead to the value, in the table that is ours.
        of_key: Whether the key is meant.
    """
    location = Location(file.document.file, (*file.source.keys, *keys))
    return Finding(code, locate(file.document, Diagnostic(location, message, of_key)))


@frozen
class Report:
    """What a check found.

    Args:
        sources: The files that were checked.
        findings: In the order of the files, then of the lines.
        rules: How many rules the files have that could be read.
    """

    sources: tuple[Source, ...]
    findings: tuple[Finding, ...]
    rules: int

    @property
    def complete(self) -> bool:
        """Whether nothing was left open."""
        return all(finding.code != "not-proven" for finding in self.findings)

    def count(self, severity: str) -> int:
        """How many findings are errors, or warnings."""
        return sum(finding.severity == severity for finding in self.findings)
