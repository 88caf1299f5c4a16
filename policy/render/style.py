"""Colours of a terminal, and whether to use them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


def wanted(choice: str, stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether to use colours: the option, then NO_COLOR, then FORCE_COLOR, then whether a terminal reads.

    Args:
        choice: `auto`, `always` or `never`.
        stream: Where the text goes.
        environ: Environment variables; absent: this process's.
    """
    environ = os.environ if environ is None else environ
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):  # no-color.org: any value that is not empty
        return False
    if environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def paint(text: str, *codes: str, color: bool) -> str:
    """The text between the codes of a colour, or as it is."""
    return f"\033[{';'.join(codes)}m{text}\033[0m" if color else text
