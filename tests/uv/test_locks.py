from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from policy.environment.discovery import Environment
from policy.uv.locks import certain, locks
from policy.wrap import UV_LOCK_TIMEOUT
from tests import real_uv
from tests.uv.reading import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)

import fcntl


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("release", [real_uv.OLDEST, "0.9.30", real_uv.NEWEST])
def test_real_uv_waits_with_our_timeout(tmp_path: Path, release: str) -> None:
    """With our `UV_LOCK_TIMEOUT` real uv waits for its lock; with a short one the newer releases go on unlocked."""
    python = real_uv.virtualenv(tmp_path / "v")
    wheels = real_uv.wheelhouse(tmp_path / "wheels")
    binary = real_uv.installed(release)
    argv = [str(binary), "pip", "install", "--python", str(python), "tiny"]
    environ = real_uv.clean_environ(tmp_path / "home", UV_FIND_LINKS=str(wheels), UV_LOCK_TIMEOUT=UV_LOCK_TIMEOUT)
    with _held(tmp_path / "v" / ".lock"):
        running = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1.5)
        assert running.poll() is None
        if release != real_uv.OLDEST:
            short = {**environ, "UV_LOCK_TIMEOUT": "0"}
            assert (
                subprocess.run([*argv, "--dry-run"], env=short, capture_output=True, timeout=60, check=False).returncode
                == 0
            )
    assert running.communicate(timeout=60)[1] is not None
    assert running.returncode == 0


@pytest.mark.parametrize("release", [real_uv.OLDEST, real_uv.NEWEST])
def test_real_uv_holds_its_lock_while_it_builds(tmp_path: Path, release: str) -> None:
    """While real uv works, a second lock does not get in: that is what we rely on where we leave the lock to it."""
    python = real_uv.virtualenv(tmp_path / "v")
    slow = real_uv.slow_project(tmp_path / "slow")
    environ = real_uv.clean_environ(tmp_path / "home")
    argv = [str(real_uv.installed(release)), "pip", "install", "--python", str(python), str(slow.path)]
    running = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        slow.wait(running)
        with (tmp_path / "v" / ".lock").open("r+b") as stream, pytest.raises(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        slow.proceed()
        out = running.communicate(timeout=60)
    assert running.returncode == 0, out


def test_certainty() -> None:
    """A subcommand that is not known, a preview, and a script that uv finds an interpreter for are not certain."""
    python = Environment("/e/bin/python", "/e", "virtualenv", "/usr/bin/python3")
    for line, expected in (
        ("uv pip install x", True),
        ("uv pip list", True),
        ("uv --version", True),
        ("uv new", False),
        ("uv pip new", False),
        ("uv --preview sync", False),
        ("uv --preview-features x sync", False),
        ("uv add --script s.py x", False),
        ("uv run https://host/s.py", False),
        ("uv run uv new", False),
    ):
        assert certain(parsed(line), python) is expected, line
    assert not certain(parsed("uv sync", {"UV_PREVIEW": "1"}), python)
    assert not certain(parsed("uv pip install x", {"CONDA_PREFIX": "/c"}), python)
    assert not certain(parsed("uv pip install x"), None)
    assert locks(parsed("uv pip install x"), None) == ()


@pytest.mark.parametrize(
    ("line", "variable"),
    [
        ("uv run python", "UV_ISOLATED"),
        ("uv run python", "UV_NO_PROJECT"),
        ("uv pip install x", "UV_PYTHON_SEARCH_PATH"),
        ("uv run /elsewhere/script.py", ""),
    ],
)
def test_certain_by_release(line: str, variable: str) -> None:
    """What counts since a release is uncertain only where it is not known which release it is."""
    python = Environment("/e/bin/python", "/e", "virtualenv", "/usr/bin/python3")
    command = parsed(line, {variable: "1"} if variable else {})
    for release, expected in ((None, False), ((), False), ((0, 8, 0), True), ((0, 13, 9), True)):
        command.release = release
        assert certain(command, python) is expected
