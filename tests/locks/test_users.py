"""Which processes run from an environment: real ones, started in every way that people know."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import venv
from typing import TYPE_CHECKING, Any

import pytest

from policy.errors import EnvironmentInUse, UsageError
from policy.locks import users as module
from policy.locks.hold import Held, drive
from policy.locks.users import can_know, pids, until_unused, users
from tests import factories, requirements
from tests.running import ended, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)

SLEEP = "import sys; print('ready', flush=True); sys.stdin.read()"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real virtual environment."""
    root = tmp_path_factory.mktemp("users") / "env"
    venv.create(root, symlinks=True)
    return root


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that the test starts, ended afterwards."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    ended(*processes)


def start(started: list[subprocess.Popen[str]], *words: str | Path, **options: Any) -> int:
    """Starts a process that says when it runs and lives until the test ends."""
    process = subprocess.Popen(
        list(map(str, words)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return int(process.pid)


def using(root: Path) -> dict[int, str]:
    """The processes and what shows it of each."""
    return dict(pids(str(root)))


def test_interpreter(root: Path, started: list[subprocess.Popen[str]]) -> None:
    """A Python that was started by its path in the environment, and none that was not."""
    pid = start(started, root / "bin" / "python", "-c", SLEEP)
    start(started, sys.executable, "-c", SLEEP)
    assert using(root) == {pid: f"{root}/bin/python"}


def test_by_path(root: Path, started: list[subprocess.Popen[str]]) -> None:
    """A Python that PATH led to, and one that was called by a relative path."""
    environ = {"PATH": f"{root}/bin:/usr/bin:/bin"}
    first = start(started, "python", "-c", SLEEP, env=environ, executable=f"{root}/bin/python")
    second = start(started, "bin/python", "-c", SLEEP, cwd=root)
    assert using(root) == {first: f"{root}/bin/python", second: f"{root}/bin/python"}


def test_through_a_link(root: Path, started: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """A link to the environment is the same environment, on either side."""
    link = tmp_path / "link"
    link.symlink_to(root)
    pid = start(started, link / "bin" / "python", "-c", SLEEP)
    assert set(using(root)) == set(using(link)) == {pid}


def test_script(root: Path, started: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """A script whose first line names the environment's interpreter, called by a name of its own."""
    script = tmp_path / "serve"
    script.write_text(f"#!{root}/bin/python\n{SLEEP}\n", encoding="utf-8")
    script.chmod(0o755)
    pid = start(started, script)
    assert using(root) == {pid: f"{root}/bin/python"}


def test_program_in_it(root: Path, started: list[subprocess.Popen[str]]) -> None:
    """A program that is no Python and lies in the environment, as ruff's does; removed meanwhile, too."""
    program = root / "bin" / "tool"
    shutil.copy(shutil.which("cat") or "/bin/cat", program)
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    started.append(process)
    wait_until(lambda: process.pid in using(root), "cat runs")
    program.unlink()
    assert using(root) == {process.pid: f"{root}/bin/tool"}


def test_mapped(root: Path, started: list[subprocess.Popen[str]]) -> None:
    """A foreign Python that has loaded an extension module of the environment."""
    import _json

    packages = root / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    source = getattr(_json, "__file__", None)
    requirements.need(bool(source), "this Python has _json built in")
    copy = packages / "theirs.so"
    shutil.copy(str(source), copy)
    code = f"import ctypes; ctypes.CDLL({str(copy)!r}, mode=1); {SLEEP}"
    pid = start(started, sys.executable, "-c", code)
    assert using(root) == {pid: str(copy)}


def test_another_environment(root: Path, started: list[subprocess.Popen[str]]) -> None:
    """An environment inside of another one, or beside it with a longer name, is not that one."""
    beside = factories.virtualenv(root.parent / "env2")
    inside = factories.virtualenv(root / "inside")
    start(started, beside / "bin" / "python", "-c", SLEEP)
    start(started, inside / "bin" / "python", "-c", SLEEP)
    assert using(root) == {}
    assert len(using(inside)) == 1


def test_activated_shell(root: Path, started: list[subprocess.Popen[str]]) -> None:
    """A shell in which the environment is active runs nothing of it."""
    environ = {"VIRTUAL_ENV": str(root), "PATH": f"{root}/bin:/usr/bin:/bin"}
    start(started, "/bin/sh", "-c", "echo ready; read x", env=environ)
    assert using(root) == {}


def test_system_interpreter(started: list[subprocess.Popen[str]], root: Path) -> None:
    """Of a system interpreter those count that have its prefix, not every program below /usr nor other environments."""
    base = os.path.realpath(sys.base_prefix)
    interpreter = os.path.realpath(sys.executable)
    mine = start(started, interpreter, "-c", SLEEP)
    theirs = start(started, root / "bin" / "python", "-c", SLEEP)
    shell = start(started, "/bin/sh", "-c", "echo ready; read x")
    found = dict(pids(base, kind="system"))
    assert mine in found
    assert not {theirs, shell} & set(found)


def test_not_itself(root: Path) -> None:
    """A program that asks about its own environment does not count itself."""
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]; from policy.locks.users import pids; print(list(pids(sys.argv[1])))"
    )
    paths = [str(factories.CHECKOUT), *filter(None, sys.path)]
    done = subprocess.run(
        [root / "bin" / "python", "-c", code, root, *paths], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_what_is_told(root: Path, started: list[subprocess.Popen[str]]) -> None:
    """Each with its number, user, command and since when it runs."""
    pid = start(started, root / "bin" / "python", "-c", SLEEP)
    (user,) = users(str(root))
    assert user.process.pid == pid
    assert user.process.command.startswith(f"{root}/bin/python -c")
    assert user.process.since
    assert user.uses == f"{root}/bin/python"


def test_cost(root: Path, started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many processes of one program each costs one system call, and a few are asked what they have mapped."""
    for _ in range(60):
        start(started, "/bin/sh", "-c", "echo ready; read x")
    asked: dict[str, list[str]] = {"readlink": [], "open": []}

    def counting(name: str) -> None:
        really = getattr(os, name)

        def counted(path: str, *rest: Any, **options: Any) -> Any:
            asked[name].append(str(path))
            return really(path, *rest, **options)

        monkeypatch.setattr(os, name, counted)

    counting("readlink")
    counting("open")
    assert using(root) == {}
    ours = {str(process.pid) for process in started}
    assert len([path for path in asked["readlink"] if path.split("/")[2] in ours]) == len(ours)
    assert len([path for path in asked["open"] if path.split("/")[2] in ours]) <= 8


# Waiting


def wait(root: Path, timeout: float | None) -> None:
    """Waits as `policy run --unused` does."""
    drive(Held(), until_unused(str(root), kind="virtualenv", start=time.monotonic(), timeout=timeout, waiting=None))


def test_unused(root: Path) -> None:
    """Where nothing runs there is nothing to wait for."""
    assert can_know()
    wait(root, 0)


def test_in_use(root: Path, started: list[subprocess.Popen[str]]) -> None:
    """When time is up the error says which processes run."""
    pid = start(started, root / "bin" / "python", "-c", SLEEP)
    with pytest.raises(EnvironmentInUse) as caught:
        wait(root, 0)
    assert str(caught.value).startswith(f"{root}: still in use after 0 s, by pid {pid} (")
    assert caught.value.exit_code == 124


def test_waits_for_the_end(root: Path, started: list[subprocess.Popen[str]]) -> None:
    """It goes on when the last one has ended, whose end wakes it."""
    for _ in range(2):
        start(started, root / "bin" / "python", "-c", SLEEP)
    steps = until_unused(str(root), kind="virtualenv", start=time.monotonic(), timeout=None, waiting=None)
    assert next(steps).descriptor >= 0
    ended(started[0])
    assert next(steps).descriptor >= 0
    ended(started[1])
    assert list(steps) == []


def test_not_for_itself(root: Path, tmp_path: Path) -> None:
    """A program that was started from the environment does not wait for its own parent."""
    code = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    words = [*factories.PROGRAM, "run", "--unused", "--python", str(root), "--", "true"]
    done = factories.policy(
        code, *words, environ=factories.alone(tmp_path), cwd=tmp_path, program=[str(root / "bin" / "python"), "-c"]
    )
    assert done.returncode == 125
    assert f"runs from {root} and started this process: it would wait for itself" in done.stderr


def test_nobody_can_know(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not say it, nothing is promised."""
    monkeypatch.setattr(module, "can_know", lambda: False)
    with pytest.raises(UsageError, match="needs Linux"):
        wait(root, 0)
