from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs a pty", allow_module_level=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A virtual environment."""
    return factories.virtualenv(tmp_path / "env")


@pytest.fixture
def explain(tmp_path: Path) -> factories.Run:
    """`policy explain` in the test's directory, which is all it sees."""

    def run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        return factories.policy("explain", *arguments, environ={**factories.alone(tmp_path), **environ}, cwd=tmp_path)

    return run


def told(seen: subprocess.CompletedProcess[str]) -> Any:
    """The JSON of an explanation that went well."""
    assert (seen.returncode, seen.stderr) == (0, "")
    return json.loads(seen.stdout)


JSON = ("--output-format", "json")


def test_text(root: Path, explain: factories.Run) -> None:
    """Text goes to stdout, leads with the decision and the file, and stderr stays empty."""
    seen = explain(root)
    assert (seen.returncode, seen.stderr) == (0, "")
    assert seen.stdout.splitlines()[:6] == [
        "local lock, held in this order:",
        f"  {factories.gate(root).ljust(len(str(root)) + 6)}  the gate: lock-policy takes it first",
        f"  {f'{root}/.lock'.ljust(len(factories.gate(root)))}  in the environment; uv takes the same file",
        "",
        "decided by environment (built in)",
        "  because uv locks these in the environment itself",
    ]
    assert not (root / ".lock").exists()


def test_formats(root: Path, explain: factories.Run) -> None:
    """All formats tell the same decision."""
    shown = told(explain(root, *JSON))
    assert tomllib.loads(explain(root, "--output-format", "toml").stdout)["plan"] == shown["plan"]
    assert explain(root, "--output-format", "path").stdout == f"{factories.gate(root)}\n{root}/.lock\n"
    assert shown["plan"] == [
        {"purpose": "gate", "kind": "file", "path": factories.gate(root)},
        {"purpose": "local", "kind": "file", "path": f"{root}/.lock"},
    ]


def test_rule_of_the_project(root: Path, explain: factories.Run) -> None:
    """The rule that decided is named with its file and line."""
    factories.written(
        root.parent / "lock-policy.toml", '# mine\n[[rules]]\nname = "mine"\nlock = "both"\nreason = "so"\n'
    )
    shown = told(explain(root, *JSON))
    assert shown["rule"] == {
        "name": "mine",
        "file": f"{root.parent}/lock-policy.toml",
        "line": 2,
        "layer": "project",
        "lock": ["global", "local"],
        "reason": "so",
    }
    assert "decided by mine (lock-policy.toml:2), project configuration\n  because so\n" in explain(root).stdout


def test_found_by(root: Path, explain: factories.Run) -> None:
    """Without ENV it says which environment was found, and how."""
    assert told(explain(root, *JSON))["environment"]["found_by"] == "argument"
    assert told(explain("--python", root, *JSON))["environment"]["found_by"] == "--python"
    assert told(explain(*JSON, UV_PYTHON=str(root)))["environment"]["found_by"] == "UV_PYTHON"
    assert told(explain(*JSON, VIRTUAL_ENV=str(root)))["environment"]["found_by"] == "VIRTUAL_ENV"


def test_what_if(root: Path, explain: factories.Run) -> None:
    """`--env`, `--unset` and `--assume` answer what would be, and what is assumed is shown as assumed."""
    assert told(explain(root, *JSON, "--env", "UV_ONLY_GLOBAL_LOCKS=1"))["rule"]["name"] == "uv-only-global-locks"
    seen = explain(root, *JSON, "--unset", "UV_ONLY_GLOBAL_LOCKS", UV_ONLY_GLOBAL_LOCKS="1")
    assert told(seen)["rule"]["name"] == "environment"
    seen = explain(root, *JSON, "--assume", "writable=no", "--assume", "externally-managed=false")
    shown = told(seen)
    assert shown["rule"]["name"] == "read-only"
    assert shown["steps"][2]["checks"][0]["detail"] == "assumed"
    assert "wants false  saw false (assumed)" in explain(root, "--assume", "writable=no").stdout


