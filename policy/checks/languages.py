"""What globs can match, exactly: a text or a path that some of them match and others do not, or none.

All patterns are followed at once, as `policy.rules.matcher` follows one: a state is one bit mask for each of them. Of
the characters one is tried for each way in which they can tell the patterns apart. A pattern with `~` may wait for a
home directory, which then lies wherever that helps.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from policy.rules import globs
from policy.rules.matcher import States, path_matcher, path_states, takes, text_matcher, text_states
from policy.rules.paths import WINDOWS, normal
from policy.rules.supposition import PLAIN_HOME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    Position = tuple[tuple[int, ...], int]  # the states of all languages, and where the text stands

MOST_STATES = 4_000  # of one search; those that people's patterns need are some dozens
MOST_STEPS = 1_000_000  # of one question: a step is one language and one character
ALL_STEPS = 4_000_000  # of all questions about a chain, and for each rule
SHARE = 1_000
MATCHED = -1  # of a path: a folder above it matched, so it does, too
WAITING = -2  # for the home directory
NICE = "xyzabcdefghijklmnopqrstuvw0123456789XYZABCDEFGHIJKLMNOPQRSTUVW-_. "

# where a path stands: before its first separator, behind one, in a name of one dot, of two, in any other name
BEGIN, EMPTY, DOT, DOTS, NAME, TEXT = range(6)  # TEXT: it is no path


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
        self.begin()

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
        matches: Whether a text is in it, where `~` is the plain home directory.
        separator: `/` for paths, else "".
        caller: Whose home directory the pattern waits for; 0: nobody's.
    """

    __slots__ = ("_rows", "_separator", "_states", "caller", "final", "first", "matches", "start")

    def __init__(self, states: States, matches: Callable[[str], bool], separator: str = "", caller: int = 0) -> None:
        self._states = states
        self._separator = separator
        self.matches: Callable[[str], bool] = matches
        self._rows: dict[str, tuple[int, int]] = {}
        self.caller: int = caller
        self.final: int = 1 << len(states.units)
        self.first: int = MATCHED if states.everything else 1 | (states.skips & 1) << 1
        self.start: int = WAITING if caller else self.first

    def step(self, mask: int, character: str) -> int:
        """The states after one more character.

        Args:
            mask: Those before it.
            character: It.
        """
        if mask < 0:
            return mask
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
        return mask == MATCHED or (mask > 0 and bool(mask & self.final))

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

    def guess(self) -> str:
        """The pattern written out, where `~` is the plain home directory; it need not match that."""
        units = "".join(unit if isinstance(unit, str) else self._character(unit) for unit in self._states.units)
        if not self._separator:
            return units
        path = ("/" + units).replace("///", "/").replace("//", "/").removesuffix("/")
        return PLAIN_HOME + path if self.caller else path or "/"

    def _character(self, unit: globs.Part) -> str:
        return next((one for one in NICE if takes(unit, one, self._separator, windows=False)), "x")


@lru_cache(1024)
def path_language(pattern: str, home: str = "/", caller: int = 0) -> Language:
    """The paths that a pattern matches.

    Args:
        pattern: The pattern.
        home: What `~` stands for.
        caller: Whose home directory it waits for, if it does.
    """
    matches = path_matcher(pattern, PLAIN_HOME if caller else home)
    return Language(path_states(globs.parse(pattern, home)), matches, "/", caller)


@lru_cache(1024)
def text_language(pattern: str) -> Language:
    """The texts that a pattern matches.

    Args:
        pattern: The pattern.
    """
    return Language(text_states(globs.parse_text(pattern)), text_matcher(pattern))


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


def _after(position: int, character: str) -> int | None:
    """Where a path stands after one more character; None where no path in its normal form goes on so."""
    if position == TEXT:
        return TEXT
    if character == "/":
        return EMPTY if position in (BEGIN, NAME) else None
    if position == BEGIN:
        return None
    return {EMPTY: DOT, DOT: DOTS}.get(position, NAME) if character == "." else NAME


