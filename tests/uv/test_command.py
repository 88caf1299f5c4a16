from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.environment.discovery import Environment
from policy.uv import command as commands
from policy.uv.command import Command, parse
from policy.uv.environment import environment
from policy.uv.locks import certain, locks
from policy.uv.projects import pip_settings, project_environment, workspace
from policy.uv.release import version
from policy.wrap import UV_LOCK_TIMEOUT
from tests import real_uv
from tests.real_uv import uv  # noqa: F401  (a fixture)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)

import fcntl


def _parsed(line: str, environ: dict[str, str] | None = None, cwd: str = "/w") -> Command:
    command = parse(line.split(), environ or {}, cwd)
    assert command is not None
    return command


@pytest.mark.parametrize(
    "line",
    [
        "uv add x",
        "/opt/uv/bin/uv add x",
        "uv.exe add x",
        "python -m uv add x",
        "python3.12 -I -X dev -W error -m uv add x",
        "python -Im uv add x",
        "python -muv add x",
        "/usr/bin/pypy3 -m uv add x",
    ],
)
def test_ways_to_start_uv(line: str) -> None:
    """However uv is started, its subcommand is found."""
    command = _parsed(line)
    assert command.operation == "add"
    assert command.arguments == ("x",)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "pip install x",
        "python",
        "python -m pip install uv",
        "python uv add",
        "python -c uv",
        "python -m",
        "uvicorn x",
    ],
)
def test_what_is_not_uv(line: str) -> None:
    """Anything else is no uv command, even if the word occurs in it."""
    assert parse(line.split(), {}, "/w") is None


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("uv", ""),
        ("uv --version", ""),
        ("uv pip", "pip"),
        ("uv --color always add x", "add"),
        ("uv --color=always -q add x", "add"),
        ("uv --cache-dir add sync", "sync"),
        ("uv --config-file add -v --project p pip --offline install x", "pip install"),
        ("uv pip --directory d sync req.txt", "pip sync"),
        ("uv virtualenv", "venv"),
        ("uv v", "venv"),
        ("uv tool update --all", "tool upgrade"),
        ("uv tool ls", "tool list"),
        ("uv cache clear", "cache clean"),
        ("uvx ruff", "tool run"),
        ("uv x-new-command", "x-new-command"),
        ("uv workspace metadata", "workspace metadata"),
    ],
)
def test_operation(line: str, operation: str) -> None:
    """The subcommand is found behind the global options and their values, aliases by their proper name."""
    assert _parsed(line).operation == operation


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("uv sync -p 3.12", "3.12"),
        ("uv sync -p3.12", "3.12"),
        ("uv sync -qp 3.12", "3.12"),
        ("uv sync --python=3.12", "3.12"),
        ("uv sync --python 3.11 -p 3.12", "3.12"),
        ("uv sync --extra -p --python 3.12", "3.12"),
        ("uv pip install -e . -p 3.12", "3.12"),
        ("uv pip list -e -p 3.12", "3.12"),
        ("uv run -p 3.12 -m pytest -p no:cacheprovider", "3.12"),
        ("uv run -m pytest -p no:cacheprovider", "variable"),
        ("uv run --with x pytest -p no:cacheprovider", "variable"),
        ("uv run -- pytest -p no:cacheprovider", "variable"),
        ("uvx --from x tool -p 3.12", "variable"),
        ("uv pip install x -- -p 3.12", "variable"),
        ("uv sync", "variable"),
        ("uv sync --python=", "variable"),
    ],
)
def test_python(line: str, python: str) -> None:
    """The last `--python` of uv's own counts, in each of its spellings, then `UV_PYTHON`; a child's option does not."""
    command = _parsed(line, {"UV_PYTHON": "variable"})
    assert command.python == python
    assert command.python_from == ("UV_PYTHON" if python == "variable" else "--python")


