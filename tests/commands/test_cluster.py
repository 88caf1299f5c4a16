from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

from tests import factories, servers

if TYPE_CHECKING:
    from pathlib import Path


def cluster(directory: Path, server: Any, *words: str) -> subprocess.CompletedProcess[str]:
    """`policy cluster` with the address of a server as options."""
    behind = getattr(server, "behind", server)
    environ = {**factories.alone(directory), **behind.passfile(directory)}
    factories.written(
        directory / "home" / ".config" / "lock-policy" / "lock-policy.toml", server.table(lease=servers.LEASE)
    )
    return factories.policy("cluster", *words, environ=environ, cwd=directory)


def findings(directory: Path, server: Any) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """The exit code of `policy cluster status`, and what was found: level, text, remedy."""
    seen = cluster(directory, server, "status", "--output-format", "json")
    assert not seen.stderr
    found = json.loads(seen.stdout)
    assert found["version"] == 1
    return seen.returncode, {one["code"]: (one["level"], one["text"], one["remedy"]) for one in found["findings"]}


@pytest.mark.slow
def test_init_makes_a_server_ready(tmp_path: Path) -> None:
    """What init prints is SQL that makes the role and the database, and they are good enough for status."""
    with servers.cluster() as server:
        server.sql(f"drop database {servers.DATABASE}", database="postgres")
        server.sql(f"drop role {servers.ROLE}", database="postgres")
        printed = cluster(tmp_path, server, "init")
        assert printed.returncode == 0
        assert server.password not in printed.stdout
        script = factories.written(tmp_path / "init.sql", printed.stdout)
        psql = [os.path.join(servers.binaries(), "psql"), "-v", "ON_ERROR_STOP=1", "-q", "-U", "postgres"]
        psql += ["-h", str(server.directory.parent), "-p", str(server.port), "-d", "postgres"]
        with script.open("rb") as text:
            made = subprocess.run(psql, stdin=text, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        assert not made.stderr
        server.sql(f"alter role {servers.ROLE} password '{server.password}'", database="postgres")
        servers.wait_until(server.is_old, "the server stays young")
        code, found = findings(tmp_path, server)
        assert code == 0, found
        assert {level for level, _, _ in found.values()} == {"ok", "warning"}


@pytest.mark.slow
def test_status_of_a_good_server(tmp_path: Path, postgresql: servers.Server) -> None:
    """Each thing that was looked at is named; a server without a standby is good, with a warning."""
    code, found = findings(tmp_path, postgresql)
    assert code == 0
    names = "reachable tls pooler version recovery keepalives epoch standbys connections clock locks"
    assert list(found) == names.split()
    assert found["tls"][:2] == ("ok", "the connection stays on this host")
    assert found["standbys"][0] == "warning"
    assert "failover" in found["standbys"][1]
    assert all(remedy for level, _, remedy in found.values() if level != "ok")
    text = cluster(tmp_path, postgresql, "status").stdout
    assert "reachable" in text
    assert postgresql.password not in text


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "level"), [("session", "ok"), ("transaction", "error"), ("statement", "error")])
def test_status_of_a_pooler(tmp_path: Path, postgresql: servers.Server, mode: str, level: str) -> None:
    """A pooler is seen, and which mode it is in."""
    with servers.pooler(postgresql, mode) as pooler:
        code, found = findings(tmp_path, pooler)
    assert found["pooler"][0] == level
    assert code == int(level == "error")


def test_status_of_an_unreachable_server(tmp_path: Path, postgresql: servers.Server) -> None:
    """A server that does not answer is one finding with a remedy."""
    seen = cluster(tmp_path, postgresql, "status", "--port", "1")
    assert seen.returncode == 1
    assert "Connection refused" in seen.stdout
    assert not seen.stderr


def test_status_without_an_address(tmp_path: Path) -> None:
    """Without an address it says where to write one."""
    seen = factories.policy("cluster", "status", environ=factories.alone(tmp_path), cwd=tmp_path)
    assert seen.returncode == 2
    assert "[cluster]" in seen.stderr


@pytest.mark.slow
def test_status_of_a_young_server_and_its_standbys(tmp_path: Path) -> None:
    """A young server, an asynchronous standby and a standby itself are seen."""
    with servers.cluster() as primary, servers.standby(primary) as standby:
        servers.wait_until(primary.is_old, "the server stays young")
        _, found = findings(tmp_path, primary)
        assert found["replication"][0] == "warning"
        assert "no locks" in found["replication"][2]
        code, found = findings(tmp_path, standby)
        assert (code, found["recovery"][0]) == (1, "error")
        primary.sql("alter system set synchronous_standby_names = 'standby'")
        primary.restart(signal.SIGINT)
        _, found = findings(tmp_path, primary)
        assert found["standbys"] == ("ok", "each heartbeat waits for standby", "")
        assert found["epoch"][0] == "warning"


@pytest.mark.slow
def test_compose_file() -> None:
    """Each setting with which the example's container starts the server is one that PostgreSQL knows."""
    servers.need_server()
    from ruamel.yaml import YAML

    text = (factories.CHECKOUT / "examples" / "cluster" / "compose.yaml").read_text(encoding="utf-8")
    words = YAML(typ="safe").load(text)["services"]["locks"]["command"]
    settings = dict(word.split("=") for word in words if "=" in word)
    assert settings["ssl"] == "on"
    with servers.certificates() as certificates:
        settings |= {name: str(value) for name, value in certificates.settings.items()}
        with servers.cluster(settings=settings) as server:
            assert server.sql("show max_connections") == [("200",)]
            assert server.sql("show client_connection_check_interval") == [("1s",)]
