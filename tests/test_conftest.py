from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

FAILS = """
import gc, subprocess, sys
from tests.conftest import _ended

def test_fails():
    command = [sys.executable, "-c", "input()"]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    running[0].communicate()
    assert not running

def test_collects_what_the_other_has_left():
    sys.last_value = sys.last_traceback = None
    gc.collect()
"""


def test_one_failure_does_not_make_a_second(tmp_path: Path) -> None:
    """What a test that fails has started is ended, so that no later test fails for it."""
    file = factories.written(tmp_path / "test_fails.py", FAILS)
    options: list[str | Path] = ["-p", "no:cacheprovider", "-q", "-W", "error", "--rootdir", tmp_path, file]
    environ = {**factories.alone(tmp_path), "PYTHONPATH": str(factories.CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout
