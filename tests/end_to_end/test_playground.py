"""The playground of the documentation site in a real browser: `nox -s playground` builds the site and runs this."""

from __future__ import annotations

import http.server
import json
import shutil
import sys
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

if sys.platform == "win32":
    pytest.skip("Chromium's pipes are those of POSIX", allow_module_level=True)

from tests import factories
from tests.browser import Browser
from tests.requirements import need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

SITE = factories.CHECKOUT / "docs" / "_build" / "html"
PARTS = SITE / "_static" / "playground"
FAULTY = 'timout = 60\n\n[[rules]]\nname = "é\u202e<b>"\nlock = "globl"\nmatch.operatoin = "x"\n'
FOLDER = "/home/you/project"  # of the rules in the playground
DEAD = '[[rules]]\nlock = "local"\n\n[[rules]]\nlock = "beside"\nmatch.kind = "target"\n'
RULES = '[[rules]]\nname = "store"\nmatch.interpreter = "/nix/store/*"\nlock = "global"\n'
READY = "document.querySelector('#tried')?.dataset.state === 'ready'"


class Server:
    """Serves a site on 127.0.0.1, and notes every request."""

    def __init__(self, site: Path = SITE) -> None:
        self.log: list[tuple[str, str]] = []
        log = self.log

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(site))

            def log_message(self, format: str, *arguments: object) -> None:
                del format, arguments

            def send_response(self, code: int, message: str | None = None) -> None:
                log.append((self.path, str(int(code))))
                super().send_response(code, message)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The site as it was built."""
    need((PARTS / "wheels.json").exists(), "needs a site with its playground: nox -s playground")
    found = Server()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[Browser]:
    """The playground, loaded and ready."""
    with Browser() as browser:
        browser.open(f"{server.address}playground.html")
        browser.until(READY)
        yield browser


def shown(page: Browser, name: str) -> str:
    """What a part of the page shows when all has been answered."""
    page.until(READY)
    return str(page.evaluate(f"document.querySelector('[data-shows={name}]').textContent"))


def plan(page: Browser) -> list[str]:
    """The locks of the plan that is drawn."""
    page.until(READY)
    boxes = "document.querySelector('iframe').contentDocument.querySelectorAll('.plan b')"
    return list(page.evaluate(f"[...{boxes}].map((one) => one.textContent)"))


def printed(tmp_path: Path, rules: str) -> str:
    """What `policy check` prints about rules, stderr first, as if they lay where the playground has them."""
    (tmp_path / "lock-policy.toml").write_text(rules, encoding="utf-8")
    done = factories.policy("check", "lock-policy.toml", environ=factories.alone(tmp_path), cwd=tmp_path)
    return (done.stderr + done.stdout).replace(str(tmp_path), FOLDER)


def test_the_wheel_is_unchanged() -> None:
    """The site's wheel holds this checkout's modules, byte for byte."""
    need((PARTS / "wheels.json").exists(), "needs a site with its playground: nox -s playground")
    (wheel,) = (PARTS / "wheels").glob("lock_policy-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for path in (factories.CHECKOUT / "policy").rglob("*.py"):
            name = path.relative_to(factories.CHECKOUT).as_posix()
            assert archive.read(name) == path.read_bytes(), f"stale: nox -s playground ({name})"


@pytest.mark.parametrize("rules", [FAULTY, DEAD, RULES, "", "[", "timeout = 1\n"])
def test_check_says_what_the_command_says(page: Browser, tmp_path: Path, rules: str) -> None:
    """Rules that are typed get the text that the command prints, byte for byte."""
    page.write("[name=rules]", rules)
    assert shown(page, "check").encode() == printed(tmp_path, rules).encode()


def test_another_interpreter_has_another_plan(page: Browser) -> None:
    """A request that changes has another plan at once; rules with a fault have none, and that is said."""
    page.write("[name=rules]", RULES)
    page.choose("[data-fact=writable]", "")
    page.write("[data-fact=interpreter]", "/home/anna/.venv/bin/python")
    assert plan(page) == ["gate", "local"]
    page.write("[data-fact=interpreter]", "/nix/store/abc/bin/python")
    assert plan(page) == ["gate"]
    assert "decided by store (lock-policy.toml:1)" in shown(page, "text")
    page.write("[name=rules]", FAULTY)
    assert "nothing is decided" in shown(page, "fault")
    assert page.evaluate("document.querySelector('[data-decided]').hidden")


def test_a_fault_of_the_request_is_said(page: Browser) -> None:
    """A value that no fact has is named, and corrected without a reload."""
    page.write("[name=rules]", RULES)
    page.write("[data-fact=env]", "CI")
    assert shown(page, "fault") == "env: write NAME=VALUE, not CI"
    page.write("[data-fact=env]", "CI=<script>")
    assert shown(page, "fault") == ""
    assert "CI=<script>" in shown(page, "command")


def test_every_example_is_answered(page: Browser) -> None:
    """Each example of the menu fills the form and has an answer."""
    for example in json.loads((PARTS / "examples.json").read_text(encoding="utf-8")):
        page.choose("[name=example]", example["title"])
        page.until(READY)
        assert page.evaluate("document.querySelector('[name=rules]').value") == example["rules"]
        assert shown(page, "check") != ""
    assert shown(page, "codes") == " unknown-key, wrong-value"
    reference = (SITE / "reference.html").read_text(encoding="utf-8")
    for link in page.evaluate("[...document.querySelectorAll('[data-shows=codes] a')].map((one) => one.hash.slice(1))"):
        assert f'id="{link}"' in reference


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 800, 1400])
def test_it_fits(page: Browser, width: int, dark: bool) -> None:
    """Nothing on the page or in the drawing is wider than the screen, in neither colour scheme."""
    page.choose("[name=example]", "An image")
    page.see(width=width, dark=dark)
    page.until(READY)
    frame = "document.querySelector('iframe').contentDocument"
    for place in ("document", frame):
        assert page.evaluate(f"{place}.documentElement.scrollWidth <= {place}.documentElement.clientWidth"), place
    scheme = f"{frame}.defaultView.matchMedia('(prefers-color-scheme: dark)').matches"
    assert page.evaluate(scheme) is dark


def test_the_theme_of_the_site_is_that_of_the_drawing(page: Browser) -> None:
    """A reader who switches the site to dark or light sees the decision so, too."""
    page.see(width=800, dark=None)
    for theme, dark in (("dark", True), ("light", False)):
        page.evaluate(f"document.body.dataset.theme = '{theme}'")
        frame = "document.querySelector('iframe').contentDocument.defaultView"
        page.until(f"{frame}.matchMedia('(prefers-color-scheme: dark)').matches === {str(dark).lower()}")
    page.evaluate("document.body.dataset.theme = 'auto'")


@pytest.mark.parametrize("fragment", ["#%", '#{"rules":"","request":null}'])
def test_a_link_that_is_none(page: Browser, server: Server, fragment: str) -> None:
    """An address whose fragment is not ours begins with the first example."""
    page.open("about:blank")
    page.open(f"{server.address}playground.html{fragment}")
    page.until(READY)
    assert "nix-store" in page.evaluate("document.querySelector('[name=rules]').value")


def test_a_link_leads_back(page: Browser, server: Server) -> None:
    """The address of the page, opened anew, shows the same rules, the same request and the same answer."""
    page.write("[name=rules]", FAULTY + RULES)
    page.write("[data-fact=host]", "é#&%")
    checked, address = shown(page, "check"), page.evaluate("location.href")
    page.open("about:blank")
    page.open(address)
    assert shown(page, "check") == checked
    assert page.evaluate("document.querySelector('[name=rules]').value") == FAULTY + RULES
    assert page.evaluate("document.querySelector('[data-fact=host]').value") == "é#&%"
    assert not any("rules" in path for path, _ in server.log)


def test_nothing_leaves_this_host(page: Browser, server: Server) -> None:
    """Every request of the page and of its worker went to the site, found its file, and carried nothing."""
    assert any(one.endswith("pyodide.asm.wasm") for one in page.requests)  # the worker's are seen, too
    away = [one for one in page.requests if not one.startswith((server.address, "data:", "about:"))]
    assert away == []
    assert {path for path, _ in server.log if "?" in path.replace("?v=", "")} == set()
    assert [entry for entry in server.log if entry[1] not in {"200", "304"} and entry[0] != "/favicon.ico"] == []


def test_a_site_without_its_parts(server: Server, tmp_path: Path) -> None:
    """A site that was built without Pyodide says how one is built with it, and goes on saying so."""
    del server  # the site is built
    shutil.copytree(SITE, tmp_path / "site", ignore=shutil.ignore_patterns("pyodide", "wheels", "wheels.json"))
    bare = Server(tmp_path / "site")
    try:
        with Browser() as browser:
            browser.open(f"{bare.address}playground.html")
            browser.until("document.querySelector('#tried')?.dataset.state === 'broken'")
            browser.write("[name=rules]", RULES)
            state = browser.evaluate("document.querySelector('[data-shows=state]').textContent")
            assert "nox -s playground" in state
            assert "wheels.json: 404" in state
    finally:
        bare.stop()


def test_without_javascript() -> None:
    """A reader without JavaScript is told what to use instead."""
    need((SITE / "playground.html").exists(), "needs a site: nox -s playground")
    text = (SITE / "playground.html").read_text(encoding="utf-8")
    assert "<noscript><p><strong>The playground needs JavaScript.</strong>" in text
