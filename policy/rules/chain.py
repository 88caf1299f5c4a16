"""The chain of rules, for Python: `policy run` decides by the plain form of it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from policy.rules import engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policy.rules.request import Request
    from policy.rules.rule import Rule


@frozen
class Chain:
    """Rules in order; the first that matches decides.

    Args:
        rules: The strongest first; the last one must match everything.
        settings: Single settings by key, each with the value, the file, the line and the layer it came from.
    """

    rules: tuple[Rule, ...]
    settings: Mapping[str, engine.Setting] = attrs.field(factory=dict)
    program: engine.Program = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "program", engine.Program([rule.row for rule in self.rules], dict(self.settings)))

    def decide(self, request: Request) -> engine.Decision:
        """The answer to a request.

        Args:
            request: What is to be locked, and who asks.

        Returns:
            The decision, with its plan and every step that led to it.
        """
        return engine.decide(self.program, request)
