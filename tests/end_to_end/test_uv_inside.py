"""uv inside of other commands: none may wait for its own caller, and a third party stays out meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from attrs import frozen

from tests import factories, real_uv, requirements
from tests.real_uv import NEWEST, installed

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="Linux's programs")]

RELEASES = ("0.7.18", "0.9.15", "0.9.30", NEWEST)
TIMEOUT = 60  # seconds after which a command counts as hung: none needs more than some
INSTALL = "uv pip install --reinstall tiny"

SCRIPT = "# /// script\n# requires-python = '>=3.8'\n# dependencies = ['tiny']\n# ///\nprint('ran')\n"
FILES = {
    "Makefile": f"all:\n\t{INSTALL}\n",
    "justfile": f"all:\n    {INSTALL}\n",
    "script.py": f"import subprocess, sys\nsys.exit(subprocess.call({INSTALL.split()!r}))\n",
    "metadata.py": SCRIPT,
    "noxfile.py": (
        "import nox\n@nox.session(python=False)\ndef t(session):\n"
        f"    session.run(*{INSTALL.split()!r}, external=True)\n"
    ),
    "tox.ini": f"[tox]\nno_package = true\n[testenv]\nskip_install = true\nallowlist_externals = uv\npass_env = *\n"
    f"commands = {INSTALL} --python {{toxinidir}}/.venv\n",
    "hatch.toml": '[envs.default]\nskip-install = true\npath = ".hatch"\n[envs.default.scripts]\n'
    f'go = "{INSTALL} --python .venv"\n',
    ".pre-commit-config.yaml": (
        "repos:\n- repo: local\n  hooks:\n  - id: go\n    name: go\n    language: system\n"
        f"    entry: {INSTALL}\n    pass_filenames: false\n    always_run: true\n"
    ),
}

# A shell that cannot be taken for one simple command is any other command.
FORMS: dict[str, Sequence[str]] = {
    "direct": INSTALL.split(),
    "module": ["{python}", "-m", "uv", *INSTALL.split()[1:]],
    "env": ["env", "A=1", *INSTALL.split()],
    "sh": ["sh", "-c", f"true && {INSTALL}"],
    "bash": ["bash", "-c", f"{INSTALL}; exit $?"],
    "exec": ["sh", "-c", f"exec {INSTALL}"],
    "nice": ["nice", "-n", "1", *INSTALL.split()],
    "ionice": ["ionice", "-c", "3", *INSTALL.split()],
    "nohup": ["nohup", *INSTALL.split()],
    "timeout": ["timeout", "50", *INSTALL.split()],
    "time": ["bash", "-c", f"time {INSTALL}"],
    "setsid": ["setsid", "-w", *INSTALL.split()],
    "stdbuf": ["stdbuf", "-oL", *INSTALL.split()],
    "taskset": ["taskset", "-c", "0", *INSTALL.split()],
    "xargs": ["sh", "-c", f"echo tiny | xargs {INSTALL}"],
    "xargs-words": ["sh", "-c", "echo pip install --reinstall tiny | xargs uv"],
    "make": ["make"],
    "just": ["just"],
    "python": ["python3", "script.py"],
    "find": ["find", "justfile", "-exec", *INSTALL.split(), ";"],
    "nox": ["nox", "-s", "t"],
    "script": ["script", "-qec", INSTALL, "/dev/null"],
    "flock": ["flock", "other.lock", *INSTALL.split()],
    "unshare": ["unshare", "-n", *INSTALL.split()],
    "sudo": ["sudo", "-E", "-u", "root", "env", "PATH={path}", *INSTALL.split()],
    "uv-run": ["uv", "run", "--no-project", "sh", "-c", f"{INSTALL}; exit $?"],
    "uv-run-isolated": ["uv", "run", "--isolated", "--no-project", "sh", "-c", f"{INSTALL}; exit $?"],
    "another-name": ["sh", "-c", "./my-installer pip install --reinstall tiny; exit $?"],
    "pre-commit": ["pre-commit", "run", "--all-files"],
    "uvx": ["uvx", "--from", "caller", "caller"],
    "tox": ["tox", "-q", "-e", "py"],
    "hatch": ["hatch", "run", "go"],
    "nested": ["sh", "-c", f"{{policy}} run -- {INSTALL}; exit $?"],
    "sync-active-script": ["uv", "sync", "--active", "--script", "metadata.py"],
    "run-no-project": ["env", "UV_NO_PROJECT=1", "uv", "run", "python", "-c", "print('ran')"],
    "two": ["sh", "-c", f"{INSTALL} & {INSTALL} & wait"],
}


@frozen
class World:
    """A project with an active environment, and a uv of one release on PATH.

    Args:
        directory: The project.
        environ: The variables.
        uv: Which uv.
    """

    directory: Path
    environ: Mapping[str, str]
    uv: Path

    @property
    def root(self) -> Path:
        """The active environment."""
        return self.directory / ".venv"

    def words(self, form: str) -> list[str]:
        """The command line of a form."""
        names = {
            "python": f"{self.directory.parent}/with-uv/bin/python",
            "path": self.environ["PATH"],
            "policy": f"{sys.executable} -m policy",
        }
        return [word.format(**names) if "{" in word else word for word in FORMS[form]]

    def policy(self, *words: str | Path) -> list[str | Path]:
        """The command line of `policy`."""
        return [sys.executable, "-m", "policy", *words]

    def run(self, *words: str | Path, timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; one that hangs is a failure."""
        return subprocess.run(
            words,
            env=self.environ,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of the tools that call uv."""
    return real_uv.tools("hatch", "nox", "pre-commit", "rust-just", "tox", "tox-uv")


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest, tools: Path) -> World:
    """A project with an active environment."""
    uv = installed(request.param)
    project = real_uv.project(tmp_path / "project")
    for name, text in FILES.items():
        factories.written(project / name, text)
    real_uv.virtualenv(project / ".venv")
    wheels = real_uv.wheelhouse(tmp_path / "wheels")
    code = f"import subprocess, sys\ndef main():\n    sys.exit(subprocess.call({INSTALL.split()!r}))\n"
    real_uv.wheel(wheels, "caller", script="caller", code=code)
    (project / "my-installer").symlink_to(uv)
    environ = real_uv.clean_environ(
        tmp_path / "home",
        UV_FIND_LINKS=str(wheels),
        VIRTUAL_ENV=str(project / ".venv"),
        PYTHONPATH=real_uv.public_path(),
        PATH=os.pathsep.join((str(uv.parent), str(tools), "/usr/local/bin", "/usr/bin", "/bin")),
    )
    subprocess.run(["git", "init", "-q"], cwd=project, env=environ, check=True)
    subprocess.run(["git", "add", "Makefile"], cwd=project, env=environ, check=True)
    return World(project, environ, uv)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("world", RELEASES, indirect=True)
def test_does_not_wait_for_its_caller(world: World, form: str) -> None:
    """A uv that a command under `policy run` starts, in whatever way, does its work and waits for no caller of its."""
    if form == "module":
        real_uv.with_uv(world.directory.parent / "with-uv", world.uv)
    words = world.words(form)
    requirements.need(bool(shutil.which(words[0], path=world.environ["PATH"])), f"needs {words[0]}")
    if form == "sudo":
        requirements.need_root()
    done = world.run(*world.policy("run", "--", *words))
    assert done.returncode == 0, done.stdout + done.stderr
    if form not in {"run-no-project", "uv-run-isolated"}:  # these change no environment that lasts
        root = world.directory.parent / "with-uv" if form == "module" else world.root
        assert list(root.glob("**/tiny.py")), done.stdout + done.stderr


SLOW = "uv pip install ../slow"
# The command, whether plain uv is kept out of the environment by its own lock, too, and whether readers are let in.
HOLDERS: dict[str, Sequence[str]] = {
    "direct": SLOW.split(),
    "env": ["env", "A=1", *SLOW.split()],
    "sh": ["sh", "-c", f"true && {SLOW}"],
    "python": ["python3", "-c", f"import subprocess, sys\nsys.exit(subprocess.call({SLOW.split()!r}))"],
    "uv-run": ["uv", "run", "--no-project", "sh", "-c", f"{SLOW}; exit $?"],
}


@pytest.mark.parametrize("form", HOLDERS)
@pytest.mark.parametrize("world", RELEASES, indirect=True)
def test_a_third_party_stays_out(world: World, form: str) -> None:
    """While uv works inside of a command neither another `policy run` nor plain uv gets into the environment."""
    slow = real_uv.slow_project(world.directory.parent / "slow")
    running = subprocess.Popen(
        world.policy("run", "--", *HOLDERS[form]),
        env=world.environ,
        cwd=world.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        slow.wait(running)
        third = world.run(*world.policy("run", "--timeout", "0", "--", "python3", "-c", "pass"))
        assert third.returncode == 124, third.stderr
        plain = subprocess.run(["flock", "-n", world.root / ".lock", "true"], check=False)
        assert plain.returncode == 1
        # Real uv waits for that file: the older ones forever, so that it is given up here.
        words = ("timeout", "2", str(world.uv), "pip", "install", "tiny")
        assert world.run(*words).returncode == 124
    finally:
        slow.proceed()
        out = running.communicate(timeout=TIMEOUT)
    assert running.returncode == 0, out


@pytest.mark.parametrize("world", [NEWEST], indirect=True)
def test_the_wait_for_uvs_lock_is_told(world: World) -> None:
    """Before uv starts it is said who holds the lock that is left to it; with a timeout 124."""
    holder = subprocess.Popen(["flock", world.root / ".lock", "sleep", "60"])
    try:
        while subprocess.run(["flock", "-n", world.root / ".lock", "true"], check=False).returncode == 0:
            pass
        done = world.run(*world.policy("run", "--timeout", "3", "--", *INSTALL.split()))
        assert done.returncode == 124
        assert f"waiting for {world.root}/.lock" in done.stderr
        assert f"pid {holder.pid}" in done.stderr
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize("world", RELEASES, indirect=True)
def test_two_runs_side_by_side(world: World) -> None:
    """Two `uv run` read at once; a command that changes the environment waits for both, and is told for which."""
    wait = "import sys; print('inside', flush=True); sys.stdin.read()"
    words = world.policy("run", "--", "uv", "run", "--no-project", "python3", "-c", wait)
    pipe = subprocess.PIPE
    readers = [
        subprocess.Popen(words, env=world.environ, cwd=world.directory, stdin=pipe, stdout=pipe, text=True)
        for _ in range(2)
    ]
    try:
        for reader in readers:
            assert reader.stdout
            assert reader.stdout.readline() == "inside\n"
        writer = world.run(*world.policy("run", "--timeout", "0.2", "--", *INSTALL.split()))
        assert writer.returncode == 124, writer.stderr
        assert any(f"pid {reader.pid}" in writer.stderr for reader in readers), writer.stderr
    finally:
        for reader in readers:
            reader.communicate(timeout=TIMEOUT)
    writer = world.run(*world.policy("run", "--", *INSTALL.split()))
    assert writer.returncode == 0, writer.stderr


@pytest.mark.parametrize("world", ["0.9.30", NEWEST], indirect=True)
def test_inside_a_program(world: World) -> None:
    """A uv that a program starts with `held.environ` works under the program's lock."""
    code = (
        "import policy, subprocess, sys\n"
        "with policy.lock(sys.argv[1]) as held:\n"
        "    sys.exit(subprocess.run(sys.argv[2:], env=held.environ).returncode)"
    )
    done = world.run(sys.executable, "-c", code, world.root, *INSTALL.split())
    assert done.returncode == 0, done.stderr
    assert list(world.root.glob("**/tiny.py"))
