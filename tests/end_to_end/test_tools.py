"""Real pipx, poetry, pdm and hatch: the environment that they change is the one that is locked for them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from policy.environment.pipx import VALUED
from tests import factories, processes, real_uv, requirements
from tests.running import wait_until

pytestmark = [pytest.mark.tools, pytest.mark.skipif(sys.platform != "linux", reason="Linux's programs")]

TOOLS = {"pipx": "pipx>=1.18", "poetry": "poetry>=2.2", "pdm": "pdm>=2.26", "hatch": "hatch>=1.16"}
TIMEOUT = 300


def installed(name: str) -> Path:
    """The folder of a tool's program, installed by pip into an environment of its own if it is not there yet."""
    root = real_uv.REPOSITORY / ".cache" / f"tool-{name}"
    if not (root / "bin" / name).exists():
        shutil.rmtree(root, ignore_errors=True)
        real_uv.virtualenv(root, sys.executable)
        pip = [sys.executable, "-m", "pip", "--python", str(root / "bin" / "python"), "install", "--quiet"]
        done = subprocess.run([*pip, TOOLS[name]], capture_output=True, text=True, check=False, timeout=TIMEOUT)
        requirements.need(done.returncode == 0, f"needs {TOOLS[name]}: {done.stderr.strip()}")
    return root / "bin"


class Desk:
    """A project, a home of its own, and one tool on PATH.

    Args:
        base: The folder of all.
        tool: The tool.
    """

    def __init__(self, base: Path, tool: str) -> None:
        self.base = base
        self.project = base / "my app"
        wheels = real_uv.wheelhouse(base / "wheels")
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
        # `python` is one whose version its name says
        python = base / "bin" / "python"
        python.parent.mkdir()
        python.symlink_to(os.path.realpath(real_uv.public_python()))
        self.environ = {
            **kept,
            **factories.alone(base),
            "XDG_DATA_HOME": str(base / "home" / "share"),
            "PYTHONPATH": "",
            "PATH": os.pathsep.join((str(installed(tool)), str(python.parent), "/usr/bin", "/bin")),
            "PIP_FIND_LINKS": f"{kept.get('PIP_FIND_LINKS', '')} {wheels}".strip(),
            "PIPX_DEFAULT_BACKEND": "pip",
        }
        text = '[project]\nname = "My_App"\nversion = "1.0"\nrequires-python = ">=3.8"\ndependencies = []\n'
        factories.written(
            self.project / "pyproject.toml", f"{text}[tool.hatch.build.targets.wheel]\nbypass-selection = true\n"
        )
        factories.written(self.project / "README.md", "")

    def words(self, *words: str) -> list[str]:
        """A command line of `policy`."""
        return [sys.executable, "-P", "-m", "policy", *words]

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Runs something in the project."""
        return subprocess.run(
            words,
            env={**self.environ, **environ},
            cwd=self.project,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )

    def explained(self, *words: str, **environ: str) -> Any:
        """What is said about a command."""
        done = self.run(*self.words("explain", "--output-format", "json", "--", *words), **environ)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def environments(self) -> dict[str, frozenset[str]]:
        """The virtual environments, each with its files; pipx's own tools do not count."""
        found = {}
        for file in self.base.rglob("pyvenv.cfg"):
            root = file.parent
            if root.name != "shared":
                files = (path for path in root.rglob("*") if "__pycache__" not in path.parts and path.name != ".lock")
                found[str(root)] = frozenset(
                    f"{path} {path.lstat().st_mtime_ns}" for path in files if not path.is_dir()
                )
        return found


STEPS = {
    "pipx": (
        "install --suffix=_Two tool",
        "install tool",
        "inject tool tiny",
        "runpip tool uninstall -y tiny",
        "reinstall tool",
        "upgrade --force tool",
        "uninstall tool",
    ),
    "poetry": ("install --no-root", "env remove --all"),
    "pdm": ("install --no-self", "venv create --name other", "venv remove -y other"),
    "hatch": ("env create", "env remove default"),
}
VARIABLES: dict[str, tuple[dict[str, str], ...]] = {
    "poetry": ({}, {"POETRY_VIRTUALENVS_IN_PROJECT": "1"}),
    "pipx": ({}, {"PIPX_HOME": "{base}/apps"}),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "environ"), [(tool, environ) for tool in TOOLS for environ in VARIABLES.get(tool, ({},))]
)
def test_what_is_changed_is_locked(tmp_path: Path, tool: str, environ: dict[str, str]) -> None:
    """Each step changes one environment: that which `explain -- TOOL` names, and `policy run -v -- TOOL` locks."""
    desk = Desk(tmp_path.resolve(), tool)
    environ = {name: value.format(base=desk.base) for name, value in environ.items()}
    for step in STEPS[tool]:
        words = (tool, *step.split())
        named = desk.explained(*words, **environ)["environment"]["root"]
        before = desk.environments()
        done = desk.run(*desk.words("run", "-v", "--", *words), **environ)
        assert done.returncode == 0, done.stdout + done.stderr
        assert factories.gate(named) in done.stderr
        after = desk.environments()
        changed = {root for root in before.keys() | after.keys() if before.get(root) != after.get(root)}
        assert changed == {named}, step


