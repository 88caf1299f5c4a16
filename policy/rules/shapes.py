"""How values of `match`, and facts that somebody gives, are read; their schemas."""

from __future__ import annotations

from policy.rules import globs
from policy.toml.shapes import TEXT, Shape, choice, flag_or, mapping, refined, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# What JSON Schema can say of a glob: every [...] is closed. It cannot say that a range such as [z-a] is empty.
_IN_PATH = r"[^\[\u0000]|\[([!^][^/\u0000]|[^!^/\u0000])[^\]/\u0000]*\]"
_IN_TEXT = r"[^\[\u0000]|\[([!^][^\u0000]|[^!^\u0000])[^\]\u0000]*\]"
_PATH = {
    "pattern": rf"^(~|(/|~/|\*\*|[A-Za-z]:[/\\]|\\\\)({_IN_PATH})*)$",
    "not": {"pattern": r"(^|/)\.\.(/|$)"},
    "maxLength": globs.MAX_PATTERN,
}
_TEXT = {"pattern": f"^({_IN_TEXT})*$", "maxLength": globs.MAX_PATTERN}

PATHS = several(refined(TEXT, globs.problem, _PATH, "wrong-pattern"))
TEXTS = several(refined(TEXT, globs.text_problem, _TEXT, "wrong-pattern"))


def _path_problem(path: str) -> str | None:
    """What is wrong with a path that somebody gives as a fact."""
    known = path[:1] == "/" or path == "~" or path[:2] in ("~/", "\\\\") or path[1:3] in (":/", ":\\")
    return None if known and "\0" not in path else "expected an absolute path, or one that begins with ~"


PATH = refined(TEXT, _path_problem, {"pattern": r"^(/|~/|~$|\\\\|[A-Za-z]:[/\\])[^\u0000]*$"})
VARIABLES = mapping(flag_or(TEXTS, "globs"))
GIVEN_VARIABLES = mapping(TEXT)


def names(known: Sequence[str]) -> tuple[Shape, Shape]:
    """The shapes of a value that is one of some names, or several of them, and of its fact.

    Args:
        known: The names.
    """
    return several(choice(known)), choice(known)
