from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import filelock
import pytest

from policy.errors import LockLost, LockTimeout, LockUnavailable
from policy.locks import strict_claims
from policy.locks.strict import StrictLock
from tests import factories, processes, requirements
from tests.acquiring import taken, taken_async

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

# filelock by itself, which knows nothing of ours.
FILELOCK = """
import filelock
lock = filelock.StrictSoftFileLock(sys.argv[1])
try:
    lock.acquire(timeout=0)
except filelock.Timeout:
    print("busy", flush=True)
else:
    print("held", flush=True)
    sys.stdin.read()
    lock.release()
"""

# One of ours: waits, and holds until its standard input ends.
OURS = """
from tests.acquiring import taken
from policy.locks.strict import StrictLock
os.umask(int(sys.argv[3], 8))
try:
    with taken([StrictLock(sys.argv[1])], timeout=float(sys.argv[2])):
        print("held", flush=True)
        sys.stdin.read()
except errors.PolicyError as error:
    print(error, flush=True)
"""

# Enters again and again. A witness of its own, which needs no lock of ours, sees two who are inside at once.
WORKER = """
from tests.acquiring import taken
from policy.locks.strict import StrictLock
from policy.locks import strict_claims
root, count, broken = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if broken:
    strict_claims.attempt = lambda lock: True
    StrictLock.is_current = lambda lock: True
while not os.path.exists(root + "/go"):
    time.sleep(0.001)
seen = 0
for _ in range(count):
    with taken([StrictLock(root)]):
        try:
            os.mkdir(root + "/inside")
        except FileExistsError:
            seen += 1
            open(root + "/met", "wb").close()
        else:
            while broken and not os.path.exists(root + "/met"):
                time.sleep(0.001)
            os.rmdir(root + "/inside")
print(seen)
"""


@pytest.fixture
def root(tmp_path: Path) -> str:
    """The root of an environment in a folder with a blank and a name that is not ASCII."""
    return str(factories.virtualenv(tmp_path / "my 環境" / ".venv"))


def beside(root: str) -> str:
    """The file of the lock."""
    folder, name = os.path.split(root)
    return f"{folder}/.{name}.strict.lock"


def records(root: str) -> list[str]:
    """The records that are there."""
    folder = beside(root) + ".filelock/claims"
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def said(process: subprocess.Popen[str]) -> str:
    """The next line of a process."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def ours(root: str, timeout: float = 0, *, user: int | None = None, umask: int = 0o022) -> subprocess.Popen[str]:
    """A process that holds the lock, or says why not."""
    return processes.start(OURS, root, str(timeout), f"{umask:o}", user=user)


@pytest.fixture
def held(root: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock."""
    process = ours(root)
    assert said(process) == "held"
    yield process
    process.kill()
    process.communicate()


def test_entry(root: str) -> None:
    """It is a file beside the environment, says so, and names what stays after a crash."""
    lock = StrictLock(root)
    assert lock.record() == {"purpose": "strict", "kind": "strict", "path": beside(root)}
    assert "beside the environment" in str(lock)
    assert lock.outlives
    assert lock.advice == f"if that process has ended, `policy locks --break '{root}'` removes the lock"
    assert lock.deadline is None
    assert (lock.descriptors, lock.marker, lock.watch()) == ((), "", -1)
    assert not os.path.exists(beside(root))


def test_one_lock_for_every_spelling(root: str, tmp_path: Path) -> None:
    """Links to an environment lead to the same lock."""
    (tmp_path / "link").symlink_to(root)
    assert StrictLock(str(tmp_path / "link")) == StrictLock(root)
    assert len({StrictLock(str(tmp_path / "link")), StrictLock(root)}) == 1


def test_filelock_keeps_us_out(root: str) -> None:
    """While filelock itself holds it, we do not get it; afterwards we do."""
    other = processes.start(FILELOCK, beside(root))
    assert said(other) == "held"
    with pytest.raises(LockTimeout):
        taken([StrictLock(root)], timeout=0)
    assert processes.end(other) == 0
    taken([StrictLock(root)], timeout=0).release()


def test_we_keep_filelock_out(root: str) -> None:
    """While we hold it, filelock itself does not get it; afterwards it does."""
    for word in ("busy", "held"):
        kept = taken([StrictLock(root)], timeout=0) if word == "busy" else None
        other = processes.start(FILELOCK, beside(root))
        assert said(other) == word
        processes.end(other)
        if kept:
            kept.release()
    assert records(root) == []


