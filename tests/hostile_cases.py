"""Hostile files, no lock possible, two names: cases of docs/reliability.md, each of which answers what was seen."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests import processes, real_uv
from tests.outcomes import Case, Effort, NotHere, Outcome, is_free, meet
from tests.subjects import FILELOCK, FLOCK, POLICY, TIMEOUT, UV, Place, Stage, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ANNA, BEN, CLEO, DAVE = processes.ANNA, processes.BEN, processes.CLEO, processes.DAVE

# Hostile files


def _hostile(subject: Subject, stage: Stage, put: Callable[[Path, Path], None]) -> tuple[Outcome, bool, str]:
    """Lets a user lock where another one has put something; answers what came of it, of the victim's lock and file."""
    place = stage.system()
    victim = stage.directory / "victim"
    victim.write_text("precious", encoding="ascii")
    victim.chmod(0o600)
    os.utime(victim, (10**9, 10**9))
    needs_users()
    if sys.platform == "win32":
        raise NotImplementedError
    os.chown(victim, ANNA, ANNA)
    followed: list[bool] = []
    for file in subject.files(place, stage.environ()):
        stage.remove_later(file)  # the gate lies in /tmp
        put(Path(file), victim)
    before = _state(victim)
    outcome = meet(stage, subject, place, user=ANNA, beside=lambda: followed.append(not is_free(str(victim))))
    changed = "**changed**" if _state(victim) != before else "unchanged"
    return outcome, any(followed), changed


def _link(path: Path, target: Path) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    path.symlink_to(target)
    os.chown(path, BEN, BEN, follow_symlinks=False)


def needs_users() -> None:
    """Raises unless the test can become other users."""
    if sys.platform == "win32" or os.geteuid() != 0:
        raise NotHere


def _state(path: Path) -> tuple[bytes, int, int]:
    seen = path.stat()
    return path.read_bytes(), stat.S_IMODE(seen.st_mode), seen.st_mtime_ns


def symlink(subject: Subject, stage: Stage, effort: Effort) -> str:
    """A symlink to a victim's file stands in place of the lock file."""
    del effort
    outcome, followed, victim = _hostile(subject, stage, _link)
    return f"{'**followed**' if followed else 'not followed'}, victim {victim}; {outcome}"


def dangling(subject: Subject, stage: Stage, effort: Effort) -> str:
    """A symlink leads to a file that does not exist, in a folder where the victim may write."""
    del effort
    target = stage.directory / "victims"
    target.mkdir()
    target.chmod(0o777)
    outcome, _, _ = _hostile(subject, stage, lambda path, _: _link(path, target / "new"))
    return f"{'**file made there**' if (target / 'new').exists() else 'no file made'}; {outcome}"


def hard_link(subject: Subject, stage: Stage, effort: Effort) -> str:
    """A hard link to a victim's file stands in place of the lock file."""
    del effort
    outcome, taken, victim = _hostile(subject, stage, lambda path, victim: path.hardlink_to(victim))
    return f"{'**locked**' if taken else 'not locked'}, victim {victim}; {outcome}"


def fifo(subject: Subject, stage: Stage, effort: Effort) -> str:
    """A FIFO stands in place of the lock file."""
    del effort

    def put(path: Path, _: Path) -> None:
        if sys.platform == "win32":
            raise NotImplementedError
        os.mkfifo(path)
        path.chmod(0o666)
        os.chown(path, BEN, BEN)

    return str(_hostile(subject, stage, put)[0])


def anothers(subject: Subject, stage: Stage, effort: Effort) -> str:
    """The lock file is another user's, for that one alone."""
    del effort

    def put(path: Path, _: Path) -> None:
        if sys.platform == "win32":
            raise NotImplementedError
        path.touch()
        path.chmod(0o600)
        os.chown(path, BEN, BEN)

    return str(_hostile(subject, stage, put)[0])


_RACE = """
import multiprocessing, os, subprocess, sys
{take}
def once(path):
    {once}

def race(user, umask, barrier, results):
    os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user); os.umask(umask)
    refused = 0
    for number in range(int(sys.argv[2])):
        barrier.wait()
        try:
            once(f"{{sys.argv[1]}}/race-{{number}}.lock")
        except (OSError, subprocess.CalledProcessError):
            refused += 1
    results.put(refused)

context = multiprocessing.get_context("fork")
barrier, results = context.Barrier(4), context.SimpleQueue()
racers = [context.Process(target=race, args=(int(user), umask, barrier, results))
          for user, umask in zip(sys.argv[3:], (0o022, 0o002, 0o077, 0o000))]
for racer in racers:
    racer.start()
print(sum(results.get() for _ in racers))
"""
_TAKE_FILES = {
    FILELOCK: (FILELOCK.take, "with take(path): pass"),
    POLICY: ("from policy.locks import wait; from tests import acquiring", "acquiring.hold([path]).release()"),
    FLOCK: ("", "subprocess.run(['flock', path, 'true'], check=True, stderr=subprocess.DEVNULL)"),
}


