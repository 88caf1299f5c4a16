"""The shape of a configuration file, and from the files that were found to one chain of rules."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from policy import __version__
from policy.config.cases import CASES, Case
from policy.config.cluster import CLUSTER
from policy.config.layers import DIRECTORIES, LAYERS, OUTLIVING, Layer, Source, host_file, table
from policy.errors import ConfigError
from policy.rules.chain import Chain
from policy.rules.plain import BUILT_IN as PLAIN_BUILT_IN
from policy.rules.plain import BUILT_IN_LAYER, Setting
from policy.rules.rule import RULES, TIMEOUT, Rule
from policy.toml.diagnostic import Diagnostic, Location
from policy.toml.document import locate, parsed, read
from policy.toml.shapes import END, MOST, TEXT, gather, keyed, refined, refuse, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from policy.toml.document import Document

BUILT_IN = tuple(map(Rule.of, PLAIN_BUILT_IN))


def _directory_problem(path: str) -> str | None:
    return None if path and "\0" not in path else "must name a directory"


def _gate_problem(path: str) -> str | None:
    """The gate is one for all users, so nobody's home directory says where it is."""
    return None if os.path.isabs(path) and "\0" not in path else "must be an absolute path"


_RELEASE = r"v?([0-9]+!)?[0-9]+"
_PRE = r"([-_.]?([aA][lL][pP][hH][aA]|[bB][eE][tT][aA]|[pP][rR][eE]([vV][iI][eE][wW])?|[aAbBcC]|[rR][cC])[-_.]?[0-9]*)?"
_POST = r"(-[0-9]+|[-_.]?([pP][oO][sS][tT]|[rR][eE][vV]|[rR])[-_.]?[0-9]*)?"
_DEV = r"([-_.]?[dD][eE][vV][-_.]?[0-9]*)?"
_LOCAL = r"(\+[a-zA-Z0-9]+([-_.][a-zA-Z0-9]+)*)?"
_CLAUSE = (
    rf"((<=?|>=?)[ \t]*{_RELEASE}(\.[0-9]+)*{_PRE}{_POST}{_DEV}"
    rf"|[=!]=[ \t]*{_RELEASE}(\.[0-9]+)*(\.\*|{_PRE}{_POST}{_DEV}{_LOCAL})"
    rf"|~=[ \t]*{_RELEASE}(\.[0-9]+)+{_PRE}{_POST}{_DEV})"
)
SPECIFIERS = rf"^[ \t]*({_CLAUSE}[ \t]*)?(,[ \t]*({_CLAUSE}[ \t]*)?)*{END}"
"""A version specifier of PEP 440, except for `===`, which asks for a spelling and not for a version."""

MAX_SPECIFIERS = 200  # characters; Python reads no number of more than 4,300 digits


def _version_problem(specifier: str) -> str | None:
    known = len(specifier) <= MAX_SPECIFIERS and re.match(SPECIFIERS, specifier)
    return None if known else f'{shown(specifier)} is not a version specifier (PEP 440), such as ">=0.1, <1"'


def _titles(right: str) -> str:
    """The files of the layers that have a right, as a sentence lists them."""
    return " or ".join(layer.title for layer in LAYERS if right in layer.may)


SETTINGS = {
    "global-dir": refined(TEXT, _directory_problem, {"minLength": 1, "pattern": r"^[^\u0000]*$"}).described(
        "Directory of the global locks; it must exist. In a project's file a relative path that "
        "stays inside the project.",
        "/var/lock/lock-policy",
    ),
    "gate-dir": refined(TEXT, _gate_problem, {"pattern": r"^(/|[A-Za-z]:[/\\]|\\\\)[^\u0000]*$"}).described(
        "Directory of the gate, the lock that every plan takes first; it must exist. "
        f"Only {_titles('gate-dir')} may hold it, and it counts for the whole host, "
        "with --no-config and --config-file too.",
        "/run/lock/lock-policy",
    ),
    "cluster": CLUSTER.described(
        f"The server that keeps locks for several hosts. Only {_titles('cluster')} may hold it."
    ),
    "timeout": TIMEOUT.described("How long to wait for a lock, in seconds; default: forever.", 60),
}

BOUND = frozenset({"global-dir", "cluster"})
"""Settings that say where a lock lives, and so count for the rules of their own layer and of stronger ones only."""

