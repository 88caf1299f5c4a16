from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from policy.errors import LockUnavailable
from policy.locks.cluster import cluster_lock, cluster_server

if TYPE_CHECKING:
    from pathlib import Path

TABLE = (("engine", "postgresql"), ("service", "locks"), ("lease", 12), ("margin", 2))


def test_server() -> None:
    """A server is made of the table's pairs; without a table there is none."""
    server = cluster_server(TABLE)
    assert server is not None
    assert (server.service, server.lease, server.margin, server.sync) == ("locks", 12, 2, "auto")
    assert cluster_server(None) is None


def test_lock(tmp_path: Path) -> None:
    """A lock is named by the rule's key, and says on which server it is and where its name comes from."""
    lock = cluster_lock(str(tmp_path / "app"), TABLE, ("envs", str(tmp_path)))
    assert (lock.purpose, lock.kind, lock.name) == ("cluster", "postgresql", "envs:app")
    assert str(lock) == f"on service locks; named by cluster-key envs below {tmp_path}"
    assert lock.record() == {
        "purpose": "cluster",
        "kind": "postgresql",
        "key": "envs:app",
        "number": lock.key.number,
        "origin": f"cluster-key envs below {tmp_path}",
        "server": "service locks",
    }


@pytest.mark.parametrize(
    ("table", "key", "reason"),
    [(None, ("envs", "/"), "no server is named"), (TABLE, None, "cluster-key"), (TABLE, ("envs", "/nowhere"), "below")],
)
def test_what_is_missing_is_said_when_it_is_taken(
    tmp_path: Path, table: tuple[tuple[str, object], ...] | None, key: tuple[str, str] | None, reason: str
) -> None:
    """A plan with a lock that can never be taken can be shown; taking it is refused with what to write."""
    lock = cluster_lock(str(tmp_path), table, key)
    assert str(lock).startswith("cannot be taken: ")
    assert reason in str(lock)
    assert lock.holders() == ()
    assert lock.is_held() is None
    assert not lock.join("3:8:1")
    with pytest.raises(LockUnavailable, match=reason):
        lock.attempt()
    lock.release()