def first_creation(subject: Subject, stage: Stage, effort: Effort) -> str:
    """How often one of four users with four umasks is refused when all make a lock file at the same time."""
    needs_users()
    users = (ANNA, BEN, CLEO, DAVE)
    if subject is UV:
        return _race_of_uv(stage, users, max(1, effort.races // 20))
    take, once = _TAKE_FILES[subject]
    code = _RACE.format(take=take, once=once)
    words = [real_uv.public_python(), "-c", code, str(stage.shared), str(effort.races), *map(str, users)]
    refused = subprocess.run(words, env=stage.environ(), check=True, capture_output=True, text=True, timeout=600).stdout
    return f"{int(refused):,} of {effort.races * len(users):,} refused"


def _race_of_uv(stage: Stage, users: Sequence[int], races: int) -> str:
    """Where it is refused uv goes on, and says so with -v only."""
    place = stage.system()
    (file,) = UV.files(place, stage.environ())
    commands = [[*stage.command(UV, place), "-v"] for _ in users]
    refused = 0
    for _ in range(races):
        Path(file).unlink(missing_ok=True)
        running = [
            subprocess.Popen(
                command,
                env=stage.variables("race", 0),
                user=user,
                group=user,
                extra_groups=[],
                umask=umask,
                stderr=subprocess.PIPE,
                text=True,
            )
            for command, user, umask in zip(commands, users, (0o022, 0o002, 0o077, 0o000), strict=True)
        ]
        refused += sum("Failed to acquire" in one.communicate()[1] for one in running)
    return f"{refused} of {races * len(users)} refused"


# Where no lock is possible


def read_only(subject: Subject, stage: Stage, effort: Effort) -> str:
    """The environment is a read-only mount."""
    del effort
    place = stage.virtualenv()
    here = stage.directory / "mounted"
    if (
        not stage.mount(here, "--bind", place.root)
        or subprocess.run(["mount", "-o", "remount,ro,bind", here], check=False).returncode
    ):
        raise NotHere
    return str(meet(stage, subject, Place(f"{here}/bin/python", f"{here}/.lock", str(here))))


def no_inodes(subject: Subject, stage: Stage, effort: Effort) -> str:
    """The environment is on a tmpfs that has neither blocks nor inodes left."""
    del effort
    small = stage.directory / "small"
    if not stage.mount(small, "-t", "tmpfs", "-o", "size=1m,nr_inodes=200,mode=1777", "tmpfs"):
        raise NotHere
    place = stage.virtualenv(small / "env")
    try:
        with (small / "full").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
    except OSError:
        pass
    try:
        for number in range(200):
            (small / str(number)).touch()
    except OSError:
        pass
    return str(meet(stage, subject, place))


def no_flock(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Every flock fails with ENOSYS, as on a file system without it."""
    del effort
    if not shutil.which("strace"):
        raise NotHere
    place = stage.virtualenv()
    failing = ["-P", place.file, "-e", "trace=flock", "-e", "inject=flock:error=ENOSYS"]
    injected = ["strace", "-f", "-qq", "-o", "/dev/null", *failing]
    plain: list[bool] = []
    outcome = meet(stage, subject, place, wrapper=injected, beside=lambda: plain.append(is_free(place.file)))
    if outcome.second != "inside" and any(plain):
        return f"excludes its own kind, **not uv**, {'says so' if outcome.said else 'silent'}"
    return str(outcome)


LIMITS = (4, 5, 6, 8, 10, 12, 16, 20, 24, 32)


def descriptors(subject: Subject, stage: Stage, effort: Effort) -> str:
    """How often the program runs with the lock, without it, or not, under several limits of descriptors."""
    del effort
    if not shutil.which("prlimit"):
        raise NotHere
    place = stage.virtualenv()
    seen = {"locked": 0, "**unlocked**": 0, "refused": 0}
    for limit in LIMITS:
        running = stage.start(subject, place, wrapper=["prlimit", f"--nofile={limit}:{limit}"])
        if running.enters(TIMEOUT):
            seen["**unlocked**" if is_free(place.file) else "locked"] += 1
        else:
            seen["refused"] += 1
        running.go()
        running.kill()
    return ", ".join(f"{number} {what}" for what, number in seen.items() if number)


# Who calls the same environment by another name


def temporary_directories(subject: Subject, stage: Stage, effort: Effort) -> str:
    """Two shells with different `TMPDIR` and one system interpreter."""
    del effort
    other = stage.directory / "other-tmp"
    other.mkdir()
    place = stage.system()
    stage.with_default_directory(place)
    return str(meet(stage, subject, place, environ={"TMPDIR": str(other)}))


def spellings(subject: Subject, stage: Stage, effort: Effort) -> str:
    """One says `python3`, the other `python3.N`, of the same system interpreter."""
    del effort
    place = stage.system()
    other = Place(os.path.realpath(place.interpreter), place.file, place.root)
    return str(meet(stage, subject, place, other=other))


def real_uv_beside(subject: Subject, stage: Stage, effort: Effort) -> str:
    """A real uv comes, spelled `python3.N`, while the lock of the system interpreter `python3` is held."""
    del effort
    place = stage.system()
    other = Place(os.path.realpath(place.interpreter), place.file, place.root)
    outcome = meet(stage, subject, place, other=other, rival=UV)
    return "uv kept out" if outcome.second == "waited" else "**uv inside**"


HOSTILE_FILES: dict[str, Case] = {
    "a symlink to a victim's file": symlink,
    "a symlink to a file that does not exist": dangling,
    "a hard link to a victim's file": hard_link,
    "a FIFO": fifo,
    "another user's file of mode 0600": anothers,
    "nothing yet, and four users make it at the same time": first_creation,
}

NO_LOCK: dict[str, Case] = {
    "a read-only environment": read_only,
    "no space and no inodes": no_inodes,
    "no flock: it fails with ENOSYS": no_flock,
    f"few descriptors: limits from {LIMITS[0]} to {LIMITS[-1]}": descriptors,
}

TWO_NAMES: dict[str, Case] = {
    "`TMPDIR` differs between two shells": temporary_directories,
    "`python3` and `python3.N`": spellings,
    "a real uv comes, and spells it otherwise": real_uv_beside,
}
