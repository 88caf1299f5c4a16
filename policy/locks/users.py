"""Which processes run from an environment, whether they know of locks or not, as far as /proc says.

A process uses an environment when its program lies in it, when it has mapped a file of it (an extension module), or
when Python started it with this `sys.prefix`: the pyvenv.cfg beside the name by which it was called. What a process has
mapped takes the kernel ten times as long to say as the rest, so only programs with a Python in them are asked for it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from attrs import frozen

from policy import host
from policy.errors import EnvironmentInUse, UsageError
from policy.locks import proc
from policy.locks.backend import Deadline, Pause
from policy.locks.holders import Holder, process

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

_MOST = 1 << 20  # bytes of a file of /proc that are read
_AGAIN = 0.25  # seconds until processes are looked at again; the end of one of them is noticed at once
_SAMPLES = 8  # processes of a program that are asked what they have mapped, before it counts as one without Python
_PYTHONS = (b"python", b"pypy", b"graalpy")


@frozen
class User:
    """A process that runs from an environment.

    Args:
        process: Which one.
        uses: The file of the environment that shows it: its program, its interpreter, or a module that it has mapped.
    """

    process: Holder
    uses: str


def users(root: str, *, kind: str = "virtualenv") -> tuple[User, ...]:
    """The processes that run from an environment, this one left out.

    Args:
        root: The environment's root.
        kind: `system` where the root holds more than Python: then what lies elsewhere than among packages says nothing.
    """
    found = ((process(pid), path) for pid, path in pids(root, kind=kind))
    return tuple(User(known, path) for known, path in found if known is not None)


def pids(root: str, *, kind: str = "virtualenv") -> Iterator[tuple[int, str]]:
    """The numbers of those processes, and what shows it of each.

    Args:
        root: The environment's root.
        kind: As for `users`.
    """
    search = _Search(os.path.realpath(root), system=kind == "system")
    own = os.getpid()
    for pid in proc.pids():
        path = search.uses(pid) if pid != own else ""
        if path:
            yield pid, path


class _Search:
    """What is looked for in each process, and which programs were found to have no Python in them.

    Args:
        root: The environment's root, without links.
        system: Whether the root holds more than Python.
    """

    def __init__(self, root: str, *, system: bool) -> None:
        self.root = root
        self.folders = [os.fsencode(folder) for folder in (_packages(root) if system else [root])]
        self.system = system
        self.without: dict[str, int] = {}

    def uses(self, pid: int) -> str:
        """The file of the environment that a process uses; "" where it uses none, or that cannot be known."""
        try:
            program = os.readlink(f"/proc/{pid}/exe")
        except PermissionError:  # another user's: its command line is all that is shown
            return self._by_name(pid)
        except OSError:
            return ""  # a part of the kernel, or gone
        if not self.system and program.startswith(f"{self.root}/"):
            return program.removesuffix(" (deleted)")
        if os.fsencode(os.path.basename(program)).startswith(_PYTHONS):
            return self._mapped(_content(f"/proc/{pid}/maps")) or self._by_name(pid)
        if self.without.get(program, 0) >= _SAMPLES:
            return ""
        mapped = _content(f"/proc/{pid}/maps")
        if not any(name in mapped for name in _PYTHONS):
            self.without[program] = self.without.get(program, 0) + 1
        return self._mapped(mapped)

    def _mapped(self, text: bytes) -> str:
        """The first file of the environment in what a process has mapped."""
        for folder in self.folders:
            at = text.find(b" " + folder + b"/")
            if at >= 0:
                return os.fsdecode(text[at + 1 : text.index(b"\n", at)].removesuffix(b" (deleted)"))
        return ""

    def _by_name(self, pid: int) -> str:
        """The name by which a Python was called, if its pyvenv.cfg makes this root its `sys.prefix`."""
        called = os.fsdecode(_content(f"/proc/{pid}/cmdline").partition(b"\0")[0])
        return _interpreter(pid, called, self.root) if called else ""


def _packages(root: str) -> list[str]:
    """Where a system interpreter keeps packages: `/usr` holds much that is no Python."""
    found = []
    for folder in ("lib", "lib64", "local/lib"):
        path = os.path.join(root, folder)
        try:
            names = os.listdir(path)
        except OSError:
            continue
        below = (os.path.join(path, name) for name in names if os.fsencode(name).startswith(_PYTHONS))
        found += [os.path.join(one, packages) for one in below for packages in ("site-packages", "dist-packages")]
    return [os.path.realpath(path) for path in found]


def _interpreter(pid: int, called: str, root: str) -> str:
    """The name by which a Python was called, if its pyvenv.cfg makes this root its `sys.prefix`."""
    for path in _paths(pid, called):
        folder = os.path.dirname(path)
        prefix = os.path.dirname(folder)
        for place in (folder, prefix):  # as Python looks for it (PEP 405)
            if os.path.isfile(os.path.join(place, "pyvenv.cfg")):
                return path if os.path.realpath(place) == root else ""
        if os.fsencode(os.path.basename(path)).startswith(_PYTHONS) and os.path.realpath(prefix) == root:
            return path
        if os.path.exists(path):
            return ""
    return ""


def _paths(pid: int, called: str) -> Iterator[str]:
    """The files that a process may have been started from by a name."""
    if os.sep in called:
        try:
            yield os.path.join(os.readlink(f"/proc/{pid}/cwd"), called)
        except OSError:  # another user's
            if os.path.isabs(called):
                yield called
        return
    if not os.fsencode(called).startswith(_PYTHONS):
        return
    for entry in _content(f"/proc/{pid}/environ").split(b"\0"):
        if entry.startswith(b"PATH="):
            for folder in os.fsdecode(entry[5:]).split(os.pathsep):
                path = os.path.join(folder, called)
                if os.path.isabs(path) and os.access(path, os.X_OK):
                    yield path
                    return


def _content(path: str) -> bytes:
    """A file of /proc; empty where the process has ended or is another user's."""
    try:
        return host.through(path, os.O_RDONLY, lambda descriptor: host.content(descriptor, _MOST))
    except OSError:
        return b""


