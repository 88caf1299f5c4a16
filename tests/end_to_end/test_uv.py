"""The main job on real input: real releases of uv, a real user who cannot write, real mounts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import frozen

from tests import factories, processes, real_uv, requirements
from tests.real_uv import OLDEST, as_user, installed, start_as_user, uv  # noqa: F401  (uv is a fixture)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and users")]


@frozen
class World:
    """A user with a project, and a virtual environment that this user cannot write.

    Args:
        home: The user's home; the project is `app` in it.
        environment: The virtual environment's root.
        environ: The user's environment variables.
    """

    home: Path
    environment: Path
    environ: Mapping[str, str]

    @property
    def app(self) -> Path:
        """The project's directory."""
        return self.home / "app"

    def policy(self, *arguments: str | Path) -> list[str | Path]:
        """The command line of `policy` for the user."""
        return [real_uv.public_python(), "-m", "policy", *arguments]

    def configure(self, text: str) -> None:
        """Writes the project's configuration."""
        (self.app / "lock-policy.toml").write_text(text, encoding="utf-8")


def by_permissions(environment: Path, tmp_path: Path) -> Iterator[Path]:
    """The environment belongs to someone else, or its owner took the right to write away."""
    del tmp_path
    for path in (environment, *environment.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o555)
    yield environment
    environment.chmod(0o755)


def by_mount(environment: Path, tmp_path: Path) -> Iterator[Path]:
    """The environment is a read-only bind mount, as a store or an image is."""
    requirements.need_root()
    place = tmp_path / "mounted"
    place.mkdir()
    environment.chmod(0o777)
    subprocess.run(["mount", "--bind", environment, place], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture(params=[by_permissions, by_mount])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The user's world, for each way in which an environment cannot be written."""
    environment = tmp_path / "shared" / "env"
    real_uv.virtualenv(environment)
    wheels = real_uv.wheelhouse(tmp_path / "wheels")
    home = tmp_path / "home"
    real_uv.project(home / "app")
    for place in request.param(environment, tmp_path):
        environ = real_uv.clean_environ(
            home,
            UV_PYTHON=str(place / "bin" / "python"),
            UV_FIND_LINKS=str(wheels),
            PYTHONPATH=real_uv.public_path(),
        )
        real_uv.given_to(home)
        yield World(home, place, environ)


NOTHING = "nothing is configured"
VARIABLE = "UV_ONLY_GLOBAL_LOCKS"
RULE = "a rule for the folder"


def configured(world: World, how: str) -> dict[str, str]:
    """The user's variables after one of the three ways to configure."""
    environ = dict(world.environ)
    if how == VARIABLE:
        environ["UV_ONLY_GLOBAL_LOCKS"] = "1"
    if how == RULE:
        folder = world.environment.parent
        world.configure(f'[[rules]]\nname = "store"\nmatch.interpreter = "{folder}/*"\nlock = "global"\n')
    return environ


def test_plain_uv_fails_or_is_silent(world: World, uv: Path) -> None:
    """Without us uv 0.7.13 fails in an environment that cannot be written, and the newest says nothing."""
    done = as_user([uv, "add", "--no-sync", "tiny"], environ=world.environ, cwd=world.app)
    if OLDEST in str(uv):
        assert done.returncode != 0
        assert "Permission denied" in done.stderr or "Read-only file system" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert "lock" not in done.stderr.lower().replace("lockfile", "")


@pytest.mark.parametrize("how", [NOTHING, VARIABLE, RULE])
def test_run_makes_uv_work(world: World, uv: Path, how: str) -> None:
    """`policy run -- uv add` works with every release, however configured, and says where it changed UV_PYTHON."""
    environ = configured(world, how)
    done = as_user(world.policy("run", "--", uv, "add", "--no-sync", "tiny"), environ=environ, cwd=world.app)
    assert done.returncode == 0, done.stderr
    assert "tiny" in (world.app / "pyproject.toml").read_text()
    assert not (world.environment / ".lock").exists()
    assert ("UV_PYTHON" in done.stderr) is (OLDEST in str(uv))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [NOTHING, VARIABLE, RULE])
def test_nobody_gets_in_while_uv_runs(world: World, uv: Path, how: str, tmp_path: Path) -> None:
    """While uv runs under `policy run`, a second caller times out, and the message says who holds the lock."""
    environ = configured(world, how)
    slow = real_uv.slow_project(tmp_path / "slow")
    running = start_as_user(
        world.policy("run", "--", uv, "add", "--no-sync", slow.path), environ=environ, cwd=world.app
    )
    try:
        slow.wait(running)
        second = as_user(world.policy("run", "--timeout", "0.5", "--", "true"), environ=environ, cwd=world.app)
        assert second.returncode == 124, second.stderr
        assert f"pid {running.pid}" in second.stderr
        code = f"import policy; policy.lock({str(world.environment)!r}, timeout=0.5).acquire()"
        library = as_user([real_uv.public_python(), "-c", code], environ=environ, cwd=world.app)
        assert "LockTimeout" in library.stderr
    finally:
        slow.proceed()
        _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    after = as_user(world.policy("run", "--timeout", "5", "--", "true"), environ=environ, cwd=world.app)
    assert after.returncode == 0, after.stderr


