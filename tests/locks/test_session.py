from __future__ import annotations

import os
import select
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

from policy.locks.session import Overdue, Server, Session, SessionError, drive
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from policy.locks.backend import Pause


@pytest.fixture
def session(postgresql: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A connected session."""
    for name, value in postgresql.passfile(tmp_path).items():
        monkeypatch.setenv(name, value)
    made = Session(postgresql.server())
    drive(made.connect())
    yield made
    made.close()


@given(st.floats(min_value=3, max_value=3600))
def test_a_host_is_given_up_after_the_lease_and_not_before(lease: float) -> None:
    """The keepalives of both ends take at least as long as the lease, and no more than one interval longer."""
    alive = Server(lease=lease).keepalives
    needed = alive["keepalives_idle"] + alive["keepalives_count"] * alive["keepalives_interval"]
    assert lease <= needed < lease + alive["keepalives_interval"] + 1


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_name_is_quoted(name: str) -> None:
    """What a configuration file says cannot become another option of libpq."""
    pq = pytest.importorskip("psycopg.pq", reason="needs psycopg, the extra `postgresql`")
    options = pq.Conninfo.parse(Server(dbname=name, user="o'brien \\").conninfo.encode())
    found = {option.keyword.decode(): option.val.decode() for option in options if option.val is not None}
    assert (found["dbname"], found["user"]) == (name, "o'brien \\")
    assert "password" not in found


def test_names_for_people() -> None:
    """A server is named by its service, else by its address."""
    assert str(Server(service="locks", host="h")) == "service locks"
    assert str(Server(host="h", port=5433, dbname="d")) == "h:5433/d"


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True], ids=["silent", "dropping"])
def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    """Connecting ends when PGCONNECT_TIMEOUT is over, and pauses until then: libpq never blocks, nor is it asked."""
    servers.need_server()
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "1")
    with servers.black_hole(full=full) as port:
        session = Session(Server(host=servers.LOOPBACK, port=port, dbname="d", user="u", lease=600))
        pauses = []

        def recorded() -> Generator[Pause, None, None]:
            for pause in session.connect():
                pauses.append(pause.seconds)
                yield pause

        with pytest.raises(SessionError, match=r"no answer from .* while connecting"):
            drive(recorded())
    assert sum(pauses) > 0.5
    assert max(pauses) <= 0.5
    assert session.descriptor == -1


def test_answers_come_in_order(session: Session) -> None:
    """All rows of all statements are answered; NULL is an empty text."""
    assert drive(session.ask("select 1, null; select 'ü'", 10)) == [("1", ""), ("ü",)]


def test_refusal_has_its_state(session: Session) -> None:
    """What the server refuses is one line with its SQLSTATE, and the session goes on."""
    with pytest.raises(SessionError) as caught:
        drive(session.ask("select 1/0", 10))
    assert (caught.value.reason, caught.value.state) == ("division by zero", "22012")
    assert drive(session.ask("select 1", 10)) == [("1",)]


def test_warning_is_no_confirmation(session: Session) -> None:
    """A statement that succeeded with a warning counts as refused: so ends a wait for a standby that was given up."""
    with pytest.raises(SessionError) as caught:
        drive(session.ask("do $$ begin raise warning 'given up'; end $$", 10))
    assert (caught.value.reason, caught.value.state) == ("given up", "01000")


def test_late_answer_can_still_be_received(session: Session) -> None:
    """No answer in time is said, and the answer is there when it has come."""
    session.send("select pg_sleep(0.5), 7")
    with pytest.raises(Overdue):
        drive(session.receive(time.monotonic() + 0.05))
    assert drive(session.receive(time.monotonic() + 10)) == [("", "7")]


def test_cancel(session: Session) -> None:
    """A cancelled statement ends on the server."""
    session.send("select pg_sleep(600)")
    session.cancel()
    with pytest.raises(SessionError) as caught:
        drive(session.receive(time.monotonic() + 10))
    assert caught.value.state == "57014"


def test_detached_session_lives_in_its_copy(session: Session, postgresql: servers.Server) -> None:
    """Letting go of the socket says nothing to the server: who has a copy keeps the session."""
    ((pid,),) = drive(session.ask("select pg_backend_pid()", 10))
    copy = os.dup(session.descriptor)
    session.detach()
    session.close()
    assert not select.select([copy], [], [], 0.2)[0]
    alive = f"select count(*) from pg_stat_activity where pid = {int(pid)}"  # noqa: S608  (a number)
    assert postgresql.sql(alive) == [(1,)]
    os.close(copy)
    servers.wait_until(lambda: postgresql.sql(alive) == [(0,)], "the session outlives its socket")


def test_closed_session() -> None:
    """A session that was never connected, or is closed, says so."""
    session = Session(Server())
    assert session.descriptor == -1
    with pytest.raises(SessionError, match="closed"):
        session.send("select 1")
    session.cancel()
    session.detach()
    session.close()
