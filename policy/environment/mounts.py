"""The file system that a path lies on, and whether the kernel's locks on it reach other hosts."""

from __future__ import annotations

import os
import sys

from policy import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Mount:
    """A mounted file system.

    Args:
        type: Such as `ext4`, `nfs4`, `overlay`, `fuse.sshfs`.
        source: What is mounted: a device, `host:/path`, or a word that means nothing.
        point: Where it is mounted.
        options: Of this mount and of the file system behind it.
        identity: The mount's number in the kernel, or "".
        root: The directory of the file system that is seen at `point`; another than `/` for a bind mount.
    """

    __slots__ = ("identity", "options", "point", "root", "source", "type")

    def __init__(
        self,
        type: str,
        source: str,
        point: str,
        options: tuple[str, ...],
        identity: str = "",
        root: str = "/",
    ) -> None:
        self.type: str = type
        self.source: str = source
        self.point: str = point
        self.options: tuple[str, ...] = options
        self.identity: str = identity
        self.root: str = root

    def __repr__(self) -> str:
        return f"Mount({self.type!r}, {self.source!r}, {self.point!r}, {self.options!r})"


def mount_of(path: str) -> Mount | None:
    """Finds the mount that a path lies on.

    Args:
        path: An absolute path; what of it does not exist yet lies on the mount of what does.

    Returns:
        The mount, or None where this platform does not tell.
    """
    path = os.path.realpath(path)
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    if sys.platform == "linux":
        try:
            mounts = list(map(as_mount, host.mounts()))
        except OSError:
            return None
        numbered = {mount.identity: mount for mount in mounts}
        return numbered.get(_identity(path)) or longest(mounts, path)
    if sys.platform == "darwin":
        return longest(_mounted_on_macos(), path)
    return None


def as_mount(fields: tuple[str, ...]) -> Mount:
    """One of the mounts that the host gives.

    Args:
        fields: As `host.mount_fields` yields them.
    """
    number, _, part, point, options, kind, source, more = fields
    several = dict.fromkeys(option for option in (*options.split(","), *more.split(",")) if option)
    return Mount(kind, source, point, tuple(several), number, part)


def longest(mounts: Iterable[Mount], path: str) -> Mount | None:
    """Chooses the longest mount point above a path, and of equal ones the later, which hides the earlier.

    Args:
        mounts: In the order in which they were mounted.
        path: A real path.

    Returns:
        The mount, or None if none is above the path.
    """
    chosen = None
    for mount in mounts:
        above = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
        if above and (chosen is None or len(mount.point) >= len(chosen.point)):
            chosen = mount
    return chosen


def lock_reach(mount: Mount) -> str | None:
    """Says where a lock is not seen by the other hosts that share a file system.

    Args:
        mount: The mount that the lock file lies on.

    Returns:
        One sentence, or None where locks reach everyone or the file system is this host's own.
    """
    kind = mount.type.partition(".")[0]
    if kind not in REACHES:
        return None
    reach = REACHES[kind]
    fault = reach if isinstance(reach, str) else reach(mount)
    return f"{mount.point} ({mount.type}): {fault}" if fault else None


def _nfs(mount: Mount) -> str | None:
    """nfs(5): nolock is for versions 2 and 3; local_lock=posix leaves flock to the server."""
    local = [option for option in mount.options if option in {"local_lock=all", "local_lock=flock"}]
    if "nolock" in mount.options and not any(option.startswith(("vers=4", "nfsvers=4")) for option in mount.options):
        local.insert(0, "nolock")
    return f"locks stay on this host: mounted with {', '.join(local)}; mount without it" if local else None


def _lustre(mount: Mount) -> str | None:
    """mount.lustre(8): flock is coherent on all clients, localflock on this one, and without either flock fails."""
    if "localflock" in mount.options:
        return "locks stay on this host: mounted with localflock; mount with flock"
    if "flock" not in mount.options:
        return "files cannot be locked: mounted without flock; mount with flock"
    return None


def _smb(mount: Mount) -> str | None:
    """flock(2): not sent to the server up to Linux 5.4; mount.cifs(8): nor with nobrl."""
    if "nobrl" in mount.options:
        return "locks stay on this host: mounted with nobrl; mount without it"
    return "locks reach other hosts only from Linux 5.5 on, and only if the server keeps them"


# QEMU's 9p server grants every lock; virtiofsd keeps locks to the guest unless told otherwise.
_SHARED_FOLDER = "locks may stay inside this machine: other machines that share the folder may not see them"
# The kernel keeps flock to itself unless the program behind FUSE takes it over.
_FUSE = "locks may stay on this host: it is up to the program behind FUSE to pass them on"


def _identity(path: str) -> str:
    """The number of the mount that a path lies on, or ""."""
    try:
        return host.mount_number(path)
    except OSError:
        return ""


def _mounted_on_macos() -> list[Mount]:
    """What mount(8) lists: `source on /point (type, option, option)`."""
    import subprocess

    try:
        listing = subprocess.run(["/sbin/mount"], capture_output=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_mount_listing(listing.decode("utf-8", "surrogateescape"))


def parse_mount_listing(listing: str) -> list[Mount]:
    """Reads what macOS' mount(8) prints.

    Args:
        listing: `source on /point (type, option, option)`, a line for each mount.

    Returns:
        The mounts in the order of the listing.
    """
    mounts = []
    for line in listing.splitlines():
        source, _, rest = line.partition(" on ")
        point, _, details = rest.rpartition(" (")
        if point and details.endswith(")"):
            system, *options = details[:-1].split(", ")
            mounts.append(Mount(system, source, point, tuple(options)))
    return mounts


REACHES: dict[str, str | Callable[[Mount], str | None]] = {
    "9p": _SHARED_FOLDER,
    "cifs": _smb,
    "fuse": _FUSE,
    "lustre": _lustre,
    "nfs": _nfs,
    "nfs4": _nfs,
    "smb3": _smb,
    "smbfs": _smb,
    "virtiofs": _SHARED_FOLDER,
}
