"""What every test finds as it would in a terminal, wherever the tests were started."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


def pytest_configure() -> None:
    """A shell ignores Ctrl-C and its kin for what it starts in the background, and every test would inherit that.

    No example of a property fails because it took long: another program may have had the processor.
    """
    settings.register_profile("untimed", settings(), deadline=None)
    settings.load_profile("untimed")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGQUIT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _ended(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ends what a test that fails has started: its traceback keeps that, and a later test would fail for it."""
    started: list[subprocess.Popen[Any]] = []
    begin = subprocess.Popen.__init__

    def noted(process: subprocess.Popen[Any], *words: Any, **options: Any) -> None:
        begin(process, *words, **options)
        started.append(process)

    failed = request.session.testsfailed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", noted)
        yield
    for process in started if request.session.testsfailed > failed else ():
        with contextlib.suppress(OSError), process:  # nobody may read any more what is left to write
            process.kill()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server for all tests that neither stop it nor change its settings, older than their leases."""
    if sys.platform == "win32":
        pytest.skip("the server is started as on POSIX")
    from tests import servers

    with servers.cluster() as server:
        servers.wait_until(server.is_old, "the server stays young")
        yield server
