from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from policy.environment.mounts import as_mount, longest
from policy.errors import LockUnavailable
from policy.host import mount_fields
from policy.locks.cluster_key import ClusterKey, cluster_key, mounted_key
from tests import requirements

if TYPE_CHECKING:
    from pathlib import Path

# One export of one server: whole, a folder of it, bound elsewhere, with spaces, below a pseudo-root.
MOUNTS = b"""
22 1 8:1 / / rw - ext4 /dev/sda1 rw
40 22 0:40 / /mnt/envs rw - nfs4 nas:/export/envs rw,vers=4.2
41 22 0:40 / /srv/team rw - nfs4 nas:/export/envs/team rw,vers=4.2
42 22 0:40 / /home/anna/my\\040envs rw - nfs4 nas:/export/envs rw,vers=4.2
43 22 0:43 / /nfs rw - nfs4 nas:/ rw,vers=4.2
44 43 0:40 / /nfs/export/envs rw - nfs4 nas:/export/envs rw,vers=4.2
45 22 0:45 / /lustre rw - lustre 10.0.0.1@tcp:/scratch rw
46 22 0:45 /team /team rw - lustre 10.0.0.1@tcp:/scratch rw
47 22 0:47 / /share rw - cifs //filer/share rw
48 22 0:48 / /gpfs rw - gpfs gpfs0 rw
49 22 0:49 / /9p rw - 9p hostshare rw
"""


def key(path: str) -> ClusterKey:
    """The key of a path on a host with the mounts above."""
    return mounted_key(path, longest(map(as_mount, mount_fields(MOUNTS)), path))


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (
            (
                "/mnt/envs/team/app",
                "/srv/team/app",
                "/home/anna/my envs/team/app",
                "/nfs/export/envs/team/app",
            ),
            "nas:/export/envs/team/app",
        ),
        (("/lustre/team/app", "/team/app"), "10.0.0.1@tcp:/scratch/team/app"),
        (("/share/a b/.venv",), "//filer/share/a b/.venv"),
        (("/mnt/envs",), "nas:/export/envs"),
    ],
)
def test_one_export_has_one_key(paths: tuple[str, ...], text: str) -> None:
    """One environment of one server has one key, wherever it is mounted and bound."""
    assert {key(path).text for path in paths} == {text}
    assert len({key(path).number for path in paths}) == 1


@pytest.mark.parametrize("path", ["/usr", "/srv/app", "/gpfs/app", "/9p/app"])
def test_what_hosts_do_not_share_has_no_key(path: str) -> None:
    """A local file system, and one whose source names no server, has no key of its own: two hosts' /usr differ."""
    with pytest.raises(LockUnavailable, match="cluster-key"):
        key(path)


def test_own_file_system_is_refused(tmp_path: Path) -> None:
    """An environment on this host's own disk needs a name before other hosts can mean the same."""
    with pytest.raises(LockUnavailable, match="name it in the rule"):
        cluster_key(str(tmp_path))
    assert cluster_key(str(tmp_path / "team" / "app"), "envs", str(tmp_path)).text == "envs:team/app"


def test_name_decides_wherever_the_root_is(tmp_path: Path) -> None:
    """Two hosts with other mount points give one environment one key by its name; a link to it changes nothing."""
    for host in ("one", "two"):
        (tmp_path / host / "app").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    keys = [
        cluster_key(str(tmp_path / "one" / "app"), "envs", str(tmp_path / "one")),
        cluster_key(str(tmp_path / "two" / "app"), "envs", str(tmp_path / "two")),
        cluster_key(str(tmp_path / "link" / "app"), "envs", str(tmp_path / "one")),
        cluster_key(str(tmp_path / "one" / "app"), "envs", str(tmp_path / "link")),
    ]
    assert len(set(keys)) == 1
    assert cluster_key(str(tmp_path / "one"), "envs", str(tmp_path / "one")).text == "envs:."
    assert cluster_key(str(tmp_path / "one" / "app"), "other", str(tmp_path / "one")) != keys[0]


def test_outside_of_the_root(tmp_path: Path) -> None:
    """An environment outside of the named root is refused: its path there would mean nothing."""
    with pytest.raises(LockUnavailable, match="does not lie below"):
        cluster_key("/usr", "envs", str(tmp_path))
    with pytest.raises(LockUnavailable, match="does not lie below"):
        cluster_key(str(tmp_path) + "-other/app", "envs", str(tmp_path))


def test_number() -> None:
    """The number is 64 bits of blake2b, signed as PostgreSQL has it, and the same in every release."""
    assert ClusterKey("team-envs:app/.venv", "").number == ClusterKey("team-envs:app/.venv", "elsewhere").number
    assert -(2**63) <= ClusterKey("x", "").number < 2**63
    assert ClusterKey("x", "").number != ClusterKey("y", "").number
    assert isinstance(ClusterKey("\udcff", "").number, int)


def test_real_bind_mount(tmp_path: Path) -> None:
    """The root of a bind mount is read from the kernel."""
    requirements.need_root()
    from policy.environment.mounts import mount_of

    inside, bound = tmp_path / "in side", tmp_path / "bound"
    inside.mkdir()
    bound.mkdir()
    made = subprocess.run(["mount", "--bind", str(inside), str(bound)], capture_output=True, check=False)
    requirements.need(not made.returncode, "needs mount --bind")
    try:
        mount = mount_of(str(bound))
        assert mount is not None
        assert mount.point == str(bound)
        outer = mount_of(str(tmp_path))
        assert outer is not None
        assert os.path.join(mount.root, "") == os.path.join(
            outer.root.rstrip("/") + "/" + os.path.relpath(inside, outer.point), ""
        )
    finally:
        subprocess.run(["umount", str(bound)], check=True)
