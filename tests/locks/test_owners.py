from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from policy.errors import LockTimeout, LockUnavailable
from policy.locks import owners
from tests import acquiring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock", allow_module_level=True)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A lock file to be made."""
    return str(tmp_path / "lock-policy-1.lock")


@pytest.fixture(autouse=True)
def _nobody() -> Iterator[None]:
    """Nothing is noted before a test, nor after it."""
    assert owners._owners == {}
    yield
    assert owners._owners == {}


@pytest.mark.parametrize(("outer", "inner"), [(False, False), (False, True), (True, True)])
def test_thread_enters_again(path: str, outer: bool, inner: bool) -> None:
    """A thread that holds a lock gets it again at once; only the outermost gives it up."""
    with acquiring.hold([path], shared=outer):
        with acquiring.hold([path], shared=inner, timeout=0, reenter=True):
            pass
        thread = threading.Thread(target=lambda: refused.append(is_refused(path)))
        refused: list[bool] = []
        thread.start()
        thread.join()
        assert refused == [True]
    acquiring.hold([path], timeout=0).release()


def is_refused(path: str) -> bool:
    """Whether another thread or task is kept out."""
    try:
        acquiring.hold([path], timeout=0, reenter=True).release()
    except LockTimeout:
        return True
    return False


def test_reader_does_not_write(path: str) -> None:
    """A thread that reads and asks to write is refused at once: it would wait for itself."""
    with (
        acquiring.hold([path], shared=True),
        pytest.raises(LockUnavailable, match="holds it for reading, and would wait for itself"),
    ):
        acquiring.hold([path], reenter=True)
    acquiring.hold([path], timeout=0).release()


def test_tasks(path: str) -> None:
    """A task enters again, and another task of the same thread is kept out."""

    async def other() -> bool:
        try:
            (await acquiring.hold_async([path], timeout=0, reenter=True)).release()
        except LockTimeout:
            return True
        return False

    async def work() -> None:
        async with await acquiring.hold_async([path]), await acquiring.hold_async([path], timeout=0, reenter=True):
            assert await asyncio.create_task(other())

    asyncio.run(work())


def test_given_up_elsewhere(path: str) -> None:
    """A lock that another thread gives up is forgotten all the same."""
    held = acquiring.hold([path])
    thread = threading.Thread(target=held.release)
    thread.start()
    thread.join()
    acquiring.hold([path], timeout=0).release()


def test_fork(path: str) -> None:
    """A forked child owns nothing of its parent's."""
    with acquiring.hold([path]):
        child = os.fork()
        if not child:
            os._exit(len(owners._owners))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
