"""Folders for locks: real ones, and mounts where root may make some."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from policy.commands.health import folders
from policy.commands.health.finding import NOTE, Surroundings
from policy.environment.mounts import Mount
from policy.locks import proc
from tests import factories, processes, requirements
from tests.own_tmp import own_tmp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from policy.commands.health.finding import Finding

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A directory for global locks as it should be."""
    folder = tmp_path / "gate"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs with hardly a page left."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=20,mode=1777", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    requirements.need(mounted.returncode == 0, "mounting is forbidden")
    try:
        (folder / "much").write_bytes(b"x" * 60 * 1024)
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def here(folder: Path | str, *, root: str = "", kind: str = "virtualenv", **environ: str) -> Surroundings:
    """What is looked at."""
    environment = factories.environment(root, kind) if root else None
    return Surroundings(environ, "/", str(folder), environment)


def codes(found: Iterable[Finding]) -> list[str]:
    """The codes of what was found; each remedy is one line."""
    found = list(found)
    assert all(finding.remedy and "\n" not in finding.remedy for finding in found)
    return [finding.code for finding in found]


def test_healthy(gate: Path) -> None:
    """A sticky directory that is open to all has nothing wrong."""
    for check in (folders.gate, folders.space, folders.mounts, folders.lock_files, folders.clock):
        assert codes(check(here(gate, root=str(gate.parent)))) == []
    assert os.listdir(gate) == []


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o1755, 0o1770])
def test_mode(gate: Path, mode: int) -> None:
    """A directory that is not sticky, or not open, and the command that makes it so."""
    gate.chmod(mode)
    (finding,) = folders.gate(here(gate))
    assert (finding.code, finding.message) == ("gate-mode", f"{gate}: has mode {mode:04o}, not 1777")
    subprocess.run(["/bin/sh", "-c", finding.remedy], check=True)
    assert codes(folders.gate(here(gate))) == []


def test_missing(gate: Path) -> None:
    """A directory that is not there, and the command that makes it."""
    gate.rmdir()
    (finding,) = folders.gate(here(gate))
    assert finding.code == "gate-missing"
    assert codes(folders.space(here(gate))) == []
    subprocess.run(["/bin/sh", "-c", finding.remedy], check=True)
    assert codes(folders.gate(here(gate))) == []


