"""What `policy doctor` may find, each kind under its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from policy.manual import anchor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policy.environment.discovery import Environment

CODES = {
    "flock-unavailable": "flock(2) fails in a folder for locks, so nothing can be locked there.",
    "flock-does-not-exclude": "flock(2) succeeds for two processes at once, so a lock there keeps nobody out.",
    "flock-hangs": "flock(2) does not return, although nobody holds the lock and the call must not block.",
    "flock-not-shared": "Two readers cannot hold a lock at once.",
    "flock-needs-writing": "A file that is open for reading cannot be locked for writing, as on NFS.",
    "flock-per-namespace": "A process in another mount namespace is not kept out.",
    "locks-stay-here": "Other hosts share the file system, but not its locks.",
    "nfs-without-lockd": "An NFS 3 mount needs lockd, and it does not run.",
    "cannot-create": "A lock file cannot be created in a folder for locks.",
    "nearly-full": "There is hardly any space left where lock files are created.",
    "gate-missing": "The directory of the global locks does not exist.",
    "gate-mode": "Others may remove or rename lock files, or cannot create them: the directory is not open and sticky.",
    "private-tmp": "This process has a /tmp of its own and does not meet processes outside of its service.",
    "tmp-cleaner": "A program removes old files from /tmp, held locks among them.",
    "protected-regular": "fs.protected_regular: programs such as flock(1), which open with O_CREAT, are refused on a "
    "lock file of another user; lock-policy opens it without.",
    "stale-lock-files": "Nobody holds these lock files of this user, and nobody has taken them for a month.",
    "stale-strict-lock": "A strict lock keeps everybody out, although the process on this host that took it has ended.",
    "lock-file-strange": "Something other than a regular file stands where a lock file belongs.",
    "lock-file-unreadable": "A lock file cannot be opened by this user.",
    "tmpdir-differs": "TMPDIR moves uv's locks on system interpreters: shells without it use other files.",
    "clock-differs": "The file system's clock differs from this host's, so file times mislead.",
    "uv-fails-read-only": "This uv (0.7.12 to 0.7.18) fails in an environment that it cannot write to.",
    "uv-unlocked-read-only": "This uv works without a lock in an environment that it cannot write to.",
    "uv-gives-up": "This uv (0.9.16 and later) works without its lock when it has waited for UV_LOCK_TIMEOUT seconds, "
    "by default 300.",
    "uv-does-not-answer": "The uv on PATH does not say its version.",
    "foreign-policy": "Another distribution installs a package named policy into the same place.",
    "configuration": "The configuration cannot be read.",
    "cluster": "The server for locks of clusters is not usable.",
    "no-answer": "A check did not finish.",
}
"""What `policy doctor` may find."""


WRONG, NOTE = "wrong", "note"


@frozen
class Finding:
    """Something that is wrong here, or worth knowing.

    Args:
        code: A key of CODES.
        message: One sentence that names what is affected.
        remedy: A command that mends it, or shows more.
        severity: WRONG; NOTE where it is so on healthy machines, too, and no reason for another exit code.
    """

    code: str
    message: str
    remedy: str
    severity: str = WRONG

    @property
    def anchor(self) -> str:
        """Where the documentation says more."""
        return anchor("doctor", self.code)


@frozen
class Surroundings:
    """What the checks look at.

    Args:
        environ: Environment variables.
        cwd: The working directory.
        gate: The directory of the global locks.
        environment: Whose locks are meant; None where none was found.
        options: The options of the command line that choose the configuration.
    """

    environ: Mapping[str, str]
    cwd: str
    gate: str
    environment: Environment | None
    options: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """Where lock files are created: for global locks, and in the environment if it exists."""
        import os

        root = self.environment.root if self.environment else ""
        return (self.gate, root) if root and os.path.isdir(root) else (self.gate,)


def move_locks(surroundings: Surroundings, folder: str, lock: str) -> str:
    """A command that appends a rule for the environments below a folder to the project's configuration.

    Where the folder is that of the gate no rule helps, and the command shows what it lies on.

    Args:
        surroundings: What is looked at.
        folder: Absolute.
        lock: The value of `lock`, as TOML.
    """
    import shlex

    if folder == surroundings.gate:
        return f"findmnt -T {shlex.quote(folder)}"
    quoted = folder.replace("\\", "\\\\").replace('"', '\\"')
    lines = ("[[rules]]", f'match.environment = "{quoted}/**"', f"lock = {lock}")
    return f"printf '%s\\n' {' '.join(map(shlex.quote, lines))} >> lock-policy.toml"
