from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from policy.errors import LockUnavailable
from policy.locks.backend import Deadline
from policy.locks.cluster_checks import EPOCH
from policy.locks.cluster_key import ClusterKey
from tests import acquiring, processes

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

from policy.locks.postgresql import PostgresqlLock
from policy.locks.session import Server as Address
from policy.locks.session import Session
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

# Holds the lock of one key in a process of its own, until its standard input ends.
HOLDER = """
import json, os, subprocess, sys
from policy.errors import LockTimeout, LockUnavailable
from tests import acquiring
from policy.locks.cluster_key import ClusterKey
from policy.locks.postgresql import PostgresqlLock
from policy.locks.session import Server
options = json.loads(sys.argv[1])
lock = PostgresqlLock(ClusterKey(options["key"], "test"), Server(**options["server"]), shared=options["shared"])
try:
    held = acquiring.taken([lock], timeout=options["timeout"], waiting=lambda lock, seconds: print("waits", flush=True))
except (LockTimeout, LockUnavailable) as error:
    print(type(error).__name__, error, flush=True)
    sys.exit()
if options["command"]:
    if options["inherit"]:
        held.inherit()
    passed = held.descriptors if options["inherit"] else ()
    subprocess.Popen(options["command"], stdout=subprocess.DEVNULL, pass_fds=passed)
print("held", held.marker, flush=True)
if options["log"]:
    with open(options["log"], "a") as log:
        log.write(options["label"] + "\\n")
sys.stdin.read()
held.release()
"""


class Stage:
    """Processes that want one lock.

    Args:
        server: Where it is kept.
        directory: For the password's file.
    """

    def __init__(self, server: Any, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.key = f"team:{directory.name}/.venv"
        self.running: list[subprocess.Popen[str]] = []
        self.environ = servers_environ(server, directory)

    def lock(self, *, shared: bool = False, key: str = "", **more: Any) -> PostgresqlLock:
        """An object of this process."""
        return PostgresqlLock(ClusterKey(key or self.key, "test"), self.server.server(**more), shared=shared)

    def start(self, *, expect: str = "held", **options: Any) -> subprocess.Popen[str]:
        """A process that holds the lock by the time this returns, or waits for it."""
        address = {"host": self.server.address, "port": self.server.port, "dbname": servers.DATABASE}
        address |= {"user": servers.ROLE, "lease": servers.LEASE, "margin": servers.MARGIN}
        settings = {"key": self.key, "server": address, "shared": False, "timeout": None, "command": None, "log": ""}
        settings |= {"label": "", "inherit": True, **options}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**processes.environment(), **self.environ},
        )
        self.running.append(process)
        self.read(process, expect)
        return process

    @staticmethod
    def read(process: subprocess.Popen[str], expect: str) -> str:
        """The next line of a process, which must begin with a word."""
        assert process.stdout is not None
        text = process.stdout.readline()
        while text.startswith("waits") and expect != "waits":
            text = process.stdout.readline()
        assert text.startswith(expect), text
        return text

    def is_free(self, *, shared: bool = False) -> bool:
        """Whether another process could have it now."""
        lock = self.lock(shared=shared)
        free = lock.attempt()
        lock.release()
        return free

    def end(self) -> None:
        """Ends whatever runs."""
        for process in self.running:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def servers_environ(server: Any, directory: Path) -> dict[str, str]:
    """The variables by which libpq finds the password, and nothing else of this machine."""
    behind = getattr(server, "behind", server)
    return {"HOME": str(directory), **behind.passfile(directory)}


