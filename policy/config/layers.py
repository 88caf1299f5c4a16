"""Where rules are written, and what they may do there: one object per layer, the strongest first in LAYERS.

Only finds the files; `read` reads them. Nothing here imports attrs: `policy run` looks for files each time.
"""

from __future__ import annotations

import os
import stat
import sys

from policy import cache, host
from policy.errors import UsageError
from policy.seahash import seahash
from policy.variables import MAX_SIZE, flag, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

FILE = "lock-policy.toml"
PYPROJECT = "pyproject.toml"
TABLE = ("tool", "lock-policy")
MANY = 64  # callers whose standard files are remembered
DIGITS = 18  # no file system holds a larger file
MENTION = 16 * 1024 * 1024  # bytes of a pyproject.toml that are searched for our name


RIGHTS = {
    "mandatory": "hold mandatory rules, which outlive --no-config and --config-file",
    "gate-dir": "hold `gate-dir`, which outlives them too",
    "cluster": "hold `[cluster]`",
    "built-in": "move the locks of the built-in rules with its `global-dir`",
    "unlocked": "continue without a lock, by `required = false`, in environments outside its own folder",
}
"""What a layer may do; each is denied unless its object says so."""

DIRECTORIES = {
    "inside": "a relative path that stays inside its own folder",
    "absolute": "an absolute path, or one that begins with ~/",
    "any": "any path; a relative one starts at its own folder",
}
"""What `global-dir` of a layer may be."""

OUTLIVING = ("mandatory", "gate-dir")
"""Rights whose exercise counts even where no file is to be read; a setting among them is named as its right."""


class Layer:
    """One place where configuration can stand, and what it may do there.

    Args:
        name: How options, messages and JSON call it.
        title: Its file, as a sentence calls it: "the user's file".
        files: From environment variables to the paths where its file may stand; the first that exists counts.
        variables: Those that `files` reads: what was found is remembered for as long as they have the same values.
        find: From a query to its files, where they are not at fixed paths.
        directory: Which of DIRECTORIES its `global-dir` may be.
        may: Which of RIGHTS it has.
    """

    __slots__ = ("directory", "files", "find", "may", "name", "title", "variables")

    def __init__(
        self,
        name: str,
        title: str,
        *,
        files: Callable[[Mapping[str, str]], Sequence[str]] | None = None,
        variables: Iterable[str] = (),
        find: Callable[[Query], Iterable[Source]] | None = None,
        directory: str = "inside",
        may: Iterable[str] = (),
    ) -> None:
        self.name: str = name
        self.title: str = title
        self.files: Callable[[Mapping[str, str]], Sequence[str]] | None = files
        self.variables: tuple[str, ...] = tuple(variables)
        self.find: Callable[[Query], Iterable[Source]] | None = find
        self.directory: str = directory
        self.may: frozenset[str] = frozenset(may)

    @property
    def outlives(self) -> bool:
        """Whether something in its files counts even where no file is to be read."""
        return not self.may.isdisjoint(OUTLIVING)


