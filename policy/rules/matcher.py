"""Compiled globs.

No pattern takes more time than in proportion to its own length times the text's: either string methods suffice, or all
the pattern's states are followed at once, as bits of one integer (Baeza-Yates and Gonnet's shift-and, with loops). That
needs no `re`, whose import alone costs half of starting Python.
"""

from __future__ import annotations

from policy.rules.globs import ANY, DEEP, STAR, Wildcard, parse, parse_text, text_of
from policy.rules.paths import MAX_PATTERN, WINDOWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from policy.rules.globs import Part, Path, Segment

    Matcher: TypeAlias = Callable[[str], bool]


def path_matcher(pattern: str, home: str = "", *, windows: bool = WINDOWS) -> Matcher:
    """The function that says whether a path pattern matches a path in its `normal` form.

    Args:
        pattern: See `policy.rules.globs`.
        home: The home directory that `~` stands for.
        windows: Whether paths are those of Windows.

    Raises:
        ValueError: The pattern is faulty.
    """
    path = parse(pattern, home, windows=windows)
    plain = _plain_path(path.literal, path.segments)
    if plain is not None:
        return plain
    return _simulate(path_states(path), separator="/", windows=windows)


def text_matcher(pattern: str) -> Matcher:
    """The function that says whether a pattern that is not for paths matches a text.

    Args:
        pattern: See `policy.rules.globs`.

    Raises:
        ValueError: The pattern is faulty.
    """
    parts = parse_text(pattern)
    plain = _plain_text(parts)
    if plain is not None:
        return plain
    return _simulate(text_states(parts), separator="")


def _plain_path(literal: str, segments: tuple[Segment, ...]) -> Matcher | None:
    """A function that needs string methods only, None where they are not enough."""
    names = [text_of(segment) for segment in segments]
    magic = [at for at, name in enumerate(names) if name is None]
    if not magic:
        exact = literal + "/".join(map(str, names))
        below = exact + "/"
        return lambda text: text == exact or text.startswith(below)
    if segments == ((DEEP,),):
        return lambda _text: True
    if magic == [len(segments) - 1]:
        return _plain_beginning(literal + "/".join(map(str, names[:-1])) + "/", segments[-1])
    if segments[0] == (DEEP,):
        return _plain_middle(names[1:], segments[-1])
    return None


def _plain_beginning(begin: str, last: Segment) -> Matcher | None:
    """Literal folders, then a segment that is not literal: `/usr/*`, `/usr/**`, `/usr/py*`."""
    if _is_open(last):
        return lambda text: text.startswith(begin) and text != begin
    if len(last) == 2 and isinstance(last[0], str) and _is_open(last[1:]):  # noqa: PLR2004  (a name's beginning, a star)
        begin += last[0]
        return lambda text: text.startswith(begin)
    return None


def _plain_middle(names: Sequence[str | None], last: Segment) -> Matcher | None:
    """What comes after `**/`, if it is literal, or literal except for its end: `**/.venv`, `**/.venv/**`."""
    if None not in names:
        between = f"/{'/'.join(map(str, names))}/"
        return lambda text: between in f"/{text}/"
    if _is_open(last) and len(names) > 1 and None not in names[:-1]:
        between = f"/{'/'.join(map(str, names[:-1]))}/"
        return lambda text: between in f"/{text}"[:-1]  # something must follow
    return None


def _is_open(parts: Segment) -> bool:
    """Whether parts are nothing but stars."""
    return parts in ((STAR,), (DEEP,))


