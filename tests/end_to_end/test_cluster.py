"""Hosts that exclude each other by a real PostgreSQL server: killed, stopped, cut off, restarted."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import factories, real_uv, requirements, running

if sys.platform != "linux":
    pytest.skip("needs Linux's network namespaces", allow_module_level=True)

from tests import hosts, servers

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.hosts import Host

# Inside of the lock: an independent flock, which fails where somebody else is inside, and a line for each.
# The number is that of the `policy run` above.
WITNESS = """
flock -n "$1" sh -c "echo in $PPID >> $2; sleep 0.5; echo out $PPID >> $2" || echo "overlap $PPID" >> "$2"
"""

# Writes its name into a log each 50 ms, for longer than any test takes.
JOURNAL = """
import os, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for _ in range(6000):
    os.write(log, (sys.argv[2] + "\\n").encode())
    time.sleep(0.05)
"""


KEY = "team:app"


class Team:
    """Commands of several hosts that want one environment.

    Args:
        server: Where the lock is kept.
        directory: What the hosts share, and the environment in it.
        certificates: Of the server, where it has some.
    """

    def __init__(self, server: Any, directory: Path, certificates: Any = None) -> None:
        self.server = server
        self.lock = '"cluster"'  # alone, for what else two hosts share would hide its faults
        self.directory = directory
        self.log = directory / "log"
        self.log.touch()
        self.root = factories.virtualenv(directory / "envs" / "app")
        self.environ = {
            **factories.alone(directory),
            "PYTHONPATH": str(factories.CHECKOUT),
            **server.passfile(directory),
        }
        self.running: list[subprocess.Popen[str]] = []
        self._gate: str | None = None
        self._numbers = itertools.count()
        more = {"sslmode": "verify-full", "sslrootcert": str(certificates.authority)} if certificates else {}
        self.configure(**more)

    def configure(self, **cluster: object) -> None:
        """Writes the user's file."""
        key = f'{{ name = "team", root = "{self.directory}/envs" }}'
        rule = f"[[rules]]\nlock = {self.lock}\ncluster-key = {key}\n"
        factories.written(
            self.directory / "home" / ".config" / "lock-policy" / "lock-policy.toml",
            rule + self.server.table(**cluster),
        )

    def words(
        self, *command: str | Path, host: Host | None = None, options: Sequence[str] = (), gate: str = ""
    ) -> list[str]:
        """The command line that runs a command under the lock; those with the name of one gate share it."""
        wrapper = [*(host.wrapper if host else []), *self._apart(gate)]
        return [*wrapper, *map(str, (*factories.PROGRAM, "run", "--python", self.root, *options, "--", *command))]

    def _apart(self, gate: str) -> list[str]:
        """What gives a command a gate of its own: no two hosts share `/tmp`, and the gate would hide other faults."""
        if self._gate is None:
            seen = factories.policy(
                "explain", self.root, "--output-format", "json", environ=self.environ, cwd=self.directory
            )
            plan = json.loads(seen.stdout)["plan"]
            self._gate = next((entry["path"] for entry in plan if entry["purpose"] == "gate"), "")
        if not self._gate:
            return []
        own = self.directory / f"gate-{gate or next(self._numbers)}"
        for path in (own, Path(self._gate)):
            path.touch()
            path.chmod(0o666)
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', str(own), self._gate]

    def start(self, *command: str | Path, **more: Any) -> subprocess.Popen[str]:
        """Starts a command under the lock."""
        process = subprocess.Popen(
            self.words(*command, **more),
            env=self.environ,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def journal(self, name: str, **more: Any) -> subprocess.Popen[str]:
        """Starts a command that writes its name until it is killed."""
        return self.start(sys.executable, "-S", "-c", JOURNAL, self.log, name, **more)

    def lines(self) -> list[str]:
        """What the log has."""
        return self.log.read_text(encoding="utf-8").splitlines()

    def wait_for(self, name: str, more: int = 1) -> None:
        """Waits until a command has written its name so many times more."""
        count = self.lines().count(name) + more
        running.wait_until(lambda: self.lines().count(name) >= count, f"{name} does not write")

    def end(self) -> None:
        """Ends whatever runs, and what it started."""
        for process in reversed(self.running):  # a waiter first, else it would begin
            for pid in _tree(process.pid):
                running.killed(pid)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


def _tree(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [pid, *(below for child in found for below in _tree(int(child)))]


@pytest.fixture
def team(postgresql: servers.Server, tmp_path: Path) -> Iterator[Team]:
    """Commands on the server of all tests."""
    requirements.need_root()
    made = Team(postgresql, tmp_path)
    try:
        yield made
    finally:
        made.end()


@contextlib.contextmanager
def team_of_hosts(directory: Path, number: int = 2) -> Iterator[tuple[Team, list[Host]]]:
    """Some hosts, and a server on one more, which they reach with TLS only."""
    with hosts.network() as network:
        own, *others = (network.host() for _ in range(1 + number))
        with (
            servers.certificates(own.address) as certificates,
            servers.cluster(address=own.address, settings=certificates.settings, wrapper=own.wrapper) as server,
        ):
            servers.wait_until(server.is_old, "the server stays young")
            team = Team(server, directory, certificates)
            try:
                yield team, list(others)
            finally:
                team.end()


def kill_holders(team: Team, kills: int, options: Sequence[str] = ()) -> tuple[int, int]:
    """Three contenders at a time; `policy run` is killed while its command is inside and the next one waits.

    Returns:
        How many were killed, and how often two were inside at once.
    """
    witness = team.directory / "witness"
    command = ("sh", "-c", WITNESS, "sh", witness, team.log)
    contenders: list[subprocess.Popen[str]] = []
    killed = 0
    while killed < kills:
        contenders = [process for process in contenders if process.poll() is None]
        while len(contenders) < 3:
            contenders.append(team.start(*command, options=options))
        said = team.lines()[-1:]
        holder = next((process for process in contenders if said == [f"in {process.pid}"]), None)
        if holder is not None and team.server.waiters():
            holder.kill()
            holder.wait()
            killed += 1
        time.sleep(0.005)
    for process in contenders:
        process.wait(factories.TIMEOUT)
    return killed, sum(1 for line in team.lines() if line.startswith("overlap"))


@pytest.mark.parametrize("kills", [8, pytest.param(400, marks=pytest.mark.soak)])
def test_killed_holders(team: Team, kills: int) -> None:
    """A command whose `policy run` was killed keeps the lock: nobody else is inside before it has ended."""
    assert kill_holders(team, kills) == (kills, 0)


@pytest.mark.parametrize("kills", [4, pytest.param(400, marks=pytest.mark.soak)])
def test_killed_holders_with_tls(tmp_path: Path, kills: int) -> None:
    """The same where the connection is encrypted and the server's certificate is verified."""
    with servers.certificates() as certificates, servers.cluster(settings=certificates.settings) as server:
        servers.wait_until(server.is_old, "the server stays young")
        team = Team(server, tmp_path, certificates)
        try:
            assert kill_holders(team, kills) == (kills, 0)
            assert team.server.sql(
                "select count(*) from pg_stat_ssl where not ssl and pid in (select pid from pg_locks)"
            )
        finally:
            team.end()


def test_the_witness_sees_what_is_inside_without_the_socket(team: Team) -> None:
    """Where the command does not inherit the socket, killing lets the next one in, and the witness says so."""
    killed, overlaps = kill_holders(team, 6, options=["--close"])
    assert killed == 6
    assert overlaps > 0


def test_stopped_holder_and_guard(team: Team) -> None:
    """A command and its guard that are stopped for two leases keep the lock, and continue."""
    first = team.journal("first")
    team.wait_for("first")
    second = team.journal("second")
    servers.wait_until(team.server.waiters, "the second does not queue")
    tree = _tree(first.pid)
    for pid in tree:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2 * servers.LEASE)
    assert "second" not in team.lines()
    for pid in tree:
        os.kill(pid, signal.SIGCONT)
    team.wait_for("first", 3)
    assert second.poll() is None
    assert "second" not in team.lines()
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait(factories.TIMEOUT) == 128 + signal.SIGTERM
    team.wait_for("second")


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_holder_that_is_cut_off(tmp_path: Path, times: int) -> None:
    """A command cut off from the server is stopped before the second enters, and killed with 125; each time."""
    with team_of_hosts(tmp_path) as (team, (one, two)):
        for number in range(times):
            first = team.journal(f"first-{number}", host=one)
            team.wait_for(f"first-{number}", 3)
            second = team.journal(f"second-{number}", host=two)
            servers.wait_until(team.server.waiters, "the second does not queue")
            one.cut()
            team.wait_for(f"second-{number}", 3)
            assert first.wait(factories.TIMEOUT) == 125
            one.mend()
            assert first.stderr is not None
            assert "the lock was lost" in first.stderr.read()
            lines = team.lines()
            assert f"first-{number}" not in lines[lines.index(f"second-{number}") :]
            for pid in _tree(second.pid)[1:]:
                running.killed(pid)
            second.wait(factories.TIMEOUT)


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_short_cut(tmp_path: Path, times: int) -> None:
    """A command cut off for less than the lease goes on, and nobody else has been inside."""
    with team_of_hosts(tmp_path) as (team, (one, two)):
        first = team.journal("first", host=one)
        team.wait_for("first", 3)
        team.journal("second", host=two)
        servers.wait_until(team.server.waiters, "the second does not queue")
        for _ in range(times):
            one.cut()
            time.sleep(servers.LEASE / 2)
            one.mend()
            team.wait_for("first", 3)
            time.sleep(servers.LEASE)  # until the connection has recovered: its retransmissions wait twice as long each
        assert first.poll() is None
        assert "second" not in team.lines()


@pytest.mark.parametrize("mended", [False, True], ids=["for good", "for a while"])
def test_waiter_that_is_cut_off(tmp_path: Path, mended: bool) -> None:
    """A waiter cut off from the server leaves its queue, and the next is served; it ends with 125, or queues again."""
    with team_of_hosts(tmp_path, 3) as (team, (one, two, three)):
        first = team.journal("first", host=one)
        team.wait_for("first")
        second = team.journal("second", host=two)
        servers.wait_until(team.server.waiters, "the second does not queue")
        third = team.journal("third", host=three)
        servers.wait_until(lambda: team.server.waiters() == 2, "the third does not queue")
        time.sleep(servers.LEASE)  # what it has waited already does not count
        two.cut()
        servers.wait_until(lambda: team.server.waiters() == 1, "the server keeps who is gone in its queue")
        if mended:
            two.mend()
            servers.wait_until(lambda: team.server.waiters() == 2, "the second does not queue again")
        else:
            _, told = second.communicate(timeout=factories.TIMEOUT)
            assert second.returncode == 125, told
            waited, failed = told.splitlines()
            assert waited.startswith(f"policy: waiting for {KEY} (")
            assert failed.startswith(f"policy: error: {KEY}: cannot be locked")
        first.send_signal(signal.SIGTERM)
        team.wait_for("third", 3)
        assert "second" not in team.lines()
        third.send_signal(signal.SIGTERM)
        if mended:
            team.wait_for("second", 3)
            second.send_signal(signal.SIGTERM)
        servers.wait_until(lambda: not team.server.sessions(), "something is left")


def test_waiter_that_is_cut_off_when_it_is_served(tmp_path: Path) -> None:
    """Where the lock was given to a waiter that is gone, the next is served after the lease, and is alone."""
    with team_of_hosts(tmp_path, 3) as (team, (one, two, three)):
        first = team.journal("first", host=one)
        team.wait_for("first")
        second = team.journal("second", host=two)
        servers.wait_until(team.server.waiters, "the second does not queue")
        third = team.journal("third", host=three)
        servers.wait_until(lambda: team.server.waiters() == 2, "the third does not queue")
        two.cut()
        first.send_signal(signal.SIGTERM)
        team.wait_for("third", 3)
        assert second.wait(factories.TIMEOUT) == 125
        assert "second" not in team.lines()
        third.send_signal(signal.SIGTERM)
        servers.wait_until(lambda: not team.server.sessions(), "something is left")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL], ids=["fast", "immediate", "kill"])
