from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from policy.errors import UsageError
from policy.rules.request import Caller
from policy.subject import Subject, subject
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)

NEAR = factories.environment()


def seen(*words: str, cwd: Path, named: bool = False, **environ: str) -> Subject:
    """What a command is about, where NEAR is what options or discovery find."""
    return subject(words, Caller({"PATH": "/nowhere", **environ}, str(cwd)), lambda: NEAR, named=named)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """An environment other than the one found."""
    return factories.virtualenv(tmp_path / "other")


def test_options_win(other: Path, tmp_path: Path) -> None:
    """What options name is stronger than what the command says."""
    words = (f"{other}/bin/python", "-m", "pip", "install", "x")
    found = seen(*words, cwd=tmp_path).environment
    assert found
    assert found.root == str(other)
    assert seen(*words, cwd=tmp_path, named=True).environment is NEAR
    assert seen("nox", cwd=tmp_path, named=True).environment is NEAR


@pytest.mark.parametrize(
    ("line", "root"),
    [
        ("{other}/bin/python -m pip install x", "other"),
        ("env nice {other}/bin/python -m pip install x", "other"),
        ("uv pip install --python {other} x", "other"),
        ("nice uv pip install --python {other} --target {other}/lib x", "other/lib"),
        ("uv venv {other}", "other"),
        ("uv sync", ".venv"),
        ("uv run tool", ".venv"),
        ("uv pip install --python {near} x", ""),
        ("uv pip list --python {other}", ""),
        ("uv pip install --python {other}/nowhere x", ""),
        ("uv lock", ""),
        ("uv add --frozen x", ""),
        ("uv run script.py", ""),
        ("uvx tool", ""),
        ("{other}/bin/python -c pass", ""),
        ("make PYTHON={near}/bin/python", ""),
        ("nox", ""),
    ],
)
def test_options_that_name_another(other: Path, tmp_path: Path, line: str, root: str) -> None:
    """A warning names both where a command plainly changes another environment than the one that options name."""
    factories.written(tmp_path / "pyproject.toml", '[project]\nname = "app"\n')
    factories.written(tmp_path / "script.py", "# /// script\n# dependencies = []\n# ///\n")
    words = line.format(other=other, near=NEAR.root).split()
    assert seen(*words, cwd=tmp_path).warning == ""
    told = seen(*words, cwd=tmp_path, named=True)
    assert told.environment is NEAR
    assert bool(told.warning) is bool(root)
    if root:
        assert f"works on {tmp_path / root}, but ENV names {NEAR.root}, which is locked instead" in told.warning


def test_a_command_that_says_nothing(tmp_path: Path) -> None:
    """The environment that is active, near or on PATH is taken where the command does not say."""
    for words in (("true",), ("make", "install"), ("sh", "-c", "cd x && make"), ("python", "script.py")):
        assert seen(*words, cwd=tmp_path).environment is NEAR


def test_a_command_that_names_another(other: Path, tmp_path: Path) -> None:
    """A command that is not understood and names another environment than the one found is refused, with what to do."""
    with pytest.raises(UsageError) as caught:
        seen("make", f"PYTHON={other}/bin/python", cwd=tmp_path)
    assert f"belongs to {other}" in str(caught.value)
    assert f"--python {other}" in str(caught.value)
    assert f"--python {NEAR.root}" in str(caught.value)


@pytest.mark.parametrize(
    "line", ["uvx tool", "uv tool install x", "uv cache clean", "uv python install 3.12", "nox", "env nice uv build"]
)
def test_nothing_of_the_surrounding_environment(tmp_path: Path, line: str) -> None:
    """Commands that work in environments of their own, or in none, hold none."""
    found = seen(*line.split(), cwd=tmp_path)
    assert found.environment is None
    assert found.apart


def test_uv_behind_wrappers(other: Path, tmp_path: Path) -> None:
    """A uv that another program starts is read as uv, with the variables and the directory that it gets."""
    factories.written(tmp_path / "app" / "pyproject.toml", '[project]\nname = "app"\n')
    for line in ("nice uv sync", "env -C app uv sync", "sh -c 'exec uv sync'", "timeout 5 env UV_PROJECT=app uv sync"):
        words = tuple(word.strip("'") for word in line.replace("'exec uv sync'", "'exec\0uv\0sync'").split())
        words = tuple(word.replace("\0", " ") for word in words)
        found = seen(*words, cwd=tmp_path / ("app" if "app" not in line else ""))
        assert found.uv
        assert found.uv.operation == "sync"
        assert found.environment
        assert found.environment.root == str(tmp_path / "app" / ".venv")
    found = seen("env", f"VIRTUAL_ENV={other}", "uv", "pip", "install", "x", cwd=tmp_path)
    assert found.environment
    assert found.environment.root == str(other)


@pytest.mark.parametrize(
    ("release", "root"), [("0.11.33", "app/.venv"), ("0.12.0", "script/.venv"), ("", "script/.venv")]
)
def test_asks_which_uv_it_is(tmp_path: Path, release: str, root: str) -> None:
    """Where releases differ in what a command changes, the uv that will be started says which one it is."""
    uv = factories.written(tmp_path / "bin" / "uv", f"#!/bin/sh\necho uv {release}\n")
    uv.chmod(0o755)
    for name in ("app", "script"):
        factories.written(tmp_path / name / "pyproject.toml", '[project]\nname = "app"\n')
    factories.written(tmp_path / "script" / "x.py", "")
    path, cache = f"{uv.parent}:/usr/bin:/bin", str(tmp_path / "cache")
    found = seen("uv", "run", "../script/x.py", cwd=tmp_path / "app", PATH=path, XDG_CACHE_HOME=cache)
    assert found.environment
    assert found.environment.root == str(tmp_path / root)
    assert bool(found.uncertain) is not bool(release)


