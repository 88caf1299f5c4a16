r"""The glob language, compiled.

Path patterns:

- `*`, `?` and `[...]` stay inside one segment (what stands between two `/`). `*` is any run of characters, the empty
  one too, but a segment that is only `*` is never empty. `?` is one character.
- `[...]` is one of a set: ranges (`[a-z]`), `]` when it stands first, `[!...]` or `[^...]` for anything else. It never
  matches `/`. There is no escape character: `[*]` is a literal `*`, a backslash is a backslash.
- `**` as a whole segment is any number of folders: `/a/**/b` matches `/a/b`, `**/x` matches `/x` and `/a/x`. At the
  end it is everything below: `/x/**` does not match `/x`. Glued to something else (`/a**b`) it is any run of
  characters, `/` too.
- A pattern matches the path itself or any folder above it: `/nix/store/*` covers everything in a store path.
- A leading dot is a character like any other: `*` matches `.venv`.
- `~` alone or before a separator is the home directory, whose characters are all literal. A home directory that is not
  absolute is unknown, and nothing lies in it.
- A pattern is absolute (`/`, a drive such as `C:/`, a share such as `//host/share`), or begins with `~` or `**`. A
  pattern of the other platform is no fault, it matches nothing: one file serves Linux and Windows.
- `//`, `/./` and a `/` at the end are dropped. `..` is a fault.
- On Windows `\` is a separator too, and case does not matter.

Paths are compared in the form that `normal` gives them.

Other patterns (host names, values of variables, operations) match the whole text; there `*` is any run of characters,
`?` any character, and case matters.

No pattern takes more than time in proportion to its own length times the text's. Three ways lead there: plain string
comparisons for the common shapes; else a simulation of all the pattern's states at once, as bits of one integer
(Baeza-Yates and Gonnet's shift-and, with loops), which needs no `re`, whose import alone costs half of starting Python;
else, once a pattern has been asked often enough to pay for compiling it, a regular expression whose every part is
atomic, so that it never goes back further than the part that it is in.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

MAX_PATTERN = 1024
"""Characters of a pattern."""

WARM = 48
"""Matches after which a regular expression has paid for itself: compiling one costs about as much as 48 simulations."""

WINDOWS = sys.platform == "win32"

# Parts of a pattern that are not a literal character. Longer than one character, so that none can be mistaken for one.
ANY = "any"
STAR = "star"
DEEP = "deep"


class Glob:
    """One compiled pattern.

    Args:
        pattern: As it was written.
        prefix: For a path pattern, the literal folders that it begins with, without a separator at the end: whatever
            matches is that folder or lies below it (see `folders`). Empty when there are none, and for other patterns.
        parts: For a path pattern its literal beginning and its segments, None for another pattern.
        windows: Whether paths are those of Windows.

    Attributes:
        matches: Says whether a text matches; a path must be in its `normal` form. Made when it is first asked for.
    """

    __slots__ = ("_parts", "_windows", "matches", "pattern", "prefix")

    if TYPE_CHECKING:
        matches: Callable[[str], bool]

    def __init__(self, pattern: str, prefix: str, parts: Sequence[str] | None, *, windows: bool) -> None:
        self.pattern = pattern
        self.prefix = prefix
        self._parts = parts
        self._windows = windows

    def __repr__(self) -> str:
        """The pattern, for whoever debugs."""
        return f"Glob({self.pattern!r})"

    if not TYPE_CHECKING:  # pragma: no branch  # mypy would take every misspelt attribute for one that this answers

        def __getattr__(self, name: str) -> Callable[[str], bool]:
            """Python asks here only while the slot is empty."""
            if name != "matches":
                raise AttributeError(name)
            if self._parts is None:
                self.matches = _text_matcher(self.pattern)
            else:
                self.matches = _path_matcher(self._parts, windows=self._windows)
            return self.matches


def compile_path(pattern: str, home: str, *, windows: bool = WINDOWS) -> Glob:
    """Compiles a path pattern.

    Args:
        pattern: See the top of this module.
        home: The home directory that `~` stands for.
        windows: Whether paths are those of Windows.

    Raises:
        ValueError: `fault` has something to say about the pattern.
    """
    wrong = fault(pattern, windows=windows)
    if wrong is not None:
        raise ValueError(wrong)
    rest = pattern
    literal = ""
    if windows:
        rest = rest.replace("\\", "/")
    if rest[0] == "~":
        literal = normal(home, windows=windows) if _is_absolute(home, windows=windows) else "\0"
        literal = literal.removesuffix("/")
        rest = rest[1:]
    elif windows and rest[:2] == "//":
        literal = "/"
        rest = rest[1:]
    if "//" in rest or "/." in rest or rest[-1:] == "/":
        rest = _tidy(rest)
    if windows and "[" not in rest:
        rest = _fold(rest)
    segments = rest.split("/")
    first = next((number for number, segment in enumerate(segments) if _is_magic(segment)), len(segments))
    prefix = literal + "/".join(segments[:first])
    if windows and "[" in rest:
        prefix = _fold(prefix)
    return Glob(pattern, prefix.removesuffix("/"), (literal, *segments), windows=windows)


def compile_text(pattern: str) -> Glob:
    """Compiles a pattern for a text that is no path.

    Raises:
        ValueError: `text_fault` has something to say about the pattern.
    """
    wrong = text_fault(pattern)
    if wrong is not None:
        raise ValueError(wrong)
    return Glob(pattern, "", None, windows=False)


def normal(path: str, *, windows: bool = WINDOWS) -> str:
    """The form in which paths are compared: `.`, `..` and `//` resolved without looking at the disk, so links stay.

    On Windows the separators become `/` and letters small ones. Only a root ends with a separator.

    Args:
        path: An absolute path.
        windows: Whether it is one of Windows.
    """
    if not windows:
        if "/." in path or "//" in path or path[-1:] == "/":
            import posixpath

            path = posixpath.normpath(path)
            return path[1:] if path[:2] == "//" else path  # POSIX keeps two leading slashes, no system here needs them
        return path
    import ntpath

    path = ntpath.normpath(path).replace("\\", "/")
    if path[:4] == "//?/":
        path = "//" + path[8:] if path[4:8].upper() == "UNC/" else path[4:]
    path = _fold(path)
    return path if len(path) <= len("c:/") else path.removesuffix("/")


def folders(path: str) -> Iterator[str]:
    """Every key under which `Glob.prefix` may stand for a pattern that matches a path: itself, each folder above, "".

    Args:
        path: In its `normal` form.
    """
    yield path
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)
    yield ""


def fault(pattern: str, *, windows: bool = WINDOWS) -> str | None:
    """Says what is wrong with a path pattern, None if nothing is."""
    if not pattern:
        return "an empty pattern can never match"
    if "\\" in pattern and (windows or _is_windows(pattern)):
        pattern = pattern.replace("\\", "/")
    wrong = text_fault(pattern, separator="/")
    if wrong is not None:
        return wrong
    if not (pattern[0] in "/~" or pattern[:2] == "**" or _is_windows(pattern)):
        name = pattern.lstrip("*/")
        hint = f"; '**/{name}' matches it in any folder" if name and not name.startswith(("./", "../")) else ""
        return f"a path pattern must be absolute, or begin with '~' or '**': this one can never match{hint}"
    if pattern[0] == "~" and pattern[1:2] not in ("", "/"):
        return "after '~' must come '/': the home directory of another user has to be written out"
    if ".." in pattern and ".." in pattern.split("/"):
        return "'..' in a pattern can never match: paths are compared after it has been resolved"
    return None


def text_fault(pattern: str, *, separator: str = "") -> str | None:
    """Says what is wrong with a pattern that is not for paths, None if nothing is.

    Args:
        pattern: The pattern.
        separator: A character that no `[...]` may contain.
    """
    if len(pattern) > MAX_PATTERN:
        return f"a pattern may have {MAX_PATTERN} characters, this one has {len(pattern)}"
    if "\0" in pattern:
        return "a NUL character can never match"
    at = pattern.find("[")
    while at >= 0:
        end = _class_end(pattern, at)
        if end < 0 or (separator and separator in pattern[at:end]):
            inside = f" before the next '{separator}'" if separator else ""
            return f"'[' is not closed{inside}; write '[[]' for a literal one"
        _, _, ranges = _class(pattern[at + 1 : end])
        for low, high in ranges:
            if low > high:
                return f"the range '{low}-{high}' is empty: its ends are in the wrong order"
        at = pattern.find("[", end)
    return None


def _is_magic(text: str) -> bool:
    return "*" in text or "?" in text or "[" in text


def _is_windows(path: str) -> bool:
    """Whether a path or a pattern begins with a drive and a separator, or with the backslashes of a share."""
    return path[:2] == "\\\\" or (path[1:3] in (":/", ":\\") and path[0].isascii() and path[0].isalpha())


def _is_absolute(path: str, *, windows: bool) -> bool:
    return _is_windows(path) or path[:2] == "//" if windows else path[:1] == "/"


def _fold(text: str) -> str:
    """Small letters, one for one, by way of the capital as NTFS does: both small sigmas are one letter."""
    if text.isascii():
        return text.lower()
    return "".join(map(_small, text))


def _small(character: str) -> str:
    """The small form of a letter; itself where that is more than one character, as for U+0130."""
    capital = character.upper()
    small = (capital if len(capital) == 1 else character).lower()
    return small if len(small) == 1 else character


def _tidy(rest: str) -> str:
    """Drops `//`, `/./` and a separator at the end."""
    first, *segments = rest.split("/")
    return "/".join([first, *[segment for segment in segments if segment not in ("", ".")]])


Class: TypeAlias = "tuple[bool, str, tuple[tuple[str, str], ...]]"
Part: TypeAlias = "str | Class"


def _class_end(pattern: str, at: int) -> int:
    """Where the `]` stands that closes the `[` at an index; -1 if none does."""
    inside = at + 1
    if pattern[inside : inside + 1] in ("!", "^"):
        inside += 1
    return pattern.find("]", inside + 1)


def _class(body: str) -> Class:
    """What stands between `[` and `]`: whether it is negated, its characters, its ranges."""
    negated = body[0] in "!^"
    at = 1 if negated else 0
    singles = []
    ranges = []
    while at < len(body):
        if body[at + 1 : at + 2] == "-" and at + 2 < len(body):
            ranges.append((body[at], body[at + 2]))
            at += 3
        else:
            singles.append(body[at])
            at += 1
    return negated, "".join(singles), tuple(ranges)


def _parse(segment: str, *, windows: bool = False) -> list[Part]:
    """A segment, or a pattern that is no path, as literal characters, `ANY`, `STAR`, `DEEP` and classes."""
    parts: list[Part] = []
    at = 0
    while at < len(segment):
        character = segment[at]
        at += 1
        if character == "*":
            start = at
            while segment[at : at + 1] == "*":
                at += 1
            parts.append(STAR if at == start else DEEP)
        elif character == "?":
            parts.append(ANY)
        elif character == "[":
            end = _class_end(segment, at - 1)
            parts.append(_class(segment[at:end]))
            at = end + 1
        else:
            parts.append(_fold(character) if windows else character)
    return parts


def _is_deep(segment: str) -> bool:
    """Whether a segment is `**` (or more stars) and nothing else."""
    return segment[:2] == "**" and not segment.strip("*")


def _path_matcher(parts: Sequence[str], *, windows: bool) -> Callable[[str], bool]:
    """The cheapest function that matches a path pattern.

    Args:
        parts: The literal beginning and the segments.
        windows: Whether paths are those of Windows.
    """
    literal, *segments = parts
    segments = ["**" if _is_deep(segment) else segment for segment in segments]
    segments = [
        segment for number, segment in enumerate(segments) if not (number and segment == "**" == segments[number - 1])
    ]
    plain = _plain_path(literal, segments)
    if plain is not None:
        return plain
    if segments[-1] == "**":
        segments[-1] = "*"  # by the folder rule `/x/*` covers what `/x/**` covers

    parsed = [_parse(segment, windows=windows) for segment in segments]
    glued = any(DEEP in inner and segment != "**" for segment, inner in zip(segments, parsed, strict=True))
    # `re` has other ideas about the case of ranges than `_fold`
    cased = windows and any(isinstance(part, tuple) for inner in parsed for part in inner)
    simulation = _simulate_path(literal, parsed, windows=windows)
    return simulation if glued or cased else _warming(simulation, lambda: _path_expression(literal, parsed))


def _plain_path(literal: str, segments: Sequence[str]) -> Callable[[str], bool] | None:
    """A function that needs string methods only, None where they are not enough."""
    magic = [segment for segment in segments if _is_magic(segment)]
    if not magic:
        exact = literal + "/".join(segments)
        below = exact + "/"
        return lambda text: text == exact or text.startswith(below)
    if magic == ["**"] and len(segments) == 1:
        return lambda _text: True
    if magic == segments[-1:] and len(segments) > 1:
        return _plain_beginning(literal + "/".join(segments[:-1]) + "/", segments[-1])
    if magic[0] == "**" == segments[0]:
        return _plain_middle(segments[1:], magic[1:])
    return None


def _plain_beginning(begin: str, last: str) -> Callable[[str], bool] | None:
    """Literal folders, then a segment that is not literal: `/usr/*`, `/usr/**`, `/usr/py*`."""
    if not last.strip("*"):
        return lambda text: text.startswith(begin) and text != begin
    name = last.rstrip("*")
    if _is_magic(name):
        return None
    begin += name
    return lambda text: text.startswith(begin)


def _plain_middle(segments: Sequence[str], magic: Sequence[str]) -> Callable[[str], bool] | None:
    """What comes after `**/`, if it is literal or literal but for its end: `**/.venv`, `**/.venv/**`."""
    if not magic:
        between = f"/{'/'.join(segments)}/"
        return lambda text: between in f"/{text}/"
    if magic == segments[-1:] and len(segments) > 1 and not magic[0].strip("*"):
        between = f"/{'/'.join(segments[:-1])}/"
        return lambda text: between in f"/{text}"[:-1]  # something must follow
    return None


def _text_matcher(pattern: str) -> Callable[[str], bool]:
    """The cheapest function that matches a pattern that is not for paths."""
    if "?" not in pattern and "[" not in pattern:
        begin, star, rest = pattern.partition("*")
        if not star:
            return lambda text: text == pattern
        if not pattern.strip("*"):
            return lambda _text: True
        rest = rest.lstrip("*")
        if not rest:
            return lambda text: text.startswith(begin)
        inner = rest.rstrip("*")
        if "*" not in inner:
            if inner == rest:
                shortest = len(begin) + len(rest)
                return lambda text: text.startswith(begin) and text.endswith(rest) and len(text) >= shortest
            if not begin:
                return lambda text: inner in text
    parsed = _parse(pattern)
    units: list[Part] = []
    loops = 0
    for part in parsed:
        if part in (STAR, DEEP):
            loops |= 1 << len(units)
        else:
            units.append(part)
    simulation = _simulate(units, loops, loops, 0, separator="")
    return _warming(simulation, lambda: _text_expression(parsed))


def _warming(simulation: Callable[[str], bool], compiled: Callable[[], Callable[[str], bool]]) -> Callable[[str], bool]:
    """Simulates at first, then compiles a regular expression."""
    left = WARM
    expression: Callable[[str], bool] | None = None

    def matches(text: str) -> bool:
        nonlocal left, expression
        if expression is not None:
            return expression(text)
        left -= 1
        if left <= 0:
            expression = compiled()
        return simulation(text)

    return matches


def _simulate_path(literal: str, parsed: Sequence[Sequence[Part]], *, windows: bool) -> Callable[[str], bool]:
    """Lays a path pattern out as states; see `_simulate`."""
    units: list[Part] = list(literal)
    stars = deeps = skips = 0
    for number, parts in enumerate(parsed):
        last = number == len(parsed) - 1
        if list(parts) == [DEEP]:
            deeps |= 1 << len(units)
            skips |= 1 << len(units)
            units.append("/")
            continue
        if list(parts) == [STAR]:
            units.append(ANY)
        for part in parts:
            if part == STAR:
                stars |= 1 << len(units)
            elif part == DEEP:
                deeps |= 1 << len(units)
            else:
                units.append(part)
        if not last:
            units.append("/")
    return _simulate(units, stars | deeps, deeps, skips, separator="/", windows=windows)


def _simulate(
    units: Sequence[Part], stars: int, deeps: int, skips: int, *, separator: str, windows: bool = False
) -> Callable[[str], bool]:
    """Follows all states of a pattern at once; bit N of a mask is the state in which N units have been matched.

    Args:
        units: What each state takes to get to the next one: a character, `ANY` or a class.
        stars: States that stay for any character but the separator.
        deeps: States that stay for the separator.
        skips: States that, when they are entered from the one before, are passed at once.
        separator: `/` for a path, which also matches when a folder above it does; "" for another text.
        windows: Whether a class matches a letter of the other case.
    """
    final = 1 << len(units)
    start = 1 | (skips & 1) << 1
    rows: dict[str, tuple[int, int, int]] = {}

    def row(character: str) -> tuple[int, int, int]:
        moves = 0
        for number, unit in enumerate(units):
            if _takes(unit, character, separator, windows=windows):
                moves |= 1 << number
        if len(rows) > MAX_PATTERN:
            rows.clear()
        here = character == separator
        rows[character] = moves, deeps if here else stars, final if here else 0
        return rows[character]

    def simulation(text: str) -> bool:
        states = start
        for character in text:
            moves, loops, stop = rows.get(character) or row(character)
            if states & stop:
                return True
            moved = (states & moves) << 1
            states = moved | (moved & skips) << 1 | states & loops
            if not states:
                return False
        return states & final != 0

    return simulation


def _takes(unit: Part, character: str, separator: str, *, windows: bool) -> bool:
    """Whether one unit of a pattern matches one character."""
    if isinstance(unit, str):
        return unit == character or (unit is ANY and character != separator)
    if character == separator:
        return False
    negated, singles, ranges = unit
    forms: tuple[str, ...] = (character,)
    if windows:
        forms = (character, character.upper())
        singles = _fold(singles)
    return negated != any(form in singles or any(low <= form <= high for low, high in ranges) for form in forms)


def _path_expression(literal: str, parsed: Sequence[Sequence[Part]]) -> Callable[[str], bool]:
    """A regular expression for a path pattern in which every `**` is a whole segment.

    Between two `**` stands a fixed number of segments, so the leftmost place where they fit is as good as any other,
    and a segment's chunks between stars have a fixed length, so the same holds for them: each can be an atomic group.
    """
    import re

    written = re.escape(literal)
    opened = False
    for number, parts in enumerate(parsed):
        last = number == len(parsed) - 1
        if list(parts) == [DEEP]:
            if opened:
                written += ")"
            written += "(?>(?:[^/]*+/)*?"
            opened = True
            continue
        written += _segment_expression(parts, last=last)
        if last:
            continue
        # the separator before the next `**` belongs to this group: it holds the group to the end of a segment
        written += "/"
    if opened:
        written += ")"
    match = re.compile(written).match
    return lambda text: match(text) is not None


def _segment_expression(parts: Sequence[Part], *, last: bool) -> str:
    """One segment, up to the separator or the end."""
    if list(parts) == [STAR]:
        return "[^/]" if last else "[^/]++"
    chunks = _chunks(parts, "/")
    written = chunks[0]
    for chunk in chunks[1:-1]:
        written += f"(?>[^/]*?{chunk})"
    end = "(?![^/])"
    if len(chunks) == 1:
        return written + end
    if not chunks[-1]:
        return written if last else written + "[^/]*+"
    return f"{written}(?>[^/]*{chunks[-1]}{end})"


def _text_expression(parts: Sequence[Part]) -> Callable[[str], bool]:
    """A regular expression for a pattern that is not for paths; for why it is linear see `_path_expression`."""
    import re

    chunks = _chunks(parts, "")
    written = chunks[0]
    for chunk in chunks[1:-1]:
        written += f"(?>.*?{chunk})"
    if len(chunks) > 1:
        written += f".*{chunks[-1]}"
    match = re.compile(written, re.DOTALL).fullmatch
    return lambda text: match(text) is not None


def _chunks(parts: Sequence[Part], separator: str) -> list[str]:
    """The expressions between the stars."""
    import re

    chunks = [""]
    for part in parts:
        if part in (STAR, DEEP):
            chunks.append("")
        elif part == ANY:
            chunks[-1] += f"[^{separator}]" if separator else "."
        elif isinstance(part, str):
            chunks[-1] += re.escape(part)
        else:
            negated, singles, ranges = part
            body = "".join(map(re.escape, singles))
            body += "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges)
            guard = f"(?!{separator})" if separator else ""
            chunks[-1] += f"{guard}[{'^' if negated else ''}{body}]"
    return chunks
