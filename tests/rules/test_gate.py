from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from policy.errors import LockTimeout, LockUnavailable
from policy.rules import gate as module
from policy.rules.gate import gate
from tests import processes, requirements
from tests.acquiring import taken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from policy.locks.hold import Held

if sys.platform == "win32":
    pytest.skip("needs flock", allow_module_level=True)


@pytest.mark.parametrize("environ", [{}, {"TMPDIR": "/var/own"}, {"TMP": "/x", "TEMP": "/y", "HOME": "/z"}])
def test_where(tmp_path: Path, environ: dict[str, str]) -> None:
    """The gate lies in /tmp whatever the variables say, and where the administrator moved it."""
    here = gate(str(tmp_path), None, environ)
    assert here == gate(str(tmp_path), None, {})
    assert os.path.dirname(here.path) == "/tmp"
    moved = gate(str(tmp_path), "/run/gate", environ)
    assert moved.path == f"/run/gate/{os.path.basename(here.path)}"
    assert (here.purpose, here.kind) == ("gate", "file")


def test_cannot_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that cannot be looked at has no gate, and that is an error."""

    def failing(root: str, seen: object) -> str:
        del seen
        raise OSError(5, os.strerror(5), root)

    monkeypatch.setattr(module, "identity", failing)
    with pytest.raises(LockUnavailable, match="cannot tell which environment it is: Input/output error"):
        gate(str(tmp_path), None, {})


def relinked(folder: Path) -> None:
    """The link that is the environment leads to another one."""
    (folder / "env").unlink()
    (folder / "env").symlink_to("two")


def moved(folder: Path) -> None:
    """The folder above was moved, and a link leads to the same environment where it is now."""
    (folder / "work").rename(folder / "two")
    (folder / "work").symlink_to("two")


def mounted(folder: Path) -> None:
    """The environment was moved, and a mount shows it, the same folder, in its old place."""
    (folder / "one").rename(folder / "two")
    (folder / "one").mkdir()
    subprocess.run(["mount", "--bind", folder / "two", folder / "one"], check=True)


def covered(folder: Path) -> None:
    """A mount shows another environment in its place."""
    subprocess.run(["mount", "--bind", folder / "two", folder / "one"], check=True)


# by what becomes of the environment while it is waited for: what is there first, its path, and where it is afterwards
BECOMES: dict[Callable[[Path], None], tuple[Sequence[str], str, str]] = {
    relinked: (("one", "two"), "env", "two"),
    moved: (("work/env",), "work/env", "two/env"),
    mounted: (("one",), "one", "two"),
    covered: (("one", "two"), "one", "two"),
}


def look_again(folder: Path, become: Callable[[Path], None]) -> None:
    """Waits for the gate of an environment, which meanwhile becomes another one or lies elsewhere."""
    before, root, after = BECOMES[become]
    for name in before:
        (folder / name).mkdir(parents=True)
    if become is relinked:
        (folder / "env").symlink_to("one")
    first = gate(str(folder / root), str(folder), {})
    waiting = gate(str(folder / root), str(folder), {})
    assert waiting == first
    holder = processes.holder(first.path)
    done: list[Held] = []
    begun = threading.Event()

    def wait() -> None:
        done.append(taken([waiting], timeout=processes.TIMEOUT, waiting=lambda *_: begun.set()))

    waiter = threading.Thread(target=wait)
    waiter.start()
    begun.wait()
    become(folder)
    second = gate(str(folder / after), str(folder), {})
    other = processes.holder(second.path)
    processes.end(holder)
    waiter.join(0.5)
    assert done == []
    processes.end(other)
    waiter.join()
    assert waiting == second != first
    with pytest.raises(LockTimeout):
        taken([second], timeout=0)
    taken([first], timeout=0).release()
    done[0].release()


@pytest.mark.parametrize("become", [relinked, moved])
def test_looked_at_again(tmp_path: Path, become: Callable[[Path], None]) -> None:
    """Where the environment became another one while its gate was waited for, the new gate is taken instead."""
    look_again(tmp_path, become)


@pytest.mark.parametrize("become", ["mounted", "covered"])
def test_mount_looked_at_again(tmp_path: Path, become: str) -> None:
    """The same where a mount shows the same folder or another one at its path, in a mount namespace of its own."""
    requirements.need_root()
    own = ("unshare", "--mount")
    requirements.need(subprocess.run([*own, "true"], check=False).returncode == 0, "needs mount namespaces")
    program = (
        "import sys; from pathlib import Path; from tests.rules import test_gate; "
        f"test_gate.look_again(Path(sys.argv[1]), test_gate.{become})"
    )
    subprocess.run([*own, sys.executable, "-c", program, tmp_path], check=True, cwd=processes.ROOT)
