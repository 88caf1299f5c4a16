"""Real PostgreSQL servers for the tests: made in a temporary directory, run by an unprivileged user, stopped by it."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import requirements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

DATABASE = ROLE = "lock_policy"
TIMEOUT = 30  # seconds after which a server counts as hung
LOOPBACK = "127.0.0.1"
LEASE, MARGIN = 3, 1  # seconds: as short as keepalives, which count whole seconds, allow


def binaries() -> str:
    """The directory of PostgreSQL's programs: Debian keeps those of a server off the PATH; "" where there are none."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")) or [shutil.which("initdb") or ""]
    return os.path.dirname(found[-1])


def need_server() -> None:
    """Skips unless a PostgreSQL server can be started here."""
    requirements.need(bool(binaries()), "needs PostgreSQL's server programs")
    pytest.importorskip("psycopg", reason="needs psycopg, the extra `postgresql`")


def unprivileged() -> dict[str, Any]:
    """How subprocess starts a server, which refuses to run as root."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
    pytest.skip("needs a user `postgres` or `nobody`")


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])


def wait_until(condition: Any, what: str, seconds: float = TIMEOUT) -> None:
    """Waits for something that is bound to happen."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


class Process:
    """A program that a test starts as the unprivileged user and stops.

    Args:
        words: Its command line.
        log: The file that gets its output.
        wrapper: A command that starts it elsewhere, such as `ip netns exec`.
    """

    def __init__(self, words: Sequence[str], log: Path, wrapper: Sequence[str] = ()) -> None:
        # With the tests, however they end, ends what they started.
        mortal = ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") and sys.platform == "linux" else []
        with log.open("ab") as output:
            self.running = subprocess.Popen(
                [*wrapper, *mortal, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                # `ip netns exec` needs root, and its command must not be
                **({} if wrapper else unprivileged()),
            )

    def end(self, number: int = signal.SIGINT) -> None:
        """Sends a signal and waits for the end."""
        if self.running.poll() is None:
            self.running.send_signal(number)
        try:
            self.running.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()


class Server:
    """A PostgreSQL server of a test's own.

    Args:
        directory: Where its data lie; made by `cluster` or `standby`.
        address: What it listens on besides a Unix socket in `directory`.
        settings: Further ones of `postgresql.conf`.
        wrapper: A command that starts it elsewhere, such as `ip netns exec`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        address: str = LOOPBACK,
        settings: Mapping[str, object] | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.address = address
        self.port = free_port()
        self.settings = dict(settings or {})
        self.wrapper = list(wrapper)
        self.password = secrets.token_hex(12)
        self.process: Process | None = None
        self.log = directory.with_suffix(".log")

    @property
    def options(self) -> dict[str, object]:
        """The settings on its command line."""
        return {
            "listen_addresses": self.address,
            "port": self.port,
            "unix_socket_directories": self.directory.parent,
            "fsync": "off",
            "shared_buffers": "8MB",
            "log_min_messages": "warning",
            **self.settings,
        }

    def start(self) -> Server:
        """Starts it, and returns when it answers."""
        words = [os.path.join(binaries(), "postgres"), "-D", str(self.directory)]
        for name, value in self.options.items():
            words += ["-c", f"{name}={value}"]
        if self.wrapper:
            identity = unprivileged()
            words = ["setpriv", f"--reuid={identity['user']}", f"--regid={identity['group']}", "--clear-groups", *words]
        self.process = Process(words, self.log, self.wrapper)
        wait_until(self.is_ready, f"no server: {self.log.read_text()[-2000:]}")
        return self

    def is_ready(self) -> bool:
        """Whether it answers on its Unix socket."""
        assert self.process is not None
        assert self.process.running.poll() is None, self.log.read_text()[-2000:]
        words = [os.path.join(binaries(), "pg_isready"), "-q", "-h", str(self.directory.parent), "-p", str(self.port)]
        return not subprocess.run(words, check=False).returncode

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stops it: SIGINT fast, SIGQUIT immediate, SIGKILL as a crash does."""
        if self.process is not None:
            self.process.end(number)
            self.process = None

    def restart(self, number: int = signal.SIGINT) -> None:
        """Stops it and starts it again on the same port."""
        self.stop(number)
        if number == signal.SIGKILL:  # its children see that it is gone, and a new one must not find them
            wait_until(lambda: not self._leftovers(), "backends outlive the postmaster")
        self.start()

    def _leftovers(self) -> list[str]:
        found = []
        for entry in glob.glob("/proc/[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if os.readlink(entry) == str(self.directory):
                    found.append(entry)
        return found

    def sql(self, text: str, *, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Runs statements as the superuser; answers the rows of the last."""
        import psycopg

        address = f"host={self.directory.parent} port={self.port} user=postgres dbname={database}"
        with psycopg.connect(address, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def is_old(self) -> bool:
        """Whether it is older than the leases of the tests, so that nobody waits for that."""
        from policy.locks.cluster_checks import EPOCH

        return bool(self.sql(f"select {EPOCH} > {LEASE}")[0][0])

    def server(self, **more: Any) -> Any:
        """What a lock that is kept on it is made with."""
        from policy.locks.session import Server as Address

        values = {"host": self.address, "port": self.port, "dbname": DATABASE, "user": ROLE}
        return Address(**{**values, "lease": LEASE, "margin": MARGIN, **more})

    def table(self, **more: object) -> str:
        """The `[cluster]` table that leads to it."""
        values = {"engine": "postgresql", "host": self.address, "port": self.port, "dbname": DATABASE, "user": ROLE}
        values |= {"lease": LEASE, "margin": MARGIN}
        lines = [
            f"{name.replace('_', '-')} = {value if isinstance(value, (int, float)) else repr(value)}"
            for name, value in {**values, **more}.items()
        ]
        return "\n".join(("[cluster]", *lines, ""))

    def passfile(self, directory: Path) -> dict[str, str]:
        """The variable that hands libpq the password, by a file that only its owner reads."""
        path = directory / f"pgpass-{self.port}"
        path.write_text(f"*:*:*:{ROLE}:{self.password}\n", encoding="utf-8")
        path.chmod(0o600)
        return {"PGPASSFILE": str(path)}

    def sessions(self) -> list[tuple[Any, ...]]:
        """Which sessions hold or await advisory locks: pid, mode, granted."""
        return self.sql(
            "select pid, mode, granted from pg_locks where locktype = 'advisory' order by granted desc, pid"
        )

    def holders(self) -> int:
        """How many sessions hold an advisory lock."""
        return sum(1 for _, _, granted in self.sessions() if granted)

    def waiters(self) -> int:
        """How many sessions wait for one."""
        return sum(1 for _, _, granted in self.sessions() if not granted)


@contextlib.contextmanager
def black_hole(*, full: bool) -> Iterator[int]:
    """The port of something that never answers: it takes connections, or its queue is full and packets are dropped."""
    with socket.create_server((LOOPBACK, 0), backlog=0) as listening, contextlib.ExitStack() as stack:
        port = int(listening.getsockname()[1])
        for _ in range(3 if full else 0):
            filling = stack.enter_context(socket.socket())
            filling.settimeout(0)
            filling.connect_ex((LOOPBACK, port))
        yield port


HBA = """
local all all trust
local replication all trust
host all postgres all trust
host replication all all trust
host all all all scram-sha-256
"""


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A directory that the unprivileged user can use; a Unix socket's path must be short."""
    directory = Path(tempfile.mkdtemp(prefix="lp-pg-", dir="/tmp" if os.path.isdir("/tmp") else None))
    if not os.geteuid():
        identity = unprivileged()
        os.chown(directory, identity["user"], identity["group"])
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def initialise(directory: Path) -> None:
    """Makes the data directory of a server."""
    words = [os.path.join(binaries(), "initdb"), "-D", str(directory), "-U", "postgres", "-A", "trust", "--no-sync"]
    words += ["--encoding=UTF8", "--locale=C"]
    made = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/", **unprivileged())
    assert made.returncode == 0, made.stderr
    (directory / "pg_hba.conf").write_text(HBA, encoding="utf-8")


def create_role(server: Server) -> None:
    """Makes the role and the database as `policy cluster init` prints them."""
    from policy.commands.cluster import statements

    for statement in statements(ROLE, DATABASE):
        server.sql(statement, database="postgres")
    server.sql(f"alter role {ROLE} password '{server.password}'", database="postgres")


@contextlib.contextmanager
def cluster(**options: Any) -> Iterator[Server]:
    """A running server with the role and the database of the documentation.

    Args:
        **options: Of `Server`.
    """
    need_server()
    with place() as directory:
        initialise(directory / "data")
        server = Server(directory / "data", **options)
        try:
            create_role(server.start())
            yield server
        finally:
            server.stop(signal.SIGQUIT)


@contextlib.contextmanager
def standby(primary: Server, **options: Any) -> Iterator[Server]:
    """A running standby of a server, named `standby` to it; `promote` makes it a server of its own."""
    with place() as directory:
        data = directory / "data"
        words = [os.path.join(binaries(), "pg_basebackup"), "-D", str(data), "-h", str(primary.directory.parent)]
        words += ["-p", str(primary.port), "-U", "postgres", "--checkpoint=fast", "--no-sync", "--wal-method=stream"]
        made = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/", **unprivileged())
        assert made.returncode == 0, made.stderr
        (data / "standby.signal").touch()
        server = Server(data, **options)
        server.password = primary.password
        server.settings |= {
            "primary_conninfo": f"host={primary.directory.parent} port={primary.port} user=postgres"
            " application_name=standby",
            "hot_standby": "on",
        }
        try:
            yield server.start()
        finally:
            server.stop(signal.SIGQUIT)


def promote(server: Server) -> None:
    """Makes a standby a server that is written to."""
    server.sql("select pg_promote(true, 30)", database="postgres")


class Certificates:
    """A certificate authority and a server's certificate from it.

    Args:
        directory: Where they are made; the unprivileged user owns it.
        address: What the server's certificate is for.
        days: How long it is valid; 0: not any more.
    """

    def __init__(self, directory: Path, address: str, days: int = 2) -> None:
        self.authority = directory / "ca.crt"
        self.certificate = directory / "server.crt"
        self.key = directory / "server.key"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self._run(
            "req",
            "-x509",
            *key,
            "-days",
            "2",
            "-subj",
            "/CN=lock-policy test authority",
            "-keyout",
            str(directory / "ca.key"),
            "-out",
            str(self.authority),
        )
        request, extensions = directory / "server.csr", directory / "server.ext"
        self._run("req", *key, "-subj", f"/CN={address}", "-keyout", str(self.key), "-out", str(request))
        extensions.write_text(f"subjectAltName = IP:{address}\n", encoding="utf-8")
        self._run(
            "x509",
            "-req",
            "-in",
            str(request),
            "-CA",
            str(self.authority),
            "-CAkey",
            str(directory / "ca.key"),
            "-CAcreateserial",
            "-days",
            str(days),
            "-extfile",
            str(extensions),
            "-out",
            str(self.certificate),
        )
        self.key.chmod(0o600)
        if not os.geteuid():
            os.chown(self.key, unprivileged()["user"], unprivileged()["group"])

    @staticmethod
    def _run(*words: str) -> None:
        made = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr

    @property
    def settings(self) -> dict[str, object]:
        """What the server must be told."""
        return {"ssl": "on", "ssl_cert_file": self.certificate, "ssl_key_file": self.key}


@contextlib.contextmanager
def certificates(address: str = LOOPBACK, days: int = 2) -> Iterator[Certificates]:
    """A certificate for a server."""
    requirements.need(bool(shutil.which("openssl")), "needs openssl")
    with place() as directory:
        yield Certificates(directory, address, days)


class Pooler:
    """PgBouncer before a server.

    Args:
        server: The server.
        directory: Where its files lie.
        mode: `session`, `transaction` or `statement`.
    """

    def __init__(self, server: Server, directory: Path, mode: str) -> None:
        self.behind = server
        self.address = LOOPBACK
        self.port = free_port()
        self.configuration = directory / "pgbouncer.ini"
        users = directory / "users.txt"
        users.write_text(f'"{ROLE}" "{server.password}"\n', encoding="utf-8")
        self.configuration.write_text(
            f"[databases]\n{DATABASE} = host={server.address} port={server.port} dbname={DATABASE}\n"
            f"[pgbouncer]\nlisten_addr = {self.address}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {users}\npool_mode = {mode}\n"
            f"ignore_startup_parameters = extra_float_digits\n",
            encoding="utf-8",
        )
        self.log = directory / "pgbouncer.out"
        self.process = Process([shutil.which("pgbouncer") or "pgbouncer", str(self.configuration)], self.log)
        wait_until(self.is_ready, f"no pooler: {self.log.read_text()[-2000:]}")

    def is_ready(self) -> bool:
        """Whether it listens."""
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    server: Any = Server.server
    table: Any = Server.table


@contextlib.contextmanager
def pooler(server: Server, mode: str) -> Iterator[Pooler]:
    """A running PgBouncer before a server."""
    requirements.need(bool(shutil.which("pgbouncer")), "needs pgbouncer")
    with place() as directory:
        running = Pooler(server, directory, mode)
        try:
            yield running
        finally:
            running.process.end(signal.SIGQUIT)
