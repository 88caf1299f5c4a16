from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from policy import host
from policy.environment import mounts
from policy.environment.mounts import Mount, as_mount, lock_reach, longest, mount_of, parse_mount_listing
from tests import requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux' mount table")


@pytest.fixture
def mounted() -> Iterator[Callable[..., str]]:
    """Mounts for a test, and unmounts what it mounted, the last first."""
    requirements.need_root()
    points: list[str] = []

    def mount(point: Path, *arguments: str) -> str:
        point.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", *arguments, point], capture_output=True, text=True, check=False)
        requirements.need(done.returncode == 0, f"needs to mount: {done.stderr.strip()}")
        points.append(str(point))
        return str(point)

    yield mount
    for point in reversed(points):
        subprocess.run(["umount", "--lazy", point], check=True)


@LINUX
def test_a_path_on_a_mount_and_below_it(tmp_path: Path, mounted: Callable[..., str]) -> None:
    """A mount is found for its point and for what lies below, existing or not, with its options."""
    point = mounted(tmp_path / "t", "-t", "tmpfs", "-o", "size=1m,noexec", "my source")
    (tmp_path / "t" / "folder").mkdir()
    for path in ("", "/folder", "/folder/", "/missing/deeper"):
        found = mount_of(point + path)
        assert found is not None
        assert (found.type, found.source, found.point) == ("tmpfs", "my source", point)
        assert {"rw", "noexec", "size=1024k"} <= set(found.options)


@LINUX
@pytest.mark.parametrize(
    "name", ["with space", "tab\there", "new\nline", "back\\slash", "back\\040slash", "#hash", "é中🐍"]
)
def test_odd_names(tmp_path: Path, mounted: Callable[..., str], name: str) -> None:
    """The kernel's escapes are undone."""
    point = mounted(tmp_path / name, "-t", "tmpfs", "none")
    found = mount_of(point)
    assert found is not None
    assert found.point == point


@LINUX
def test_a_neighbour_with_the_same_beginning(tmp_path: Path, mounted: Callable[..., str]) -> None:
    """A mount on `t` says nothing about `tt`."""
    mounted(tmp_path / "t", "-t", "tmpfs", "none")
    (tmp_path / "tt").mkdir()
    found = mount_of(str(tmp_path / "tt"))
    assert found is not None
    assert found.point != str(tmp_path / "t")


@LINUX
def test_a_read_only_bind_mount(tmp_path: Path, mounted: Callable[..., str]) -> None:
    """A bind mount is a mount of its own, with the type of what it shows and its own options."""
    inner = tmp_path / "real"
    inner.mkdir()
    before = mount_of(str(inner))
    point = mounted(tmp_path / "bind", "--bind", str(inner))
    subprocess.run(["mount", "-o", "remount,bind,ro", point], check=True)
    found = mount_of(point)
    assert found is not None
    assert before is not None
    assert (found.type, found.point) == (before.type, point)
    assert "ro" in found.options


@LINUX
def test_an_overlay(tmp_path: Path, mounted: Callable[..., str]) -> None:
    """An overlay is reported as an overlay, not as what lies below it."""
    base = Path(mounted(tmp_path / "base", "-t", "tmpfs", "none"))
    for name in ("lower", "upper", "work"):
        (base / name).mkdir()
    options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
    point = mounted(tmp_path / "merged", "-t", "overlay", "overlay", "-o", options)
    found = mount_of(point)
    assert found is not None
    assert found.type == "overlay"
    assert f"upperdir={base}/upper" in found.options


@LINUX
def test_the_later_mount_on_one_point(tmp_path: Path, mounted: Callable[..., str]) -> None:
    """A mount over a mount hides it."""
    mounted(tmp_path / "t", "-t", "tmpfs", "first")
    point = mounted(tmp_path / "t", "-t", "tmpfs", "second")
    found = mount_of(point)
    assert found is not None
    assert found.source == "second"


@LINUX
def test_a_mount_that_a_later_one_higher_up_hides(tmp_path: Path, mounted: Callable[..., str]) -> None:
    """A longer mount point that is hidden does not count, although the kernel still lists it."""
    mounted(tmp_path / "t" / "inner", "-t", "tmpfs", "inner")
    mounted(tmp_path / "t", "-t", "tmpfs", "outer")
    (tmp_path / "t" / "inner").mkdir()
    found = mount_of(str(tmp_path / "t" / "inner"))
    assert found is not None
    assert found.source == "outer"


@LINUX
def test_links_are_followed(tmp_path: Path, mounted: Callable[..., str]) -> None:
    """A link to a mount lies where it leads."""
    point = mounted(tmp_path / "t", "-t", "tmpfs", "none")
    (tmp_path / "link").symlink_to("t")
    found = mount_of(str(tmp_path / "link" / "x"))
    assert found is not None
    assert found.point == point


