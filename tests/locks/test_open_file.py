from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from policy import errors
from policy.locks import open_file as opening
from tests import processes, requirements
from tests.processes import ANNA, BEN, CLEO, DAVE, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX owners, modes and links", allow_module_level=True)


@pytest.fixture
def crossroads() -> Iterator[str]:
    """A sticky directory for everybody."""
    yield from processes.crossroads()


def opened(path: str, **options: Any) -> opening.OpenFile:
    """Opens and closes a lock file."""
    file = opening.OpenFile(path)
    opening.open_file(file, **options)
    opening.close(file)
    return file


def state(path: str) -> tuple[bytes, int, int]:
    """What must stay as it is of a victim's file."""
    seen = os.stat(path)
    with open(path, "rb") as file:
        return file.read(), stat.S_IMODE(seen.st_mode), seen.st_mtime_ns


@pytest.mark.parametrize("how", ["unnamed", "named"])
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_made_for_everybody(crossroads: str, umask: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new lock file has mode 0666 and one link whatever the umask, and nothing else is left in its directory."""
    if how == "named":
        monkeypatch.setattr(opening, "_TMPFILE", 0)
    path = f"{crossroads}/lock-policy-1.lock"
    before = os.umask(umask)
    try:
        opened(path)
    finally:
        os.umask(before)
    seen = os.stat(path)
    assert (stat.S_IMODE(seen.st_mode), seen.st_nlink, seen.st_size) == (0o666, 1, 0)
    assert os.listdir(crossroads) == ["lock-policy-1.lock"]


def test_made_without_hard_links(crossroads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system has neither unnamed files nor hard links, the file is made in place."""

    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(opening, "_TMPFILE", 0)
    opened(f"{crossroads}/lock-policy-1.lock")
    assert os.listdir(crossroads) == ["lock-policy-1.lock"]


@pytest.mark.parametrize("mode", [0o666, 0o777])
def test_files_of_uv(crossroads: str, mode: int) -> None:
    """Another user's lock file is taken where its mode says that it is for everybody, as those of uv do."""
    processes.need_users()
    path = f"{crossroads}/uv-1.lock"
    made(path, mode)
    os.chown(path, BEN, BEN)
    assert probe(path, user=ANNA)["outcome"] == "held"
    assert stat.S_IMODE(os.stat(path).st_mode) == mode


def made(path: str, mode: int = 0o644) -> None:
    """Makes a file with something in it."""
    with open(path, "x", encoding="ascii") as file:
        file.write("precious" if mode != 0o666 else "")
    os.chmod(path, mode)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["unnamed", "named"])
def test_first_creation_races(crossroads: str, how: str) -> None:
    """Four users with four umasks who make 500 lock files at the same time always get each of them."""
    processes.need_users()
    racers = """
import multiprocessing, os, sys
from policy.locks import open_file as opening
from tests import acquiring as locks
if sys.argv[2] == "named":
    opening._TMPFILE = 0

def race(user, umask, barrier, results):
    os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user); os.umask(umask)
    done = 0
    for number in range(500):
        barrier.wait()
        try:
            locks.hold([f"{sys.argv[1]}/lock-policy-{number}.lock"]).release()
            done += 1
        except OSError as error:
            print(user, error, file=sys.stderr)
    results.put(done)

context = multiprocessing.get_context("fork")
barrier, results = context.Barrier(4), context.SimpleQueue()
users = [(int(user), umask) for user, umask in zip(sys.argv[3:], (0o022, 0o002, 0o077, 0o000))]
racers = [context.Process(target=race, args=(*user, barrier, results)) for user in users]
for racer in racers:
    racer.start()
print([results.get() for _ in racers])
for racer in racers:
    racer.join()
"""
    result = subprocess.run(
        processes.command(racers, crossroads, how, *map(str, (ANNA, BEN, CLEO, DAVE))),
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * processes.TIMEOUT,
        env=processes.environment(),
    )
    assert (result.stdout, result.stderr) == ("[500, 500, 500, 500]\n", "")
    assert len(os.listdir(crossroads)) == 500


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 1, 2])
def test_protected_regular(crossroads: str, level: int) -> None:
    """Another user's lock file in a sticky directory is taken whatever fs.protected_regular forbids."""
    processes.need_users()
    switch = "/proc/sys/fs/protected_regular"
    requirements.need(os.access(switch, os.W_OK), "needs a kernel whose fs.protected_regular can be set")
    path = f"{crossroads}/lock-policy-1.lock"
    with open(switch, encoding="ascii") as file:
        before = file.read()
    try:
        with open(switch, "w", encoding="ascii") as file:
            file.write(str(level))
        outcomes = [probe(path, user=user)["outcome"] for user in (ANNA, BEN, None)]
    finally:
        with open(switch, "w", encoding="ascii") as file:
            file.write(before)
    assert outcomes == ["held"] * 3