def test_child_of_run() -> None:
    """What `uv run` and `uvx` start is kept as it is."""
    assert _parsed("uv run --with x python -c pass --no-sync").child == ("python", "-c", "pass", "--no-sync")
    assert _parsed("uv run -- --odd").child == ("--odd",)
    assert _parsed("uvx --from x y z").child == ("y", "z")
    assert _parsed("uv run").child == ()


@pytest.mark.parametrize(
    ("line", "environ", "expected"),
    [
        ("uv sync", {}, (False, False, False)),
        ("uv sync --no-sync --frozen --system", {}, (True, True, True)),
        ("uv sync", {"UV_NO_SYNC": "true", "UV_FROZEN": "1", "UV_SYSTEM_PYTHON": "YES"}, (True, True, True)),
        ("uv sync", {"UV_NO_SYNC": "0", "UV_FROZEN": "", "UV_SYSTEM_PYTHON": "maybe"}, (False, False, False)),
        ("uv sync --system --no-system", {}, (False, False, False)),
        ("uv sync --no-system", {"UV_SYSTEM_PYTHON": "1"}, (False, False, False)),
    ],
)
def test_flags(line: str, environ: dict[str, str], expected: tuple[bool, bool, bool]) -> None:
    """Flags come from the line or from uv's variables, read as uv reads booleans; the last of opposites wins."""
    command = _parsed(line, environ)
    assert (command.no_sync, command.frozen, command.system) == expected


@pytest.mark.parametrize(
    ("line", "script"),
    [
        ("uv add --script s.py x", "/w/s.py"),
        ("uv run s.py", "/w/s.py"),
        ("uv run --script s x", "/w/s"),
        ("uv run -s s", "/w/s"),
        ("uv run -m s.py", None),
        ("uv run s", None),
        ("uv run -", None),
        ("uv run https://host/s.py", None),
        ("uv init --script s.py", None),
        ("uv sync", None),
    ],
)
def test_script(line: str, script: str | None) -> None:
    """The script is found where uv looks for one."""
    assert _parsed(line).script == script


def test_directories(tmp_path: Path) -> None:
    """`--directory` is where uv works, links resolved as by the kernel; all other paths are taken from there."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    command = _parsed("uv --directory link --project p pip install -t t x", cwd=str(tmp_path))
    real = os.path.realpath(tmp_path / "real")
    assert (command.cwd, command.project, command.target) == (real, f"{real}/p", f"{real}/t")
    assert command.prefix is None
    by_variable = _parsed("uv sync", {"UV_WORKING_DIRECTORY": "link", "UV_PROJECT": "q"}, str(tmp_path))
    assert by_variable.project == f"{real}/q"


def test_python_m_uv_in_a_virtual_environment(tmp_path: Path) -> None:
    """`python -m uv` of a virtual environment works on that environment, unless another one is active."""
    python = real_uv.virtualenv(tmp_path / "v")
    line = f"{python} -m uv pip install x"
    assert _parsed(line).environ["VIRTUAL_ENV"] == str(tmp_path / "v")
    assert _parsed(line, {"VIRTUAL_ENV": "/a"}).environ["VIRTUAL_ENV"] == "/a"
    found = environment(_parsed(line, {"PATH": os.defpath}))
    assert found
    assert (found.root, found.found_by) == (str(tmp_path / "v"), "VIRTUAL_ENV")


OPTIONS = ("-", "--", "--python", "-p", "-qp", "--project=", "--script", "--system", "--target", "-t", "x.py")
SUBCOMMANDS = ("uv", "pip", "install", "sync", "add", "run", "venv", "tool", "python")
WORDS = st.lists(st.one_of(st.sampled_from(OPTIONS + SUBCOMMANDS), st.text(max_size=6)), max_size=8)


@given(words=WORDS)
def test_any_command_line_is_read(words: list[str]) -> None:
    """No command line makes the reader fail: uv itself says what is wrong with it."""
    command = parse(["uv", *words], {}, "/w")
    assert command is not None
    repr((command, command.python, command.target, command.prefix, command.project, command.script, command.system))


def _helps(binary: Path, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NO_COLOR": "1"}
    text = subprocess.run([binary, *path, "--help"], env=environ, capture_output=True, text=True, check=False).stdout
    yield " ".join(path), text
    section = text.partition("Commands:\n")[2].partition("\n\n")[0]
    for line in section.splitlines():
        if (name := re.match(r"  (\w[\w-]*) ", line)) and name[1] != "help":
            yield from _helps(binary, (*path, name[1]))


def test_options_that_take_a_value(uv: Path) -> None:
    """Every option that takes a value by the help of real uv does so here, and no flag does."""
    listed = re.compile(r"^ {2,6}(?:(-\w)(?:, |(?= )))?(--[\w-]+)?(?:\.\.\.)?( <[^>]*>)?", re.MULTILINE)
    seen = {
        (operation, option.lstrip("-"), bool(found[3]))
        for operation, text in _helps(uv)
        for found in listed.finditer(text)
        for option in (found[1], found[2])
        if option
    }
    assert len(seen) > 500
    wrong = [one for one in seen if commands._valued(one[1], one[0]) != one[2]]
    assert not wrong


def test_version_of_uv(uv: Path, tmp_path: Path) -> None:
    """The release is what real uv says."""
    release = uv.parent.parent.name.removeprefix("uv-")
    assert version(str(uv), {"PATH": os.defpath, "HOME": str(tmp_path)}) == tuple(map(int, release.split(".")))


def test_version_of_what_is_no_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program, another one, and one that does not answer have no version, in bounded time."""
    assert version(str(tmp_path / "uv"), {}) is None
    assert version(["echo", "uv"], {"PATH": os.environ["PATH"]}) is None
    monkeypatch.setattr("policy.uv.release.TIMEOUT", 0.1)
    assert version(["sleep", "60"], {"PATH": os.environ["PATH"]}) is None


