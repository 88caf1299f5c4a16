"""A headless Chromium, driven over the pipes of its DevTools protocol; it reaches no host but this one."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from typing import Any, Self

from tests.factories import TIMEOUT
from tests.requirements import need

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",  # a container's root has no namespaces for it
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)


class Browser:
    """One page of a browser; use it as a context manager. The test skips where there is no Chromium."""

    def __init__(self) -> None:
        found = [path for path in map(shutil.which, NAMES) if path]
        need(bool(found), "needs Chromium")
        self.requests: list[str] = []
        self._profile = tempfile.mkdtemp()
        self._number = 0
        self._received = b""
        theirs, self._write = os.pipe()
        self._read, answers = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{theirs} 4>&{answers}', found[0]]
        self._process = subprocess.Popen(
            [*command, *OPTIONS, f"--user-data-dir={self._profile}"],
            pass_fds=(theirs, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(answers)
        self._page = ""

    def __enter__(self) -> Self:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._page = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._watch(self._page)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(TIMEOUT)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._write)
            os.close(self._read)
            shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """What a command of the protocol answers.

        Args:
            method: Its name.
            session: Of a page or a worker; absent: the browser's own.
            parameters: Its parameters.

        Raises:
            AssertionError: When it fails, or is not answered in time.
        """
        number = self._send(method, session, parameters)
        while True:
            message = self._next()
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return dict(message["result"])
            self._heed(message)

    def open(self, address: str) -> None:
        """Loads a page.

        Args:
            address: Of it.
        """
        self.call("Page.navigate", self._page, url=address)

    def see(self, *, width: int, dark: bool | None) -> None:
        """Gives the page a size and a colour scheme.

        Args:
            width: Pixels.
            dark: Whether the reader prefers a dark one in every frame; None: nothing is said, which is light.
        """
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", self._page, **size)
        scheme = [] if dark is None else [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", self._page, features=scheme)

    def picture(self) -> str:
        """The whole page as a PNG in base64."""
        return str(self.call("Page.captureScreenshot", self._page, captureBeyondViewport=True)["data"])

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page.

        Args:
            expression: It; a promise is awaited.
        """
        found = self.call("Runtime.evaluate", self._page, expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits until an expression is true.

        Args:
            expression: Of JavaScript.
        """
        end = time.monotonic() + TIMEOUT
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.02)

    def write(self, selector: str, text: str) -> None:
        """Writes a text in place of a field's, as a keyboard does.

        Args:
            selector: Of the field.
            text: The text.
        """
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.evaluate("document.activeElement.select()")
        self.call("Input.insertText", self._page, text=text)

    def choose(self, selector: str, value: str) -> None:
        """Chooses an entry of a menu.

        Args:
            selector: Of the menu.
            value: The entry's.
        """
        menu = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{menu}.value = {json.dumps(value)}")
        self.evaluate(
            f"for (const name of ['input', 'change']) {menu}.dispatchEvent(new Event(name, {{bubbles: true}}))"
        )

    def _watch(self, session: str) -> None:
        """Notes every request of a page or a worker, and of the workers that it starts."""
        self._send("Network.enable", session, {})
        follow = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
        self._send("Target.setAutoAttach", session, follow)
        self._send("Runtime.runIfWaitingForDebugger", session, {})

    def _heed(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Target.attachedToTarget":
            self._watch(message["params"]["sessionId"])
        elif message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])

    def _send(self, method: str, session: str, parameters: dict[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._number

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            assert select.select([self._read], [], [], TIMEOUT)[0], "Chromium does not answer"
            found = os.read(self._read, 1 << 20)
            assert found, "Chromium has ended"
            self._received += found
        message, _, self._received = self._received.partition(b"\0")
        return dict(json.loads(message))
