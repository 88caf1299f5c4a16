"""Deciding: a chain of rules and a request in, a decision out; `lock()`, `run` and `explain` all decide here."""

from __future__ import annotations

import os

from policy.rules.index import Search
from policy.rules.plan import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from policy.environment.discovery import Environment
    from policy.locks.backend import Lock
    from policy.rules.plain import Setting
    from policy.rules.request import Request
    from policy.rules.rule import AnyRule, AnyRules, Rule, Step


class BaseChain:
    """What `Chain` and its slotted twin have in common: how they decide.

    Attributes:
        rules: The strongest first; the last one matches everything.
        settings: Single settings by key.
        search: Finds the rule that decides.
    """

    __slots__ = ()

    rules: AnyRules
    settings: Mapping[str, Setting]
    search: Search

    def setting(self, name: str) -> Any:
        """The value of a single setting, None where no file has it.

        Args:
            name: Its key in TOML.
        """
        found = self.settings.get(name)
        return found.value if found else None

    def _with(self, settings: Mapping[str, Setting]) -> dict[str, Setting]:
        stronger = {name: setting.before(self.settings.get(name)) for name, setting in settings.items()}
        return {**self.settings, **stronger}

    def decide(self, request: Request) -> Decision:
        """The first rule that matches, and the plan that follows from it.

        Args:
            request: What is to be locked, and who asks.

        Returns:
            The decision, with every step that led to it.
        """
        return Decision(self, request, self.search.first(request))


class PlainChain(BaseChain):
    """The slotted twin of `Chain`, which needs no attrs.

    Args:
        rules: The strongest first; the last one matches everything.
        settings: Single settings by key.
        search: Finds the rule that decides; absent: made when it is first asked for.
    """

    __slots__ = ("rules", "search", "settings")

    def __init__(
        self,
        rules: AnyRules,
        settings: Mapping[str, Setting] | None = None,
        search: Search | None = None,
    ) -> None:
        self.rules: AnyRules = rules
        self.settings: Mapping[str, Setting] = settings or {}
        self.search: Search = search or Search(rules)

    def with_settings(self, settings: Mapping[str, Setting]) -> PlainChain:
        """The same rules, with settings that stand before its own.

        Args:
            settings: By key.
        """
        return PlainChain(self.rules, self._with(settings), self.search)


class Decision:
    """The rule that matched, and on demand the plan and every step that led there.

    Args:
        chain: The rules that were asked.
        request: What they were asked.
        index: Which rule matched.

    Attributes:
        corrected: Why the rules were asked a second time, "" where they were not.
        warnings: What was noticed while the configuration was looked for.
    """

    corrected = ""
    warnings: tuple[str, ...] = ()
    _plan: tuple[Lock, ...] | None = None

    def __init__(self, chain: BaseChain, request: Request, index: int) -> None:
        self.chain = chain
        self.request = request
        self.index = index

    @property
    def plan(self) -> tuple[Lock, ...]:
        """The locks to hold, in the order in which they are taken."""
        if self._plan is None:
            self._plan = plan(self.lock, self.request, self.setting)
        return self._plan

    def setting(self, name: str) -> Any:
        """What the rule that matched, or else a setting that counts for it, says of where a lock lives.

        Args:
            name: `global-dir`, `gate-dir`, `cluster` or `cluster-key`.

        Returns:
            The value; None where nothing says it.
        """
        if name == "cluster-key":
            return self.matched.cluster_key
        first = self.chain.settings.get(name)
        found = first.for_rule(self.matched) if first else None
        return found.value if found else None

    @property
    def matched(self) -> AnyRule:
        """The rule that matched, as the chain has it."""
        return self.chain.rules[self.index]

    @property
    def rule(self) -> Rule:
        """The rule that matched."""
        from policy.rules.rule import Rule

        return Rule.of(self.matched)

    @property
    def label(self) -> str:
        """The rule that matched, as messages name it."""
        return self.matched.label

    @property
    def lock(self) -> tuple[str, ...]:
        """Where the lock lives: the names of one or more locations."""
        return self.matched.lock

    @property
    def timeout(self) -> float | None:
        """Seconds to wait: the rule's own, else the setting; None waits forever."""
        setting = self.chain.settings.get("timeout")
        if setting and setting.layer == "caller":  # the command line and LOCK_POLICY_TIMEOUT stand before all files
            return setting.value  # type: ignore[no-any-return]  # a setting may hold anything; this one holds seconds
        own = self.matched.timeout
        return own if own is not None or setting is None else setting.value

    @property
    def required(self) -> bool:
        """If false, work continues without the lock when it cannot be acquired.

        A file that comes with a checkout has a say about environments below its own folder, and about no others.
        """
        rule = self.matched
        if rule.required or not rule.confined:
            return rule.required
        from policy.rules.effect import inside  # few rules ask for it

        return not inside(rule, os.path.realpath(self.environment.root))

    @property
    def shared(self) -> bool:
        """Whether the rule takes its locks for reading."""
        return self.matched.shared

    @property
    def unused(self) -> bool:
        """Whether the rule waits until no process runs from the environment."""
        return self.matched.unused

    @property
    def environment(self) -> Environment:
        """What is to be locked."""
        return self.request.environment

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every rule, with each of its conditions up to the rule that matched."""
        from policy.rules.trace import steps

        return steps(self.chain.rules, self.index, self.request)
