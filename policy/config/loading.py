"""Rules that are read once and decide often; changed files are noticed.

What reading gave is kept in the user's cache directory: importing attrs, a TOML reader and what reads with them costs
more than everything else that `policy run` does.
"""

from __future__ import annotations

import marshal
import os

from policy import __version__, cache, host
from policy.config import layers
from policy.errors import UsageError
from policy.rules.decision import PlainChain
from policy.rules.index import Search
from policy.rules.plain import BUILT_IN, PlainRule, Setting
from policy.seahash import seahash
from policy.variables import MAX_TIMEOUT, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from policy.rules.chain import Chain
    from policy.rules.decision import Decision
    from policy.rules.index import Index
    from policy.rules.request import Caller, Request

MANY = 64  # sets of files whose rules are remembered


def seconds(value: object, name: str) -> float:
    """A timeout that somebody gave, in seconds: finite, not negative, within a day.

    Args:
        value: A number, or text of one.
        name: The option or variable, for the message.

    Raises:
        UsageError: When it is anything else.
    """
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number is refused below
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number <= MAX_TIMEOUT:  # nan compares false
        raise UsageError(f"{name} must be a number of seconds from 0 to {MAX_TIMEOUT}")
    return number


_FORCING = ("LOCK_POLICY_TIMEOUT", "LOCK_POLICY_GLOBAL_DIR", "LOCK_POLICY_CLUSTER_SERVICE")  # what `forced` looks at
_LEADING = layers.VARIABLES + _FORCING
_user = getattr(os, "geteuid", int)  # whose files are trusted; Windows has access lists instead


class _Found:
    """The rules that a search came to, and what must not change for it to come to them again.

    Args:
        chain: The rules, with the settings that stand before all files.
        query: What was asked.
    """

    __slots__ = ("_trail", "chain", "project", "warnings")

    def __init__(self, chain: PlainChain, query: layers.Query) -> None:
        self.chain: PlainChain = chain
        project = query.project
        self.project: str | None = None if project is None else os.path.normpath(os.path.join(query.cwd, project))
        self.warnings: tuple[str, ...] = tuple(map(str, query.notices))
        self._trail: host.Trail = query.trail

    @property
    def holds(self) -> bool:
        """Whether the same search would come to the same now."""
        return self._trail.holds() and not leads_out(self.chain.settings)


