from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.locks import proc, strict_claims
from policy.locks.strict import StrictLock
from tests import claims, factories, processes, requirements

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)


@pytest.fixture
def root(tmp_path: Path) -> str:
    """The root of an environment."""
    return str(factories.virtualenv(tmp_path / "env"))


def only(root: str) -> strict_claims.Owner:
    """The one owner of the records."""
    (owner,) = strict_claims.owners(StrictLock(root).name)
    return owner


def test_both_records_have_one_owner(root: str) -> None:
    """What a process published is one owner's: who it is, since when, and all of the names."""
    lock = StrictLock(root)
    assert lock.attempt()
    owner = only(root)
    lock.release()
    assert (owner.pid, owner.host) == (os.getpid(), claims.own(root)[0])
    assert [name.partition("-")[0] for name in owner.names] == ["held", "intent"]
    assert owner.user == proc_user()
    assert owner.since


def proc_user() -> str:
    """This process's user, as messages name it."""
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def test_runs(root: str) -> None:
    """An owner runs while its process does, and no longer once it has ended or is only waiting to be reaped."""
    host, start = claims.own(root)
    claims.publish(root, host, os.getpid(), start)
    assert only(root).runs is True
    process = processes.start("print(flush=True); sys.stdin.read()")
    assert process.stdout is not None
    process.stdout.readline()
    ticks = int(proc.stat_fields(process.pid)[19])
    one = strict_claims.Owner(host, process.pid, (start >> 64 << 64) + ticks, ())
    assert one.runs is True
    assert process.stdin is not None
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert one.runs is False
    process.wait()
    process.stdout.close()
    assert one.runs is False


def test_a_number_that_was_given_again(root: str) -> None:
    """A process of the same number that was started at another moment is not the owner."""
    host, start = claims.own(root)
    assert strict_claims.Owner(host, os.getpid(), start, ()).runs is True
    assert strict_claims.Owner(host, os.getpid(), start - 1, ()).runs is False
    assert strict_claims.Owner(host, os.getpid(), start % 2**64, ()).runs is True
    assert strict_claims.Owner(host, os.getpid(), None, ()).runs is True


def test_another_users_process(root: str) -> None:
    """A process that may not be sent a signal runs all the same."""
    processes.need_users()
    host, _ = claims.own(root)
    code = (
        "owner = strict_claims.Owner(sys.argv[1], 1, None, ())\nstrict_claims._here = lambda: (sys.argv[1], 0)\n"
        "print(owner.runs)"
    )
    process = processes.start(code, host, user=processes.ANNA)
    assert process.communicate(timeout=processes.TIMEOUT)[0] == "True\n"


def test_what_cannot_be_known(root: str) -> None:
    """Of another host, of an earlier boot and of another PID namespace nothing can be known, and messages say which."""
    host, start = claims.own(root)
    other = strict_claims.Owner("node-7", os.getpid(), start, (), "ada", 0.0)
    earlier = strict_claims.Owner(host, os.getpid(), start + 2**64, (), "ada")
    apart = strict_claims.Owner(f"{host}?pidns-f0000001", os.getpid(), start, (), "ada")
    assert (other.runs, earlier.runs, apart.runs) == (None, None, None)
    assert str(other.holder).startswith(f"node-7 pid {os.getpid()} (ada, since 19")
    words = "before this host restarted, or on another host of the same name"
    assert str(earlier.holder) == f"{host} pid {os.getpid()} (ada, {words})"
    assert str(apart.holder) == f"{host} (PID namespace f0000001) pid {os.getpid()} (ada)"


def test_ended(root: str) -> None:
    """Who ended on this host is said to have left it."""
    host, start = claims.own(root)
    pid = claims.ended()
    claims.publish(root, host, pid, start)
    (holder,) = strict_claims.holders(StrictLock(root).name)
    assert str(holder).startswith(f"{host} pid {pid} ({proc_user()}, {strict_claims.ENDED}, since ")


def test_who_is_about_to_hold(root: str) -> None:
    """Where nobody holds it, a record of intent keeps others out, so its owner is named; else only who holds it is."""
    claims.publish(root, "node-7", 1, states=("intent",))
    lock = StrictLock(root)
    assert not lock.attempt()
    assert [holder.host for holder in lock.holders()] == ["node-7"]
    claims.publish(root, "node-8", 1, states=("intent", "held"))
    assert [holder.host for holder in lock.holders()] == ["node-8"]


def test_removes_all_of_one_owner(root: str) -> None:
    """All records of one owner go, those of another stay, and what is gone already is no fault."""
    claims.publish(root, "node-7", 1, states=("intent", "held"))
    token = claims.publish(root, "node-8", 1, states=("intent",))
    first, second = strict_claims.owners(StrictLock(root).name)
    for _ in range(2):
        strict_claims.remove(StrictLock(root).name, first)
        assert claims.records(root) == [f"intent-v1-{token}.claim"]
    strict_claims.remove(StrictLock(root).name, second)
    assert StrictLock(root).is_held() is False


def test_records_of_another_user(tmp_path: Path) -> None:
    """Who neither made the records nor their folder cannot remove them, and is told who can."""
    processes.need_users()
    factories.open_to_all(tmp_path)
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o777)
    root = place / "env"
    claims.publish(root, "node-7", 1)
    code = (
        "path = sys.argv[1]\ntry:\n    strict_claims.remove(path, strict_claims.owners(path)[0])\n"
        "except errors.LockUnavailable as error:\n    print(error)"
    )
    process = processes.start(code, StrictLock(str(root)).name, user=processes.ANNA)
    assert "and root can remove it" in process.communicate(timeout=processes.TIMEOUT)[0]
    assert len(claims.records(root)) == 1


def test_no_place_to_find_out(root: str, tmp_path: Path) -> None:
    """Where no lock of our own can be made, no owner is known to be of this host."""
    code = (
        "import sys, tempfile\nfrom policy.locks import strict_claims\ntempfile.tempdir = sys.argv[2]\n"
        "print([owner.runs for owner in strict_claims.owners(sys.argv[1])])"
    )
    host, start = claims.own(root)
    claims.publish(root, host, os.getpid(), start)
    words = [sys.executable, "-c", code, StrictLock(root).name, str(tmp_path / "no")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=processes.TIMEOUT)
    assert done.stdout == "[None]\n"


def test_names_of_hosts(root: str, tmp_path: Path) -> None:
    """A host is named as filelock does it, a container with its PID namespace."""
    requirements.need_root()
    code = (
        "import sys, time; from policy.locks.strict import StrictLock\nlock = StrictLock(sys.argv[1])\n"
        "assert lock.attempt()\nprint(*lock.holders())\nlock.release()"
    )
    wrapper = claims.another_host("node-7", tmp_path / "gate", root)
    for more in ([], ["unshare", "--pid", "--fork", "--mount-proc"]):
        words = [*wrapper, *more, sys.executable, "-c", code, root]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=processes.TIMEOUT)
        requirements.need(not done.returncode, f"needs namespaces: {done.stderr}")
        assert done.stdout.startswith("node-7 (PID namespace f" if more else "node-7 pid ")
