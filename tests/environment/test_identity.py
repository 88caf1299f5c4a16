from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy import host
from policy.environment import identity as module
from policy.environment.identity import identity, real_folder, real_path
from tests import requirements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs links", allow_module_level=True)


@pytest.fixture(autouse=True)
def _anew() -> None:
    """Nothing is remembered from another test."""
    module._known.clear()


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """A folder deep in others."""
    root = tmp_path / "a" / "b" / "env"
    root.mkdir(parents=True)
    return root


def test_spellings(env: Path, tmp_path: Path) -> None:
    """However an environment is spelled, through links and dots, its name is the same; another one has another."""
    (tmp_path / "folder").symlink_to("a/b")
    (tmp_path / "link").symlink_to(env)
    (tmp_path / "twice").symlink_to("link")
    names = [f"{env}", f"{env}/", f"{env}/.", f"{tmp_path}/a/b/../b//env", f"{tmp_path}/folder/env"]
    names += [f"{tmp_path}/link", f"{tmp_path}/twice"]
    assert len({identity(name) for name in names}) == 1
    assert identity(f"{env}2") != identity(f"{env}")


@pytest.mark.parametrize("rest", ["env", "x/env", "x/y/z/env"])
def test_before_and_after(tmp_path: Path, rest: str) -> None:
    """The name is the same before the environment and the folders above it exist, and afterwards."""
    root = tmp_path / rest
    before = identity(str(root))
    root.mkdir(parents=True)
    assert identity(str(root)) == before


def test_link_to_what_does_not_exist(tmp_path: Path) -> None:
    """A link counts for what it leads to, before that exists too."""
    (tmp_path / "link").symlink_to("there/env")
    before = identity(str(tmp_path / "link"))
    assert before == identity(str(tmp_path / "there" / "env"))
    (tmp_path / "there" / "env").mkdir(parents=True)
    assert identity(str(tmp_path / "link")) == before


def test_replaced_by_a_link(env: Path, tmp_path: Path) -> None:
    """What is remembered of a path does not outlive the folder that it named."""
    before = identity(str(env))
    os.rename(env, tmp_path / "moved")
    env.symlink_to(tmp_path / "moved")
    assert identity(str(env)) == identity(str(tmp_path / "moved")) != before
    env.unlink()
    os.rename(env.parent, tmp_path / "other")
    env.parent.mkdir()
    assert identity(str(env)) == before


def test_folder_above_replaced_by_a_link(env: Path, tmp_path: Path) -> None:
    """A link in the place of a folder above counts at once, although it leads to the same environment as before."""
    before = identity(str(env))
    os.rename(tmp_path / "a", tmp_path / "elsewhere")
    (tmp_path / "a").symlink_to("elsewhere")
    assert identity(str(env)) == identity(str(tmp_path / "elsewhere" / env.relative_to(tmp_path / "a"))) != before


def test_real_folder(env: Path, tmp_path: Path) -> None:
    """A folder is told from a link to it, from a link above it, from another spelling and from what does not exist."""
    requirements.need(sys.platform == "linux", "needs /proc")
    (tmp_path / "link").symlink_to(env)
    (tmp_path / "above").symlink_to(env.parent)
    assert real_folder(str(env)) == (env.stat().st_dev, env.stat().st_ino, host.mount_number(str(env)))
    for other in (tmp_path / "link", tmp_path / "above" / env.name, f"{env.parent}//{env.name}", env / "none", "\0"):
        assert real_folder(str(other)) is None


@pytest.fixture
def bound(env: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder above an environment, mounted a second time."""
    requirements.need_root()
    place = tmp_path / "place with a space"
    place.mkdir()
    mount = subprocess.run(["mount", "--bind", env.parent, place], check=False)
    requirements.need(mount.returncode == 0, "needs bind mounts")
    yield place
    subprocess.run(["umount", place], check=True)


def test_bind_mount(env: Path, bound: Path) -> None:
    """Through a bind mount the name is the same, of what exists and of what does not."""
    assert identity(str(bound / "env")) == identity(str(env))
    assert identity(str(bound / "new" / "env")) == identity(str(env.parent / "new" / "env"))


def test_environment_is_a_mount(env: Path, tmp_path: Path) -> None:
    """An environment that is itself mounted elsewhere has one name."""
    requirements.need_root()
    place = tmp_path / "place"
    place.mkdir()
    requirements.need(subprocess.run(["mount", "--bind", env, place], check=False).returncode == 0, "needs mounts")
    try:
        assert identity(str(place)) == identity(str(env))
    finally:
        subprocess.run(["umount", place], check=True)


TABLE = b"""\
23 1 0:40 / / rw - ext4 /dev/vda rw
24 23 0:50 / /mnt/a rw - nfs4 server:/export/a rw
25 23 0:50 / /mnt/all rw - nfs4 server:/export rw
26 23 0:50 /b /mnt/b\\040c rw shared:1 - nfs4 server:/export rw
"""


@pytest.mark.parametrize(
    ("mount", "folder", "name"),
    [
        (23, "/srv", "0:40:/srv/env"),
        (24, "/mnt/a", "server:/export/a:/env"),
        (25, "/mnt/all/a", "server:/export:/a/env"),
        (26, "/mnt/b c/d", "server:/export:/b/d/env"),
        (99, "/srv", "/srv/env"),
    ],
)
def test_mount_table(mount: int, folder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is the device's number, or the source of a remote file system, and the path inside; else the path."""
    monkeypatch.setattr(host, "process_file", {"/proc/self/mountinfo": TABLE}.get)
    assert module._in_file_system(folder, "env", f"{mount}")[0] == name


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOMEM, errno.ESTALE, errno.ELOOP])
def test_errors_are_no_answer(env: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a part of the path cannot be looked at there is no name, rather than another one."""
    identity(str(env))
    really, opens = os.lstat, os.open

    def failing(path: str) -> os.stat_result:
        if os.fspath(path) == str(env.parent):
            raise OSError(number, os.strerror(number))
        return really(path)

    def unopened(path: str, flags: int) -> int:
        if os.fspath(path).startswith(str(env.parent)):
            raise OSError(number, os.strerror(number))
        return opens(path, flags)

    monkeypatch.setattr(os, "lstat", failing)
    monkeypatch.setattr(os, "open", unopened)
    with pytest.raises(OSError, match=os.strerror(number).partition(" ")[0]) as caught:
        identity(str(env))
    assert caught.value.errno == number


def test_links_in_a_circle(tmp_path: Path) -> None:
    """Links that lead nowhere end with the kernel's error."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        real_path(str(tmp_path / "a" / "env"))