def _walk(
    languages: Sequence[Language],
    begin: Position,
    effort: Effort,
    promising: Callable[[tuple[int, ...]], bool] = lambda _masks: True,
) -> Iterator[tuple[Position, str]]:
    """Every state that can be reached, each with the shortest text that leads there.

    Args:
        languages: Those that are followed.
        begin: Where to begin.
        effort: What may be spent.
        promising: Whether the states of all languages may lead to what is looked for.
    """
    alphabet = _alphabet(languages, path=begin[1] != TEXT)
    callers = {language.caller for language in languages} - {0}
    known = {begin}
    queue = deque([(begin, "")])
    while queue:
        (masks, position), text = queue.popleft()
        yield (masks, position), text
        after: list[tuple[Position, str]] = []
        for caller in callers if position in (BEGIN, NAME) else ():  # here may be a home
            pairs = list(zip(languages, masks, strict=True))
            if any(mask == WAITING for language, mask in pairs if language.caller == caller):
                there = tuple([language.first if language.caller == caller else mask for language, mask in pairs])
                after.append(((there, position), text))
        for character in alphabet:
            next_position = _after(position, character)
            if next_position is not None:
                effort.spend(len(languages))
                moved = [language.step(mask, character) for language, mask in zip(languages, masks, strict=True)]
                after.append(((tuple(moved), next_position), text + character))
        for state, longer in after:
            if state not in known and promising(state[0]):
                if len(known) >= MOST_STATES:
                    raise TooMuchError
                known.add(state)
                queue.append((state, longer))


def fits(taken: AbstractSet[Language], wanted: Sequence[Sequence[Language]], refused: Sequence[Language]) -> bool:
    """Whether a text is in one language of each group and in none that is refused.

    Args:
        taken: The languages that it is in.
        wanted: Groups of languages.
        refused: Languages.
    """
    return taken.isdisjoint(refused) and not any(map(taken.isdisjoint, wanted))


def find(
    wanted: Sequence[Sequence[Language]],
    refused: Sequence[Language],
    effort: Effort,
    *,
    path: bool,
    plain: Sequence[str] = (),
) -> str | None:
    """A short text, or path, that is in one language of each group and in none that is refused.

    Args:
        wanted: Groups of languages.
        refused: Languages.
        effort: What may be spent.
        path: Whether it is a path.
        plain: What is best where it fits.

    Raises:
        TooMuchError: When that cannot be found out with a bounded effort.
    """
    wanted = [[one for one in group if one not in refused] for group in wanted]
    if not all(wanted):
        return None
    asked = list(dict.fromkeys(one for group in wanted for one in group))
    callers = {0, *(one.caller for one in asked)}  # the homes of others lie elsewhere
    refused = [one for one in refused if one.caller in callers]
    languages = list(dict.fromkeys([*asked, *refused]))
    for guess in dict.fromkeys([*plain, *(language.guess() for language in asked)]):
        effort.spend(len(guess) * len(languages))
        taken = {language for language in languages if language.matches(guess)}
        if fits(taken, wanted, refused) and not (path and normal(guess) != guess):
            return guess

    def promising(masks: tuple[int, ...]) -> bool:
        open_ = {language for language, mask in zip(languages, masks, strict=True) if mask}
        matched = {language for language, mask in zip(languages, masks, strict=True) if mask == MATCHED}
        return fits(open_, wanted, ()) and matched.isdisjoint(refused)

    begin = tuple([language.start for language in languages]), BEGIN if path else TEXT
    for (masks, position), text in _walk(languages, begin, effort, promising):
        if position in (NAME, TEXT) or text == "/":
            taken = {language for language, mask in zip(languages, masks, strict=True) if language.accepts(mask)}
            if fits(taken, wanted, refused):
                return text
    return None


def homes(languages: Sequence[Language], effort: Effort) -> Iterator[str]:
    """Home directories of which one is as good as any other, for patterns with `~` beside others.

    One for each way in which a path can stand in the other languages. Where paths below it come to stand as it does,
    one below itself: whatever should lie elsewhere can then do so, by leaving out what lies between the two.

    Args:
        languages: Of the patterns without `~`.
        effort: What may be spent.

    Raises:
        TooMuchError: When that takes more than a bounded effort.
    """
    yield PLAIN_HOME
    for state, text in _walk(languages, (tuple([language.start for language in languages]), BEGIN), effort):
        if state[1] == NAME:
            below = tuple([language.step(mask, "/") for language, mask in zip(languages, state[0], strict=True)])
            more = next((more for later, more in _walk(languages, (below, EMPTY), effort) if later == state), None)
            yield text if more is None else f"{text}/{more}"
    yield "/"
