"""What reading the configuration gave, kept in the user's cache directory until a file changes.

Importing attrs, a TOML reader and what reads with them costs more than everything else that `policy run` does.
"""

from __future__ import annotations

import marshal
import os
import time

from policy import cache
from policy.config.layers import LAYERS
from policy.rules import engine, index
from policy.rules.builtin import ROWS
from policy.uv.names import seahash
from policy.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from policy.config.layers import Source

TICK_NANOSECONDS = 10_000_000  # a kernel older than 6.13 may give two changes within one tick the same timestamps
CTIME = 4  # in the identity of a source


def program(sources: Sequence[Source], environ: Mapping[str, str], home: str) -> engine.Program:
    """The program of some files.

    Args:
        sources: The files, the strongest first.
        environ: Environment variables, which say where the cache directory is.
        home: What `~` stands for.

    Raises:
        ConfigError: With the faults of all files.
    """
    if not sources:
        return engine.Program(ROWS, {})

    def make() -> Any:
        from policy.config.read import load_chain

        chain = load_chain(sources)
        made = [rule.row for rule in chain.rules]
        return tuple([marshal.dumps(row) for row in made]), dict(chain.settings), index.build(made)

    paths = "\0".join(source.path for source in sources)
    name = f"rules-{seahash(paths.encode('utf-8', 'surrogateescape')):016x}"
    # the version, because another one may have other built-in rules, or not be allowed by `required-version`
    key = (__version__, home, *(source.fingerprint for source in sources))
    young = time.time_ns() - max(source.identity[CTIME] for source in sources) < TICK_NANOSECONDS
    rows, settings, built = make() if young else cache.cached(name, key, make, environ)
    if _leads_out(settings):
        rows, settings, built = make()
    return engine.Program(Rows(rows), settings, built)


def _leads_out(settings: Mapping[str, engine.Setting]) -> bool:
    """Whether a link leads a directory for locks out of its folder, perhaps since the file was read."""
    directory, file, _, layer = settings.get("global-dir", ("", "", 0, ""))
    if not any(one.name == layer and one.directory == "inside" for one in LAYERS):
        return False
    project = os.path.join(os.path.realpath(os.path.dirname(file)), "")
    return not os.path.join(os.path.realpath(directory), "").startswith(project)


class Rows:
    """Rules that are unpacked when they are asked for: of ten thousand a decision looks at a few.

    Args:
        packed: Each row as marshal writes it.
    """

    __slots__ = ("_packed", "_unpacked")

    def __init__(self, packed: Sequence[bytes]) -> None:
        self._packed = packed
        self._unpacked: dict[int, engine.Row] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, number: int) -> engine.Row:
        try:
            return self._unpacked[number]
        except KeyError:
            row: engine.Row = marshal.loads(self._packed[number])  # noqa: S302  (packed by us)
            self._unpacked[number] = row
            return row