class Rules:
    """The rules that apply to a caller.

    Args:
        project: Where to look for the project's configuration; absent: upward from the environment, then from the
            working directory.
        config_file: Use this file alone.
        no_config: Use no file at all.
        timeout: Seconds to wait, before whatever the files say.
        global_dir: Directory of the global locks, before whatever the files say.
        cluster_service: The libpq service of the server that keeps locks for several hosts, before whatever the files
            say.
    """

    __slots__ = (
        "_compiled",
        "_found",
        "cluster_service",
        "config_file",
        "global_dir",
        "no_config",
        "project",
        "timeout",
    )

    def __init__(
        self,
        *,
        project: str | None = None,
        config_file: str | None = None,
        no_config: bool = False,
        timeout: float | None = None,
        global_dir: str | None = None,
        cluster_service: str | None = None,
    ) -> None:
        self.cluster_service: str | None = cluster_service
        self.project: str | None = project
        self.config_file: str | None = config_file
        self.no_config: bool = no_config
        self.timeout: float | None = None if timeout is None else seconds(timeout, "timeout")
        self.global_dir: str | None = global_dir
        self._compiled: dict[tuple[object, ...], PlainChain] = {}
        self._found: dict[tuple[object, ...], _Found] = {}

    def decide(self, request: Request) -> Decision:
        """The answer of the rules as their files stand now.

        Whether the files changed is looked at each time. What a rule asks is looked at once for the request; where the
        environment's links lead is looked at once for the Environment. The gate of the plan is found anew.

        Args:
            request: What is to be locked, and who asks.

        Returns:
            The decision.

        Raises:
            ConfigError: With every fault of the files.
            UsageError: When an environment variable of ours cannot be used.
        """
        found = self._find(request.caller, request.environment.root)
        if found.project is not None:
            request.project = found.project  # the rules see the project whose configuration was found
        decision = found.chain.decide(request)
        decision.warnings = found.warnings
        return decision

    def setting(self, name: str, caller: Caller) -> Any:
        """A single setting as it applies in the caller's working directory, None where no file has it.

        Args:
            name: Its key in TOML.
            caller: Who asks.

        Raises:
            ConfigError: With every fault of the files.
        """
        return self._find(caller, caller.cwd).chain.setting(name)

    def values(self, name: str, caller: Caller) -> list[Any]:
        """Every value of a single setting, the strongest layer's first: each counts for the rules of some layers.

        Args:
            name: Its key in TOML.
            caller: Who asks.

        Raises:
            ConfigError: With every fault of the files.
        """
        found = self._find(caller, caller.cwd).chain.settings.get(name)
        values = []
        while found is not None:
            values.append(found.value)
            found = found.weaker
        return values

    @property
    def chain(self) -> Chain:
        """The rules that apply in the working directory, as attrs values; `decide` of the chain evaluates them.

        Raises:
            ConfigError: With every fault of the files.
            UsageError: When an environment variable of ours cannot be used.
        """
        from policy.rules.chain import Chain
        from policy.rules.request import Caller
        from policy.rules.rule import Rule

        caller = Caller()
        found = self._find(caller, caller.cwd).chain
        return Chain(tuple(map(Rule.of, found.rules)), found.settings)

    def chain_for(self, caller: Caller, root: str) -> PlainChain:
        """The rules that apply to an environment, looked for anew.

        Args:
            caller: Who asks.
            root: The environment's root.

        Raises:
            ConfigError: With every fault of the files.
            UsageError: When a file that was named is not there.
        """
        return self._chain(self.query(caller, root))

    def query(self, caller: Caller, root: str) -> layers.Query:
        """Which files are looked for.

        Args:
            caller: Who asks.
            root: The environment's root.
        """
        project = self.project or caller.project
        return layers.Query(caller.environ, caller.cwd, root, project, self.config_file, self.no_config)

    def _find(self, caller: Caller, root: str) -> _Found:
        """The rules for an environment; what was found before, if all that led there is as it was."""
        key = (
            (caller.cwd, root, caller.project, _user()),
            (self.project, self.config_file, self.no_config, self.timeout, self.global_dir, self.cluster_service),
            state(caller.environ, _LEADING),
        )
        known = self._found.get(key)
        if known is not None and known.holds:
            return known
        query = self.query(caller, root)
        found = _Found(self._chain(query), query)
        if query.trail.settled and not query.trail.is_young:
            if len(self._found) >= MANY:
                self._found.clear()
            self._found[key] = found
        return found

    def _chain(self, query: layers.Query) -> PlainChain:
        """The rules of the files that a query leads to; sets the query's project to what was found."""
        found = layers.find(query)
        key = tuple(source.fingerprint for source in found)
        chain = self._compiled.get(key)
        if chain is None or leads_out(chain.settings):
            if len(self._compiled) >= MANY:
                self._compiled.clear()
            chain = compiled(found, query.environ)
            if not query.trail.is_young:
                self._compiled[key] = chain
        own = next((source for source in found if source.layer is layers.PROJECT), None)
        if own is not None:
            query.project = query.project or own.directory
        forced = self.forced(query.environ, chain.setting("cluster"))
        return chain.with_settings(forced) if forced else chain

    def forced(
        self, environ: Mapping[str, str], cluster: Iterable[tuple[str, Any]] | None = None
    ) -> dict[str, Setting]:
        """Single settings that stand before all files: the caller's options, then LOCK_POLICY_*.

        Args:
            environ: The caller's environment variables.
            cluster: What the files say of the server, of which only the address is replaced.

        Raises:
            UsageError: When one of them cannot be used.
        """
        forced: dict[str, Setting] = {}
        timeout, name = self._given("timeout", environ)
        if timeout is not None:
            forced["timeout"] = Setting(seconds(timeout, name), name, 0, "caller")
        directory, name = self._given("global_dir", environ)
        if directory is not None:
            if not os.path.isabs(directory) or "\0" in directory:
                raise UsageError(f"{name} must be an absolute path")
            forced["global-dir"] = Setting(os.path.normpath(directory), name, 0, "caller")
        service, name = self._given("cluster_service", environ)
        if service is not None:
            if not service.isprintable() or not service:
                raise UsageError(f"{name} must be the name of a service in pg_service.conf")
            rest = {key: value for key, value in cluster or () if key not in ADDRESS}
            table = {"engine": "postgresql", **rest, "service": service}
            forced["cluster"] = Setting(tuple(table.items()), name, 0, "caller")
        return forced

    def _given(self, option: str, environ: Mapping[str, str]) -> tuple[Any, str]:
        """What the option says, or else its variable, and the name of the one that does; None where neither does."""
        value = getattr(self, option)
        if value is not None:
            return value, f"--{option.replace('_', '-')}"
        name = f"LOCK_POLICY_{option.upper()}"
        return environ.get(name), name


