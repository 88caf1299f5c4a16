"""The chain of rules: what `policy.load().chain` gives, and what the cache is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from policy.errors import UsageError
from policy.rules.decision import BaseChain
from policy.rules.index import Search
from policy.rules.plain import Setting
from policy.rules.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def _rules(given: Iterable[Rule]) -> tuple[Rule, ...]:
    rules = tuple(given)
    for number, rule in enumerate(rules):
        if not isinstance(rule, Rule):
            raise UsageError(f"rule {number + 1} of a chain must be a policy.Rule, not {type(rule).__name__}")
    if not rules or rules[-1].match:
        raise UsageError("the last rule of a chain must match everything: leave its `match` empty")
    return rules


def _settings(given: Mapping[str, Setting]) -> dict[str, Setting]:
    settings = dict(given)
    for name, setting in settings.items():
        if not isinstance(name, str) or not isinstance(setting, Setting):
            raise UsageError(f"setting {name!r} of a chain must be a policy.Setting, not {type(setting).__name__}")
    return settings


@frozen
class Chain(BaseChain):
    """Rules in order; the first that matches decides.

    Args:
        rules: The strongest first; the last one must match everything.
        settings: Single settings by key, each with where it comes from.

    Raises:
        UsageError: When the rules or the settings cannot be used.
    """

    rules: tuple[Rule, ...] = attrs.field(converter=_rules)
    settings: Mapping[str, Setting] = attrs.field(factory=dict, converter=_settings)
    search: Search = attrs.field(init=False, eq=False, repr=False)

    @search.default
    def _search(self) -> Search:
        return Search(self.rules)

    def with_settings(self, settings: Mapping[str, Setting]) -> Chain:
        """The same rules, with settings that stand before its own.

        Args:
            settings: By key.
        """
        return Chain(self.rules, self._with(settings))
