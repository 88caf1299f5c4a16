from __future__ import annotations

import io

import pytest

from policy.render.style import BOLD, GREEN, paint, wanted


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}])
def test_the_option_decides(environ: dict[str, str]) -> None:
    """`always` and `never` stand before every variable and whatever reads."""
    assert [wanted(choice, Screen(), environ) for choice in ("always", "never")] == [True, False]
    assert [wanted(choice, io.StringIO(), environ) for choice in ("always", "never")] == [True, False]


def test_codes_are_closed() -> None:
    """What is painted ends with a reset, so that the rest of the line is plain."""
    assert paint("yes", BOLD, GREEN, color=True) == "\033[1;32myes\033[0m"
    assert paint("yes", BOLD, GREEN, color=False) == "yes"
