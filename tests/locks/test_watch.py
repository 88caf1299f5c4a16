from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

from policy.locks.cluster_key import ClusterKey
from policy.locks.postgresql import PostgresqlLock
from policy.locks.watch import Lost, Watch
from tests import servers

if TYPE_CHECKING:
    from pathlib import Path


def test_lost() -> None:
    """It is false until the first reason; who waits wakes up, and each callback is called once, late ones too."""
    lost, called = Lost(), []
    lost.call(lambda reason: called.append(("early", reason)))
    assert not lost
    assert not lost.wait(0)
    waiting = threading.Thread(target=lost.wait)
    waiting.start()
    lost.set("first")
    lost.set("second")
    lost.call(lambda reason: called.append(("late", reason)))
    waiting.join(servers.TIMEOUT)
    assert not waiting.is_alive()
    assert lost
    assert lost.reason == "first"
    assert called == [("early", "first"), ("late", "first")]


@pytest.mark.slow
def test_watch(postgresql: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is confirmed again and again, and its end is noticed while nobody asks."""
    for name, value in postgresql.passfile(tmp_path).items():
        monkeypatch.setenv(name, value)
    lock, lost = PostgresqlLock(ClusterKey(str(tmp_path), ""), postgresql.server()), Lost()
    assert lock.attempt()
    first = lock.deadline
    watch = Watch([lock], lost)
    try:
        servers.wait_until(lambda: (lock.deadline or 0) > (first or 0) + 1, "it is not confirmed again")
        assert not lost
        postgresql.sql("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
        assert lost.wait(servers.TIMEOUT)
        assert "the lock was lost" in lost.reason
    finally:
        watch.stop()
        lock.release()


def test_stop_does_not_wait_for_a_silent_server(
    postgresql: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever releases while a heartbeat is under way need not wait for its answer."""
    for name, value in postgresql.passfile(tmp_path).items():
        monkeypatch.setenv(name, value)
    lock, lost = PostgresqlLock(ClusterKey(str(tmp_path), ""), postgresql.server()), Lost()
    assert lock.attempt()
    watch = Watch([lock], lost)
    watch.stop()
    watch.stop()
    assert lock.is_current()
    lock.release()