def test_server_that_restarts(tmp_path: Path, number: int) -> None:
    """Whatever ends the server ends the command; the second enters after the lease, and never beside the first."""
    with servers.cluster() as server:
        servers.wait_until(server.is_old, "the server stays young")
        team = Team(server, tmp_path)
        try:
            first = team.journal("first")
            team.wait_for("first", 3)
            second = team.journal("second")
            servers.wait_until(server.waiters, "the second does not queue")
            server.restart(number)
            assert first.wait(factories.TIMEOUT) == 125
            team.wait_for("second")
            assert server.is_old()
            assert second.poll() is None
            lines = team.lines()
            assert "first" not in lines[lines.index("second") :]
        finally:
            team.end()


def test_promotion_of_a_synchronous_standby(tmp_path: Path) -> None:
    """A primary that lost its standby confirms nothing: its holder is stopped before another enters at the new one."""
    with servers.cluster() as primary, servers.standby(primary) as standby:
        primary.sql("alter system set synchronous_standby_names = 'standby'")
        primary.sql("select pg_reload_conf()")
        servers.wait_until(primary.is_old, "the server stays young")
        team = Team(primary, tmp_path)
        try:
            first = team.journal("first")
            team.wait_for("first", 3)
            time.sleep(servers.LEASE)
            assert first.poll() is None
            team.wait_for("first", 3)
            servers.promote(standby)
            team.server = standby
            team.configure()
            second = team.journal("second")
            team.wait_for("second", 3)
            assert first.wait(factories.TIMEOUT) == 125
            assert second.poll() is None
            lines = team.lines()
            assert "first" not in lines[lines.index("second") :]
        finally:
            team.end()


