from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

from policy.locks import cluster_holders
from policy.locks.cluster_key import ClusterKey
from policy.locks.postgresql import PostgresqlLock
from tests import servers

if TYPE_CHECKING:
    from pathlib import Path


@given(st.text())
def test_comment_ends_where_it_ends(key: str) -> None:
    """Whatever a key holds, the comment is one, and says what it says."""
    text = cluster_holders.comment({"key": key, "since": 1.5, "socket": "8:42"}).format() + "select 1"
    assert text.isascii()
    assert text.count("*/") == 1
    assert text.count("/*") == 1
    record, end, statement = text.removeprefix("/* lock-policy ").partition(" */ ")
    assert (end, statement) == (" */ ", "select 1")
    said = json.loads(record)
    assert (said["key"], said["socket"], said["pid"]) == (key[:300], "8:42", os.getpid())


def test_everybody_is_listed(postgresql: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of lock-policy are listed with what their sessions say, and those of others with what the server knows."""
    psycopg = pytest.importorskip("psycopg", reason="needs psycopg, the extra `postgresql`")
    for name, value in postgresql.passfile(tmp_path).items():
        monkeypatch.setenv(name, value)
    lock = PostgresqlLock(ClusterKey("team:ours", ""), postgresql.server(), shared=True)
    assert lock.attempt()
    address = f"host={postgresql.directory.parent} port={postgresql.port} user=postgres dbname={servers.DATABASE}"
    with psycopg.connect(address, application_name="psql", autocommit=True) as other:
        other.execute("select pg_advisory_lock(-42)")
        found = {one.number: one for one in cluster_holders.on_server(postgresql.server())}
    ours = found[lock.key.number]
    assert (ours.key, ours.shared, ours.socket) == ("team:ours", True, lock.marker.partition(":")[2])
    assert (ours.holder.pid, ours.holder.host) == (os.getpid(), cluster_holders.host_name())
    theirs = found[-42]
    assert (theirs.key, theirs.shared) == ("", False)
    assert (theirs.holder.user, theirs.holder.command) == ("postgres", "psql")
    lock.release()
