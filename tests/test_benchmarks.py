"""That the benchmarks work at all; what they measure is for people to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="they start processes with posix_spawn")
def test_they_run(tmp_path: Path) -> None:
    """The benchmarks run with whatever peers are installed, and write the page and the plot."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "a warm decision" in done.stdout
    page = (tmp_path / "performance.md").read_text("utf-8")
    assert "| what | target | measured | met |" in page
    assert str(ROOT) not in page
    assert (tmp_path / "performance.svg").read_text("utf-8").startswith("<svg ")
