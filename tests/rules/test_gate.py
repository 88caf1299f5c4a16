from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from policy.errors import LockTimeout, LockUnavailable
from policy.rules import gate as module
from policy.rules.gate import gate
from tests import processes
from tests.acquiring import taken

if TYPE_CHECKING:
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


def test_looked_at_again(tmp_path: Path) -> None:
    """Where the environment became another one while its gate was waited for, the new gate is taken instead."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    link = tmp_path / "env"
    link.symlink_to("one")
    first, second = (gate(str(tmp_path / name), str(tmp_path), {}) for name in ("one", "two"))
    holder, other = processes.holder(first.path), processes.holder(second.path)
    waiting = gate(str(link), str(tmp_path), {})
    assert waiting == first
    done: list[Held] = []
    begun = threading.Event()

    def wait() -> None:
        done.append(taken([waiting], timeout=processes.TIMEOUT, waiting=lambda *_: begun.set()))

    waiter = threading.Thread(target=wait)
    waiter.start()
    begun.wait()
    link.unlink()
    link.symlink_to("two")
    processes.end(holder)
    waiter.join(0.5)
    assert done == []
    processes.end(other)
    waiter.join()
    assert waiting == second
    with pytest.raises(LockTimeout):
        taken([second], timeout=0)
    taken([first], timeout=0).release()
    done[0].release()
