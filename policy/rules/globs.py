r"""The glob language: its syntax tree, which the matcher, the index and the checker read.

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

Paths are compared in the form that `paths.normal` gives them.

Other patterns (host names, values of variables, operations) match the whole text; there `*` is any run of characters,
`?` any character, and case matters.
"""

from __future__ import annotations

from policy.rules.paths import MAX_PATTERN, WINDOWS, fold, normal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


class Wildcard:
    """A part of a pattern that stands for characters that are not said.

    Args:
        text: As people write it.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text: str = text

    def __repr__(self) -> str:
        return self.text


ANY = Wildcard("?")  # one character, in a path none that separates
STAR = Wildcard("*")  # a run of such characters
DEEP = Wildcard("**")  # a run of any characters; as a whole segment, any number of folders


class Class:
    """What stands between `[` and `]`: one character of a set.

    Args:
        singles: Characters.
        ranges: The first and the last character of each range.
        negated: Whether it is any character but these.
    """

    __slots__ = ("negated", "ranges", "singles")

    def __init__(self, singles: str, ranges: tuple[tuple[str, str], ...], *, negated: bool) -> None:
        self.singles: str = singles
        self.ranges: tuple[tuple[str, str], ...] = ranges
        self.negated: bool = negated

    def takes(self, character: str, *, windows: bool = False) -> bool:
        """Whether it stands for a character.

        Args:
            character: It.
            windows: Whether the case of a letter does not matter.
        """
        forms: tuple[str, ...] = (character,)
        singles = self.singles
        if windows:
            forms = (character, character.upper())
            singles = fold(singles)
        return self.negated != any(
            form in singles or any(low <= form <= high for low, high in self.ranges) for form in forms
        )


if TYPE_CHECKING:
    # a run of literal characters, or what stands for one or several
    Part: TypeAlias = str | Wildcard | Class
    Segment: TypeAlias = tuple[Part, ...]


class Path:
    """A path pattern, parsed.

    Args:
        literal: What stands before the first segment and is never special: the home directory, half of a share's `//`.
        segments: What stands between separators; an absolute path begins with an empty one.
    """

    __slots__ = ("literal", "segments")

    def __init__(self, literal: str, segments: tuple[Segment, ...]) -> None:
        self.literal: str = literal
        self.segments: tuple[Segment, ...] = segments

    @property
    def prefix(self) -> str:
        """The literal folders that it begins with, without a separator at the end, "" where there are none.

        Whatever matches is that folder or lies below it.
        """
        names: list[str] = []
        for segment in self.segments:
            name = text_of(segment)
            if name is None:
                break
            names.append(name)
        return (self.literal + "/".join(names)).removesuffix("/")


def parse(pattern: str, home: str = "", *, windows: bool = WINDOWS) -> Path:
    """The syntax tree of a path pattern.

    Args:
        pattern: See the top of this module.
        home: The home directory that `~` stands for.
        windows: Whether paths are those of Windows.

    Raises:
        ValueError: `fault` has something to say about the pattern.
    """
    wrong = problem(pattern, windows=windows)
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
    segments: list[Segment] = []
    for text in rest.split("/"):
        segment = (DEEP,) if text[:2] == "**" and not text.strip("*") else _parse(text, windows=windows)
        if not (segment == (DEEP,) and segments[-1:] == [segment]):  # `**/**` is `**`
            segments.append(segment)
    return Path(literal, tuple(segments))


def parse_text(pattern: str) -> Segment:
    """The syntax tree of a pattern for a text that is no path.

    Args:
        pattern: See the top of this module.

    Raises:
        ValueError: `text_problem` has something to say about the pattern.
    """
    wrong = text_problem(pattern)
    if wrong is not None:
        raise ValueError(wrong)
    return _parse(pattern)


def text_of(segment: Segment) -> str | None:
    """The text of a segment in which nothing is special; None for another one."""
    if not segment:
        return ""
    first = segment[0]
    return first if len(segment) == 1 and isinstance(first, str) else None


def problem(pattern: str, *, windows: bool = WINDOWS) -> str | None:
    """Says what is wrong with a path pattern, None if nothing is."""
    if not pattern:
        return "an empty pattern can never match"
    if "\\" in pattern and (windows or _is_windows(pattern)):
        pattern = pattern.replace("\\", "/")
    wrong = text_problem(pattern, separator="/")
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


def text_problem(pattern: str, *, separator: str = "") -> str | None:
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
        for low, high in _class(pattern[at + 1 : end]).ranges:
            if low > high:
                return f"the range '{low}-{high}' is empty: its ends are in the wrong order"
        at = pattern.find("[", end)
    return None


def _is_windows(path: str) -> bool:
    """Whether a path or a pattern begins with a drive and a separator, or with the backslashes of a share."""
    return path[:2] == "\\\\" or (path[1:3] in (":/", ":\\") and path[0].isascii() and path[0].isalpha())


def _is_absolute(path: str, *, windows: bool) -> bool:
    return _is_windows(path) or path[:2] == "//" if windows else path[:1] == "/"


def _tidy(rest: str) -> str:
    """Drops `//`, `/./` and a separator at the end."""
    first, *segments = rest.split("/")
    return "/".join([first, *[segment for segment in segments if segment not in ("", ".")]])


def _class_end(pattern: str, at: int) -> int:
    """Where the `]` stands that closes the `[` at an index; -1 if none does."""
    inside = at + 1
    if pattern[inside : inside + 1] in ("!", "^"):
        inside += 1
    return pattern.find("]", inside + 1)


def _class(body: str) -> Class:
    """What stands between `[` and `]`."""
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
    return Class("".join(singles), tuple(ranges), negated=negated)


def _parse(text: str, *, windows: bool = False) -> Segment:
    """A segment, or a pattern that is no path."""
    parts: list[Part] = []
    begin = at = 0
    while at < len(text):
        if text[at] not in "*?[":
            at += 1
            continue
        if begin < at:
            parts.append(fold(text[begin:at]) if windows else text[begin:at])
        if text[at] == "*":
            begin = at + 1
            while text[begin : begin + 1] == "*":
                begin += 1
            parts.append(STAR if begin == at + 1 else DEEP)
        elif text[at] == "?":
            begin = at + 1
            parts.append(ANY)
        else:
            begin = _class_end(text, at) + 1
            parts.append(_class(text[at + 1 : begin - 1]))
        at = begin
    if begin < at:
        parts.append(fold(text[begin:]) if windows else text[begin:])
    return tuple(parts)