def test_env_of_configuration(root: Path, explain: factories.Run) -> None:
    """`--env` reaches the variables that choose the configuration, too."""
    named = factories.written(root.parent / "x.toml", '[[rules]]\nlock = "both"\n')
    assert told(explain(root, *JSON, "--env", f"LOCK_POLICY_CONFIG_FILE={named}"))["lock"] == ["global", "local"]


def test_settings(root: Path, explain: factories.Run) -> None:
    """`--timeout` and `--global-dir` stand before the files."""
    factories.written(
        root.parent / "lock-policy.toml", 'timeout = 9\nglobal-dir = "locks"\n[[rules]]\nlock = "global"\n'
    )
    assert told(explain(root, *JSON))["timeout"] == 9
    shown = told(explain(root, *JSON, "--timeout", "5", "--global-dir", "/g"))
    assert shown["timeout"] == 5
    assert shown["plan"][1]["path"].startswith("/g/lock-policy-")
    assert "  waits at most 5 s\n" in explain(root, "--timeout", "5").stdout


def test_operation(root: Path, explain: factories.Run) -> None:
    """`--operation` says what is about to be done."""
    factories.written(root.parent / "lock-policy.toml", '[[rules]]\nlock = "both"\nmatch.operation = "pip *"\n')
    assert told(explain(root, *JSON, "--operation", "pip install"))["lock"] == ["global", "local"]
    assert told(explain(root, *JSON))["lock"] == ["local"]


def test_warnings(root: Path, explain: factories.Run) -> None:
    """Warnings and hints are part of the answer, and -q leaves them out."""
    file = factories.written(root.parent / "lock-policy.toml", "timeout = 1\n")
    file.chmod(0o666)
    warning = f"{file} is ignored: everyone can write it; use `chmod o-w` on it"
    seen = explain(root, "--env", "UV_ONLY_GLOBAL_LOCKS=maybe")
    assert seen.stdout.endswith(f"\nwarning: {warning}\n")
    assert "\nhint: UV_ONLY_GLOBAL_LOCKS is not a boolean" in seen.stdout
    assert told(explain(root, *JSON))["warnings"] == [warning]
    quiet = told(explain(root, *JSON, "-q", "--env", "UV_ONLY_GLOBAL_LOCKS=maybe"))
    assert (quiet["warnings"], quiet["hints"]) == ([], [])


def test_verbose(root: Path, explain: factories.Run) -> None:
    """Of many rules a few are shown, -v shows all."""
    rules = "".join(f'[[rules]]\nname = "r{number}"\nlock = "both"\nmatch.kind = "system"\n' for number in range(60))
    factories.written(root.parent / "lock-policy.toml", rules)
    assert "more rules (-v lists them)" in explain(root).stdout
    assert "r30 (lock-policy.toml:121): global and local" in explain(root, "-v").stdout
    assert len(told(explain(root, *JSON))["steps"]) == 66


def test_colours(root: Path, explain: factories.Run) -> None:
    """Colours are there if they are asked for, and not where no terminal reads."""
    assert "\033[" not in explain(root).stdout
    assert "\033[" in explain(root, "--color", "always").stdout
    assert "\033[" in explain(root, FORCE_COLOR="1").stdout
    assert "\033[" not in explain(root, "--color", "never", FORCE_COLOR="1").stdout
    assert "\033[" not in explain(root, FORCE_COLOR="1", NO_COLOR="1").stdout


