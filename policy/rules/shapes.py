"""How values of `match`, and facts that somebody gives, are read; their schemas."""

from __future__ import annotations

from policy.rules import globs
from policy.rules.paths import MAX_PATTERN
from policy.toml.shapes import TEXT, Shape, choice, flag_or, mapping, matching, refined, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# What JSON Schema can say of a glob: every [...] is closed. It cannot say that a range such as [z-a] is empty.
_IN_PATH = r"[^\[\u0000]|\[([!^][^/\u0000]|[^!^/\u0000])[^\]/\u0000]*\]"
_IN_TEXT = r"[^\[\u0000]|\[([!^][^\u0000]|[^!^\u0000])[^\]\u0000]*\]"
_PATH = {
    "pattern": rf"^(~|(/|~/|\*\*|[A-Za-z]:[/\\]|\\\\)({_IN_PATH})*)$",
    "not": {"pattern": r"(^|/)\.\.(/|$)"},
    "maxLength": MAX_PATTERN,
}
_TEXT = {"pattern": f"^({_IN_TEXT})*$", "maxLength": MAX_PATTERN}

PATHS = several(refined(TEXT, globs.problem, _PATH, "wrong-pattern"))
TEXTS = several(refined(TEXT, globs.text_problem, _TEXT, "wrong-pattern"))


PATH = matching(r"^(/|~/|~$|\\\\|[A-Za-z]:[/\\])[^\u0000]*$", "expected an absolute path, or one that begins with ~")
"""A path that somebody gives as a fact."""
VARIABLES = mapping(flag_or(TEXTS, "globs"))
GIVEN_VARIABLES = mapping(TEXT)


def names(known: Sequence[str]) -> tuple[Shape, Shape]:
    """The shapes of a value that is one of some names, or several of them, and of its fact.

    Args:
        known: The names.
    """
    return several(choice(known)), choice(known)