@pytest.fixture
def stage(postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Processes on the server of all tests."""
    made = Stage(postgresql, tmp_path)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    yield made
    made.end()


def sessions(stage: Stage) -> list[tuple[bool, str]]:
    """Who holds and who waits for the lock of a stage, as the server has it."""
    number = ClusterKey(stage.key, "").number & 0xFFFF_FFFF_FFFF_FFFF
    rows = stage.server.sql(
        "select granted, mode from pg_locks where locktype = 'advisory'"  # noqa: S608  (numbers)
        f" and classid = {number >> 32} and objid = {number & 0xFFFF_FFFF} order by granted desc"
    )
    return [(bool(granted), str(mode)) for granted, mode in rows]


def finish(process: subprocess.Popen[str]) -> None:
    """Lets a holder release."""
    process.communicate(timeout=processes.TIMEOUT)


def test_excludes_in_both_orders(stage: Stage) -> None:
    """The second caller does not get it, this process or another, and gets it when the first has released."""
    other = stage.start()
    assert not stage.is_free()
    finish(other)
    mine = stage.lock()
    assert mine.attempt()
    late = stage.start(expect="LockTimeout", timeout=0)
    assert late.wait(processes.TIMEOUT) == 0
    mine.release()
    assert sessions(stage) == []
    assert mine.attempt()
    mine.release()


@pytest.mark.slow
def test_readers_share_and_a_waiting_writer_is_not_starved(stage: Stage) -> None:
    """Readers hold it together; a writer waits for all of them, and a reader that comes later waits behind it."""
    readers = [stage.start(shared=True), stage.start(shared=True)]
    assert sessions(stage) == [(True, "ShareLock")] * 2
    writer = stage.start(expect="waits")
    servers.wait_until(lambda: len(sessions(stage)) == 3, "the writer does not queue")
    assert not stage.is_free(shared=True)
    for reader in readers:
        finish(reader)
    stage.read(writer, "held")
    assert sessions(stage) == [(True, "ExclusiveLock")]
    finish(writer)


@pytest.mark.slow
def test_the_lock_lasts_as_long_as_the_command_that_inherited_it(stage: Stage) -> None:
    """A killed holder whose command runs on keeps everybody out, until the command ends."""
    holder = stage.start(command=["sleep", "1.5"])
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not stage.is_free()
    assert sessions(stage) == [(True, "ExclusiveLock")]
    servers.wait_until(lambda: not sessions(stage), "the lock outlives the command")


def test_releasing_leaves_the_lock_to_the_command(stage: Stage) -> None:
    """Releasing says nothing to the server while a command has the socket."""
    lock = stage.lock()
    assert lock.attempt()
    lock.inherit()
    command = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=lock.descriptors)
    lock.release()
    assert sessions(stage) == [(True, "ExclusiveLock")]
    assert not stage.is_free()
    command.communicate()
    servers.wait_until(lambda: not sessions(stage), "the lock outlives the command")


def test_without_inheriting_it_ends_with_the_holder(stage: Stage) -> None:
    """A command that did not inherit the socket keeps nothing: the server gives the lock to the next."""
    holder = stage.start(command=["sleep", "2"], inherit=False)
    holder.send_signal(signal.SIGKILL)
    servers.wait_until(lambda: not sessions(stage), "the lock outlives the holder")


def test_a_forked_child_holds_nothing(stage: Stage) -> None:
    """A child that ends, or outlives its parent's hold, neither releases the lock nor keeps it."""
    lock = stage.lock()
    assert lock.attempt()
    ready, ended = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.close(ended[1])
        lock.release()
        os.write(ready[1], b"%d" % lock.is_current())
        os.read(ended[0], 1)
        os._exit(0)
    os.close(ended[0])
    try:
        assert os.read(ready[0], 1) == b"1"
        assert lock.is_current()
        assert sessions(stage) == [(True, "ExclusiveLock")]
        lock.release()
        assert sessions(stage) == []
    finally:
        os.close(ended[1])
        os.waitpid(child, 0)
        for descriptor in ready:
            os.close(descriptor)


async def _queued(stage: Stage) -> None:
    """Returns when somebody waits for the lock of a stage; other tasks run meanwhile."""
    while len(sessions(stage)) < 2:  # noqa: ASYNC110  (the server sends no event)
        await asyncio.sleep(0.01)


@pytest.mark.slow
def test_giving_up_leaves_nothing_in_the_queue(stage: Stage) -> None:
    """A waiter that timed out, was killed, was interrupted or was cancelled is not in the server's queue."""
    holder = stage.start()
    only = [(True, "ExclusiveLock")]
    late = stage.start(expect="LockTimeout", timeout=0.3)
    assert late.wait(processes.TIMEOUT) == 0
    assert sessions(stage) == only
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        waiter = stage.start(expect="waits")
        servers.wait_until(lambda: len(sessions(stage)) == 2, "the waiter does not queue")
        waiter.send_signal(number)
        waiter.wait(processes.TIMEOUT)
        servers.wait_until(lambda: sessions(stage) == only, f"signal {number} leaves a waiter")

    async def cancelled() -> None:
        task = asyncio.create_task(acquiring.taken_async([stage.lock()]))
        await _queued(stage)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert sessions(stage) == only
    follower = stage.start(expect="waits")
    finish(holder)
    stage.read(follower, "held")


@pytest.mark.slow
def test_first_come_first_served(stage: Stage) -> None:
    """Waiters get the lock in the order in which they came."""
    log = stage.directory / "log"
    holder = stage.start()
    waiting = []
    for number in range(8):
        waiting.append(stage.start(expect="waits", log=str(log), label=str(number)))
        servers.wait_until(lambda: len(sessions(stage)) == len(waiting) + 1, "the waiter does not queue")
    for process in waiting:
        assert process.stdin is not None
        process.stdin.close()
    finish(holder)
    for process in waiting:
        process.wait(processes.TIMEOUT)
    assert log.read_text().split() == [str(number) for number in range(8)]


def test_hand_off_costs_two_questions(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was served asks once more before it begins, and who releases says so once; the server plans nothing then."""
    sent: list[str] = []
    send = Session.send

    def recorded(session: Session, text: str) -> None:
        sent.append(text.rpartition("*/ ")[2])
        send(session, text)

    process = stage.start()
    monkeypatch.setattr(Session, "send", recorded)
    held = acquiring.taken([stage.lock()], waiting=lambda *_: finish(process))
    opened, tried, waited, *more = sent
    assert "lock_policy.session" in opened
    assert "pg_try_advisory_lock(" in tried
    assert "pg_advisory_lock(" in waited
    assert more == ["execute lock_policy_confirm"]
    held.give_up()
    assert sent[4:] == ["execute lock_policy_release; execute lock_policy_confirm"]
    assert stage.is_free()


def test_what_is_lost_while_another_is_waited_for(stage: Stage) -> None:
    """A lock that the server gave away while the next one of the plan was waited for is no lock, and all are free."""
    process = stage.start()
    first = stage.lock(key="first")

    def lose(*_: object) -> None:
        stage.server.sql(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"  # noqa: S608  (a number)
            f" and (classid::bigint << 32) | objid::bigint = {first.key.number}"
        )
        finish(process)

    with pytest.raises(LockUnavailable, match=r"first: .*lost while waiting for the others"):
        acquiring.taken([first, stage.lock()], waiting=lose)
    assert stage.is_free()


def test_since_when_a_waiter_holds_it(stage: Stage) -> None:
    """Who waited is said to hold the lock since it was served, and not since it came."""
    first = stage.start()
    second = stage.start(expect="waits")
    servers.wait_until(lambda: len(sessions(stage)) == 2, "it does not queue")
    ((released,),) = stage.server.sql("select extract(epoch from clock_timestamp())")
    finish(first)
    stage.read(second, "held")
    (holder,) = stage.lock().holders()
    assert holder.pid == second.pid
    assert holder.since is not None
    assert holder.since >= released
    finish(second)


def test_waiting_in_an_event_loop(stage: Stage) -> None:
    """Other tasks run while one waits, and it gets the lock when it is free."""
    holder = stage.start()

    async def waits() -> bool:
        task = asyncio.create_task(acquiring.taken_async([stage.lock()], timeout=processes.TIMEOUT))
        await _queued(stage)
        assert holder.stdin is not None
        holder.stdin.close()
        async with await task as held:
            return not held.lost

    assert asyncio.run(waits())
    assert sessions(stage) == []


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True], ids=["silent", "dropping"])
@pytest.mark.parametrize("cancelled", [False, True])
def test_connecting_in_an_event_loop(monkeypatch: pytest.MonkeyPatch, full: bool, cancelled: bool) -> None:
    """The loop goes on while a server that never answers is connected to; cancelling leaves no descriptor open."""
    servers.need_server()
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "1")
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    async def connects(lock: PostgresqlLock) -> None:
        beside = asyncio.create_task(turn())
        task = asyncio.create_task(acquiring.taken_async([lock]))
        if cancelled:
            await asyncio.wait([beside], timeout=0.5)
            assert lock.descriptors
            task.cancel()
        try:
            await task
        finally:
            beside.cancel()

    with servers.black_hole(full=full) as port:
        lock = PostgresqlLock(ClusterKey("k", ""), Address(host=servers.LOOPBACK, port=port, lease=600))
        with pytest.raises(asyncio.CancelledError if cancelled else LockUnavailable):
            asyncio.run(connects(lock))
    assert turns >= 10
    assert lock.descriptors == ()


def test_holders(stage: Stage) -> None:
    """A waiter learns the holder's host, process, user, command and since when it holds the lock, and its key."""
    before = time.time()
    process = stage.start()
    (holder,) = stage.lock().holders()
    assert (holder.pid, holder.host) == (process.pid, os.uname().nodename)
    assert sys.executable in holder.command
    assert holder.since is not None
    assert before - 5 < holder.since < time.time() + 5
    assert str(holder).startswith(f"{os.uname().nodename} pid {process.pid} (")
    assert stage.lock(key="another").holders() == ()
    assert stage.lock().is_held()
    assert not stage.lock(key="another").is_held()


@pytest.mark.parametrize("key", ["é ü/日本", "a */ /* b", "{x} '\"\\ %s $1 ; select", "\udcff", "x" * 2000])
def test_any_path_is_a_key(stage: Stage, key: str) -> None:
    """Whatever a path holds neither ends the comment that names it nor changes what the server is asked."""
    stage.key = key
    lock = stage.lock()
    assert lock.attempt()
    assert lock.is_current()
    (holder,) = lock.holders()
    assert holder.pid == os.getpid() or len(key) > 1000
    assert not stage.is_free()
    lock.release()
    assert sessions(stage) == []


def test_a_session_that_was_ended_is_lost(stage: Stage) -> None:
    """pg_terminate_backend breaks the lock, and it is noticed when it is asked."""
    lock = stage.lock()
    held = acquiring.taken([lock])
    assert not held.lost
    stage.server.sql("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
    servers.wait_until(lambda: not sessions(stage), "the session goes on")
    assert [one.name for one in held.lost] == [lock.name]
    held.give_up()
    assert stage.is_free()


@pytest.mark.slow
def test_lock_of_an_ancestor_is_joined(stage: Stage) -> None:
    """The socket that the marker names is taken over where kernel and server confirm it, and no other."""
    process = stage.start()
    lock = stage.lock()
    assert lock.attempt() is False
    mine = stage.lock(key="mine")
    assert mine.attempt()
    mine.inherit()
    code = (
        "import sys; from tests.locks.test_postgresql import *; import json; options = json.loads(sys.argv[2]);"
        "from policy.locks.session import Server;"
        "lock = PostgresqlLock(ClusterKey(options['key'], ''), Server(**options['server']));"
        "print(lock.join(sys.argv[1]), lock.marker, lock.descriptors, lock.is_current())"
    )
    address = {"host": stage.server.address, "port": stage.server.port, "dbname": servers.DATABASE}
    address |= {"user": servers.ROLE, "lease": servers.LEASE, "margin": servers.MARGIN}

    def joins(key: str, marker: str, descriptors: tuple[int, ...]) -> str:
        return subprocess.run(
            [sys.executable, "-c", code, marker, json.dumps({"key": key, "server": address})],
            env={**processes.environment(), **stage.environ},
            pass_fds=descriptors,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    descriptor = mine.descriptors[0]
    assert joins("mine", mine.marker, mine.descriptors) == f"True {mine.marker} ({descriptor},) True"
    # its parent has the socket, although it was closed on the way
    assert joins("mine", mine.marker, ()) == f"True -1:{mine.marker.partition(':')[2]} () True"
    assert joins("other", mine.marker, mine.descriptors).startswith("False")
    assert joins(stage.key, mine.marker, mine.descriptors).startswith("False")
    mine.release()
    assert joins("mine", f"{descriptor}:8:1", ()).startswith("False")
    lock.release()
    finish(process)


def refusal(lock: PostgresqlLock) -> str:
    """Why a server is refused: one line without a secret."""
    begin = time.monotonic()
    with pytest.raises(LockUnavailable) as caught:
        lock.attempt()
    assert time.monotonic() - begin < processes.TIMEOUT
    text = str(caught.value)
    assert "\n" not in text
    assert lock.descriptors == ()
    return text


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ({"port": 1}, "Connection refused"),
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
        ({"host": "nowhere.invalid"}, "check the name of the host"),
        ({"service": "nowhere"}, 'definition of service "nowhere" not found'),
        ({"user": "stranger"}, "PGPASSFILE"),
        ({"sslmode": "require"}, "SSL"),
        ({"sync": "require"}, "no synchronous standby"),
    ],
)
def test_address_that_leads_nowhere(stage: Stage, address: dict[str, Any], reason: str) -> None:
    """A wrong address is one line that says what to do."""
    assert reason in refusal(stage.lock(**address))


def test_wrong_password(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password is refused in one line, in which it does not stand."""
    monkeypatch.setenv("PGPASSWORD", "not-the-secret")
    text = refusal(stage.lock())
    assert "password authentication failed" in text
    assert "not-the-secret" not in text


def test_without_the_extra(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without psycopg the message has the command that installs it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'lock-policy[postgresql]'" in refusal(stage.lock())


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_pooler_that_shares_sessions_is_refused(stage: Stage, mode: str) -> None:
    """Behind a pooler that gives one session to two clients, nobody gets a lock: two would."""
    with servers.pooler(stage.server, mode) as pooler:
        behind = PostgresqlLock(ClusterKey(stage.key, ""), pooler.server())
        assert "pooler" in refusal(behind)
        assert "pooler" in refusal(behind)


def test_pooler_in_session_mode(stage: Stage) -> None:
    """A pooler in session mode is as good as the server: one at a time, and free when the holder has ended."""
    with servers.pooler(stage.server, "session") as pooler:
        behind = PostgresqlLock(ClusterKey(stage.key, ""), pooler.server())
        assert behind.attempt()
        assert not stage.is_free()
        assert not PostgresqlLock(ClusterKey(stage.key, ""), pooler.server()).attempt()
        assert behind.is_current()
        behind.release()
        servers.wait_until(lambda: not sessions(stage), "the pooler keeps the lock")
        assert behind.attempt()
        behind.release()


def test_full_server(stage: Stage) -> None:
    """A server without a free connection is refused, with what to raise."""
    stage.server.sql(f"alter role {servers.ROLE} connection limit 1")
    try:
        lock = stage.lock()
        assert lock.attempt()
        assert "connection" in refusal(stage.lock())
        lock.release()
    finally:
        stage.server.sql(f"alter role {servers.ROLE} connection limit -1")


@pytest.mark.slow
def test_as_many_waiters_as_connections(stage: Stage) -> None:
    """With all connections taken by waiters the last gets a clear error, and nobody is inside twice."""
    ((most,),) = stage.server.sql("select current_setting('max_connections')::int")
    waiting: list[PostgresqlLock] = []
    queues = []
    try:
        reason = ""
        while not reason and len(waiting) <= most:
            lock = stage.lock()
            try:
                held = lock.attempt()
            except LockUnavailable as error:
                reason = str(error)
                break
            assert held == (not waiting), "two are inside"
            waiting.append(lock)
        assert "each holder and each waiter needs one connection" in reason
        assert len(waiting) > most / 2
        for lock in waiting[1:]:
            queue = lock.wait(Deadline(time.monotonic(), None))
            next(queue)
            queues.append(queue)
        servers.wait_until(lambda: len(sessions(stage)) == len(waiting), "they do not queue")
        waiting[0].release()
        servers.wait_until(lambda: sum(granted for granted, _ in sessions(stage)) == 1, "nobody is served")
    finally:
        for lock in waiting:
            lock.release()
        for queue in queues:
            queue.close()


def test_role_that_sees_too_little(stage: Stage) -> None:
    """Without pg_read_all_stats nobody can tell when the server forgot its locks, so it is refused."""
    stage.server.sql(f"revoke pg_read_all_stats from {servers.ROLE}")
    try:
        assert "pg_read_all_stats" in refusal(stage.lock())
    finally:
        stage.server.sql(f"grant pg_read_all_stats to {servers.ROLE}")


@pytest.mark.slow
def test_server_that_stops_and_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A young server gives no lock away before the lease is over; what was held is lost, however it was stopped."""
    with servers.cluster() as server:
        stage = Stage(server, tmp_path)
        monkeypatch.setenv("PGPASSFILE", stage.environ["PGPASSFILE"])
        young = stage.lock(lease=60)
        assert not young.attempt(), "it is a second old"
        assert "gives no lock away before 60 s" in str(young.holders()[0])
        young.release()
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            held = acquiring.taken([stage.lock()], timeout=processes.TIMEOUT)
            waiter = stage.start(expect="waits")
            servers.wait_until(lambda: len(sessions(stage)) == 2, "the waiter does not queue")
            server.restart(number)
            assert held.lost, number
            held.give_up()
            stage.read(waiter, "held")
            (holder,) = stage.lock().holders()
            assert holder.since is not None
            assert holder.since >= _epoch(server) + servers.LEASE, "the waiter got the lock before the lease was over"
            finish(waiter)
        backend = server.sql("select pid from pg_stat_activity where backend_type = 'walwriter'")[0][0]
        held = acquiring.taken([stage.lock()], timeout=processes.TIMEOUT)
        (holder,) = stage.lock().holders()
        os.kill(backend, signal.SIGKILL)
        # the postmaster takes a moment to notice, and answers until then
        servers.wait_until(lambda: bool(held.lost), "the server forgot it although its postmaster did not restart")
        servers.wait_until(lambda: _answers(server), "the server does not recover")
        held.give_up()
        assert holder.since is not None
        assert _epoch(server) > holder.since, "the server is as old as before"
        stage.end()


def _epoch(server: Server) -> float:
    """When the server forgot its locks, by its own clock."""
    return float(server.sql(f"select extract(epoch from clock_timestamp()) - {EPOCH}")[0][0])  # noqa: S608  (nothing of it comes from outside)


def _answers(server: Server) -> bool:
    import psycopg

    try:
        return bool(server.sql("select 1"))
    except psycopg.Error:
        return False


@pytest.mark.slow
def test_standbys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby is refused; a synchronous one that is silent confirms nothing; a promoted one is young."""
    with servers.cluster() as primary, servers.standby(primary) as standby:
        stage = Stage(primary, tmp_path)
        for name, value in standby.passfile(tmp_path).items():
            monkeypatch.setenv(name, value)
        other = PostgresqlLock(ClusterKey(stage.key, ""), standby.server())
        assert "recovery" in refusal(other)
        primary.sql("alter system set synchronous_standby_names = 'standby'")
        primary.sql("select pg_reload_conf()")
        servers.wait_until(primary.is_old, "the server stays young")
        held = acquiring.taken([stage.lock(sync="require")], timeout=processes.TIMEOUT)
        assert not held.lost
        assert standby.process is not None
        standby.process.running.send_signal(signal.SIGSTOP)
        for pid in _children(standby):
            os.kill(pid, signal.SIGSTOP)
        try:
            assert held.lost, "the primary alone confirms nothing"
        finally:
            for pid in _children(standby):
                os.kill(pid, signal.SIGCONT)
            standby.process.running.send_signal(signal.SIGCONT)
        held.give_up()
        servers.promote(standby)
        assert not other.attempt(), "it has just been promoted"
        other.release()


def _children(server: Server) -> list[int]:
    assert server.process is not None
    found = subprocess.run(
        ["pgrep", "-P", str(server.process.running.pid)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def test_collision_is_seen(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two texts with one number exclude each other, and the holder's text is shown."""
    monkeypatch.setattr(ClusterKey, "number", property(lambda _: 4711))
    lock = stage.lock(key="one")
    assert lock.attempt()
    other = stage.lock(key="two")
    assert not other.attempt()
    (holder,) = other.holders()
    assert re.search(r"for one", str(holder)), str(holder)
    other.release()
    lock.release()


def test_needs_nothing_before_it_is_taken() -> None:
    """A plan with such a lock can be made, compared and shown without psycopg and without a server."""
    one = PostgresqlLock(ClusterKey("a", "b"), Address(service="x"))
    assert one == PostgresqlLock(ClusterKey("a", "elsewhere"), Address(service="x"))
    assert one != PostgresqlLock(ClusterKey("c", "b"), Address(service="x"))
    assert len({one, PostgresqlLock(ClusterKey("a", "b"), Address(service="x"))}) == 1
    assert one.descriptors == ()
    assert one.marker == ""
    assert one.deadline is None
    assert one.watch() == -1
    assert one.is_current()
    assert one.record()["key"] == "a"
    one.release()
