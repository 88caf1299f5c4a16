from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy import errors
from policy.locks import inherit, proc
from policy.locks.hold import MARKER, merged
from policy.locks.open_file import OpenFile
from tests import acquiring as hold
from tests import processes

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs descriptors are inherited", allow_module_level=True)

NESTED = """
try:
    held = locks.hold([sys.argv[1]], timeout=0, environ=os.environ)
except errors.LockTimeout:
    print("waits")
else:
    print("joined" if not open_file._opened else "locked")
    held.release()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A lock file to be made."""
    return str(tmp_path / "lock-policy-1.lock")


def nested(path: str, held: str, *, descriptors: tuple[int, ...] = ()) -> str:
    """What a command makes of a marker."""
    result = subprocess.run(
        processes.command(NESTED, path),
        env={**processes.environment(), MARKER: held},
        pass_fds=descriptors,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.strip()


def test_joins_inherited_descriptor(path: str) -> None:
    """A command that has inherited the locked descriptor joins the lock, and its release leaves it locked."""
    with hold.hold([path]) as held:
        held.inherit()
        assert nested(path, held.marker, descriptors=held.descriptors) == "joined"
        assert processes.probe(path)["outcome"] == "LockTimeout"


@pytest.mark.skipif(not proc.has_locks(), reason="needs /proc")
def test_joins_ancestor(path: str) -> None:
    """A command whose descriptor was closed on the way joins what one of its ancestors holds."""
    with hold.hold([path]) as held:
        assert nested(path, held.marker) == "joined"


def test_joins_without_proc(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc an inherited descriptor is known by being granted the lock that another one is refused."""
    monkeypatch.setattr(proc, "has_locks", lambda: False)
    held = hold.hold([path])
    held.inherit()
    assert inherit.joined(OpenFile(path), held.marker)
    copy = os.open(path, os.O_RDWR)
    seen = os.stat(path)
    assert inherit._locked(path, copy) == ""
    os.close(copy)
    held.release()
    assert not inherit.joined(OpenFile(path), f"9:{seen.st_dev}:{seen.st_ino}")


def test_nothing_is_joined_without_proc(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc a marker joins nothing when its descriptor was closed, or when its file cannot be opened."""
    monkeypatch.setattr(proc, "has_locks", lambda: False)
    monkeypatch.setattr(proc, "identity", lambda _: None)
    held = hold.hold([path])
    held.inherit()
    marker, (descriptor,) = held.marker, held.descriptors
    with monkeypatch.context() as patch:
        patch.setattr(inherit, "NOFOLLOW", os.O_DIRECTORY)  # no file can be opened so
        assert not inherit.joined(OpenFile(path), marker)
    assert inherit.joined(OpenFile(path), marker)
    closed = os.dup(descriptor)
    os.close(closed)
    assert inherit._locked(path, closed) == ""
    assert not inherit.joined(OpenFile(path), marker.replace(str(descriptor), str(closed), 1))
    assert not inherit.refuse_above(path)  # nobody can tell who holds it, so it is waited for
    held.release()


@pytest.mark.slow
def test_liars(path: str) -> None:
    """A marker that the kernel does not confirm is worth nothing: the lock is taken, or waited for."""
    hold.hold([path]).release()
    seen = os.stat(path)
    file = f"{seen.st_dev}:{seen.st_ino}"
    for text in (f"0:{file}", f"-1:{file}", f"9999999999999:{file}", f"x:{file}", "0:0", "", ":::", f"٣:{file}"):
        assert nested(path, text) == "locked"
    opened = os.open(path, os.O_RDWR)
    assert nested(path, f"{opened}:{file}", descriptors=(opened,)) == "locked"
    other = processes.holder(path)  # a process that is no ancestor of the nested one
    assert nested(path, f"{opened}:{file}", descriptors=(opened,)) == "waits"
    processes.end(other)
    os.close(opened)


def test_own_lock_is_not_joined(path: str) -> None:
    """A thread does not join what another thread of its process has locked, whatever number its descriptor has."""
    with hold.hold([path]) as held, pytest.raises(errors.LockTimeout):
        hold.hold([path], timeout=0, environ={MARKER: held.marker})


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_passed_on(path: str) -> None:
    """Who has joined passes the ancestor's descriptor on to its own commands."""
    with hold.hold([path]) as held:
        held.inherit()
        marker = f"{held.descriptors[0]}:{os.stat(path).st_dev}:{os.stat(path).st_ino}"
        assert held.marker == marker
        joined = hold.hold([path], timeout=0, environ={MARKER: marker})
        assert (joined.descriptors, joined.marker, joined.lost) == (held.descriptors, marker, ())
        joined.release()
        assert processes.probe(path)["outcome"] == "LockTimeout"


WAITER = """
from policy.locks import hold
taken = hold.Held(locks.files([sys.argv[1]]))
steps = hold.take(taken, timeout=30, reenter=True)
pauses = 0
try:
    for _ in steps:
        pauses += 1
        if pauses == 2:
            break
except errors.LockUnavailable as error:
    print(pauses, error)
else:
    print(pauses)
taken.abandon(steps)
"""
ANCESTOR = """
path, threads, inherited, *words = sys.argv[1:]
if threads == "2":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
with locks.hold([path]) as held:
    if inherited:
        held.inherit()
    subprocess.run(words)
    print(os.getpid())
"""


@pytest.mark.slow
@pytest.mark.skipif(not proc.has_locks(), reason="needs /proc")
@pytest.mark.parametrize(
    ("threads", "inherited", "waits"), [("1", "", False), ("2", "", True), ("1", "yes", False), ("2", "yes", False)]
)
def test_ancestor_is_not_waited_for(path: str, threads: str, inherited: str, *, waits: bool) -> None:
    """Who would wait for its own ancestor is refused before the first pause, unless another thread may give it up."""
    words = processes.command(ANCESTOR, path, threads, inherited, *processes.command(WAITER, path))
    done = subprocess.run(words, env=processes.environment(), capture_output=True, text=True, check=True)
    said, pid = done.stdout.splitlines()
    if waits:
        assert said == "2"
    else:
        assert said.startswith(f"0 {path}: ")
        assert f"process {pid}, an ancestor of this one, holds it, so both would wait forever" in said


@pytest.mark.skipif(not proc.has_locks(), reason="needs /proc")
def test_another_one_is_waited_for(path: str) -> None:
    """Who holds the lock and did not lead to the waiter is waited for."""
    holder = processes.holder(path)
    words = processes.command(WAITER, path)
    done = subprocess.run(words, env=processes.environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"
    processes.end(holder)


@pytest.mark.parametrize(
    ("here", "above", "expected"),
    [
        ("", "", ""),
        ("3:1:2", "", "3:1:2"),
        ("", "4:1:9", "4:1:9"),
        ("3:1:2", "4:1:9", "3:1:2,4:1:9"),
        ("3:1:2,5:1:3", "9:1:2,4:1:9", "3:1:2,5:1:3,4:1:9"),
        ("-1:1:2", "4:1:2", "-1:1:2"),
        ("3:1:2", "garbage,,:,1:2:3:4,4:1:9", "3:1:2,4:1:9"),
        ("3:1:2", "4:1:9," * 1000, "3:1:2"),
    ],
)
def test_marker(here: str, above: str, expected: str) -> None:
    """The marker names what is held here and what is held above, each file once, and nothing that we did not write."""
    assert merged(here, above) == expected
