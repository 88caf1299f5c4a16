"""What removes held lock files: scripts, and a real systemd-tmpfiles where the machine has one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from policy.commands.health import cleaners
from policy.commands.health.finding import Surroundings
from tests import factories, processes, requirements

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)

TEN_DAYS = "q /tmp 1777 root root 10d\n"  # what Fedora, RHEL and Arch ship


def here(tmp_path: Path, folder: str = "/tmp") -> Surroundings:
    """What is looked at, with the programs of a test before those of the machine."""
    return Surroundings({"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}, "/", folder, None)


def tmpfiles(tmp_path: Path, release: str, configuration: str) -> None:
    """A systemd-tmpfiles of some release, on a host that systemd has booted."""
    (tmp_path / "configuration").write_text(configuration, encoding="utf-8")
    script = (
        f"#!/bin/sh\ncase $1 in --version) echo 'systemd {release} (x)' ;; *) cat {tmp_path}/configuration ;; esac\n"
    )
    factories.written(tmp_path / "bin" / "systemd-tmpfiles", script).chmod(0o755)


@pytest.fixture(autouse=True)
def booted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that systemd has booted, and that has no script that cleans."""
    monkeypatch.setattr(cleaners, "_BOOTED", str(tmp_path))
    monkeypatch.setattr(cleaners, "_SCRIPTS", {})


def test_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that may run is named, and the command stops it."""
    script = tmp_path / "tmpreaper"
    monkeypatch.setattr(cleaners, "_SCRIPTS", {str(script): f"chmod -x {script}"})
    monkeypatch.setattr(cleaners, "_BOOTED", "/nowhere")
    assert list(cleaners.cleaners(here(tmp_path))) == []
    script.touch(0o755)
    (finding,) = cleaners.cleaners(here(tmp_path))
    assert finding.code == "tmp-cleaner"
    subprocess.run(["/bin/sh", "-c", finding.remedy], check=True)
    assert list(cleaners.cleaners(here(tmp_path))) == []


@pytest.mark.parametrize(
    ("release", "expected"),
    [("252", 1), ("252.38-1~deb12u1", 1), ("253", 1), ("254", 0), ("257~rc1", 0), ("of a kind", 0)],
)
def test_release(tmp_path: Path, release: str, expected: int) -> None:
    """From systemd 254 on a locked file is left alone."""
    tmpfiles(tmp_path, release, TEN_DAYS)
    found = list(cleaners.cleaners(here(tmp_path)))
    assert len(found) == expected
    for finding in found:
        assert finding.message.endswith("removes files older than 10d from /tmp, held locks too")


def test_not_booted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container nothing starts it."""
    tmpfiles(tmp_path, "252", TEN_DAYS)
    monkeypatch.setattr(cleaners, "_BOOTED", "/nowhere")
    assert list(cleaners.cleaners(here(tmp_path))) == []


@pytest.mark.parametrize(
    ("lines", "folder", "expected"),
    [
        (TEN_DAYS, "/tmp", "10d"),
        ("D /tmp 1777 root root -\n", "/tmp", ""),
        ("D! /tmp/ 1777 root root abm:~3d\n", "/tmp", "3d"),
        ("d /tmp\n", "/tmp", ""),
        ("# q /tmp 1777 root root 10d\n\nq\n", "/tmp", ""),
        ("d /tmp 1777 root root -\n" + TEN_DAYS, "/tmp", ""),  # the first one counts
        (TEN_DAYS + "x /tmp/lock-policy-*\n", "/tmp", ""),
        ("x /tmp\n" + TEN_DAYS, "/tmp", ""),
        ("X /tmp\n" + TEN_DAYS, "/tmp", "10d"),
        (TEN_DAYS, "/tmp/locks", "10d"),
        (TEN_DAYS + "d /tmp/locks 1777 root root -\n", "/tmp/locks", ""),
        (TEN_DAYS, "/tmporary", ""),
        ("f /tmp 1777 root root 10d\n", "/tmp", ""),
    ],
)
def test_age(lines: str, folder: str, expected: str) -> None:
    """What tmpfiles.d(5) says of a directory: the line of the nearest folder, the first of several, and exceptions."""
    assert cleaners.age_in(lines, folder) == expected


@pytest.mark.slow
def test_real(tmp_path: Path) -> None:
    """A real systemd-tmpfiles before 254 removes a held lock file; with the line of the remedy it does not."""
    program = shutil.which("systemd-tmpfiles")
    requirements.need(bool(program), "needs systemd-tmpfiles")
    requirements.need_root()
    gate = tmp_path / "gate"
    gate.mkdir(mode=0o1777)
    file = gate / "lock-policy-0123456789abcdef.lock"
    holder = processes.holder(str(file))
    configuration = tmp_path / "gate.conf"
    release = int(re.findall(r"\d+", subprocess.check_output([str(program), "--version"], text=True))[0])

    def left(*lines: str) -> bool:
        configuration.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        until = time.monotonic() + factories.TIMEOUT
        while time.time() - file.stat().st_ctime < 1.5 and time.monotonic() < until:  # older than the age below
            time.sleep(0.1)
        subprocess.run([str(program), "--clean", configuration], check=True)
        return file.exists()

    try:
        aged = f"d {gate} 1777 root root 1s"
        tmpfiles(tmp_path, "252", aged)
        (finding,) = cleaners.cleaners(here(tmp_path, str(gate)))
        line = finding.remedy.partition("'")[2].partition("'")[0]
        assert left(aged, line)
        assert left(aged) is (release >= 254)
    finally:
        holder.kill()
        holder.communicate()
        if os.path.lexists(file):
            file.unlink()