def test_uvx_of_uv(tmp_path: Path) -> None:
    """`uvx uv ...` is about what the inner uv works on."""
    factories.written(tmp_path / "pyproject.toml", '[project]\nname = "app"\n')
    found = seen("uvx", "uv", "sync", cwd=tmp_path)
    assert found.environment
    assert found.environment.root == str(tmp_path / ".venv")


class Place:
    """Two environments, of which the first is near.

    Args:
        base: The folder of all.
    """

    def __init__(self, base: Path) -> None:
        self.near = factories.virtualenv(base / "project" / ".venv")
        self.other = factories.virtualenv(base / "other")
        self.project = base / "project"
        self.environ = factories.alone(base)
        pip = factories.written(self.other / "bin" / "pip", f"#!{self.other}/bin/python\nprint('ran')\n")
        pip.chmod(0o755)

    def policy(self, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs the program in the project."""
        return factories.policy(*words, environ=self.environ, cwd=self.project, **options)

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Starts the program with a command that says when it runs, and ends with its standard input."""
        process = subprocess.Popen(
            [*factories.PROGRAM, *words],
            env={"PYTHONPATH": str(factories.CHECKOUT), **self.environ},
            cwd=self.project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        assert process.stdout.readline() == "inside\n"
        return process

    def explained(self, *words: str | Path) -> Any:
        """The JSON of an explanation."""
        done = self.policy("explain", "--output-format", "json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Two environments."""
    return Place(tmp_path)


WAIT = "import sys; print('inside', flush=True); sys.stdin.read()"


@pytest.mark.slow
@pytest.mark.parametrize("words", [("pip", "install", "x"), ("python", "-m", "pip", "list"), ("python", "-c", WAIT)])
def test_the_environment_of_the_command_is_held(place: Place, words: tuple[str, ...]) -> None:
    """`policy run -- other/bin/pip` is kept out by who holds that environment, and not by who holds the near one."""
    program = place.other / "bin" / words[0]
    for root, code in ((place.other, 124), (place.near, 0)):
        holder = place.start("run", "--python", root, "--", sys.executable, "-c", WAIT)
        try:
            done = place.policy("run", "--timeout", "0", "--", program, *words[1:], stdin=subprocess.DEVNULL)
            assert (done.returncode == 124) is (code == 124), done.stderr
        finally:
            holder.communicate(timeout=factories.TIMEOUT)


def test_the_command_keeps_others_out(place: Place) -> None:
    """While `other/bin/python script` runs, the other environment is locked and the near one is not."""
    holder = place.start("run", "--", place.other / "bin" / "python", "-c", WAIT)
    try:
        assert place.policy("run", "--python", place.other, "--timeout", "0", "--", "true").returncode == 124
        assert place.policy("run", "--python", place.near, "--timeout", "0", "--", "true").returncode == 0
    finally:
        holder.communicate(timeout=factories.TIMEOUT)


def test_explain_a_command(place: Place) -> None:
    """`explain -- COMMAND` says which environment, why that one, the plan, and what is left to uv."""
    told = place.explained("--", place.other / "bin" / "pip", "install", "x")
    assert told["environment"]["root"] == str(place.other)
    assert told["environment"]["found_by"] == f"first line of {place.other}/bin/pip"
    assert told["environment"]["exists"] is True
    told = place.explained("--", "uv", "venv", "new")
    assert told["environment"]["root"] == str(place.project / "new")
    assert told["environment"]["exists"] is False
    assert told["command"]["left_to_uv"] == []
    told = place.explained("--", "uv", "pip", "install", "x")
    assert told["command"]["left_to_uv"] == [str(place.near / ".lock")]
    told = place.explained("--", "nox")
    assert (told["environment"], told["plan"]) == (None, [])
    assert "nox works in environments of its own" in place.policy("explain", "--", "nox").stdout


@pytest.mark.parametrize("command", [("run",), ("once", "--unless", "x"), ("explain",)])
def test_a_command_elsewhere_than_options_say(place: Place, command: tuple[str, ...]) -> None:
    """One line on stderr says that the command works on another environment than the option names; `-q` leaves it out.

    The lock is that of the option, as ever.
    """
    words = ("--python", place.near, "--", place.other / "bin" / "pip", "install", "x")
    done = place.policy(*command, *words)
    assert done.returncode == 0
    assert done.stderr == (
        f"policy: warning: pip install works on {place.other}, but --python names {place.near}, which is locked "
        f"instead; leave --python out to lock {place.other}\n"
    )
    quiet = place.policy(*command, "-q", *words)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert place.explained(*words)["environment"]["root"] == str(place.near)
    same = place.policy(*command, "--python", place.other, *words[2:])
    assert (same.returncode, same.stderr) == (0, "")


def test_run_verbose(place: Place) -> None:
    """`run -v` prints on stderr what `explain -- COMMAND` prints, and then runs the command."""
    words = ("--", place.other / "bin" / "python", "-c", "print('ran')")
    done = place.policy("run", "-v", *words)
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr == place.policy("explain", "-v", *words).stdout
    done = place.policy("run", "-v", "--", "env", "uv", "tool", "dir")
    assert "no lock is held: uv tool dir changes no environment" in done.stderr


def test_run_without_a_lock(place: Place) -> None:
    """A command apart runs as it is, and no lock is looked for: not even one that is held."""
    nox = factories.written(place.project / "nox", "#!/bin/sh\necho ran\n")
    nox.chmod(0o755)
    done = place.policy("run", "--", "./nox")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
    assert place.policy("run", "--close", "--", "./nox").stdout == "ran\n"
