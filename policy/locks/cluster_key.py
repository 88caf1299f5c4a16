"""What a lock of a cluster is named after: the same text on every host that sees one environment, and on no other."""

from __future__ import annotations

import os

from policy.environment.mounts import mount_of
from policy.errors import LockUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.environment.mounts import Mount

# Their source names a server that every host reaches: `server:/export`, `//server/share`, `mgs@tcp:/name`.
SHARED = ("afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb3")
NAME_IT = 'name it in the rule: cluster-key = { name = "…", root = "…" }'


class ClusterKey:
    """The name of a lock on a server.

    Args:
        text: What is locked, for people: `team-envs:app/.venv` or `server:/export/app/.venv`.
        origin: Where the text comes from, in a few words.
    """

    __slots__ = ("origin", "text")

    def __init__(self, text: str, origin: str) -> None:
        self.text: str = text
        self.origin: str = origin

    @property
    def number(self) -> int:
        """64 bits of the text's digest, as the signed number that PostgreSQL takes."""
        from _blake2 import blake2b  # hashlib costs more

        digest = blake2b(self.text.encode("utf-8", "surrogateescape"), digest_size=8, person=b"lock-policy").digest()
        return int.from_bytes(digest, "big", signed=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClusterKey) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"ClusterKey({self.text!r}, {self.origin!r})"


def cluster_key(path: str, name: str = "", root: str = "") -> ClusterKey:
    """Names an environment for all hosts.

    Args:
        path: The environment's root; it need not exist yet.
        name: The rule's name for what the hosts share, which decides.
        root: Where this host has it.

    Raises:
        LockUnavailable: It lies outside of `root`, or on a file system that is this host's own.
    """
    real = os.path.realpath(path)
    if not name:
        return mounted_key(real, mount_of(real))
    above = os.path.realpath(os.path.expanduser(root or "/"))
    if real != above and not real.startswith(os.path.join(above, "")):
        raise LockUnavailable(
            real, 0, f"it does not lie below the root of its cluster-key, {root}", remedy="correct `root`, or `match`"
        )
    return ClusterKey(f"{name}:{os.path.relpath(real, above)}", f"cluster-key {name} below {root or '/'}")


def mounted_key(path: str, mount: Mount | None) -> ClusterKey:
    """Names an environment after the server that its file system comes from.

    One export has one name over all mount points and bind mounts; an alias of the server is another name.

    Args:
        path: The environment's real path.
        mount: What it lies on.

    Raises:
        LockUnavailable: Two hosts may have different files under the same name there.
    """
    kind = mount.type if mount else "unknown"
    server = mount is not None and (":" in mount.source or mount.source.startswith("//"))
    if mount is None or mount.type not in SHARED or not server:
        what = f"lies on {kind}" if mount else "lies on an unknown file system"
        raise LockUnavailable(path, 0, f"it {what}, whose name other hosts do not share", remedy=NAME_IT)
    inside = os.path.join(mount.root.lstrip("/"), os.path.relpath(path, mount.point))
    text = os.path.normpath(os.path.join(mount.source.rstrip("/") or "/", inside))
    return ClusterKey(text, f"{mount.type} mount {mount.point}")
