from __future__ import annotations

import pytest

from policy.locks.cluster_checks import ServerState, check, opening, wanted
from policy.locks.session import Server, SessionError

SERVER = Server(lease=30)
FINE = ("4711", "f", "150018", "", *wanted(SERVER), "1", "99.5", "10.0.0.1")


def test_what_is_asked_of_both_ends() -> None:
    """The server's keepalives are set to those of the client, and the session is marked."""
    assert wanted(SERVER) == ("10", "5", "4", "30000")
    text = opening(SERVER, "token")
    assert "'lock_policy.session', 'token'" in text
    assert "'tcp_user_timeout', '30000'" in text


def test_fine() -> None:
    """A primary that does what was asked of it is accepted."""
    check(SERVER, ServerState(FINE))


@pytest.mark.parametrize(
    ("number", "value", "reason", "remedy"),
    [
        (1, "t", "a standby in recovery", "name the primary"),
        (2, "130011", "PostgreSQL 13", "PostgreSQL 14 or later"),
        (4, "7200", "keepalives are 7200, 5, 4, 30000, not 10, 5, 4, 30000", "session mode"),
        (8, "0", "cannot tell when the server forgot its locks", "pg_read_all_stats"),
    ],
)
def test_refused(number: int, value: str, reason: str, remedy: str) -> None:
    """A server on which a lock would not exclude is refused with what to do."""
    with pytest.raises(SessionError) as caught:
        check(SERVER, ServerState((*FINE[:number], value, *FINE[number + 1 :])))
    assert reason in caught.value.reason
    assert remedy in caught.value.remedy


def test_a_unix_socket_has_no_keepalives() -> None:
    """What does not go over a network is not asked for them."""
    check(SERVER, ServerState((*FINE[:4], "0", "0", "0", "0", *FINE[8:10], "")))


def test_synchronous_standby() -> None:
    """`sync = "require"` wants one."""
    with pytest.raises(SessionError, match="no synchronous standby"):
        check(Server(lease=30, sync="require"), ServerState(FINE))
    check(Server(lease=30, sync="require"), ServerState((*FINE[:3], "standby", *FINE[4:])))
