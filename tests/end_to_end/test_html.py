"""The pages that `--output-format html` writes, in a real browser; `nox -s playground` runs this."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("Chromium's pipes are those of POSIX", allow_module_level=True)

from tests import factories
from tests.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

LONG = "x" * 90
OLD = f"""\
global-dir = "{LONG}"
timeout = 60

[[rules]]
name = "{LONG}"
match = {{ environment = "/{LONG}/*", env = {{ {LONG} = "{LONG}*" }}, any = [{{ user = "{LONG}" }}, {{ host = "a" }}] }}
lock = ["beside", "local"]
reason = "{LONG}"

[[rules]]
match.environment = "/{LONG}/y"
lock = "local"

[[rules]]
match.environment = "/{LONG}/y/**"
lock = "global"
"""
NEW = OLD.replace('"beside", ', '"global", "beside", ').replace("timeout = 60", "timeout = 61")
FAULTY = f'{LONG} = 1\n[[rules]]\nlock = "{LONG}{LONG}"\n'
FILES = {"lock-policy.toml": OLD, "new.toml": NEW, "faulty.toml": FAULTY}
COMMANDS = {
    "explain": [
        "--assume",
        f"environment=/{LONG}/{LONG}/{LONG}",
        "--assume",
        f"user={LONG}",
        "--env",
        f"{LONG}={LONG}",
    ],
    "show": [],
    "diff": ["lock-policy.toml", "new.toml"],
    "check": ["lock-policy.toml", "faulty.toml"],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all pages."""
    with Browser() as found:
        yield found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_fits_any_screen(browser: Browser, tmp_path: Path, command: str) -> None:
    """No name, path or value is so long that a page is wider than the screen, in any size and colour scheme."""
    for name, content in FILES.items():
        factories.written(tmp_path / name, content)
    factories.virtualenv(tmp_path / ".venv")
    done = factories.policy(
        command, *COMMANDS[command], "--output-format", "html", environ=factories.alone(tmp_path), cwd=tmp_path
    )
    assert LONG in done.stdout, done.stderr
    browser.open(factories.written(tmp_path / "page.html", done.stdout).as_uri())
    for width in (400, 800, 1400):
        for dark in (False, True):
            browser.see(width=width, dark=dark)
            browser.until(f"document.readyState === 'complete' && document.title && innerWidth === {width}")
            root = "document.documentElement"
            assert browser.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), width
            background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
            assert background == ("rgb(20, 25, 31)" if dark else "rgb(255, 255, 255)")
    assert [one for one in browser.requests if not one.startswith("file:")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_hidden_behind_something_else(browser: Browser, tmp_path: Path, command: str) -> None:
    """No text of a page is wider than its own box without a way to scroll to it."""
    test_a_page_fits_any_screen(browser, tmp_path, command)
    browser.see(width=400, dark=False)
    cut = """[...document.querySelectorAll('main *')].filter((one) => one.scrollWidth > one.clientWidth + 1
      && getComputedStyle(one).display !== 'inline' && !['auto', 'scroll'].includes(getComputedStyle(one).overflowX)
      && !one.closest('.wide')).map((one) => one.outerHTML.slice(0, 80))"""
    assert browser.evaluate(cut) == []
