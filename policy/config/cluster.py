"""The `[cluster]` table: where locks for several hosts are kept. It has no key for a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policy.toml.shapes import Shape, choice, keyed, line, matching, number, refuse, whole

if TYPE_CHECKING:
    from policy.toml.diagnostic import Location

SECRETS = ("password", "passfile")
LEASE, MARGIN = 30, 5  # seconds, where nothing else is said


_WORD = line(255, ",", "a comma")  # a comma would name several servers, and a lock on one is none on the other

_TABLE = keyed(
    {
        "engine": choice(["postgresql"]).described("What kind of server it is."),
        "service": _WORD.described("A libpq service of pg_service.conf, which gives the whole address.", "locks"),
        "host": _WORD.described("The server's name or address, or the folder of its socket."),
        "port": whole(1, 65_535).described("The server's port.", 5432),
        "dbname": _WORD.described("The database; another one of the same server is another lock."),
        "user": _WORD.described("The role that connects."),
        "sslmode": choice(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]).described(
            "How libpq protects the connection."
        ),
        "sslrootcert": matching(
            r"^(system|(/|[A-Za-z]:[/\\])[^\u0000]*)$", 'must be an absolute path, or "system"'
        ).described('The file of trusted certificates, or "system".'),
        "lease": number(3, 3_600, "seconds").described(
            f"The server gives the lock of a vanished host away no earlier than this. Default: {LEASE}."
        ),
        "margin": number(0.5, 600, "seconds").described(
            f"The command is stopped this long before the lease is over. Default: {MARGIN}."
        ),
        "sync": choice(["auto", "require"]).described(
            "`require` refuses a server without a synchronous standby. Default: auto."
        ),
    },
    ["engine"],
)


def _parse(value: object, location: Location) -> tuple[tuple[str, Any], ...]:
    for name in SECRETS if isinstance(value, dict) else ():
        if name in value:  # type: ignore[operator]  # it is a table
            message = f"there is no {name} here: libpq reads PGPASSFILE, PGPASSWORD or a certificate"
            raise refuse(location.at(name), message, of_key=True, code="secret")
    content = _TABLE.parse(value, location)
    if "service" not in content and "host" not in content:
        raise refuse(location, 'must say where the server is: "service" or "host"', code="missing-key")
    lease, margin = content.get("lease", LEASE), content.get("margin", MARGIN)
    if margin > lease / 2:
        raise refuse(location, f"margin ({margin:g} s) must be at most half of lease ({lease:g} s)")
    return tuple(content.items())


CLUSTER = Shape(_parse, {**_TABLE.schema, "anyOf": [{"required": ["service"]}, {"required": ["host"]}]})
"""Read as pairs of key and value."""