class Source:
    """A configuration file that is read.

    Args:
        layer: Which layer it stands in.
        path: The file.
        keys: The table in it that is ours.
        identity: Device, inode, size, mtime and ctime in ns, mode and owner: another one means another content.
        limit: How many bytes it may have.
        movable: Whether a variable leads to it, so that each user can have another one.
        partly: Whether only that counts which outlives --no-config.
    """

    __slots__ = ("identity", "keys", "layer", "limit", "movable", "partly", "path")

    def __init__(
        self,
        layer: Layer,
        path: str,
        keys: tuple[str, ...] = (),
        identity: tuple[int, ...] = (),
        limit: int = MAX_SIZE,
        *,
        movable: bool = False,
        partly: bool = False,
    ) -> None:
        self.limit: int = limit
        self.layer: Layer = layer
        self.path: str = path
        self.keys: tuple[str, ...] = keys
        self.identity: tuple[int, ...] = identity
        self.movable: bool = movable
        self.partly: bool = partly

    @property
    def directory(self) -> str:
        """The folder of the file."""
        return os.path.dirname(self.path)

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What a compiled form of this file is kept under."""
        return (self.layer.name, self.path, self.keys, self.partly, *self.identity)


class Notice:
    """Something that people should know about a file that is not used.

    Args:
        path: The file.
        message: What is the matter with it, after its name.
    """

    __slots__ = ("message", "path")

    def __init__(self, path: str, message: str) -> None:
        self.path: str = path
        self.message: str = message

    def __str__(self) -> str:
        return f"{self.path} {self.message}"


class Query:
    """What decides which files are read.

    Args:
        environ: The caller's environment variables.
        cwd: The caller's working directory.
        root: The environment's root.
        project: The directory that `--project` names.
        config_file: The file that `--config-file` names.
        no_config: True: no file at all.

    Attributes:
        notices: What people should know about files that are not used.
        trail: What was looked at to find the files; another search finds the same for as long as it holds.
    """

    __slots__ = ("config_file", "cwd", "empty", "environ", "limit", "no_config", "notices", "project", "root", "trail")

    def __init__(
        self,
        environ: Mapping[str, str],
        cwd: str,
        root: str,
        project: str | None = None,
        config_file: str | None = None,
        no_config: bool = False,  # noqa: FBT001, FBT002  (a value, as the option)
    ) -> None:
        self.environ: Mapping[str, str] = environ
        self.cwd: str = cwd
        self.root: str = root
        self.project: str | None = project
        if config_file is not None and no_config:
            raise UsageError("--config-file and --no-config cannot be used together")
        named = (environ.get("LOCK_POLICY_CONFIG_FILE") or None) if config_file is None else config_file
        self.config_file: str | None = named
        self.no_config: bool = no_config or (config_file is None and flag(environ, "LOCK_POLICY_NO_CONFIG"))
        self.notices: list[Notice] = []
        self.limit: int = size_limit(environ)
        self.empty: set[str] = set()  # where an earlier search found nothing
        self.trail: host.Trail = host.Trail()


def size_limit(environ: Mapping[str, str]) -> int:
    """How many bytes a configuration file may have.

    Args:
        environ: The caller's environment variables; LOCK_POLICY_MAX_SIZE is a number of bytes.

    Raises:
        UsageError: When it is no whole number above 0.
    """
    value = environ.get("LOCK_POLICY_MAX_SIZE", str(MAX_SIZE))
    if not (value.isascii() and value.isdigit() and len(value) <= DIGITS and int(value)):
        raise UsageError("LOCK_POLICY_MAX_SIZE must be a number of bytes")
    return int(value)


_mentions: dict[tuple[int, ...], bool] = {}
_tables: dict[tuple[int, ...], bool] = {}


def _mentions_us(path: str, identity: tuple[int, ...], query: Query) -> bool:
    """Whether a pyproject.toml can hold our table: parsing every project's file for that would cost more than deciding.

    What cannot be read here counts as ours, so that reading it reports why.
    """
    known = _mentions.get(identity)
    if known is None:
        known = _search(path)
        if not query.trail.is_young:
            _mentions[identity] = known
    return known


def _search(path: str) -> bool:
    try:
        content = host.beginning(path, MENTION)
    except OSError:
        return True
    # an escape in a quoted key can spell anything
    return b"lock-policy" in content or b"\\u" in content.lower()


def table(data: object, keys: Iterable[str]) -> dict[str, Any] | None:
    """The table at a path of keys; None where there is none.

    Args:
        data: What tomllib made of the file.
        keys: The path.
    """
    for name in keys:
        if not isinstance(data, dict) or name not in data:
            return None
        data = data[name]
    return data  # type: ignore[return-value]  # a value that is no table is refused by the reader


def has_table(path: str, identity: tuple[int, ...], query: Query) -> bool:
    """Whether a pyproject.toml has our table; raises ConfigError when it cannot be read."""

    def look() -> bool:
        from policy.toml.document import read

        return table(read(path, limit=query.limit).data, TABLE) is not None

    if query.trail.is_young:
        return look()
    if identity not in _tables:
        _tables[identity] = cache.cached(f"table-{seahash(os.fsencode(path)):016x}", identity, look, query.environ)
    return _tables[identity]


def _in_directory(start: str, query: Query) -> Source | None:
    """The configuration of one directory, whose path ends with a separator."""
    own, pyproject = start + FILE, start + PYPROJECT
    own_identity, pyproject_identity = query.trail.look(own), query.trail.look(pyproject)
    if own_identity is not None and not _trusted(own, own_identity, query):
        own_identity = None
    if pyproject_identity is not None and not (
        _mentions_us(pyproject, pyproject_identity, query)
        and _trusted(pyproject, pyproject_identity, query)
        and has_table(pyproject, pyproject_identity, query)
    ):
        pyproject_identity = None
    if own_identity is not None:
        if pyproject_identity is not None:
            query.notices.append(Notice(pyproject, f"is ignored: {own} in the same folder is used"))
        return Source(PROJECT, own, (), own_identity, query.limit)
    return None if pyproject_identity is None else Source(PROJECT, pyproject, TABLE, pyproject_identity, query.limit)


def _trusted(path: str, identity: tuple[int, ...], query: Query) -> bool:
    """Whether a file found by looking upward may be read: nobody else may be able to write or to plant it."""
    if sys.platform == "win32":
        return True
    mode = identity[5]
    if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
        query.notices.append(Notice(path, "is ignored: everyone can write it; use `chmod o-w` on it"))
        return False
    if query.trail.owners(path) <= {0, os.geteuid()}:
        return True
    query.trail.settled = False  # who may write the folder can change without a trace
    if os.stat(os.path.dirname(path)).st_mode & stat.S_IWOTH:
        message = "is ignored: it belongs to someone else, in a directory that everyone can write"
        query.notices.append(Notice(path, message))
        return False
    return True


def _upward(path: str, query: Query) -> Source | None:
    directory = os.path.normpath(os.path.join(query.cwd, path))
    while directory not in query.empty:
        start = directory if directory.endswith(os.sep) else directory + os.sep
        if not (query.trail.is_absent(start + FILE) and query.trail.is_absent(start + PYPROJECT)):
            found = _in_directory(start, query)
            if found:
                return found
        query.empty.add(directory)
        directory = os.path.dirname(directory)  # the root is its own parent
    return None


def project(query: Query) -> Iterable[Source]:
    """The nearest configuration upward from `--project`, else from the environment, else from the working directory."""
    if query.project is not None:
        if not os.path.isdir(os.path.join(query.cwd, query.project)):
            raise UsageError(f"{query.project}: no such directory; name the project's directory with --project")
        query.trail.folder = os.path.join(query.cwd, query.project)
        found = _upward(query.project, query)
    else:
        found = _upward(query.root, query) or _upward(query.cwd, query)
    return (found,) if found else ()


def user_files(environ: Mapping[str, str]) -> list[str]:
    """Where the user-level file is: as uv's, so not in `~/Library` on macOS.

    Args:
        environ: The caller's environment variables.
    """
    if sys.platform == "win32":
        from platformdirs import user_config_dir

        base = environ.get("APPDATA") or user_config_dir(appauthor=False, roaming=True)
    else:
        base = host.folder(environ, "XDG_CONFIG_HOME", ".config")
    return [os.path.join(base, "lock-policy", FILE)] if base else []


def host_file() -> str:
    """The system file that no variable leads to: the same for every user of this host."""
    base = os.environ.get("PROGRAMDATA", r"C:\ProgramData") if sys.platform == "win32" else "/etc"
    return os.path.join(base, "lock-policy", FILE)


def system_files(environ: Mapping[str, str]) -> list[str]:
    """Where the system file may be; the first that exists counts.

    Args:
        environ: The caller's environment variables.
    """
    if sys.platform == "win32":
        return [host_file()]
    return [*[os.path.join(base, "lock-policy", FILE) for base in host.config_folders(environ)], host_file()]


_paths_known: dict[tuple[str | bytes | None, ...], Sequence[str]] = {}


def _paths(one: Layer, environ: Mapping[str, str]) -> Sequence[str]:
    """Where the file of a layer may stand, computed once for the variables that decide it."""
    key = (one.name, *state(environ, one.variables))
    try:
        return _paths_known[key]
    except KeyError:
        if len(_paths_known) >= MANY:
            _paths_known.clear()
        paths = _paths_known[key] = one.files(environ) if one.files else ()
        return paths


def _standing(
    one: Layer, paths: Sequence[str], fixed: str, trail: host.Trail, limit: int = MAX_SIZE
) -> tuple[Source, ...]:
    """The first file of a layer that exists, and where it hides the host's own, what of that outlives everything."""
    found: list[Source] = []
    for path in paths:
        if found and not (one.outlives and path == fixed):
            continue
        identity = trail.look(path)
        if identity is not None:
            found.append(Source(one, path, (), identity, limit, movable=path != fixed, partly=bool(found)))
    return tuple(found)


