"""Does flock(2) keep out whom it should? Two processes try on a file that has no name and so leaves nothing behind."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys

from policy.commands.health.finding import Finding, move_locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.commands.health.finding import Surroundings

_TAKEN = (errno.EAGAIN, errno.EACCES)

if sys.platform != "win32":
    import fcntl

    def flock(surroundings: Surroundings) -> list[Finding]:
        """Tries exclusion in each folder for locks."""
        if sys.platform != "linux":
            return []  # only there a file without a name can be opened twice
        return [finding for folder in surroundings.folders for finding in _in(folder, surroundings)]

    def _in(folder: str, surroundings: Surroundings) -> Iterator[Finding]:
        try:
            descriptor = unnamed(folder)
        except OSError:
            return  # another check says why
        try:
            yield from _tried(folder, descriptor, surroundings)
        finally:
            os.close(descriptor)

    def _tried(folder: str, descriptor: int, surroundings: Surroundings) -> Iterator[Finding]:
        error = _attempt(descriptor, fcntl.LOCK_EX)
        if error:
            reason = os.strerror(error)
            yield Finding(
                "flock-unavailable", f"{folder}: flock(2) fails: {reason}", move_locks(surroundings, folder, '"global"')
            )
            return
        answers = _second(descriptor)
        if answers["exclusive"] == 0:
            message = f"{folder}: two processes hold the same lock at once"
            yield Finding("flock-does-not-exclude", message, move_locks(surroundings, folder, '"cluster"'))
            return
        if _in_namespace(descriptor) == 0:
            message = f"{folder}: a process in another mount namespace holds the same lock at once"
            yield Finding("flock-per-namespace", message, move_locks(surroundings, folder, '["cluster", "local"]'))
        _attempt(descriptor, fcntl.LOCK_SH)
        answers = _second(descriptor)
        if answers["exclusive"] == 0:
            message = f"{folder}: a writer is not kept out by a reader"
            yield Finding("flock-does-not-exclude", message, move_locks(surroundings, folder, '"cluster"'))
        if answers["shared"] != 0:
            yield Finding("flock-not-shared", f"{folder}: two readers exclude each other", f"findmnt -T {folder}")
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        if _second(descriptor)["reading"] not in {0, *_TAKEN}:
            message = f"{folder}: only a file that is open for writing can be locked exclusively"
            yield Finding("flock-needs-writing", message, f"findmnt -T {folder}")

    def unnamed(folder: str) -> int:
        """A file in a folder that vanishes when it is closed; where it cannot be nameless it loses its name at once.

        Args:
            folder: Where.

        Raises:
            OSError: It cannot be created.
        """
        if sys.platform == "linux":
            try:
                return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
            except OSError as error:
                if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}:
                    raise
        before = os.stat(folder)
        path = leftover(folder, os.getppid())
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(path)
        try:
            os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
        except PermissionError:
            pass  # another user's folder keeps the time of this
        return descriptor

    def leftover(folder: str, doctor: int) -> str:
        """The file that a killed check may have left where none can be nameless.

        Args:
            folder: Where.
            doctor: The process that runs the checks.
        """
        return os.path.join(folder, f".lock-policy-doctor-{doctor}")

    def _attempt(descriptor: int, operation: int) -> int:
        """Tries a lock; returns 0 or the errno."""
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def _second(descriptor: int) -> dict[str, int]:
        """What another process gets that opens the same file: exclusively, shared, and exclusively open for reading."""
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                answers = []
                for flags, operation in (
                    (os.O_RDWR, fcntl.LOCK_EX),
                    (os.O_RDWR, fcntl.LOCK_SH),
                    (os.O_RDONLY, fcntl.LOCK_EX),
                ):
                    other = os.open(f"/proc/self/fd/{descriptor}", flags)
                    answers.append(_attempt(other, operation))
                    os.close(other)
                os.write(writing, bytes(answers))
            finally:
                os._exit(0)
        os.close(writing)
        try:
            answer = os.read(reading, 3)
        finally:
            os.close(reading)
            os.waitpid(pid, 0)
        return dict(zip(("exclusive", "shared", "reading"), answer or bytes([errno.EAGAIN, 0, 0]), strict=True))

    def _in_namespace(descriptor: int) -> int:
        """What a process in another mount namespace gets; that of a taken lock where none can be made."""
        if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"):
            return errno.EAGAIN
        code = (
            "import fcntl, os, sys\n"
            "try: fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
            "except OSError: sys.exit(11)"
        )
        words = ["unshare", "-m", sys.executable, "-I", "-S", "-c", code, f"/proc/{os.getpid()}/fd/{descriptor}"]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return 0 if done.returncode == 0 else errno.EAGAIN

else:

    def flock(surroundings: Surroundings) -> list[Finding]:
        """Nothing: Windows has no such call."""
        del surroundings
        return []
