"""Readers side by side, a writer alone; who joins an ancestor, who stands back, and who is told instead of waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import factories, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock", allow_module_level=True)

if TYPE_CHECKING:
    Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An environment."""
    return factories.virtualenv(tmp_path.resolve() / "env")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables of this test alone; `policy` is on PATH."""
    script = factories.written(tmp_path / "bin" / "policy", f'#!/bin/sh\nexec {sys.executable} -m policy "$@"\n')
    script.chmod(0o755)
    alone = factories.alone(tmp_path)
    return {**alone, "PYTHONPATH": str(factories.CHECKOUT), "PATH": f"{script.parent}:{alone['PATH']}"}


@pytest.fixture
def run(root: Path, environ: dict[str, str]) -> Run:
    """Runs `policy run` on the environment with options and a shell command."""

    def run(*options: str, command: str = "true") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["policy", "run", "--python", str(root), *options, "--", "sh", "-c", command],
            env={**environ, "ENV": str(root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=processes.PATIENCE,
        )

    return run


@pytest.fixture
def inside(root: Path, environ: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a `policy run` whose command goes on until its standard input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        words = ["policy", "run", "--python", str(root), *options, "--", "sh", "-c", "echo inside; cat"]
        process = subprocess.Popen(words, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.communicate(timeout=processes.PATIENCE)


def test_readers_and_writers(inside: Callable[..., subprocess.Popen[str]], run: Run) -> None:
    """Two readers are inside at once and keep a writer out; a writer keeps readers out; a killed one frees at once."""
    reader = inside("--shared")
    other = inside("--shared", "--timeout", "0")
    assert run("--timeout", "0").returncode == 124
    reader.kill()
    reader.communicate()
    assert run("--timeout", "0").returncode == 124
    other.communicate()
    assert run("--timeout", "0").returncode == 0
    inside()
    assert run("--shared", "--timeout", "0").returncode == 124


def test_rule_reads(root: Path, inside: Callable[..., subprocess.Popen[str]], run: Run) -> None:
    """A rule with `shared = true` makes readers of those it matches."""
    rule = '[[rules]]\nmatch.operation = "test"\nlock = "local"\nshared = true\n'
    factories.written(root.parent / "lock-policy.toml", rule)
    inside("--operation", "test")
    assert run("--operation", "test", "--timeout", "0").returncode == 0
    assert run("--timeout", "0").returncode == 124


STREAM = """
import policy, sys, time
end = time.monotonic() + 60
while time.monotonic() < end and not sys.stdin.closed:
    with policy.lock(sys.argv[1], shared=True, environ={}):
        print(".", end="", flush=True)
        time.sleep(0.2)
"""


@pytest.mark.parametrize("options", [(), ("--timeout", "30"), ("-q",)], ids=str)
def test_writer_is_not_starved(root: Path, environ: dict[str, str], run: Run, options: tuple[str, ...]) -> None:
    """Behind readers who come and go without a gap, a writer gets in."""
    readers: list[subprocess.Popen[Any]] = []
    for _ in range(2):
        reader = subprocess.Popen(
            [sys.executable, "-c", STREAM, str(root)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        readers.append(reader)
        assert reader.stdout is not None
        assert reader.stdout.read(1) == b"."
        time.sleep(0.1)  # so that they overlap
    try:
        assert run(*options).returncode == 0
        assert [reader.poll() for reader in readers] == [None, None]
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()


NESTED = 'policy run --python "$ENV"'


@pytest.mark.parametrize(
    ("outer", "command", "code", "says"),
    [
        ((), f"{NESTED} --timeout 0 -- true", 0, ""),
        ((), f"{NESTED} -- {NESTED} --timeout 0 -- true", 0, ""),
        ((), f"{NESTED} --shared --timeout 0 -- true", 0, ""),
        (("--shared",), f"{NESTED} --shared --timeout 0 -- true", 0, ""),
        (("--shared",), f"{NESTED} -- true", 125, "holds it for reading, and would never let a writer in"),
        ((), f"env -u LOCK_POLICY_HELD {NESTED} -- true", 125, "which led to this one, holds it, and both would wait"),
        ((), f"true; env -u LOCK_POLICY_HELD {NESTED} -- true; exit $?", 125, "both would wait forever"),
    ],
)
def test_nested(run: Run, outer: tuple[str, ...], command: str, code: int, says: str) -> None:
    """A nested run joins what an ancestor holds; one that would wait for its ancestor forever ends with a message."""
    done = run(*outer, command=command)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == (1 if says else 0)


def test_siblings(run: Run) -> None:
    """Two that join the same ancestor exclude each other."""
    first = f"{NESTED} -- sh -c 'echo in; cat' "
    script = f"mkfifo $ENV/go; {{ {first} < $ENV/go > $ENV/out & }}; exec 9> $ENV/go; "
    script += "until grep -q in $ENV/out; do sleep 0.05; done; "
    script += f"{NESTED} --timeout 0 -- true; echo $?; exec 9>&-; wait; {NESTED} --timeout 0 -- true; echo $?"
    done = run(command=script)
    assert done.stdout.split() == ["124", "0"], done.stderr


IN_PROGRAM = """
import os, policy, subprocess, sys
root = sys.argv[1]
words = ["policy", "run", "--python", root, "--", "true"]
with policy.lock(root) as held:
    print(subprocess.run(words, env=held.environ).returncode)
    print(subprocess.run(words, stderr=subprocess.DEVNULL).returncode)
    if not os.fork():
        try:
            policy.lock(root).acquire()
        except policy.LockUnavailable:
            print("refused", flush=True)
        os._exit(0)
    os.wait()
    with policy.lock(root) as again:
        print(again.locks == held.locks)
"""


def test_in_a_program(root: Path, environ: dict[str, str]) -> None:
    """With `held.environ` a command joins; without it, and in a forked child, it is told instead of waiting forever."""
    done = subprocess.run(
        [sys.executable, "-u", "-c", IN_PROGRAM, str(root)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=processes.PATIENCE,
    )
    assert done.stdout.split() == ["0", "125", "refused", "True"], done.stderr
    assert os.path.exists(root / ".lock")