HOLD = """
import sys, policy
with policy.lock(sys.argv[1]) as held:
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(root: str | Path, environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """A process that holds the lock of an environment until its standard input is closed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, root], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdout.readline()
    return holder


@pytest.fixture
def system_python(tmp_path: Path) -> Path:
    """An interpreter outside of virtual environments that a test may install into: it has a prefix of its own."""
    return factories.system_python(tmp_path / "usr", real_uv.public_python())


@pytest.fixture
def writable(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """An environment that can be written, by its root and its interpreter."""
    if request.param == "system":
        interpreter = request.getfixturevalue("system_python")
        return interpreter.parent.parent, interpreter.parent / "python3"
    interpreter = real_uv.virtualenv(tmp_path / "env")
    return tmp_path / "env", interpreter


kinds = pytest.mark.parametrize("writable", ["virtualenv", "system"], indirect=True)


@kinds
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc/locks")
def test_lock_keeps_uv_out(writable: tuple[Path, Path], uv: Path, tmp_path: Path) -> None:
    """A real `uv pip install` waits, whichever spelling it is given, until `policy.lock()` is released."""
    _, interpreter = writable
    environ = real_uv.clean_environ(
        tmp_path / "home",
        UV_FIND_LINKS=str(real_uv.wheelhouse(tmp_path / "wheels")),
        PYTHONPATH=str(real_uv.REPOSITORY),
    )
    holder = hold(interpreter, environ)
    for spelling in sorted(interpreter.parent.glob("python*")):
        installing = subprocess.Popen(
            [uv, "pip", "install", "--python", spelling, "--reinstall", "tiny"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert processes.waits_in_kernel(installing), installing.communicate(timeout=60)
        finally:
            installing.kill()
            installing.communicate()
    installing = subprocess.Popen(
        [uv, "pip", "install", "--python", interpreter, "tiny"], env=environ, stderr=subprocess.PIPE, text=True
    )
    assert processes.waits_in_kernel(installing), installing.communicate(timeout=60)
    holder.communicate()
    _, errors = installing.communicate(timeout=60)
    assert installing.returncode == 0, errors


@kinds
def test_uv_keeps_lock_out(writable: tuple[Path, Path], uv: Path, tmp_path: Path) -> None:
    """`policy.lock()` times out while a real `uv pip install` runs, and succeeds after it has ended."""
    _, interpreter = writable
    environ = real_uv.clean_environ(tmp_path / "home", PYTHONPATH=str(real_uv.REPOSITORY))
    slow = real_uv.slow_project(tmp_path / "slow")
    installing = subprocess.Popen(
        [uv, "pip", "install", "--python", interpreter, slow.path], env=environ, stderr=subprocess.PIPE, text=True
    )
    policy: list[str | Path] = [sys.executable, "-m", "policy", "run", "--python", interpreter]
    try:
        slow.wait(installing)
        second = subprocess.run(
            [*policy, "--timeout", "0.5", "--", "true"], env=environ, capture_output=True, text=True, check=False
        )
    finally:
        slow.proceed()
        _, errors = installing.communicate(timeout=120)
    assert second.returncode == 124, second.stderr
    if os.path.exists("/proc/locks"):
        assert f"pid {installing.pid}" in second.stderr
    assert installing.returncode == 0, errors
    after = subprocess.run([*policy, "--", "true"], env=environ, capture_output=True, text=True, check=False)
    assert after.returncode == 0, after.stderr


@kinds
def test_run_leaves_uv_its_own_lock(writable: tuple[Path, Path], uv: Path, tmp_path: Path) -> None:
    """`policy run -- uv pip install` does not wait for itself, and keeps others out."""
    _, interpreter = writable
    environ = real_uv.clean_environ(tmp_path / "home", PYTHONPATH=str(real_uv.REPOSITORY))
    slow = real_uv.slow_project(tmp_path / "slow")
    policy = [sys.executable, "-m", "policy", "run"]
    installing = subprocess.Popen(
        [*policy, "--", uv, "pip", "install", "--python", interpreter, slow.path],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        slow.wait(installing)
        second = subprocess.run(
            [*policy, "--python", interpreter, "--timeout", "0.5", "--", "true"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        slow.proceed()
        _, errors = installing.communicate(timeout=120)
    assert second.returncode == 124, second.stderr
    assert installing.returncode == 0, errors


def test_newest_uv_is_newer_than_the_pinned() -> None:
    """The tests see a uv that this project has never been tested with as soon as there is one."""
    newest = subprocess.run([installed(), "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert tuple(map(int, newest.split("."))) >= (0, 11, 33)