KEYS = {
    "required-version": refined(TEXT, _version_problem, {"pattern": SPECIFIERS, "maxLength": MAX_SPECIFIERS}).described(
        "Versions of lock-policy that can read this file (PEP 440).", ">=0.1"
    ),
    **SETTINGS,
    "rules": RULES.described("Tried in order; the first whose conditions all hold decides."),
    "tests": CASES.described("Cases that `policy test` tries against the rules."),
}

CONFIGURATION = keyed(KEYS)


@frozen
class Configuration:
    """What one file says.

    Args:
        source: The file.
        document: Its text, for callers that point into it.
        rules: In its order.
        settings: Single settings by key.
        tests: Its cases for `policy test`.
    """

    source: Source
    document: Document
    rules: tuple[Rule, ...] = ()
    settings: Mapping[str, Setting] = attrs.field(factory=dict)
    tests: tuple[Case, ...] = ()


def read_file(source: Source, given: tuple[str, bytes] | None = None) -> Configuration:
    """One file, judged as a whole.

    Args:
        source: The file and its layer.
        given: What stands in its place: how that is shown, and its bytes; absent: the file itself is read.

    Returns:
        What it says.

    Raises:
        ConfigError: With every fault in it, located.
    """
    try:
        document = parsed(*given) if given else read(source.path, limit=source.limit)
    except ConfigError as error:
        raise ConfigError([_discreet(diagnostic) for diagnostic in error.diagnostics]) from None
    try:
        return _read(source, document)
    except ConfigError as error:
        diagnostics = [_discreet(locate(document, diagnostic)) for diagnostic in error.diagnostics[:MOST]]
        diagnostics.sort(key=lambda diagnostic: (diagnostic.line, diagnostic.column))
        if len(error.diagnostics) >= MOST:
            diagnostics.append(
                Diagnostic(
                    Location(document.file),
                    f"after {MOST} faults the rest of the file was not checked",
                    code="too-many",
                )
            )
        raise ConfigError(diagnostics) from None


_SECRET = re.compile(r"""\bpass\w*["']?\s*=""", re.IGNORECASE)


def _discreet(diagnostic: Diagnostic) -> Diagnostic:
    """Without the line of the file where that may hold a secret that somebody wrote there by mistake."""
    return attrs.evolve(diagnostic, excerpt="") if _SECRET.search(diagnostic.excerpt) else diagnostic


def _read(source: Source, document: Document) -> Configuration:
    location = Location(document.file)
    for name in source.keys:
        location = location.at(name)
    data = table(document.data, source.keys)
    if data is None:
        return Configuration(source, document)
    _require_version(data, location)
    judges = [lambda: CONFIGURATION.parse(data, location), lambda: _limit(source, data, location)]
    content, _ = gather(lambda judge: judge(), judges)
    rules = tuple(
        Rule(
            **fields,
            file=document.file,
            line=_line(document, at.keys),
            layer=source.layer.name,
            confined="unlocked" not in source.layer.may,
        )
        for fields, at in content.get("rules", ())
    )
    settings = {
        name: Setting(
            _setting(source, name, content[name]),
            document.file,
            _line(document, (*location.keys, name)),
            source.layer.name,
            _reach(source.layer) if name in BOUND else None,
        )
        for name in SETTINGS
        if name in content
    }
    tests = tuple(
        attrs.evolve(case, file=document.file, line=_line(document, at.keys)) for case, at in content.get("tests", ())
    )
    return Configuration(source, document, rules, settings, tests)


def _reach(layer: Layer) -> tuple[str, ...]:
    """The layers whose rules a setting of this one may move: its own, stronger ones, perhaps the built-in."""
    names = [one.name for one in LAYERS[: LAYERS.index(layer) + 1]]
    return (*names, BUILT_IN_LAYER) if "built-in" in layer.may else tuple(names)


def _line(document: Document, keys: tuple[str | int, ...]) -> int:
    span = document.positions.key(keys) or document.positions.value(keys)
    return span.line if span else 0


