"""What the doctor may find."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.commands.health.finding import CODES, Finding, Surroundings, move_locks
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path


HERE = Surroundings({}, "/", "/gate", None)


def test_anchor() -> None:
    """Every code has its own place in the documentation."""
    anchors = {Finding(code, "", "").anchor for code in CODES}
    assert len(anchors) == len(CODES)


def test_folders(tmp_path: Path) -> None:
    """Lock files are created in the directory of global locks, and in the environment if it exists."""
    there = factories.environment(str(tmp_path))
    missing = factories.environment(str(tmp_path / "missing"))
    assert Surroundings({}, "/", "/gate", there).folders == ("/gate", str(tmp_path))
    assert Surroundings({}, "/", "/gate", missing).folders == ("/gate",)
    assert Surroundings({}, "/", "/gate", None).folders == ("/gate",)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("folder", ["/srv/envs", "/it's a 100% \\folder"])
def test_move_locks(folder: str, tmp_path: Path) -> None:
    """The command writes a rule that TOML reads, whatever the folder is called."""
    import tomllib

    subprocess.run(["/bin/sh", "-c", move_locks(HERE, folder, '["cluster", "local"]')], cwd=tmp_path, check=True)
    (rule,) = tomllib.loads((tmp_path / "lock-policy.toml").read_text(encoding="utf-8"))["rules"]
    assert rule == {"match": {"environment": f"{folder}/**"}, "lock": ["cluster", "local"]}


def test_no_rule_moves_the_gate() -> None:
    """Where the gate's own directory is at fault, the command shows what it lies on."""
    assert move_locks(HERE, "/gate", '"cluster"') == "findmnt -T /gate"
