"""What every test finds as it would in a terminal, wherever the tests were started."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server for all tests that neither stop it nor change its settings, older than their leases."""
    if sys.platform == "win32":
        pytest.skip("the server is started as on POSIX")
    from tests import servers

    with servers.cluster() as server:
        servers.wait_until(server.is_old, "the server stays young")
        yield server