def _require_version(data: object, location: Location) -> None:
    """Refuses a file that wants another version, before anything else in it is judged."""
    if not isinstance(data, dict) or not isinstance(wanted := data.get("required-version"), str):
        return
    from packaging.specifiers import SpecifierSet

    KEYS["required-version"].parse(wanted, location.at("required-version"))
    if not SpecifierSet(wanted).contains(__version__, prereleases=True):
        raise refuse(
            location.at("required-version"),
            f"this file requires lock-policy {wanted}, but {__version__} is running; install a version that it allows",
            code="required-version",
        )


def _limit(source: Source, data: Mapping[str, Any], location: Location) -> None:
    """What a layer may not say: a project's file comes with a checkout, so it may do no harm."""
    if isinstance(data, dict):
        gather(_refuse, [*_beyond(source, data, location), *_directory(source, data, location)])


def _refuse(error: ConfigError) -> None:
    raise error


def _beyond(source: Source, data: Mapping[str, Any], location: Location) -> Iterator[ConfigError]:
    """What the layer of a file has no right to."""
    rules = data.get("rules")
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict) and rule.get("mandatory") is True and "mandatory" not in source.layer.may:
            at = location.at("rules").at(index).at("mandatory")
            yield refuse(at, f"only {_titles('mandatory')} may hold mandatory rules", of_key=True, code="no-right")
    for name, shown_as in (("cluster", "[cluster]"), ("gate-dir", "gate-dir")):
        if name in data and name not in source.layer.may:
            message = f"only {_titles(name)} may hold {shown_as}"
            yield refuse(location.at(name), message, of_key=True, code="no-right")
    if "gate-dir" in data and "gate-dir" in source.layer.may and source.movable:
        message = f"only {host_file()} may hold gate-dir: a variable leads to this file, and none may move the gate"
        yield refuse(location.at("gate-dir"), message, of_key=True, code="no-right")


def _directory(source: Source, data: Mapping[str, Any], location: Location) -> Iterator[ConfigError]:
    """A directory that the layer of a file may not name."""
    directory = data.get("global-dir")
    if isinstance(directory, str) and _directory_problem(directory) is None:
        allowed = source.layer.directory
        if allowed == "inside":
            fits = _is_inside(source.directory, directory)
            message = f"{source.layer.title} may only name {DIRECTORIES[allowed]}"
        else:
            fits = os.path.isabs(os.path.expanduser(directory)) or (allowed == "any" and directory[0] != "~")
            message = "must be an absolute path, or begin with ~/"
        if not fits:
            yield refuse(location.at("global-dir"), message, code="wrong-directory")


def _is_inside(folder: str, directory: str) -> bool:
    if os.path.isabs(directory) or directory.startswith("~"):
        return False
    root = os.path.realpath(folder)
    return os.path.commonpath([os.path.realpath(os.path.join(folder, directory)), root]) == root


def _setting(source: Source, name: str, value: Any) -> Any:
    if name in {"global-dir", "gate-dir"}:
        return os.path.normpath(os.path.join(source.directory, os.path.expanduser(value)))
    return value


def chain(files: Sequence[Configuration]) -> Chain:
    """One chain: mandatory rules, then each file's in order, then the built-in ones.

    Args:
        files: The strongest first.
    """
    rules = [rule for file in files for rule in file.rules if rule.mandatory or not file.source.partly]
    settings: dict[str, Setting] = {}
    for file in reversed(files):  # the weakest first, since each stronger one stands before it
        for name, setting in _counting(file).items():
            settings[name] = setting.before(settings.get(name)) if name in BOUND else setting
    return Chain(
        (*(rule for rule in rules if rule.mandatory), *(rule for rule in rules if not rule.mandatory), *BUILT_IN),
        settings,
    )


def _counting(file: Configuration) -> Mapping[str, Setting]:
    """The settings of a file that count; where it is not to be read, those without which its mandatory rules differ."""
    if not file.source.partly:
        return file.settings
    outliving = {name: setting for name, setting in file.settings.items() if name in OUTLIVING}
    bound = {name: setting.only_for(file.source.layer.name) for name, setting in file.settings.items() if name in BOUND}
    return {**outliving, **bound}


def load_chain(sources: Iterable[Source]) -> Chain:
    """The chain that the files make together.

    Args:
        sources: The files, the strongest first.

    Returns:
        The chain, ending with the built-in rules.

    Raises:
        ConfigError: With the faults of all files.
    """
    return chain(gather(read_file, sources))
