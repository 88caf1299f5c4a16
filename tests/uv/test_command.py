from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.uv import command as commands
from policy.uv.command import Command, parse
from policy.uv.environment import environment
from tests import real_uv
from tests.real_uv import uv  # noqa: F401  (a fixture)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


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
    line = "uv --directory link --project p pip install -t t x"
    command = _parsed(line, {"PATH": os.defpath}, str(tmp_path))
    found = environment(command)
    assert found
    real = os.path.realpath(tmp_path / "real")
    assert (command.cwd, command.project, found.root, found.kind) == (real, f"{real}/p", f"{real}/t", "target")
    by_variable = _parsed("uv sync", {"UV_WORKING_DIRECTORY": "link", "UV_PROJECT": "q"}, str(tmp_path))
    assert by_variable.project == f"{real}/q"


def test_python_m_uv_in_a_virtual_environment(tmp_path: Path) -> None:
    """`python -m uv` of a virtual environment works on that environment, even if another one is active."""
    python = real_uv.virtualenv(tmp_path / "v")
    line = f"{python} -m uv pip install x"
    assert _parsed(line).environ["VIRTUAL_ENV"] == str(tmp_path / "v")
    assert _parsed(line, {"VIRTUAL_ENV": "/a"}).environ["VIRTUAL_ENV"] == "/a"
    real_uv.virtualenv(tmp_path / "a")
    for environ in ({"PATH": os.defpath}, {"PATH": os.defpath, "VIRTUAL_ENV": str(tmp_path / "a")}):
        found = environment(_parsed(line, environ))
        assert found
        assert (found.root, found.found_by) == (str(tmp_path / "v"), "python -m uv")


OPTIONS = ("-", "--", "--python", "-p", "-qp", "--project=", "--script", "--system", "--target", "-t", "x.py")
SUBCOMMANDS = ("uv", "pip", "install", "sync", "add", "run", "venv", "tool", "python")
WORDS = st.lists(st.one_of(st.sampled_from(OPTIONS + SUBCOMMANDS), st.text(max_size=6)), max_size=8)


@given(words=WORDS)
def test_any_command_line_is_read(words: list[str]) -> None:
    """No command line makes the reader fail: uv itself says what is wrong with it."""
    command = parse(["uv", *words], {}, "/w")
    assert command is not None
    repr((command, command.python, command.project, command.script, command.system))


def _helps(binary: Path, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NO_COLOR": "1"}
    text = subprocess.run([binary, *path, "--help"], env=environ, capture_output=True, text=True, check=False).stdout
    yield " ".join(path), text
    section = text.partition("Commands:\n")[2].partition("\n\n")[0]
    for line in section.splitlines():
        if (name := re.match(r"  (\w[\w-]*) ", line)) and name[1] != "help":
            yield from _helps(binary, (*path, name[1]))


@pytest.mark.slow
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


def test_by_release() -> None:
    """A variable counts since the release that knows it, a script's project since 0.12; unknown counts as new."""
    command = parse(["uv", "run", "a/script.py"], {"UV_NO_PROJECT": "1", "UV_ISOLATED": "1"}, "/w")
    assert command
    for release, project, no_project, isolated in (
        (None, "/w/a", True, True),
        ((), "/w/a", True, True),
        ((0, 12, 0), "/w/a", True, True),
        ((0, 11, 8), "/w/", True, True),
        ((0, 8, 14), "/w/", False, True),
        ((0, 8, 13), "/w/", False, False),
    ):
        command.release = release
        assert command.project == project
        assert command.flag("no-project", "UV_NO_PROJECT") is no_project
        assert command.flag("isolated", "UV_ISOLATED") is isolated