def _plain_text(parts: Segment) -> Matcher | None:  # noqa: PLR0911  (one for each shape)
    """A function that needs string methods only: no wildcard, or stars around one or two literal parts."""
    exact = text_of(parts)
    if exact is not None:
        return lambda text: text == exact
    match tuple([part if isinstance(part, str) else "" if _is_open((part,)) else None for part in parts]):
        case ("",):
            return lambda _text: True
        case ("", str(end)):
            return lambda text: text.endswith(end)
        case (str(begin), ""):
            return lambda text: text.startswith(begin)
        case ("", str(inner), ""):
            return lambda text: inner in text
        case (str(begin), "", str(end)):
            shortest = len(begin) + len(end)
            return lambda text: text.startswith(begin) and text.endswith(end) and len(text) >= shortest
    return None


class States:
    """A pattern as states; in state N as many units have been matched.

    Args:
        units: What each state takes to get to the next one: a character, `ANY` or a class.
        stars: States that stay for any character but the separator, as bits.
        deeps: States that stay for the separator.
        skips: States that, when they are entered from the one before, are passed at once.
        everything: Whether any path is matched.
    """

    __slots__ = ("deeps", "everything", "skips", "stars", "units")

    def __init__(
        self, units: Sequence[Part], stars: int, deeps: int, skips: int = 0, *, everything: bool = False
    ) -> None:
        self.units: Sequence[Part] = units
        self.stars: int = stars
        self.deeps: int = deeps
        self.skips: int = skips
        self.everything: bool = everything


def text_states(parts: Segment) -> States:
    """The states of a pattern that is not for paths.

    Args:
        parts: As `globs.parse_text` gives them.
    """
    units: list[Part] = []
    stars, deeps = _append(parts, units)
    return States(units, stars | deeps, stars | deeps)


def _append(parts: Segment, units: list[Part]) -> tuple[int, int]:
    """Adds what parts take to the units; the states that stay for stars, and those that stay for double ones."""
    stars = deeps = 0
    for part in parts:
        if part is STAR:
            stars |= 1 << len(units)
        elif part is DEEP:
            deeps |= 1 << len(units)
        else:
            units += part if isinstance(part, str) else [part]
    return stars, deeps


def path_states(path: Path) -> States:
    """The states of a path pattern.

    Args:
        path: As `globs.parse` gives it.
    """
    units: list[Part] = list(path.literal)
    stars = deeps = skips = 0
    segments = list(path.segments)
    if segments[-1] == (DEEP,):
        segments[-1] = (STAR,)  # as a folder matches with all below it, `/x/*` covers what `/x/**` covers
    for number, parts in enumerate(segments):
        if parts == (DEEP,):
            deeps |= 1 << len(units)
            skips |= 1 << len(units)
            units.append("/")
            continue
        if parts == (STAR,):
            units.append(ANY)
        found = _append(parts, units)
        stars, deeps = stars | found[0], deeps | found[1]
        if number < len(segments) - 1:
            units.append("/")
    return States(units, stars | deeps, deeps, skips, everything=path.segments == ((DEEP,),))


def _simulate(states: States, *, separator: str, windows: bool = False) -> Matcher:
    """Follows all states of a pattern at once; bit N of a mask is state N.

    Args:
        states: The pattern's.
        separator: `/` for a path, which also matches when a folder above it does; "" for another text.
        windows: Whether a class matches a letter of the other case.
    """
    units, stars, deeps, skips = states.units, states.stars, states.deeps, states.skips
    final = 1 << len(units)
    start = 1 | (skips & 1) << 1
    rows: dict[str, tuple[int, int, int]] = {}

    def row(character: str) -> tuple[int, int, int]:
        moves = 0
        for number, unit in enumerate(units):
            if takes(unit, character, separator, windows=windows):
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


def takes(unit: Part, character: str, separator: str, *, windows: bool) -> bool:
    """Whether one unit of a pattern matches one character.

    Args:
        unit: A literal character, `ANY` or a class.
        character: It.
        separator: A character that only the same literal one matches.
        windows: Whether the case of a letter does not matter to a class.
    """
    if isinstance(unit, str):
        return unit == character
    if character == separator:
        return False
    return unit is ANY if isinstance(unit, Wildcard) else unit.takes(character, windows=windows)
