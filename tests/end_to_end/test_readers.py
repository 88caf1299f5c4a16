"""Readers side by side, a writer alone; who joins an ancestor, who stands back, and who is told instead of waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests import factories, processes, real_uv

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
            timeout=processes.TIMEOUT,
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
            process.communicate(timeout=processes.TIMEOUT)


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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc/locks")
@pytest.mark.parametrize("release", ["0.7.19", "0.9.30", real_uv.NEWEST])
def test_real_uv(tmp_path: Path, inside: Callable[..., subprocess.Popen[str]], root: Path, release: str) -> None:
    """A real `uv pip install` is done only after both readers have left."""
    wheels = real_uv.wheelhouse(tmp_path / "wheels")
    environ = real_uv.clean_environ(tmp_path / "home", UV_FIND_LINKS=str(wheels))
    first, second = inside("--shared"), inside("--shared")
    words: list[str | Path] = [real_uv.installed(release), "pip", "install", "--python", root, "tiny"]
    uv = subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for reader in (first, second):
            assert processes.waits_in_kernel(uv), uv.communicate()
            reader.communicate(timeout=processes.TIMEOUT)
        _, errors = uv.communicate(timeout=processes.TIMEOUT)
    finally:
        uv.kill()
        uv.communicate()
    assert uv.returncode == 0, errors
    assert list(root.glob("lib/*/site-packages/tiny.py"))


# Comes again and again, and leaves only when the other one has come, so that there is never a gap; without the other
# it stays for some seconds.
STREAM = """
import fcntl, policy, sys, time
root, name, log, plain, seconds = sys.argv[1:]
while True:
    if plain:
        held = open(plain)
        fcntl.flock(held, fcntl.LOCK_SH)
    else:
        held = policy.lock(root, shared=True, environ={}).acquire()
    with open(log, "a") as file:
        file.write(name)
    end = time.monotonic() + float(seconds)
    while open(log).read()[-1] == name and time.monotonic() < end:
        time.sleep(0.01)
    held.close() if plain else held.release()
"""


class Stream:
    """Two readers without a gap between them.

    Args:
        directory: Where they write down that they entered.
        root: The environment that they read.
        environ: Their variables.
        plain: A file that they lock with nothing but flock(2), instead of the environment.
    """

    def __init__(self, directory: Path, root: Path, environ: dict[str, str], plain: str = "") -> None:
        self.log = directory / "stream"
        self.log.touch()
        seconds = "1" if not plain else str(processes.TIMEOUT)
        self.readers = [
            subprocess.Popen([sys.executable, "-c", STREAM, root, name, self.log, plain, seconds], env=environ)
            for name in "ab"
        ]
        self.until(10)

    def entered(self) -> int:
        """How often one of them entered."""
        return self.log.stat().st_size

    def until(self, count: int) -> None:
        """Waits until they have entered so often."""
        end = time.monotonic() + processes.TIMEOUT
        while self.entered() < count:
            assert time.monotonic() < end, f"entered {self.entered()} times"
            time.sleep(0.01)

    def close(self) -> None:
        """Ends both."""
        for reader in self.readers:
            reader.kill()
            reader.wait()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc/locks")
@pytest.mark.parametrize("options", [(), ("--timeout", "50"), ("-q",)], ids=str)
def test_writer_is_not_starved(tmp_path: Path, root: Path, environ: dict[str, str], options: tuple[str, ...]) -> None:
    """Behind readers who come and go without a gap, a writer is the next who gets in."""
    stream = Stream(tmp_path, root, environ)
    words: list[str | Path] = ["policy", "run", "--python", root, *options, "--", "wc", "-c", stream.log]
    writer = subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert processes.waits_in_kernel(writer), writer.communicate()
        before = stream.entered()
        output, errors = writer.communicate(timeout=processes.TIMEOUT)
        assert writer.returncode == 0, errors
        assert int(output.split()[0]) - before <= len(stream.readers)  # who had come before it may still get in
        stream.until(before + 10)
    finally:
        writer.kill()
        writer.communicate()
        stream.close()


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc/locks")
def test_stream_starves(tmp_path: Path, root: Path, environ: dict[str, str]) -> None:
    """The same two readers, with nothing but flock(2), keep a writer out however often they come."""
    plain = factories.written(tmp_path / "plain.lock", "")
    stream = Stream(tmp_path, root, environ, str(plain))
    writer = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX)", plain]
    )
    try:
        assert processes.waits_in_kernel(writer)
        stream.until(stream.entered() + 100)
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()
        stream.close()


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc/locks")
def test_nested_reader_beside_a_writer(root: Path, environ: dict[str, str]) -> None:
    """A nested reader joins its own ancestor and does not stand back behind a writer that waits for both."""
    options = ["--python", str(root)]
    nested = "echo inside; read go; policy run --shared --timeout 0 -- echo nested"
    reader = subprocess.Popen(
        ["policy", "run", "--shared", *options, "--", "sh", "-c", nested],
        env={**environ, "VIRTUAL_ENV": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "inside\n"
    writer = subprocess.Popen(["policy", "run", "-q", *options, "--", "true"], env=environ)
    try:
        assert processes.waits_in_kernel(writer)
        output, errors = reader.communicate("go\n", timeout=processes.TIMEOUT)
        assert (output, errors) == ("nested\n", "")
        assert writer.wait(processes.TIMEOUT) == 0
    finally:
        for process in (reader, writer):
            process.kill()
            process.communicate()


NESTED = 'policy run --python "$ENV"'


@pytest.mark.parametrize(
    ("outer", "command", "code", "says"),
    [
        ((), f"{NESTED} --timeout 0 -- true", 0, ""),
        ((), f"{NESTED} -- {NESTED} --timeout 0 -- true", 0, ""),
        ((), f"{NESTED} --shared --timeout 0 -- true", 0, ""),
        (("--shared",), f"{NESTED} --shared --timeout 0 -- true", 0, ""),
        (("--shared",), f"{NESTED} -- true", 125, "holds it for reading, and would never let a writer in"),
        ((), f"env -u LOCK_POLICY_HELD {NESTED} -- true", 125, "an ancestor of this one, holds it, so both would wait"),
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
        timeout=processes.TIMEOUT,
    )
    assert done.stdout.split() == ["0", "125", "refused", "True"], done.stderr
    assert os.path.exists(root / ".lock")
