"""Environments that are made, and made anew, by several at once: none is inside at the same time as another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests import factories, real_uv, requirements

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="Linux's programs")]

TIMEOUT = 120
CALLERS, ROUNDS = 4, 8
ONCE = 24

# What each of the callers runs while it holds its locks: a line at the beginning, one at the end, the work between.
WORK = 'echo enter >>"$LOG"; {work}; code=$?; echo leave >>"$LOG"; exit $code'
# A mount namespace with a /tmp of its own, where this project and this Python are still to be seen.
OWN_TMP = """
mount --bind /tmp {old} && mount -t tmpfs tmpfs /tmp || exit
for path in {kept}; do mkdir -p $path && mount --bind {old}/${{path#/tmp/}} $path || exit; done
exec "$@"
"""
MAKE = "test -e .venv/bin/python || uv venv -q .venv"
MAKE_ANEW = "uv venv -q --clear .venv"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory outside of /tmp, which other mount namespaces have as their own."""
    path = Path(tempfile.mkdtemp(prefix="lock-policy-", dir="/var/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def environ(directory: Path) -> Mapping[str, str]:
    """Variables with a real uv first on PATH."""
    return real_uv.clean_environ(
        directory / "home",
        PYTHONPATH=real_uv.public_path(),
        LOG=str(directory / "log"),
        PATH=os.pathsep.join((str(real_uv.installed().parent), "/usr/bin", "/bin")),
    )


def start(
    directory: Path, environ: Mapping[str, str], *words: str, wrapper: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Starts `policy` in the directory."""
    return subprocess.Popen(
        [*wrapper, sys.executable, "-m", "policy", *words],
        cwd=directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def contend(directory: Path, environ: Mapping[str, str], words: Sequence[str], wrapper: Sequence[str] = ()) -> None:
    """Lets the callers enter again and again, all at once, and looks that each comes to its end."""
    for _ in range(ROUNDS):
        running = [start(directory, environ, *words, wrapper=wrapper) for _ in range(CALLERS)]
        for process in running:
            _, errors = process.communicate(timeout=TIMEOUT)
            assert process.returncode == 0, errors


def overlaps(directory: Path) -> int:
    """How many entered while another was inside."""
    lines = (directory / "log").read_text(encoding="utf-8").split()
    assert len(lines) == 2 * CALLERS * ROUNDS
    return sum(line != ("enter", "leave")[number % 2] for number, line in enumerate(lines))


@pytest.mark.parametrize("work", [MAKE, MAKE_ANEW])
def test_nobody_is_inside_twice(directory: Path, environ: Mapping[str, str], work: str) -> None:
    """Under the built-in rules nobody enters while another makes the environment, or makes it anew."""
    contend(directory, environ, ("run", "--python", ".venv", "--", "sh", "-c", WORK.format(work=work)))
    assert overlaps(directory) == 0


def test_two_containers_on_one_volume(directory: Path, environ: Mapping[str, str]) -> None:
    """With a lock beside the environment, mount namespaces with a /tmp of their own exclude each other, too."""
    requirements.need_root()
    kept = [str(path) for path in (factories.CHECKOUT, sys.prefix) if str(path).startswith("/tmp/")]
    (directory / "old").mkdir()
    own = ("unshare", "-m", "sh", "-c", OWN_TMP.format(old=directory / "old", kept=" ".join(kept)), "sh")
    able = subprocess.run([*own, "true"], check=False, capture_output=True, text=True)
    requirements.need(able.returncode == 0, f"needs to mount: {able.stderr}")
    factories.written(directory / "lock-policy.toml", '[[rules]]\nlock = ["beside", "local"]\n')
    contend(directory, environ, ("run", "--python", ".venv", "--", "sh", "-c", WORK.format(work=MAKE_ANEW)), own)
    assert overlaps(directory) == 0


def test_once(directory: Path, environ: Mapping[str, str]) -> None:
    """Of 24 who run `policy once -- uv venv` at once all end with 0, and strace sees the environment made once."""
    requirements.need(shutil.which("strace") is not None, "needs strace")
    once = [sys.executable, "-m", "policy", "once", "--unless", ".venv/bin/python", "--", "uv", "venv", "-q", ".venv"]
    script = '"$@"; echo $? >>codes'
    every = f"for number in $(seq {ONCE}); do ({script}) & done; wait"
    traced = ("strace", "-f", "-qq", "-e", "trace=?mkdir,mkdirat,?symlink,symlinkat,execve", "-o", "trace")
    done = subprocess.run(
        [*traced, "sh", "-c", every, "sh", *once],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    requirements.need("ptrace" not in done.stderr, f"needs a strace that may trace: {done.stderr.strip()}")
    assert (directory / "codes").read_text(encoding="utf-8").split() == ["0"] * ONCE, done.stderr
    trace = (directory / "trace").read_text(encoding="utf-8", errors="surrogateescape")
    made = [line for line in trace.splitlines() if line.endswith(" = 0")]
    assert sum('"-q", ".venv"]' in line and "execve(" in line and '/uv"' in line for line in made) == 1
    assert sum("mkdir" in line and '.venv"' in line for line in made) == 1
    assert sum("symlink" in line and '.venv/bin/python"' in line for line in made) == 1
    assert (directory / ".venv" / "bin" / "python").exists()


def test_replacing_the_environment_loses_no_lock(directory: Path, environ: Mapping[str, str]) -> None:
    """`policy run --close -- uv venv --clear` ends with 0: uv deletes the environment's lock, and the gate is held."""
    real_uv.virtualenv(directory / ".venv")
    for words in (
        ("run", "--close", "--", "uv", "venv", "-q", "--clear"),
        ("run", "--close", "--", "/usr/bin/python3", "-m", "venv", "--clear", "--without-pip", ".venv"),
    ):
        process = start(directory, environ, *words)
        out, errors = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, out, errors) == (0, "", "")
    # A command that does not make it anew has lost its lock.
    process = start(directory, environ, "run", "--close", "--python", ".venv", "--", "rm", ".venv/.lock")
    assert "deleted or replaced" in process.communicate(timeout=TIMEOUT)[1]
    assert process.returncode == 125