def can_know() -> bool:
    """Whether this platform says which files processes use."""
    return sys.platform == "linux" and proc.has_locks()


class Use:
    """That processes run from an environment: waited for as if they held a lock.

    Args:
        root: The environment's root.
        kind: As for `users`.
    """

    advice: str = ""

    def __init__(self, root: str, kind: str) -> None:
        self.name: str = f"the last process that runs from {root}"
        self.root = root
        self.kind = kind

    def holders(self) -> tuple[Holder, ...]:
        """Which processes those are."""
        return tuple(user.process for user in users(self.root, kind=self.kind))


def until_unused(
    root: str, *, kind: str, start: float, timeout: float | None, waiting: Any
) -> Generator[Pause, None, None]:
    """The steps of waiting until no process runs from an environment.

    Args:
        root: The environment's root.
        kind: As for `users`.
        start: When the waiting began, on the monotonic clock.
        timeout: Seconds from then; None: forever.
        waiting: As for `hold.take`.

    Raises:
        EnvironmentInUse: Some still do when time is up.
        UsageError: This process was started by one of them, which would wait for itself; or nobody can know.
    """
    if not can_know():
        raise UsageError("`unused` needs Linux with /proc mounted: elsewhere nobody can tell what runs from it")
    deadline = Deadline(start, timeout, waiting)
    use: Any = Use(root, kind)  # has what a Deadline asks of a lock
    above = proc.ancestors(os.getpid())
    while found := list(pids(root, kind=kind)):
        for pid, _ in found:
            if pid in above:
                raise UsageError(f"{process(pid)} runs from {root} and started this process: it would wait for itself")
        deadline.begin(use)
        seconds = deadline.pause()
        if deadline.over:
            raise EnvironmentInUse(root, timeout or 0.0, deadline.look())
        yield from _end_of(found[0][0], min(seconds, _AGAIN))


def _end_of(pid: int, seconds: float) -> Generator[Pause, None, None]:
    """Waits for the end of a process, or some seconds."""
    descriptor = -1
    try:
        if sys.platform == "linux":
            try:
                descriptor = os.pidfd_open(pid)
            except OSError:  # gone, or an older kernel
                seconds = min(seconds, 0.05)
        yield Pause(descriptor, seconds)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
