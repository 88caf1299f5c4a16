"""What reading the configuration gave, kept in the user's cache directory until a file changes.

Importing attrs, a TOML reader and what reads with them costs more than everything else that `policy run` does.
"""

from __future__ import annotations

import marshal

from policy import cache, engine, index
from policy.builtin import ROWS
from policy.uv.names import seahash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from policy.sources import Source

FORMAT = 1  # another one when rows, settings or the index change their shape


def kept(name: str, key: Any, make: Callable[[], Any], environ: Mapping[str, str]) -> Any:
    """A plain value that is made once for a key.

    Args:
        name: The file in the cache directory; one value is kept under it.
        key: A tuple of plain values; another one makes the value anew.
        make: Makes it.
        environ: Environment variables, which say where the cache directory is.

    Returns:
        The value, from the file or from `make`.
    """
    data = cache.read(name, environ)
    if data is not None:
        try:
            found_format, found_key, value = marshal.loads(data)  # noqa: S302  (only this user can write the file)
        except (ValueError, TypeError, EOFError):
            pass
        else:
            if found_format == FORMAT and found_key == key:
                return value
    value = make()
    cache.write(name, marshal.dumps((FORMAT, key, value)), environ)
    return value


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
        from policy.configuration import read

        chain = read(sources)
        made = [rule.row for rule in chain.rules]
        return tuple([marshal.dumps(row) for row in made]), dict(chain.settings), index.build(made)

    paths = "\0".join(source.path for source in sources)
    name = f"rules-{seahash(paths.encode('utf-8', 'surrogateescape')):016x}"
    key = (home, *(source.fingerprint for source in sources))
    rows, settings, built = kept(name, key, make, environ)
    return engine.Program(Rows(rows), settings, built)


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