ADDRESS = frozenset({"service", "host", "port", "dbname", "user"})
"""The keys of `[cluster]` that say which server and which database; a service says all of that."""


def compiled(sources: Sequence[layers.Source], environ: Mapping[str, str]) -> PlainChain:
    """The chain of some files, kept in the user's cache directory until one of them changes.

    Args:
        sources: The files, the strongest first.
        environ: Environment variables, which say where the cache directory is.

    Raises:
        ConfigError: With the faults of all files.
    """
    if not sources:
        return PlainChain(BUILT_IN)

    def make() -> Any:
        from policy.config.read import load_chain

        return frozen(load_chain(sources))

    paths = "\0".join(source.path for source in sources)
    name = f"rules-{seahash(paths.encode('utf-8', 'surrogateescape')):016x}"
    # the version, because another one may have other built-in rules, or not be allowed by `required-version`
    key = (__version__, *(source.fingerprint for source in sources))
    young = host.is_young([source.identity for source in sources])
    rules, kept, built = make() if young else cache.cached(name, key, make, environ)
    settings = {key: Setting.of(plain) for key, plain in kept.items()}
    if leads_out(settings):
        rules, _, built = make()
    thawed = Thawed(rules)
    return PlainChain(thawed, settings, Search(thawed, built))


def frozen(chain: Chain) -> tuple[tuple[bytes, ...], dict[str, tuple[Any, ...]], Index]:
    """A chain as a cache file keeps it: its rules, its settings, its index.

    Args:
        chain: It.
    """
    from policy.rules.index import build
    from policy.rules.rule import FIELDS

    rules = tuple([marshal.dumps(tuple([getattr(rule, name) for name in FIELDS])) for rule in chain.rules])
    return rules, {name: setting.plain for name, setting in chain.settings.items()}, build(chain.rules)


def leads_out(settings: Mapping[str, Setting]) -> bool:
    """Whether a link leads a directory for locks out of its folder, perhaps since the file was read.

    Args:
        settings: Those of a chain.
    """
    found = settings.get("global-dir")
    while found:
        if any(one.name == found.layer and one.directory == "inside" for one in layers.LAYERS):
            folder = os.path.join(os.path.realpath(os.path.dirname(found.file)), "")
            if not os.path.join(os.path.realpath(found.value), "").startswith(folder):
                return True
        found = found.weaker
    return False


class Thawed:
    """Rules that are thawed when they are asked for: of ten thousand a decision looks at a few.

    Args:
        kept: The fields of each rule, as marshal writes them.
    """

    __slots__ = ("_kept", "_thawed")

    def __init__(self, kept: Sequence[bytes]) -> None:
        self._kept = kept
        self._thawed: dict[int, PlainRule] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[PlainRule]:
        return map(self.__getitem__, range(len(self._kept)))

    def __getitem__(self, number: int) -> PlainRule:
        try:
            return self._thawed[number]
        except KeyError:
            rule = self._thawed[number] = PlainRule(*marshal.loads(self._kept[number]))  # noqa: S302  (checked whole)
            return rule
