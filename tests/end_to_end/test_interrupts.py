"""An interrupt at any moment leaves no lock held and no descriptor open."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs timers of POSIX", allow_module_level=True)

INTERRUPTED = """
import os, random, signal, sys
import policy
from policy.locks import open_file, owners

def interrupt(*_):
    raise KeyboardInterrupt

root, wanted = sys.argv[1], int(sys.argv[2])
rules = policy.load(no_config=True)
with policy.lock(root, rules=rules, environ={}):
    pass
before = os.listdir("/dev/fd")
signal.signal(signal.SIGALRM, interrupt)
interrupts = held = 0
while interrupts < wanted:
    try:
        # again and again, for an exception in a finalizer is lost
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 4e-4), 0.02)
        while True:
            with policy.lock(root, rules=rules, environ={}):
                pass
    except KeyboardInterrupt:
        interrupts += 1
    try:
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:  # one more came before that, after a pause of this process
        signal.setitimer(signal.ITIMER_REAL, 0)
    held += bool(open_file._opened or owners._owners)
print(interrupts, held, len(os.listdir("/dev/fd")) - len(before))
"""


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_interrupts(tmp_path: Path, count: int) -> None:
    """However often the taking and the giving up are interrupted, nothing is held afterwards and nothing is open."""
    root = factories.virtualenv(tmp_path / "env")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INTERRUPTED, str(root), str(count)],
        env={**factories.alone(tmp_path), **factories.UNMEASURED, "PYTHONPATH": str(factories.CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.stdout == f"{count} 0 0\n", done.stderr
