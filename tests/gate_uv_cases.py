"""Pairs of callers of one environment where one is a real uv that chooses it in a way of its own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests import factories, real_uv
from tests.gate_cases import Caller, Pair, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# Says `inside` only where it runs in the environment that is meant.
_SCRIPT = """
import os, sys
wanted, seen = map(os.path.realpath, ({root!r}, sys.prefix))
print("inside" if wanted == seen else f"in {{seen}}, not in {{wanted}}", flush=True)
sys.stdin.read()
"""
_PIP = '[pip]\npython = "{other}"\n'


class Project:
    """A project that uv works on, two environments, and a rule that takes no lock in an environment.

    Args:
        world: Where it is made.
        release: Which uv works on it.
    """

    def __init__(self, world: World, release: str = real_uv.NEWEST) -> None:
        self.world = world
        self.uv = real_uv.installed(release)
        self.folder = real_uv.project(world.directory / "project")
        self.own = self.folder / ".venv"
        self.other = world.directory / "other"
        real_uv.virtualenv(self.other)
        self.environ: dict[str, str | None] = {**real_uv.clean_environ(world.home), "UV_NO_CONFIG": None}
        world.rule("home/config/lock-policy/lock-policy.toml", '[[rules]]\nlock = "global"\n')

    def runs(self, root: Path, script: Path, *words: str | Path, environ: Mapping[str, str] | None = None) -> Pair:
        """Somebody who locks an environment, and `uv run` of a script that runs in it."""
        factories.written(script, _SCRIPT.format(root=str(root)))
        command = (self.uv, "run", "--quiet", *words, script)
        uv = Caller(None, environ={**self.environ, **(environ or {})}, cwd=self.folder, command=command)
        return Caller(root, environ=self.environ), uv

    def installs(self, root: Path, *words: str | Path, environ: Mapping[str, str] | None = None) -> Pair:
        """Somebody who locks an environment, and `uv pip install` into it of something that is long in the making."""
        if not self.own.exists():
            real_uv.virtualenv(self.own)
        slow = real_uv.slow_project(self.world.directory / "slow")
        command = (self.uv, "pip", "install", "--quiet", "--reinstall", "--no-cache", *words, slow.path)
        uv = Caller(None, environ={**self.environ, **(environ or {})}, cwd=self.folder, command=command, build=slow)
        return Caller(root, environ=self.environ), uv


def script_elsewhere(world: World) -> Pair:
    """`uv run ../elsewhere/script.py` works on the project of the script, since 0.12."""
    project = Project(world)
    elsewhere = real_uv.project(world.directory / "elsewhere")
    return project.runs(elsewhere / ".venv", elsewhere / "script.py")


def script_elsewhere_before(world: World) -> Pair:
    """The same with a uv that works on the project of the working directory."""
    project = Project(world, "0.11.33")
    elsewhere = real_uv.project(world.directory / "elsewhere")
    return project.runs(project.own, elsewhere / "script.py")


def venv_file(world: World) -> Pair:
    """`.venv` is a file that names the environment, since 0.13."""
    project = Project(world)
    factories.written(project.own, str(project.other))
    return project.runs(project.other, project.folder / "script.py")


def unknown_key(world: World) -> Pair:
    """`[tool.uv]` with a key that uv does not know, so that it drops the table with `pip.python`."""
    project = Project(world)
    file = project.folder / "pyproject.toml"
    table = f"[tool.uv]\nunknown = 1\n[tool.uv.pip]\npython = {str(project.other)!r}\n"
    file.write_text(file.read_text(encoding="utf-8") + table, encoding="utf-8")
    return project.installs(project.own)


def members_file(world: World) -> Pair:
    """A member's uv.toml, of which uv reads nothing in a workspace."""
    project = Project(world)
    file = project.folder / "pyproject.toml"
    text = file.read_text(encoding="utf-8") + '[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    file.write_text(text, encoding="utf-8")
    member = real_uv.project(project.folder / "packages" / "member")
    text = (member / "pyproject.toml").read_text(encoding="utf-8").replace('"app"', '"member"')
    factories.written(member / "pyproject.toml", text)
    factories.written(member / "uv.toml", _PIP.format(other=project.other))
    holder, uv = project.installs(project.own)
    return holder, uv._replace(cwd=member)


def named_file(world: World) -> Pair:
    """`--no-config` with `--config-file`: the file counts."""
    project = Project(world)
    file = factories.written(world.directory / "named.toml", _PIP.format(other=project.other))
    return project.installs(project.other, "--no-config", "--config-file", file)


def no_system_file(world: World) -> Pair:
    """UV_NO_SYSTEM_CONFIG, and a system's file that names another environment."""
    project = Project(world)
    factories.written(world.home / "config-dirs" / "uv" / "uv.toml", _PIP.format(other=project.other))
    return project.installs(project.own, environ={"UV_NO_SYSTEM_CONFIG": "1"})


def search_path(world: World) -> Pair:
    """UV_PYTHON_SEARCH_PATH in the place of PATH."""
    project = Project(world)
    python = factories.system_python(world.directory / "usr", real_uv.public_python())
    return project.installs(python.parent.parent, "--system", environ={"UV_PYTHON_SEARCH_PATH": str(python.parent)})


def env_file(world: World) -> Pair:
    """`--env-file` with a variable that names an environment."""
    project = Project(world)
    file = factories.written(world.directory / "variables", f"UV_PROJECT_ENVIRONMENT={project.other}\n")
    return project.runs(project.own, project.folder / "script.py", "--env-file", file)


def conda_base(world: World) -> Pair:
    """Conda's base environment is active, which is a part of the system for uv, and there is a `.venv`."""
    project = Project(world)
    environ = {"CONDA_PREFIX": str(project.other), "CONDA_DEFAULT_ENV": "base"}
    return project.installs(project.own, environ=environ)


def oldest_run(world: World) -> Pair:
    """`uv run` of 0.7.13, which does not lock what it changes."""
    project = Project(world, real_uv.OLDEST)
    subprocess.run(
        [project.uv, "sync", "--quiet"],
        cwd=project.folder,
        env=real_uv.clean_environ(world.home),
        check=True,
        timeout=60,
    )
    return project.runs(project.own, project.folder / "script.py")


LINE: tuple[Callable[[World], Pair], ...] = (
    script_elsewhere,
    script_elsewhere_before,
    venv_file,
    unknown_key,
    members_file,
    named_file,
    no_system_file,
    search_path,
    env_file,
    conda_base,
    oldest_run,
)