NAMED = Layer("file", "the file that --config-file names", directory="any", may=("built-in", "unlocked"))
PROJECT = Layer("project", "a project's file", find=project)
USER = Layer(
    "user",
    "the user's file",
    files=user_files,
    variables=("APPDATA",) if sys.platform == "win32" else ("HOME", "XDG_CONFIG_HOME"),
    directory="absolute",
    may=("cluster", "built-in", "unlocked"),
)
SYSTEM = Layer(
    "system",
    "the system file",
    files=system_files,
    variables=("PROGRAMDATA",) if sys.platform == "win32" else ("XDG_CONFIG_DIRS",),
    directory="absolute",
    may=RIGHTS,
)

LAYERS: tuple[Layer, ...] = (NAMED, PROJECT, USER, SYSTEM)
"""Every layer, the strongest first; a new one is an object here."""

VARIABLES = (
    *(name for one in LAYERS for name in one.variables),
    "LOCK_POLICY_CONFIG_FILE",
    "LOCK_POLICY_NO_CONFIG",
    "LOCK_POLICY_MAX_SIZE",
)
"""The environment variables that decide which files are read."""


def system_below(etc: str) -> tuple[Source, ...]:
    """The system files of a host, of whose /etc somebody has a copy.

    Args:
        etc: The copy.
    """
    paths = [os.path.abspath(os.path.join(etc, folder, "lock-policy", FILE)) for folder in ("xdg", "")]
    return _standing(SYSTEM, paths, paths[-1], host.Trail())


