"""Where the documentation says more: a path in it, since no address of the site exists yet."""

from __future__ import annotations

PAGE = "docs/reference.md"


def anchor(kind: str, name: str) -> str:
    """The place of a code, a hint or an exit code on the reference page.

    Args:
        kind: `code` of `policy check`, `doctor`, `status` of a cluster, `hint` or `exit`.
        name: Which one.
    """
    return f"{PAGE}#{kind}-{name.replace('_', '-')}"