def test_private(gate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A /tmp that systemd gave to one service, as its mount says."""
    root = "/tmp/systemd-private-0123-cron.service-x/tmp"
    mount = Mount("ext4", "/dev/sda1", str(gate), ("rw",), "7", root)
    monkeypatch.setattr(folders, "mount_of", lambda _: mount)
    assert codes(folders.gate(here(gate))) == ["private-tmp"]


@pytest.mark.parametrize(
    ("level", "mode", "expected"),
    [
        ("0", 0o1777, []),
        ("1", 0o1777, ["protected-regular"]),
        ("1", 0o1770, []),
        ("2", 0o1770, ["protected-regular"]),
        ("2", 0o755, []),
        ("", 0o1777, []),
    ],
)
def test_protected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, mode: int, expected: list[str]) -> None:
    """Where the kernel refuses O_CREAT on another user's file that is noted, and where it does not it is not."""
    setting = factories.written(tmp_path / "protected_regular", level)
    monkeypatch.setattr(folders, "_PROTECTED", str(setting))
    found = list(folders.protected("/tmp", mode))
    assert codes(found) == expected
    assert {finding.severity for finding in found} <= {NOTE}


def test_stale(gate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lock files of a month ago that nobody holds are counted, and the command removes them; one that is held stays."""
    looks: list[int] = []
    flocks = proc.flocks

    def looked() -> Mapping[proc.Identity, tuple[int, ...]]:
        looks.append(1)
        return flocks()

    monkeypatch.setattr(proc, "flocks", looked)
    month = time.time() - 40 * 24 * 60 * 60
    for number in range(3):
        (gate / f"lock-policy-{number:016x}.lock").touch()
    assert codes(folders.stale(here(gate))) == []
    for file in gate.iterdir():
        os.utime(file, (month, month))
    holder = processes.holder(str(gate / f"lock-policy-{0:016x}.lock"))
    os.utime(gate / f"lock-policy-{0:016x}.lock", (month, month))
    try:
        looks.clear()
        (finding,) = folders.stale(here(gate))
        assert len(looks) == 1  # it stops every lock of the host, so not once for each file
        assert (finding.code, finding.severity) == ("stale-lock-files", NOTE)
        assert finding.message.startswith(
            f"{gate}: nobody has taken 2 lock files of this user for a month, such as {gate}/lock-policy-"
        )
        environ = {**factories.alone(gate.parent), "LOCK_POLICY_GLOBAL_DIR": str(gate)}
        words = [*own_tmp(gate.parent), *factories.PROGRAM, *finding.remedy.split()[1:]]
        subprocess.run(words, env=environ, cwd=factories.CHECKOUT, check=True, capture_output=True)
    finally:
        processes.end(holder)
    assert os.listdir(gate) == [f"lock-policy-{0:016x}.lock"]


def test_lock_files(gate: Path) -> None:
    """What stands where lock files of ours stand: plain files are fine, links, folders and second names are not."""
    (gate / "lock-policy-0.lock").touch()
    (gate / "other").symlink_to("lock-policy-0.lock")
    assert codes(folders.lock_files(here(gate))) == []
    (gate / "lock-policy-1.lock").symlink_to("lock-policy-0.lock")
    (gate / "lock-policy-2.lock").mkdir()
    os.link(gate / "lock-policy-0.lock", gate / "elsewhere")
    found = list(folders.lock_files(here(gate)))
    assert codes(found) == ["lock-file-strange"] * 3
    for finding in found:
        subprocess.run(["/bin/sh", "-c", finding.remedy], check=True)
    assert codes(folders.lock_files(here(gate))) == []


def test_strict(gate: Path, tmp_path: Path) -> None:
    """A strict lock that a killed process left is found, and the command removes it; one that is held is none."""
    root = factories.virtualenv(tmp_path / "env")
    assert codes(folders.strict(here(gate, root=str(root)))) == []
    code = (
        "from policy.locks.strict import StrictLock\nlock = StrictLock(sys.argv[1])\nassert lock.attempt()\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    holder = processes.start(code, str(root))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert codes(folders.strict(here(gate, root=str(root)))) == []
    holder.kill()
    holder.communicate()
    (finding,) = folders.strict(here(gate, root=str(root)))
    assert finding.code == "stale-strict-lock"
    assert finding.remedy == f"policy locks --break {root}"
    words = [*factories.PROGRAM, *finding.remedy.split()[1:], "--yes"]
    subprocess.run(words, env=factories.alone(tmp_path), cwd=factories.CHECKOUT, check=True, capture_output=True)
    assert codes(folders.strict(here(gate, root=str(root)))) == []


def test_unreadable_lock_file(gate: Path, tmp_path: Path) -> None:
    """A lock file that this user may not open."""
    factories.open_to_all(tmp_path)
    file = gate / "lock-policy-0.lock"
    file.touch(0o600)
    code = (
        "from policy.commands.health import folders\nfrom policy.commands.health.finding import Surroundings\n"
        "for one in folders.lock_files(Surroundings({}, '/', sys.argv[1], None)): print(one.code, one.message)"
    )
    if os.geteuid() != 0:
        file.chmod(0)
    seen = factories.as_nobody(code, gate, environ=factories.alone(tmp_path), cwd=tmp_path)
    assert seen.stdout == f"lock-file-unreadable {file}: cannot be opened: Permission denied\n", seen.stderr


def test_full(full: Path) -> None:
    """Where hardly a page is left that is said, and nothing is written there."""
    (finding,) = folders.space(here(full))
    assert finding.code == "nearly-full"
    subprocess.run(["/bin/sh", "-c", finding.remedy], check=True, capture_output=True)
    for number in range(18):
        try:
            (full / str(number)).touch()
        except OSError:
            break
    assert codes(folders.space(here(full))) in (["cannot-create"], ["nearly-full"])


def test_read_only(gate: Path, tmp_path: Path) -> None:
    """A directory of global locks in which nothing can be created; an environment like that has a rule."""
    requirements.need(
        subprocess.run(["mount", "--bind", gate, gate], check=False, capture_output=True).returncode == 0,
        "mounting is forbidden",
    )
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", gate], check=True)
        assert codes(folders.space(here(gate))) == ["cannot-create"]
        assert codes(folders.space(here(tmp_path, root=str(gate)))) == []
    finally:
        subprocess.run(["umount", gate], check=True)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("ext4", (), []),
        ("overlay", (), []),
        ("tmpfs", (), []),
        ("nfs4", ("vers=4.2",), []),
        ("nfs4", ("vers=4.2", "local_lock=all"), ["locks-stay-here"]),
        ("nfs", ("vers=3", "nolock"), ["locks-stay-here"]),
        ("nfs", ("vers=3",), ["nfs-without-lockd"]),
        ("9p", (), ["locks-stay-here"]),
        ("virtiofs", (), ["locks-stay-here"]),
        ("fuse.sshfs", (), ["locks-stay-here"]),
    ],
)
def test_mounts(
    gate: Path, kind: str, options: tuple[str, ...], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that is shared with other hosts while locks on it are not, by its type and options."""
    monkeypatch.setattr(folders, "mount_of", lambda path: Mount(kind, "host:/x", path, options))
    monkeypatch.setattr(folders, "_runs", lambda _: False)
    assert codes(folders.mounts(here(gate))) == expected


def test_lockd_runs() -> None:
    """A process is found by its name."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        while not folders._runs("sleep"):  # it has its name a moment after it was started
            assert process.poll() is None
        assert not folders._runs("no-such-process")
    finally:
        process.kill()
        process.wait()


def test_temporary_directory(tmp_path: Path) -> None:
    """TMPDIR matters for a system interpreter, where it is another directory than /tmp."""
    check = folders.temporary_directory
    assert codes(check(here("/tmp", root="/usr", kind="system", TMPDIR=str(tmp_path)))) == ["tmpdir-differs"]
    assert codes(check(here("/tmp", root="/usr", kind="system", TMPDIR="/tmp/"))) == []
    assert codes(check(here("/tmp", root="/usr", kind="system"))) == []
    assert codes(check(here("/tmp", root="/srv/env", TMPDIR=str(tmp_path)))) == []


def test_clock(gate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose clock is not that of its file system."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 60)
    (finding,) = folders.clock(here(gate))
    assert finding.message == f"{gate}: its clock differs from this host's by +60 s"
    monkeypatch.setattr(time, "time", lambda: real() + 60)
    assert codes(folders.clock(here(gate))) == ["clock-differs"]
