"""What reading the configuration gave, kept in the user's cache directory until a file changes.

Importing attrs, a TOML reader and what reads with them costs more than everything else that `policy run` does.
"""

from __future__ import annotations

import marshal
import os

from policy import __version__, cache, host
from policy.config.layers import LAYERS
from policy.rules.decision import PlainChain
from policy.rules.index import Search
from policy.rules.plain import BUILT_IN, PlainRule, Setting
from policy.seahash import seahash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from policy.config.layers import Source
    from policy.rules.chain import Chain
    from policy.rules.index import Index


def chain(sources: Sequence[Source], environ: Mapping[str, str]) -> PlainChain:
    """The chain of some files.

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
    thawed = Rules(rules)
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
        if any(one.name == found.layer and one.directory == "inside" for one in LAYERS):
            folder = os.path.join(os.path.realpath(os.path.dirname(found.file)), "")
            if not os.path.join(os.path.realpath(found.value), "").startswith(folder):
                return True
        found = found.weaker
    return False


class Rules:
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
