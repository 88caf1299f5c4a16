from __future__ import annotations

import jsonschema
import pytest

from policy.config.cluster import CLUSTER
from policy.errors import ConfigError
from policy.toml.diagnostic import Location

HERE = Location("a.toml", ("cluster",))
SCHEMA = jsonschema.Draft7Validator(dict(CLUSTER.schema))


@pytest.mark.parametrize(
    "table",
    [
        {"service": "locks"},
        {"host": "db", "port": 5432, "dbname": "locks", "user": "locker", "sslmode": "verify-full"},
        {"host": "/run/postgresql", "sslrootcert": "/etc/ca.pem", "lease": 12.5, "margin": 2, "sync": "require"},
        {"service": "locks", "sslrootcert": "system"},
        {"service": "locks", "lease": 10, "margin": 5},
    ],
)
def test_reads(table: dict[str, object]) -> None:
    """A server is a service, or a host and what else libpq needs; the table is read as pairs."""
    table = {"engine": "postgresql", **table}
    assert CLUSTER.parse(table, HERE) == tuple(table.items())
    assert SCHEMA.is_valid(table)


@pytest.mark.parametrize(
    ("table", "key", "message", "schema_refuses"),
    [
        ({}, (), 'must say where the server is: "service" or "host"', True),
        ({"service": ""}, ("service",), "must be 1 to 255 printable characters without a comma", True),
        ({"host": "a,b"}, ("host",), "must be 1 to 255 printable characters without a comma", True),
        ({"host": "a", "port": 0}, ("port",), "expected a whole number from 1 to 65535, found 0", True),
        ({"host": "a", "port": True}, ("port",), "expected a whole number from 1 to 65535, found true", True),
        ({"host": "a", "sslrootcert": "ca.pem"}, ("sslrootcert",), 'must be an absolute path, or "system"', True),
        ({"host": "a", "lease": 1}, ("lease",), "expected a number of seconds from 3 to 3600, found 1", True),
        ({"host": "a", "sync": "off"}, ("sync",), 'expected "auto" or "require", found "off"', True),
        ({"host": "a", "lease": 9}, (), "margin (5 s) must be at most half of lease (9 s)", False),
        ({"host": "a", "margin": 16}, (), "margin (16 s) must be at most half of lease (30 s)", False),
        (
            {"host": "a", "password": "x"},
            ("password",),
            "there is no password here: libpq reads PGPASSFILE, PGPASSWORD or a certificate",
            True,
        ),
    ],
)
def test_refuses(table: dict[str, object], key: tuple[str, ...], message: str, *, schema_refuses: bool) -> None:
    """What no server can be, and what would be a secret, is refused; by the schema too, except for sums."""
    table = {"engine": "postgresql", **table}
    with pytest.raises(ConfigError) as caught:
        CLUSTER.parse(table, HERE)
    (found,) = caught.value.diagnostics
    assert (found.location.keys, found.message) == (("cluster", *key), message)
    assert SCHEMA.is_valid(table) is not schema_refuses


def test_engine_is_required() -> None:
    """The kind of server is said, so that another kind can never be meant by silence."""
    with pytest.raises(ConfigError, match='"engine" is missing'):
        CLUSTER.parse({"service": "x"}, HERE)
    assert not SCHEMA.is_valid({"service": "x"})