@LINUX
def test_without_root_too() -> None:
    """Everyone finds the mount of a path, as stat(1) names its file system."""
    for path in ("/proc", "/proc/self", tempfile.gettempdir(), "/"):
        found = mount_of(path)
        assert found is not None
        assert os.path.realpath(path).startswith(found.point)
    proc = mount_of("/proc/self")
    assert proc is not None
    assert proc.type == "proc"


@LINUX
def test_without_the_mounts_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc/self/fdinfo does not tell the mount, the longest mount point does."""
    monkeypatch.setattr(mounts, "_identity", lambda _: "")
    found = mount_of("/proc/self")
    assert found is not None
    assert found.point == "/proc"


@LINUX
def test_without_a_mount_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc is not mounted, nothing is known."""
    monkeypatch.setattr(host, "process_file", lambda _: b"")
    assert mount_of("/") is None


def test_a_line_of_mountinfo() -> None:
    """Any number of optional fields may stand before the hyphen, and an option is listed once."""
    (fields,) = host.mount_fields(
        b"36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 master:2 - nfs4 host:/a\\040b rw,vers=4.2,local_lock=none\n"
    )
    found = as_mount(fields)
    assert (found.identity, found.type, found.source, found.point) == ("36", "nfs4", "host:/a b", "/mnt2")
    assert found.options == ("rw", "noatime", "vers=4.2", "local_lock=none")
    assert repr(found) == ("Mount('nfs4', 'host:/a b', '/mnt2', ('rw', 'noatime', 'vers=4.2', 'local_lock=none'))")


def mount(point: str, kind: str = "ext4", *options: str) -> Mount:
    return Mount(kind, "source", point, options)


def test_the_longest_point_and_the_later_of_equal_ones() -> None:
    """The rule by which a path's mount is chosen from a table."""
    table = [mount("/"), mount("/a"), mount("/a/b", "first"), mount("/a/b", "second"), mount("/a/bc")]
    chosen = longest(table, "/a/b/c")
    assert chosen is table[3]
    assert longest(table, "/a/b") is table[3]
    assert longest(table, "/a/bcd") is table[1]
    assert longest(table, "/x") is table[0]
    assert longest([], "/x") is None


def test_what_macos_lists() -> None:
    """The listing of macOS' mount(8) is understood, names with spaces and brackets included."""
    listing = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "//me@host/share on /Volumes/my share (1) (smbfs, nodev, nosuid, mounted by me)\n"
        "nonsense\n"
    )
    found = parse_mount_listing(listing)
    assert [(m.type, m.source, m.point) for m in found] == [
        ("apfs", "/dev/disk3s1s1", "/"),
        ("smbfs", "//me@host/share", "/Volumes/my share (1)"),
    ]
    assert found[1].options == ("nodev", "nosuid", "mounted by me")


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("ext4", (), None),
        ("tmpfs", (), None),
        ("overlay", (), None),
        ("fuseblk", (), None),  # a local disk: ntfs-3g and its kin
        ("nfs4", ("vers=4.2", "local_lock=none"), None),
        ("nfs", ("vers=3", "local_lock=none"), None),
        ("nfs", ("vers=3", "local_lock=posix"), None),
        ("nfs4", ("vers=4.1", "nolock", "local_lock=none"), None),
        (
            "nfs",
            ("vers=3", "nolock", "local_lock=all"),
            "locks stay on this host: mounted with nolock, local_lock=all;",
        ),
        ("nfs", ("vers=3", "local_lock=flock"), "locks stay on this host: mounted with local_lock=flock;"),
        ("nfs4", ("vers=4.2", "local_lock=all"), "locks stay on this host: mounted with local_lock=all;"),
        ("lustre", ("rw", "flock"), None),
        ("lustre", ("rw", "localflock"), "locks stay on this host: mounted with localflock; mount with flock"),
        ("lustre", ("rw",), "files cannot be locked: mounted without flock; mount with flock"),
        ("cifs", ("nobrl",), "locks stay on this host: mounted with nobrl;"),
        ("cifs", (), "locks reach other hosts only from Linux 5.5 on"),
        ("smb3", (), "locks reach other hosts only from Linux 5.5 on"),
        ("9p", ("trans=virtio",), "locks may stay inside this machine"),
        ("virtiofs", (), "locks may stay inside this machine"),
        ("fuse", (), "locks may stay on this host"),
        ("fuse.sshfs", (), "locks may stay on this host"),
    ],
)
def test_how_far_locks_reach(kind: str, options: tuple[str, ...], said: str | None) -> None:
    """A sentence is said where a lock is not seen by the other hosts, and only there."""
    sentence = lock_reach(mount("/mnt/x", kind, *options))
    if said is None:
        assert sentence is None
    else:
        assert sentence is not None
        assert sentence.startswith(f"/mnt/x ({kind}): {said}")