def test_who_holds_it(root: str, held: subprocess.Popen[str]) -> None:
    """A timeout names the host, the process, the user, the command and since when, and says what to do if it died."""
    with pytest.raises(LockTimeout) as caught:
        taken([StrictLock(root)], timeout=0.2)
    text = str(caught.value)
    assert f"held by {os.uname().nodename}" in text
    assert f" pid {held.pid} (" in text
    assert "since " in text
    assert text.endswith(f"; {StrictLock(root).advice}")
    assert str(pickle.loads(pickle.dumps(caught.value))) == text  # noqa: S301  (our own)


def test_waits(root: str, held: subprocess.Popen[str]) -> None:
    """Who waits gets it when it is released, and what holds it is then somebody else."""
    waiter = ours(root, processes.TIMEOUT)
    lock = StrictLock(root)
    assert [holder.pid for holder in lock.holders()] == [held.pid]
    processes.end(held)
    assert said(waiter) == "held"
    assert [holder.pid for holder in lock.holders()] == [waiter.pid]
    assert lock.is_held()
    processes.end(waiter)
    assert not lock.is_held()
    assert lock.holders() == ()


def test_waits_while_tasks_run(root: str, held: subprocess.Popen[str]) -> None:
    """A task that waits lets others run, and a cancelled one leaves no record."""

    async def both() -> int:
        ticks = 0
        waiting = asyncio.create_task(taken_async([StrictLock(root)]))
        while ticks < 20:
            await asyncio.sleep(0.005)
            ticks += 1
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        processes.end(held)
        kept = await taken_async([StrictLock(root)], timeout=processes.TIMEOUT)
        kept.release()
        return ticks

    assert asyncio.run(both()) == 20
    assert records(root) == []


def test_enters_again(root: str) -> None:
    """The same thread takes it again without waiting for itself, and it stays held until the first gives it up."""
    first = taken([StrictLock(root)], reenter=True, timeout=0)
    second = taken([StrictLock(root)], reenter=True, timeout=0)
    second.release()
    assert len(records(root)) == 2
    first.release()
    assert records(root) == []


def test_readers_exclude_each_other(root: str) -> None:
    """Taken for reading it is exclusive all the same."""
    with taken([StrictLock(root, shared=True)], timeout=0), pytest.raises(LockTimeout):
        taken([StrictLock(root, shared=True)], timeout=0)


