"""docs/explain.svg in a real browser."""

from __future__ import annotations

import sys

import pytest

if sys.platform == "win32":
    pytest.skip("Chromium's pipes are those of POSIX", allow_module_level=True)

from tests import factories
from tests.browser import Browser

pytestmark = pytest.mark.browser


def test_nothing_is_cut_off() -> None:
    """The picture is as high as what it shows, and a little more."""
    with Browser() as browser:
        browser.see(width=1200, dark=False)
        browser.open((factories.CHECKOUT / "docs" / "explain.svg").as_uri())
        browser.until("document.querySelector('.matched')")
        last = browser.evaluate(
            "Math.max(...[...document.querySelectorAll('li, p')].map((one) => one.getBoundingClientRect().bottom))"
        )
        height = browser.evaluate("document.documentElement.height.baseVal.value")
        assert last < height < last + 48