_ASK_PIPX = """
import argparse
from pipx.main import get_command_parser
def walk(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                walk(inner)
        elif action.nargs != 0:
            for name in action.option_strings:
                print(name.lstrip("-"))
walk(get_command_parser()[0])
"""


def test_options_of_pipx(tmp_path: Path) -> None:
    """Each option of pipx that takes a value is known: else the value would be taken for an application."""
    desk = Desk(tmp_path, "pipx")
    done = desk.run(str(installed("pipx") / "python"), "-c", _ASK_PIPX)
    assert done.returncode == 0, done.stderr
    asked = frozenset(done.stdout.split())
    assert "suffix" in asked
    assert asked <= frozenset(VALUED.replace("/", " ").split())


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["poetry", "pdm", "hatch"])
def test_run(tmp_path: Path, tool: str) -> None:
    """What `TOOL run` starts runs in the environment that is locked, which `TOOL run` may make."""
    desk = Desk(tmp_path.resolve(), tool)
    if tool == "pdm":
        assert desk.run("pdm", "install", "--no-self").returncode == 0
    words = (tool, "run", "python", "-c", "import sys; print(sys.prefix)")
    for _ in range(2):  # when it is made, and afterwards
        named = desk.explained(*words)["environment"]["root"]
        done = desk.run(*desk.words("run", "--", *words))
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == named


@pytest.fixture(params=["home/share/pipx", "apps"])
def pipx(tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    """A desk with pipx and an application of it, where pipx keeps them by itself and where PIPX_HOME says."""
    desk = Desk(tmp_path.resolve(), "pipx")
    if request.param == "apps":
        desk.environ["PIPX_HOME"] = str(desk.base / "apps")
    done = desk.run(*desk.words("run", "--", "pipx", "install", "tool"))
    assert done.returncode == 0, done.stderr  # it did not wait for its own caller
    return desk


def venvs(desk: Desk) -> Path:
    """The folder of pipx's environments."""
    return Path(desk.environ.get("PIPX_HOME", desk.base / "home" / "share" / "pipx"), "venvs")


@pytest.mark.slow
def test_pipx_waits(pipx: Desk) -> None:
    """While `policy run` holds the lock beside an environment, pipx tries it, waits, and goes on afterwards."""
    requirements.need(shutil.which("strace") is not None, "needs strace")
    root = venvs(pipx) / "tool"
    holder = subprocess.Popen(
        pipx.words("run", "--python", str(root), "--", "sh", "-c", "echo inside; cat"),
        env={name: value for name, value in pipx.environ.items() if name != "PIPX_HOME"},  # nobody need know of it
        cwd=pipx.project,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "inside\n"
    before = pipx.environments()
    trace = pipx.base / "trace"
    waiting = subprocess.Popen(
        ["strace", "-f", "-qq", "-y", "-e", "trace=flock", "-o", trace, "pipx", "reinstall", "tool"],
        env=pipx.environ,
        cwd=pipx.project,
        stdout=subprocess.DEVNULL,
    )
    refused = f"{venvs(pipx)}/.tool.lock>, LOCK_EX|LOCK_NB) = -1 EAGAIN"

    def tried() -> bool:
        return trace.exists() and trace.read_text(encoding="utf-8").count(refused) > 1

    wait_until(tried, "pipx does not try the lock")
    assert waiting.poll() is None
    assert pipx.environments() == before
    # and a pipx that is started by `policy run` keeps to its timeout, instead of leaving that to pipx
    done = pipx.run(*pipx.words("run", "--timeout", "0", "--", "pipx", "upgrade", "tool"))
    assert done.returncode == 124
    holder.communicate(timeout=processes.TIMEOUT)
    assert waiting.wait(TIMEOUT) == 0
    assert pipx.environments() != before


@pytest.mark.slow
def test_pipx_is_waited_for(pipx: Desk) -> None:
    """While plain pipx makes an environment, `policy run` does not get in."""
    slow = real_uv.slow_project(pipx.base / "slow")
    with tarfile.open(pipx.base / "wheels" / "slow-1.0.tar.gz", "w:gz") as archive:
        archive.add(slow.path, "slow-1.0")  # by its name, as pipx builds a folder before it locks anything
    running = subprocess.Popen(
        ["pipx", "install", "slow"],
        env=pipx.environ,
        cwd=pipx.project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    contender = pipx.words("run", "--python", str(venvs(pipx) / "slow"), "--timeout", "0", "--", "true")
    try:
        slow.wait(running, TIMEOUT)
        done = pipx.run(*contender)
        assert done.returncode == 124, done.stderr
        assert f"{venvs(pipx)}/.slow.lock: timed out after 0 s: held by pid {running.pid}" in done.stderr
    finally:
        slow.proceed()
        running.communicate(timeout=TIMEOUT)
    assert pipx.run(*contender).returncode == 0


@pytest.mark.slow
def test_nested(pipx: Desk) -> None:
    """A pipx below a `policy run` that holds its lock is refused, instead of waiting forever for its own caller."""
    inner = pipx.words("run", "--", "pipx", "upgrade", "tool")
    outer = pipx.words("run", "--python", str(venvs(pipx) / "tool"), "--", *inner)
    done = pipx.run(*outer)
    assert done.returncode == 125
    assert "and pipx would wait for it forever; start pipx without the outer `policy run`" in done.stderr