def to_victim(path: str, victim: str) -> None:
    os.symlink(victim, path)


def dangling(path: str, victim: str) -> None:
    os.symlink(f"{victim}-missing", path)


def loop(path: str, _: str) -> None:
    os.symlink(path, path)


def to_device(path: str, _: str) -> None:
    os.symlink(os.devnull, path)


def hard_link(path: str, victim: str) -> None:
    os.link(victim, path)


def fifo(path: str, _: str) -> None:
    os.mkfifo(path, 0o666)
    os.chmod(path, 0o666)  # noqa: S103  (for everybody, as what is tested)


def bound(path: str, _: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    os.chmod(path, 0o666)  # noqa: S103  (for everybody, as what is tested)


def device(path: str, _: str) -> None:
    requirements.need_root()
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.chmod(path, 0o666)  # noqa: S103  (for everybody, as what is tested)


def block_device(path: str, _: str) -> None:
    requirements.need_root()
    os.mknod(path, stat.S_IFBLK | 0o666, os.makedev(7, 250))
    os.chmod(path, 0o666)  # noqa: S103  (for everybody, as what is tested)


def directory(path: str, _: str) -> None:
    os.mkdir(path, 0o777)


def owned(mode: int) -> Callable[[str, str], None]:
    def place(path: str, _: str) -> None:
        processes.need_users()
        made(path, mode)
        os.chown(path, BEN, BEN)

    return place


HOSTILE = {
    "symlink": (to_victim, "a symbolic link"),
    "dangling": (dangling, "a symbolic link"),
    "loop": (loop, "a symbolic link"),
    "link-to-device": (to_device, "a symbolic link"),
    "hard-link": (hard_link, "a hard link"),
    "fifo": (fifo, "a FIFO"),
    "socket": (bound, "a socket"),
    "device": (device, "a character device"),
    "block-device": (block_device, "a block device"),
    "directory": (directory, "a directory"),
    "0600": (owned(0o600), "mode 0600"),
    "0644": (owned(0o644), "mode 0644"),
    "0444": (owned(0o444), "mode 0444"),
}


@pytest.mark.slow
@pytest.mark.parametrize("user", [None, ANNA], ids=["ourselves", "anna"])
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files(crossroads: str, case: str, user: int | None) -> None:
    """What somebody put in place of the lock file is refused by name, and no victim behind it is touched."""
    if user is not None:
        processes.need_users()
    place, name = HOSTILE[case]
    path, victim = f"{crossroads}/lock-policy-1.lock", f"{crossroads}/victim"
    made(victim, 0o664)
    place(path, victim)
    before = state(victim), os.lstat(path)
    answer = probe(path, user=user)
    assert answer["outcome"] == "LockUnavailable"
    assert name in answer["text"]
    assert answer["left"] == []
    after = os.lstat(path)
    assert (state(victim), after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (
        before[0],
        before[1].st_mode,
        before[1].st_mtime_ns,
        before[1].st_ctime_ns,
    )


def test_own_and_roots_files(crossroads: str) -> None:
    """Root's file serves everybody who can read it, and one's own serves oneself, whatever their modes."""
    processes.need_users()
    for mode, owner in ((0o644, 0), (0o444, 0), (0o444, ANNA), (0o600, ANNA)):
        path = f"{crossroads}/lock-policy-{owner}-{mode:o}.lock"
        made(path, mode)
        os.chown(path, owner, owner)
        assert probe(path, user=ANNA)["outcome"] == "held"


def test_no_permission(crossroads: str) -> None:
    """A file that root keeps to itself is refused with the errno and what to do."""
    processes.need_users()
    path = f"{crossroads}/lock-policy-1.lock"
    made(path, 0o600)
    answer = probe(path, user=ANNA)
    assert (answer["outcome"], answer["errno"]) == ("LockUnavailable", errno.EACCES)
    assert "give this user write access" in answer["text"]


def test_second_name_of_a_maker(crossroads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that its maker has linked, and is about to rid of its temporary name, is no hostile hard link."""
    path = f"{crossroads}/lock-policy-1.lock"
    made(path, 0o666)
    os.link(path, f"{crossroads}/.temporary")
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            os.unlink(f"{crossroads}/.temporary")

    monkeypatch.setattr(time, "sleep", sleep)
    opened(path)
    assert len(waits) == 3


def test_hard_link_for_each_look(crossroads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A victim's file that is linked for each look at the path, with one name when they are counted, is not taken."""
    path, victim = f"{crossroads}/lock-policy-1.lock", f"{crossroads}/victim"
    made(victim, 0o666)
    made(path, 0o666)
    lstat, open_ = os.lstat, os.open
    swaps = 0

    def swapped(look: int) -> int:
        """What the path leads to while the victim's second name stands there."""
        nonlocal swaps
        swaps += 1
        time.sleep(0.02)  # more than the ctime's step on kernels before 6.13
        os.unlink(path)
        os.link(victim, path)
        descriptor = open_(path, look)
        os.unlink(path)
        made(path, 0o666)
        return descriptor

    def look(name: str) -> os.stat_result:
        if name != path:
            return lstat(name)
        descriptor = swapped(os.O_RDONLY)
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def enter(name: str, flags: int, *more: Any, **options: Any) -> int:
        return swapped(flags) if name == path else open_(name, flags, *more, **options)

    monkeypatch.setattr(opening, "_ATTEMPTS", 3)
    with monkeypatch.context() as patched:
        patched.setattr(os, "lstat", look)
        patched.setattr(os, "open", enter)
        with pytest.raises(errors.LockUnavailable, match="replaced each time"):
            opening.open_file(opening.OpenFile(path))
    assert swaps == 9
    opened(path)


def test_swapped_while_opened(crossroads: str) -> None:
    """Whatever is swapped in while it is opened: only a regular file with one name is taken, and no victim changes."""
    path, victim = f"{crossroads}/lock-policy-1.lock", f"{crossroads}/victim"
    made(victim, 0o666)
    swapper = processes.start(
        """
import os, sys
path, victim = sys.argv[1:]
temporary = path + ".swap"
print("go", flush=True)
makers = [
    lambda: os.symlink(victim, temporary), lambda: os.mkfifo(temporary, 0o666), lambda: os.link(victim, temporary),
    lambda: os.close(os.open(temporary, os.O_CREAT | os.O_RDWR, 0o666)),
]
while True:
    for make in makers:
        make()
        if not os.path.islink(temporary):
            os.chmod(temporary, 0o666)
        os.rename(temporary, path)
        if os.path.lexists(temporary):  # two names of one file: rename(2) does nothing
            os.unlink(temporary)
""",
        path,
        victim,
    )
    assert swapper.stdout is not None
    swapper.stdout.readline()
    before = state(victim)
    taken = refused = 0
    try:
        for _ in range(2000):
            try:
                file = opening.OpenFile(path)
                opening.open_file(file)
            except errors.LockUnavailable:
                refused += 1
                continue
            seen = os.fstat(file.descriptor)
            assert stat.S_ISREG(seen.st_mode)
            assert (seen.st_dev, seen.st_ino) != (os.stat(victim).st_dev, os.stat(victim).st_ino)
            opening.close(file)
            taken += 1
    finally:
        swapper.kill()
        swapper.communicate()
    assert refused
    assert taken + refused == 2000
    assert state(victim) == before


def test_directory_that_is_a_link(crossroads: str) -> None:
    """A lock directory that somebody made a symbolic link is refused, and the remedy names where it leads."""
    os.mkdir(f"{crossroads}/real", 0o700)
    os.symlink("real", f"{crossroads}/link")
    with pytest.raises(errors.LockUnavailable, match=r"is a symbolic link; name the directory itself, perhaps .*/real"):
        opened(f"{crossroads}/link/lock-policy-1.lock")
    assert os.listdir(f"{crossroads}/real") == []


def test_directory_link_of_the_system() -> None:
    """A link that only root can have made, such as /tmp on macOS or /var/lock on Debian, is followed."""
    requirements.need_root()
    link = f"/lock-policy-test-{os.getpid()}"
    os.symlink("/tmp", link)
    try:
        opened(f"{link}/lock-policy-test-{os.getpid()}.lock")
        os.unlink(f"{link}/lock-policy-test-{os.getpid()}.lock")
    finally:
        os.unlink(link)


def test_directory_without_sticky_bit(crossroads: str) -> None:
    """A lock directory in which anyone could replace the file is refused."""
    os.chmod(crossroads, 0o777)  # noqa: S103  (for everybody, as what is tested)
    with pytest.raises(errors.LockUnavailable, match=r"writable by all.*chmod \+t"):
        opened(f"{crossroads}/lock-policy-1.lock")
    assert os.listdir(crossroads) == []


@pytest.mark.parametrize("user", [None, ANNA], ids=["root", "anna"])
def test_directory_of_another(crossroads: str, user: int | None) -> None:
    """A lock directory of another user, who could replace the file, is refused, by root too."""
    processes.need_users()
    os.chown(crossroads, BEN, BEN)
    answer = probe(f"{crossroads}/lock-policy-1.lock", user=user)
    assert answer["outcome"] == "LockUnavailable"
    assert "belongs to user 65012" in answer["text"]
    assert os.listdir(crossroads) == []


def test_directories_are_not_made(tmp_path: Path) -> None:
    """A lock directory that does not exist is not made: its owner and mode are for the administrator to choose."""
    with pytest.raises(errors.LockUnavailable, match="does not exist; create the directory") as caught:
        opened(f"{tmp_path}/missing/lock-policy-1.lock")
    assert caught.value.errno == errno.ENOENT
    assert os.listdir(tmp_path) == []


def test_environment_that_is_gone(tmp_path: Path) -> None:
    """Where an environment was deleted, its lock's error says to make it again, not to create a directory."""
    with pytest.raises(errors.LockUnavailable, match="make the environment again") as caught:
        opened(f"{tmp_path}/gone/.lock", near=True)
    assert "create the directory" not in str(caught.value)


def test_own_directory_is_made(tmp_path: Path) -> None:
    """The user's own default directory is made, with those above it, for this user alone."""
    own = f"{tmp_path}/a/b"
    opened(f"{own}/lock-policy-1.lock", make=own)
    assert stat.S_IMODE(os.stat(own).st_mode) == 0o700


def test_environment_of_a_colleague(crossroads: str) -> None:
    """Inside an environment its owner's lock file is good for everybody who can read it; another user's is not."""
    processes.need_users()
    environment = f"{crossroads}/.venv"
    os.mkdir(environment)
    os.chown(environment, BEN, BEN)
    made(f"{environment}/.lock", 0o644)
    os.chown(f"{environment}/.lock", BEN, BEN)
    assert probe(f"{environment}/.lock", near=[f"{environment}/.lock"])["outcome"] == "held"
    assert probe(f"{environment}/.lock", near=[f"{environment}/.lock"], user=ANNA)["outcome"] == "held"
    os.chown(f"{environment}/.lock", CLEO, CLEO)
    assert probe(f"{environment}/.lock", near=[f"{environment}/.lock"])["outcome"] == "LockUnavailable"


def test_environment_of_a_group(crossroads: str) -> None:
    """Inside an environment that a group shares, a member's lock file is good for the others."""
    processes.need_users()
    environment = f"{crossroads}/.venv"
    os.mkdir(environment)
    os.chown(environment, BEN, ANNA)
    os.chmod(environment, 0o2775)  # noqa: S103  (for everybody, as what is tested)
    made(f"{environment}/.lock", 0o644)
    os.chown(f"{environment}/.lock", CLEO, ANNA)
    assert probe(f"{environment}/.lock", near=[f"{environment}/.lock"], user=ANNA)["outcome"] == "held"


def test_spelled_with_a_null(tmp_path: Path) -> None:
    """A path that no system call takes is an unavailable lock, not a ValueError."""
    with pytest.raises(errors.LockUnavailable) as caught:
        opened(f"{tmp_path}/a\0b.lock")
    assert caught.value.errno == errno.EINVAL


def test_read_only_file_system(crossroads: str) -> None:
    """On a read-only file system the lock is unavailable, with EROFS and a remedy, whether the file exists or not."""
    requirements.need_root()
    made(f"{crossroads}/lock-policy-1.lock", 0o666)
    requirements.need(
        subprocess.run(["mount", "--bind", crossroads, crossroads], check=False).returncode == 0, "needs mount"
    )
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", crossroads], check=True)
        for name in ("lock-policy-1.lock", "lock-policy-2.lock"):
            for near in ((), (f"{crossroads}/{name}",)):
                answer = probe(f"{crossroads}/{name}", near=near)
                assert (answer["outcome"], answer["errno"], answer["left"]) == ("LockUnavailable", errno.EROFS, [])
                assert ("choose a global lock" in answer["text"]) == bool(near)
    finally:
        subprocess.run(["umount", crossroads], check=True)


def test_timestamps_are_refreshed(crossroads: str) -> None:
    """A lock file that is taken is young again, for cleaners of /tmp; one that was taken lately is left as it is."""
    path = f"{crossroads}/lock-policy-1.lock"
    made(path, 0o666)
    for age, young in ((11 * 86400, True), (5, False)):
        then = time.time() - age
        os.utime(path, (then, then))
        file = opening.OpenFile(path)
        opening.open_file(file)
        opening.refresh(file)
        opening.close(file)
        assert (os.stat(path).st_mtime > then + 1) is young
