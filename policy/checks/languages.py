"""What globs can match, exactly: a text or a path that some of them match and others do not, or none.

All patterns are followed at once, as `policy.rules.matcher` follows one: a state is one bit mask for each of them. Of
the characters one is tried for each way in which they can tell the patterns apart.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from policy.rules import globs
from policy.rules.matcher import States, path_states, takes, text_states
from policy.rules.paths import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_STATES = 4_000  # of one search; those that people's patterns need are some dozens
MOST_STEPS = 1_000_000  # of one question: a step is one language and one character
ALL_STEPS = 4_000_000  # of all questions about a chain, and for each rule
SHARE = 1_000
MATCHED = -1  # of a path: a folder above it matched, so it does, too
NICE = "xyzabcdefghijklmnopqrstuvw0123456789XYZABCDEFGHIJKLMNOPQRSTUVW-_. "

# where a path stands: before its first separator, behind one, in a name of one dot, of two, in any other name
BEGIN, EMPTY, DOT, DOTS, NAME = range(5)


class TooMuchError(Exception):
    """The question costs more than the answer is worth."""


class Effort:
    """How many steps may be taken: for one question, and for all of a chain.

    Args:
        questions: How many questions are expected; each adds its share.
    """

    __slots__ = ("_each", "_total")

    def __init__(self, questions: int = 1) -> None:
        self._total = ALL_STEPS + questions * SHARE
        self._each = 0

    def begin(self) -> None:
        """A question begins."""
        self._each = MOST_STEPS

    def spend(self, steps: int) -> None:
        """Takes steps.

        Args:
            steps: How many.

        Raises:
            TooMuchError: When none are left.
        """
        self._each -= steps
        self._total -= steps
        if self._each < 0 or self._total < 0:
            raise TooMuchError


class Language:
    """All texts, or all paths, that a pattern matches.

    Args:
        states: The pattern's.
        separator: `/` for paths, else "".
    """

    __slots__ = ("_rows", "_separator", "_states", "final", "start")

    def __init__(self, states: States, separator: str = "") -> None:
        self._states = states
        self._separator = separator
        self._rows: dict[str, tuple[int, int]] = {}
        self.final: int = 1 << len(states.units)
        self.start: int = MATCHED if states.everything else 1 | (states.skips & 1) << 1

    def step(self, mask: int, character: str) -> int:
        """The states after one more character.

        Args:
            mask: Those before it.
            character: It.
        """
        if mask == MATCHED:
            return MATCHED
        states, here = self._states, character == self._separator
        if here and mask & self.final:
            return MATCHED
        if character not in self._rows:
            moves = sum(
                1 << number
                for number, unit in enumerate(states.units)
                if takes(unit, character, self._separator, windows=WINDOWS and bool(self._separator))
            )
            self._rows[character] = moves, states.deeps if here else states.stars
        moves, loops = self._rows[character]
        moved = (mask & moves) << 1
        return moved | (moved & states.skips) << 1 | mask & loops

    def accepts(self, mask: int) -> bool:
        """Whether what was read so far is matched."""
        return mask == MATCHED or bool(mask & self.final)

    def cuts(self) -> Iterable[int]:
        """Where the answer may change as characters go up."""
        for unit in self._states.units:
            if isinstance(unit, str):
                yield from (ord(unit), ord(unit) + 1)
            elif isinstance(unit, globs.Class):
                for single in unit.singles:
                    yield from (ord(single), ord(single) + 1)
                for low, high in unit.ranges:
                    yield from (ord(low), ord(high) + 1)


@lru_cache(1024)
def path_language(pattern: str, home: str) -> Language:
    """The paths that a pattern matches.

    Args:
        pattern: The pattern.
        home: What `~` stands for.
    """
    return Language(path_states(globs.parse(pattern, home)), "/")


@lru_cache(1024)
def text_language(pattern: str) -> Language:
    """The texts that a pattern matches.

    Args:
        pattern: The pattern.
    """
    return Language(text_states(globs.parse_text(pattern)))


def _alphabet(languages: Sequence[Language], *, path: bool) -> list[str]:
    """One character for each way in which they tell the languages apart, the nicest first."""
    cuts = {1, 0x110000, *(cut for language in languages for cut in language.cuts())}
    if path:
        cuts |= {ord("."), ord(".") + 1, ord("/"), ord("/") + 1}
    bounds = sorted(cuts)
    nice = {ord(character): rank for rank, character in enumerate(NICE)}
    found: list[tuple[int, str]] = []
    for low, high in pairwise(bounds):
        inside = [code for code in nice if low <= code < high]
        if inside:
            best = min(inside, key=nice.__getitem__)
            found.append((nice[best], chr(best)))
        elif not (low >= 0xD800 and high <= 0xE000):  # noqa: PLR2004  (surrogates are no characters)
            code = next((code for code in range(low, min(high, low + 300)) if chr(code).isprintable()), low)
            found.append((len(NICE) + code, chr(code)))
    return [character for _, character in sorted(found)]


def _after(place: int, character: str) -> int | None:
    """Where a path stands after one more character; None where no path in its normal form goes on so."""
    if character == "/":
        return EMPTY if place in (BEGIN, NAME) else None
    if place == BEGIN:
        return None
    return {EMPTY: DOT, DOT: DOTS}.get(place, NAME) if character == "." else NAME


def find(
    wanted: Sequence[Sequence[Language]], refused: Sequence[Language], *, path: bool, effort: Effort | None = None
) -> str | None:
    """The shortest text, or path, that is in one language of each group and in none that is refused.

    Args:
        wanted: Groups of languages.
        refused: Languages.
        path: Whether it is a path.
        effort: What may be spent; None: as much as one question may.

    Raises:
        TooMuchError: When that cannot be found out with a bounded effort.
    """
    if effort is None:
        effort = Effort()
        effort.begin()
    languages = list(dict.fromkeys([*(one for group in wanted for one in group), *refused]))
    number = {language: at for at, language in enumerate(languages)}
    groups = [[number[one] for one in group] for group in wanted]
    banned = [number[one] for one in refused]
    alphabet = _alphabet(languages, path=path)
    begin = (tuple(language.start for language in languages), BEGIN if path else NAME)
    texts = {begin: ""}
    queue = deque([begin])
    while queue:
        masks, place = queue.popleft()
        text = texts[masks, place]
        ends = place == NAME or text == "/" or (place in (EMPTY, DOT, DOTS) and not path)
        if ends and _fits(languages, masks, groups, banned):
            return text
        for character in alphabet:
            after = _after(place, character) if path else NAME
            if after is None:
                continue
            effort.spend(len(languages))
            moved = tuple([language.step(mask, character) for language, mask in zip(languages, masks, strict=True)])
            state = moved, after
            if state in texts or any(moved[at] == MATCHED for at in banned):
                continue
            if not all(any(moved[at] for at in group) for group in groups):
                continue
            if len(texts) >= MOST_STATES:
                raise TooMuchError
            texts[state] = text + character
            queue.append(state)
    return None


def _fits(languages: Sequence[Language], masks: Sequence[int], groups: list[list[int]], banned: list[int]) -> bool:
    return all(any(languages[at].accepts(masks[at]) for at in group) for group in groups) and not any(
        languages[at].accepts(masks[at]) for at in banned
    )