def layer(name: str) -> Layer:
    """The layer of a name.

    Args:
        name: One that LAYERS has.
    """
    return next(one for one in LAYERS if one.name == name)


def standing_in(path: str, environ: Mapping[str, str]) -> Layer:
    """The layer whose file stands at a path; a project's, which may do least, where no other has its file there.

    Args:
        path: A file.
        environ: The caller's environment variables.
    """
    real = os.path.realpath(path)
    for one in LAYERS:
        if real in map(os.path.realpath, _paths(one, environ)):
            return one
    return PROJECT


def find(query: Query) -> tuple[Source, ...]:
    """The configuration files that are read, the strongest first.

    Args:
        query: What decides which they are; its `notices` are added to.

    Returns:
        The files of each layer; of those that are not to be read the ones that outlive that, marked `partly`.

    Raises:
        UsageError: When the file that was named does not exist.
        ConfigError: When a pyproject.toml that mentions us cannot be read.
    """
    found: list[Source] = []
    alone = query.no_config or query.config_file is not None
    if query.config_file is not None and not query.no_config:
        path = os.path.join(query.cwd, query.config_file)
        identity = query.trail.look(path)
        if identity is None:
            raise UsageError(f"{query.config_file}: no such file; name an existing one with --config-file")
        found.append(Source(NAMED, path, named_table(path), identity, query.limit))
    for one in LAYERS:
        if alone and not one.outlives:
            continue
        if one.find:
            sources = one.find(query)
        else:
            sources = _standing(one, _paths(one, query.environ), host_file(), query.trail, query.limit)
        for source in sources:
            source.partly = source.partly or alone
            found.append(source)
    return tuple(found)


def named_table(path: str) -> tuple[str, ...]:
    """Which table of a file that someone named is ours."""
    return TABLE if os.path.basename(path) == PYPROJECT else ()