def test_a_fork_holds_nothing(root: str) -> None:
    """A forked child holds nothing, and its release leaves the parent's records."""
    kept = taken([StrictLock(root)], timeout=0)
    child = os.fork()
    if not child:
        kept.release()
        os._exit(len(records(root)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    kept.release()
    assert records(root) == []


def test_lost(root: str) -> None:
    """A lock that somebody broke is reported when it is released."""
    kept = taken([StrictLock(root)], timeout=0)
    for owner in strict_claims.owners(beside(root)):
        strict_claims.remove(beside(root), owner)
    with pytest.raises(LockLost, match="strict"):
        kept.release()
    taken([StrictLock(root)], timeout=0).release()


def test_joins(root: str) -> None:
    """A command that inherited the marker joins the lock; its release leaves the records, and an old marker is none."""
    kept = taken([StrictLock(root)], timeout=0)
    marker = kept.marker
    assert marker.startswith("-1:strict:")
    nested = StrictLock(root)
    assert nested.join(f"3:1:2,{marker}")
    assert not nested.outlives
    assert nested.marker == marker
    assert nested.is_current()
    nested.release()
    assert len(records(root)) == 2
    assert not StrictLock(root).join("3:1:2")
    assert not StrictLock(root).join("-1:strict:0123456789abcdef0123456789abcdef")
    kept.release()
    assert not StrictLock(root).join(marker)
    with taken([StrictLock(root)], timeout=0):
        assert not StrictLock(root).join(marker)


def test_two_at_once(root: str) -> None:
    """Four processes that enter 25 times each are never inside together."""
    assert overlaps(root) == 0


def test_the_witness_sees(root: str) -> None:
    """The witness of the test above sees two inside at once where the lock does nothing."""
    assert overlaps(root, "broken") > 0


def overlaps(root: str, broken: str = "") -> int:
    """How often two workers were inside at once."""
    workers = [processes.start(WORKER, root, "25", broken) for _ in range(4)]
    with open(root + "/go", "wb"):
        pass
    return sum(int(worker.communicate(timeout=processes.TIMEOUT)[0]) for worker in workers)


PLANTED = ("link", "FIFO", "folder", "text", "link for the folder", "text for the folder", "unknown record")


@pytest.mark.slow
@pytest.mark.parametrize("what", PLANTED)
def test_planted(root: str, tmp_path: Path, what: str) -> None:
    """What is no lock of filelock's is refused in one line that says what to look at, and is left as it was."""
    victim = factories.written(tmp_path / "victim", "precious\n")
    path = beside(root)
    if what == "link":
        os.symlink(victim, path)
    elif what == "FIFO":
        os.mkfifo(path)
    elif what == "folder":
        os.mkdir(path)
    elif what == "text":
        factories.written(tmp_path / "my 環境" / os.path.basename(path), "hello\n")
    elif what == "link for the folder":
        (tmp_path / "elsewhere").mkdir()
        os.symlink(tmp_path / "elsewhere", path + ".filelock")
    elif what == "text for the folder":
        factories.written(tmp_path / "my 環境" / f"{os.path.basename(path)}.filelock", "hello\n")
    else:
        taken([StrictLock(root)], timeout=0).release()
        factories.written(tmp_path / "my 環境" / f"{os.path.basename(path)}.filelock" / "claims" / "odd", "hello\n")
    lock = StrictLock(root)
    with pytest.raises(LockUnavailable) as caught:
        taken([lock], timeout=10)
    assert str(caught.value).startswith(f"{path}: cannot be locked: ")
    assert f"look at {path} and {path}.filelock" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert victim.read_text(encoding="utf-8") == "precious\n"
    assert lock.is_held() in {None, False}


def test_folder_of_another() -> None:
    """In a folder like /tmp, records whose folder somebody else made are refused: its owner could remove them."""
    processes.need_users()
    for place in processes.crossroads():
        made = processes.start(OURS, f"{place}/env", "0", "022", user=processes.BEN)
        assert said(made) == "held"
        processes.end(made)
        refused = ours(f"{place}/env", user=processes.ANNA)
        assert "belongs to uid" in said(refused)
        processes.end(refused)


@pytest.mark.slow
@pytest.mark.parametrize("first", [processes.ANNA, 0])
def test_colleagues(tmp_path: Path, first: int) -> None:
    """Who may write the folder may take the lock, whoever took it first, root too, and whatever their umasks."""
    processes.need_users()
    factories.open_to_all(tmp_path)
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o777)
    if not first:
        os.chown(place, processes.BEN, processes.BEN)
        place.chmod(0o755)
    for user in (first, processes.BEN, first):
        process = ours(str(place / "env"), user=user, umask=0o077)
        assert said(process) == "held"
        other = ours(str(place / "env"), user=processes.BEN, umask=0o077)
        assert f"pid {process.pid} (" in said(other)
        processes.end(other)
        processes.end(process)


def test_no_permission(tmp_path: Path) -> None:
    """Where the folder cannot be written, one line says so and names a lock that needs no folder."""
    processes.need_users()
    factories.open_to_all(tmp_path)
    process = ours(str(tmp_path / "env"), user=processes.ANNA)
    assert "Permission denied; give this user write access to" in said(process)
    processes.end(process)


def test_read_only(root: str) -> None:
    """On a read-only file system one line says so and names a lock that needs no folder."""
    requirements.need_root()
    folder = os.path.dirname(root)
    code = "import sys; from policy.locks.strict import StrictLock\ntry:\n    StrictLock(sys.argv[1]).attempt()\n"
    code += "except OSError as error:\n    print(error)\n"
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, folder, sys.executable, "-c", code, root]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=processes.TIMEOUT)
    requirements.need(not done.returncode, f"needs mounts: {done.stderr}")
    assert 'is on a read-only file system: mount it for writing, or use `lock = "cluster"`' in done.stdout


def test_no_folder(tmp_path: Path) -> None:
    """A folder that does not exist is named."""
    with pytest.raises(LockUnavailable, match=f"create {tmp_path}/no first"):
        StrictLock(str(tmp_path / "no" / "env")).attempt()


def test_no_path() -> None:
    """A path that no file can have is refused as any other."""
    with pytest.raises(LockUnavailable, match="null"):
        StrictLock("/tmp/a\0b").attempt()


def test_old_filelock(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of filelock whose strict locks are not safe is refused, with the command that helps."""
    monkeypatch.setattr(filelock, "__version__", "4.2.0")
    with pytest.raises(LockUnavailable, match=r"filelock 4\.2\.0 is installed.*; pip install --upgrade"):
        taken([StrictLock(root)], timeout=0)
    assert StrictLock(root).is_held() is None


def test_cannot_release(root: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that cannot be removed are told of, with the command that removes them, and nothing is raised."""
    kept = taken([StrictLock(root)], timeout=0)

    def fail(lock: filelock.StrictSoftFileLock) -> None:
        raise OSError(5, f"{lock.lock_file}: Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(filelock.StrictSoftFileLock, "release", fail)
        kept.release()
    told = capsys.readouterr().err
    assert "cannot be released" in told
    assert "policy locks --break" in told