def test_workspace(tmp_path: Path) -> None:
    """A member belongs to the workspace above it, others to none; without a pyproject.toml there is no project."""
    root = real_uv.project(tmp_path / "w", own='[tool.uv.workspace]\nmembers = ["a/*"]\nexclude = ["a/no"]')
    for place, expected in (("a/yes", root), ("a/no", root / "a/no"), ("b", root / "b"), ("a/yes/c", None)):
        where = real_uv.project(root / place)
        assert workspace(_parsed("uv sync", cwd=str(where))) == str(expected or where)
    assert workspace(_parsed("uv sync", cwd=str(root))) == str(root)
    assert workspace(_parsed(f"uv sync --project {root}")) == str(root)
    assert workspace(_parsed("uv sync", cwd="/")) is None
    unmanaged = real_uv.project(tmp_path / "u", own="[tool.uv]\nmanaged = false")
    assert workspace(_parsed("uv sync", cwd=str(unmanaged))) is None


@pytest.mark.parametrize(
    "text", ["", "workspace", "[tool.uv]\nworkspace = 1", "tool = 1 # workspace", "\udcff workspace"]
)
def test_workspace_of_a_broken_file(tmp_path: Path, text: str) -> None:
    """What uv will complain about does not fail here."""
    (tmp_path / "p").mkdir()
    for folder in (tmp_path, tmp_path / "p"):
        (folder / "pyproject.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert workspace(_parsed("uv sync", cwd=str(tmp_path / "p"))) == str(tmp_path / "p")


@pytest.mark.parametrize(
    ("line", "environ", "expected"),
    [
        ("uv sync", {}, ("/p/.venv", ".venv")),
        ("uv sync", {"VIRTUAL_ENV": "/a"}, ("/p/.venv", ".venv")),
        ("uv sync --active", {"VIRTUAL_ENV": "/a"}, ("/a", "VIRTUAL_ENV")),
        ("uv sync --active", {"VIRTUAL_ENV": ""}, ("/p/.venv", ".venv")),
        ("uv sync --active --no-active", {"VIRTUAL_ENV": "/a"}, ("/p/.venv", ".venv")),
        ("uv sync", {"UV_PROJECT_ENVIRONMENT": "e"}, ("/p/e", "UV_PROJECT_ENVIRONMENT")),
        ("uv sync", {"UV_PROJECT_ENVIRONMENT": "/e"}, ("/e", "UV_PROJECT_ENVIRONMENT")),
        ("uv sync", {"UV_PROJECT_ENVIRONMENT": ""}, ("/p/.venv", ".venv")),
    ],
)
def test_project_environment(line: str, environ: dict[str, str], expected: tuple[str, str]) -> None:
    """The project's environment is named by uv's variables, relative to the workspace, or is its `.venv`."""
    assert project_environment(_parsed(line, environ), "/p") == expected


def test_uvs_own_configuration(tmp_path: Path) -> None:
    """The files of uv decide for `uv pip`: a uv.toml hides the pyproject.toml beside it, the user's is weaker."""
    home, project = tmp_path / "home", real_uv.project(tmp_path / "p", own='[tool.uv.pip]\nprefix = "pre"')
    (home / ".config" / "uv").mkdir(parents=True)
    (home / ".config" / "uv" / "uv.toml").write_text('[pip]\npython = "user"\nprefix = "weak"\n', encoding="utf-8")
    environ = {"HOME": str(home), "XDG_CONFIG_DIRS": str(tmp_path)}
    assert pip_settings(_parsed("uv pip list", environ, str(project))) == {"python": "user", "prefix": "pre"}
    (project / "uv.toml").write_text("[pip]\nsystem = true\n", encoding="utf-8")
    found = pip_settings(_parsed("uv pip list", environ, str(project)))
    assert found == {"python": "user", "prefix": "weak", "system": True}
    assert pip_settings(_parsed("uv pip list --no-config", environ, str(project))) == {}
    assert pip_settings(_parsed("uv pip list --config-file uv.toml", environ, str(project))) == {"system": True}


def test_environment_of_configured_target(tmp_path: Path) -> None:
    """A target in uv's configuration is what is locked, as if it stood on the command line."""
    project = real_uv.project(tmp_path / "p", own='[tool.uv.pip]\ntarget = "packages"')
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    found = environment(_parsed("uv pip install x", environ, str(project)))
    assert found
    assert (found.root, found.kind) == (str(project / "packages"), "target")


def test_commands_without_an_environment() -> None:
    """Commands that work on no environment leave the choice to the design's order."""
    for line in ("uv", "uv --version", "uv tool install x", "uv python list", "uv cache clean", "uv new-command"):
        assert environment(_parsed(line, {"PATH": os.environ["PATH"]}, "/")) is None


def test_environment_that_does_not_exist_yet(tmp_path: Path) -> None:
    """`uv sync` and `uv venv` have the environment that they will make, with the base that it will have."""
    project = real_uv.project(tmp_path / "p")
    base = real_uv.public_python()
    for line in ("uv sync", "uv venv", "uv run x"):
        found = environment(_parsed(line, {"PATH": os.environ["PATH"], "UV_PYTHON": base}, str(project)))
        assert found, line
        assert (found.root, found.kind) == (str(project / ".venv"), "virtualenv")
        assert found.base_interpreter == os.path.realpath(base)


def test_nothing_is_found_where_uv_finds_nothing(tmp_path: Path) -> None:
    """A Python that is not there gives no environment, and no failure."""
    environ = {"UV_PYTHON": str(tmp_path / "none"), "PATH": ""}
    assert environment(_parsed("uv pip install x", environ, str(tmp_path))) is None
    assert environment(_parsed("uv add --no-sync x", environ, str(real_uv.project(tmp_path / "p")))) is None


# -- real uv waits


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
        assert certain(_parsed(line), python) is expected, line
    assert not certain(_parsed("uv sync", {"UV_PREVIEW": "1"}), python)
    assert not certain(_parsed("uv pip install x", {"CONDA_PREFIX": "/c"}), python)
    assert not certain(_parsed("uv pip install x"), None)
    assert locks(_parsed("uv pip install x"), None) == ()