# Builds a package whose build is what is inside of uv's lock.
BACKEND = """
import os, subprocess
def prepare_metadata_for_build_wheel(directory, settings=None):
    subprocess.check_call(["sh", "-c", os.environ["WITNESS"], "sh", os.environ["LOCK"], os.environ["LOG"]])
    os.mkdir(os.path.join(directory, "inside-1.0.dist-info"))
    with open(os.path.join(directory, "inside-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: inside\\nVersion: 1.0\\n")
    return "inside-1.0.dist-info"
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "inside"
dynamic = ["version"]
"""


def test_two_hosts_beside_bare_uv(team: Team) -> None:
    """Three `policy run` on each of two hosts, with gate, cluster and local lock, beside three uv: one at a time."""
    source = team.directory / "source"
    factories.written(source / "backend.py", BACKEND)
    factories.written(source / "pyproject.toml", PROJECT)
    team.lock = '["cluster", "local"]'
    team.configure()
    witness = str(team.directory / "witness")
    environ = real_uv.clean_environ(team.directory / "uv", WITNESS=WITNESS, LOCK=witness, LOG=str(team.log))
    options = ["--dry-run", "--no-cache", "--python", str(team.root / "bin" / "python"), str(source)]
    bare = [str(real_uv.installed()), "pip", "install", *options]
    rounds = 2
    for _ in range(rounds):
        begun = [team.start("sh", "-c", WITNESS, "sh", witness, team.log, gate=host) for host in ("a", "b") * 3]
        begun += [
            subprocess.Popen(bare, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        team.running += begun[6:]
        for process in begun:
            _, told = process.communicate(timeout=2 * factories.TIMEOUT)
            assert process.returncode == 0, told
    inside = [line.split()[0] for line in team.lines()]
    assert inside == ["in", "out"] * (9 * rounds)


def test_all_that_the_command_started_is_stopped(team: Team) -> None:
    """What left the command's group and its parent is killed with it when the lock is lost."""
    daemon = f'setsid {sys.executable} -S -c "$0" {team.log} daemon & sleep 60'
    first = team.start("sh", "-c", daemon, JOURNAL)
    team.wait_for("daemon", 2)
    team.server.sql("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
    assert first.wait(factories.TIMEOUT) == 125
    count = team.lines().count("daemon")
    time.sleep(0.3)
    assert team.lines().count("daemon") == count


def test_who_waits_is_told(team: Team) -> None:
    """A waiter is told host, process, user, command and since when; 124 when time is up; `policy locks` lists it."""
    first = team.journal("first")
    team.wait_for("first")
    late = team.start("true", options=["--timeout", "3"])
    _, told = late.communicate(timeout=factories.TIMEOUT)
    assert late.returncode == 124
    who = f"held by {os.uname().nodename} pid {first.pid} ({_user()}, "
    assert "waiting for team:app (" in told
    assert told.count(who) == 2, told
    assert ", since " in told
    assert team.server.waiters() == 0
    listed = factories.policy("locks", "--output-format", "json", environ=team.environ, cwd=team.directory)
    (row,) = [row for row in json.loads(listed.stdout)["locks"] if row["kind"] == "postgresql"]
    assert (row["key"], row["state"]) == ("team:app", "locked")
    assert [(holder["pid"], holder["host"]) for holder in row["holders"]] == [(first.pid, os.uname().nodename)]


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def test_nested_run_joins(team: Team) -> None:
    """A `policy run` inside of one joins its lock on the server, and so does one whose descriptors were closed."""
    inner = [
        sys.executable,
        "-m",
        "policy",
        "run",
        "--timeout",
        "0",
        "--python",
        str(team.root),
        "--",
        "echo",
        "joined",
    ]
    closing = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    for words in (inner, [sys.executable, "-c", closing, *inner]):
        outer = team.start(*words)
        out, told = outer.communicate(timeout=factories.TIMEOUT)
        assert (outer.returncode, out) == (0, "joined\n"), told
    servers.wait_until(lambda: not team.server.holders(), "the lock is kept")


def test_readers_of_several_hosts(team: Team) -> None:
    """Readers work side by side, a writer waits for all of them, and none begins inside of a reader."""
    one = team.journal("one", options=["--shared"])
    two = team.journal("two", options=["--shared"])
    team.wait_for("one")
    team.wait_for("two")
    writer = team.journal("writer")
    servers.wait_until(team.server.waiters, "the writer does not queue")
    assert team.server.holders() == 2
    for reader in (one, two):
        assert "writer" not in team.lines()
        reader.send_signal(signal.SIGTERM)
        reader.wait(factories.TIMEOUT)
    team.wait_for("writer")
    writer.send_signal(signal.SIGTERM)
    writer.wait(factories.TIMEOUT)
    inner = [sys.executable, "-m", "policy", "run", "--python", str(team.root), "--", "true"]
    outer = team.start(*inner, options=["--shared"])
    _, told = outer.communicate(timeout=factories.TIMEOUT)
    assert outer.returncode == 125, told


def test_exit_code_and_signals(team: Team) -> None:
    """The command's own exit code, 128+N for its signal, and signals sent to the guard reach it."""
    for words, code in ((["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -9 $$"], 137), (["/nowhere"], 127)):
        process = team.start(*words)
        process.communicate(timeout=factories.TIMEOUT)
        assert process.returncode == code
    process = team.start(sys.executable, "-c", running.LISTENER)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR2):
        process.send_signal(number)
        assert process.stdout.readline() == f"got {number}\n"
    assert process.wait(factories.TIMEOUT) == 0


@pytest.mark.parametrize("fault", ["password", "database", "port", "host", "service", "certificate", "extra"])
def test_faults_are_one_line_without_a_secret(team: Team, fault: str) -> None:
    """Whatever is wrong with the server: 125 before anything runs, one line, and no password in any output."""
    secret = team.server.password
    program: tuple[str, ...] = ()
    with contextlib.ExitStack() as stack:
        if fault == "password":
            secret = team.environ["PGPASSWORD"] = "not-the-password"  # noqa: S105  (it opens nothing)
        elif fault == "extra":
            without = "import sys; sys.modules['psycopg'] = None; from policy.__main__ import main; sys.exit(main())"
            program = (sys.executable, "-c", without)
        elif fault == "certificate":
            made = stack.enter_context(servers.certificates(days=0))
            expired = stack.enter_context(servers.cluster(settings=made.settings))
            team.server = expired
            team.environ |= expired.passfile(team.directory)
            team.configure(sslmode="verify-full", sslrootcert=str(made.authority))
        else:
            faults: dict[str, dict[str, object]] = {"database": {"dbname": "nowhere"}, "port": {"port": 1}}
            wrong = faults.get(fault, {})
            team.configure(**(wrong or {fault: "nowhere.invalid"}))
        words = ("run", "--python", team.root, "--", "touch", team.log.with_name("ran"))
        seen = factories.policy(*words, environ=team.environ, cwd=team.directory, program=program)
    assert seen.returncode == 125, seen.stderr
    assert len(seen.stderr.splitlines()) == 1
    assert seen.stderr.startswith("policy: error: team:app: cannot be locked")
    assert secret not in seen.stdout + seen.stderr
    assert not team.log.with_name("ran").exists()


def test_the_command_is_given_no_secret(team: Team) -> None:
    """The password stands neither in the command line nor in the variables of what runs under the lock."""
    show = "cat /proc/self/environ /proc/self/cmdline /proc/$PPID/environ /proc/$PPID/cmdline"
    process = team.start("sh", "-c", show)
    out, told = process.communicate(timeout=factories.TIMEOUT)
    assert process.returncode == 0
    assert "LOCK_POLICY_HELD" in out
    assert team.server.password not in out + told


def test_no_server_is_named(tmp_path: Path) -> None:
    """A cluster rule without `[cluster]` ends with 125 before anything runs, and explain says so."""
    root = factories.virtualenv(tmp_path / "env")
    factories.written(
        tmp_path / "lock-policy.toml", '[[rules]]\nlock = "cluster"\ncluster-key = { name = "t", root = "/" }\n'
    )
    environ = factories.alone(tmp_path)
    seen = factories.policy("run", "--python", root, "--", "touch", "ran", environ=environ, cwd=tmp_path)
    assert seen.returncode == 125
    assert "no server is named; write [cluster]" in seen.stderr
    assert not (tmp_path / "ran").exists()
    explained = factories.policy("explain", root, environ=environ, cwd=tmp_path)
    assert "no server is named" in explained.stdout


def test_local_file_system_needs_a_name(team: Team) -> None:
    """An environment on this host's own disk is refused without a name: two hosts' `/usr` must not share a key."""
    config = team.directory / "home" / ".config" / "lock-policy" / "lock-policy.toml"
    config.write_text('[[rules]]\nlock = "cluster"\n' + team.server.table(), encoding="utf-8")
    seen = factories.policy("run", "--python", team.root, "--", "true", environ=team.environ, cwd=team.directory)
    assert seen.returncode == 125
    assert "cluster-key" in seen.stderr


def test_python_is_told_of_a_lost_lock(team: Team) -> None:
    """`held.lost` is false while the lock is held, calls back and wakes who waits when it is lost; release says so."""
    code = """
import sys, policy
called = []
try:
    with policy.lock(sys.argv[1]) as held:
        held.lost.call(called.append)
        print("held", bool(held.lost), flush=True)
        sys.stdin.readline()
        print("lost", held.lost.wait(30), called == [held.lost.reason], flush=True)
except policy.LockLost as error:
    print(error)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(team.root)],
        env=team.environ,
        cwd=team.directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    team.running.append(process)
    assert running.line(process) == "held False"
    time.sleep(2 * servers.LEASE)
    assert team.server.holders() == 1
    team.server.sql("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
    out, _ = process.communicate("\n", timeout=factories.TIMEOUT)
    assert out.startswith("lost True True\nteam:app")