def on_terminal(*arguments: str | Path, environ: dict[str, str], cwd: Path) -> str:
    """What the program writes to a real terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*factories.PROGRAM, "explain", *arguments],
        env={"PYTHONPATH": str(factories.CHECKOUT), **environ},
        cwd=cwd,
        stdout=theirs,
        stderr=subprocess.STDOUT,
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # EIO: the other side is closed
            break
        if not part:
            break
        output += part
    os.close(ours)
    assert process.wait(factories.TIMEOUT) == 0
    return output.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def test_terminal(root: Path, tmp_path: Path) -> None:
    """On a terminal there are colours, unless NO_COLOR or a dumb one says otherwise."""
    environ = {**factories.alone(tmp_path), "TERM": "xterm"}
    assert "\033[1;32mlocal lock\033[0m" in on_terminal(root, environ=environ, cwd=tmp_path)
    assert "\033[" not in on_terminal(root, environ={**environ, "NO_COLOR": "1"}, cwd=tmp_path)
    assert "\033[" not in on_terminal(root, environ={**environ, "TERM": "dumb"}, cwd=tmp_path)


STRANGE = os.fsdecode(b"a\x1b[31m\xff\xe2\x80\xae")


def test_paths_for_scripts(tmp_path: Path) -> None:
    """A path for a script is the path, byte for byte, whatever locale or encoding is set."""
    root = factories.virtualenv(tmp_path / STRANGE / "env")
    for more in ({}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"PYTHONUTF8": "1"}):
        seen = factories.policy(
            "explain",
            root,
            "--output-format",
            "path",
            environ={**factories.alone(tmp_path), **more},
            cwd=tmp_path,
            encoding="utf-8",
            errors="surrogateescape",
        )
        assert seen.stdout == f"{factories.gate(root)}\n{root}/.lock\n", more


@pytest.mark.parametrize("format", ["text", "json", "toml"])
@pytest.mark.parametrize("more", [{}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}])
def test_strange_paths(tmp_path: Path, format: str, more: dict[str, str]) -> None:
    """A path with control and bidi characters and bytes that are no UTF-8 is escaped, whatever stdout can encode."""
    root = factories.virtualenv(tmp_path / STRANGE / "é" / "env")
    seen = factories.policy(
        "explain", root, "--output-format", format, environ={**factories.alone(tmp_path), **more}, cwd=tmp_path
    )
    assert (seen.returncode, seen.stderr) == (0, "")
    assert seen.stdout.replace("\n", "").isprintable()


def test_strange_path_on_terminal(tmp_path: Path) -> None:
    """On a terminal a path is made safe to look at, in `path` too."""
    root = factories.virtualenv(tmp_path / STRANGE / "env")
    environ = factories.alone(tmp_path)
    shown = on_terminal(root, "--output-format", "path", environ=environ, cwd=tmp_path)
    assert shown == f"{factories.gate(root)}\n{tmp_path}/a\\x1b[31m\\udcff\\u202e/env/.lock\n"


@pytest.mark.parametrize(
    ("format", "allowed"), [("text", ()), ("json", ("json",)), ("path", ()), ("toml", ("tomli_w",))]
)
def test_imports(root: Path, tmp_path: Path, format: str, allowed: tuple[str, ...]) -> None:
    """Explaining imports neither what holds locks nor what other formats and other commands need."""
    code = "import sys\nfrom policy.__main__ import main\ncode = main(sys.argv[1:])\n"
    code += "print(*sorted(sys.modules), file=sys.stderr)\nsys.exit(code)"
    seen = factories.policy(
        "explain",
        root,
        "--output-format",
        format,
        environ=factories.alone(tmp_path) | factories.UNMEASURED,
        cwd=tmp_path,
        program=[sys.executable, "-c", code],
    )
    assert seen.returncode == 0
    needless = {
        "asyncio",
        "attr",
        "attrs",
        "filelock",
        "json",
        "logging",
        "packaging",
        "platformdirs",
        "policy.api",
        "policy.commands.check",
        "policy.commands.run",
        "policy.acquire",
        "policy.locks.hold",
        "policy.locks.wait",
        "tomli_w",
        "tomllib",
    }
    assert set(seen.stderr.split()) & needless - set(allowed) == set()
