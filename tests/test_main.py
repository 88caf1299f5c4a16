from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from policy import __version__
from policy.__main__ import main
from policy.commands import COMMANDS
from tests import factories, processes, requirements

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs a POSIX shell and signals", allow_module_level=True)

WORDS = '"local", "global", "beside", "cluster", "strict" or "both"'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A virtual environment."""
    return factories.virtualenv(tmp_path / "env")


@pytest.fixture
def policy(tmp_path: Path) -> factories.Run:
    """The program in the test's directory, which is all it sees."""

    def run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        return factories.policy(*arguments, environ={**factories.alone(tmp_path), **environ}, cwd=tmp_path)

    return run


def shell(command: str, *arguments: str | Path, environ: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `policy` is the program, and `$1`, ... are the arguments."""
    text = f'policy() {{ "$PYTHON" -m policy "$@"; }}\n{command}'
    return factories.policy(
        *arguments, environ={**environ, "PYTHON": sys.executable}, cwd=cwd, program=["bash", "-c", text, "bash"]
    )


def failed(seen: subprocess.CompletedProcess[str], code: int, *lines: str) -> None:
    """One failure: its exit code, and nothing but these lines on stderr."""
    assert (seen.returncode, seen.stdout) == (code, "")
    assert seen.stderr.splitlines() == list(lines)


# Every class of failure

COMMAND = "[options] COMMAND [ARG ...]"
EXPLAIN = "explain [options] [ENV] [-- COMMAND [ARG ...]]"


@pytest.mark.parametrize(
    ("arguments", "usage", "message"),
    [
        (("nonsense",), COMMAND, 'unknown command "nonsense"'),
        (("expalin", "x"), COMMAND, 'unknown command "expalin"; did you mean "explain"?'),
        (
            ("cat", "x"),
            COMMAND,
            'unknown command "cat"; to run it under the lock: policy run -- cat',
        ),
        (
            ("--nonsense",),
            COMMAND,
            'unknown option "--nonsense"; `policy --help` lists the options',
        ),
        (
            ("explain", "--asume", "x"),
            EXPLAIN,
            'unknown option "--asume"; did you mean "--assume"?',
        ),
        (("explain", "--bogus"), EXPLAIN, 'unknown option "--bogus"; `policy explain --help` lists the options'),
        (
            ("users", "--shared"),
            "users [options] [ENV]",
            'unknown option "--shared"; `policy users --help` lists the options',
        ),
        (("explain", "a", "b"), EXPLAIN, 'unexpected argument "b"'),
        (
            ("--color", "alwys", "explain"),
            COMMAND,
            '--color must be auto, always or never, not "alwys"; did you mean "always"?',
        ),
        (("-q", "schema"), "schema [options]", 'unknown option "-q"; `policy schema --help` lists the options'),
        (("help", "rnu"), "help [COMMAND]", 'unknown command "rnu"; did you mean "run"?'),
    ],
)
def test_usage(policy: factories.Run, arguments: tuple[str, ...], usage: str, message: str) -> None:
    """A command line that cannot be understood: the usage of that command, one line that helps, 2."""
    failed(policy(*arguments), 2, f"usage: policy {usage}", f"policy: error: {message}")


@pytest.mark.parametrize("arguments", [("--nonsense", "--", "true"), (), ("--",), ("--timeout", "x", "--", "true")])
def test_usage_of_run(policy: factories.Run, arguments: tuple[str, ...]) -> None:
    """`run` has 2 for its command, so its own usage errors are 125, as those of env(1) and timeout(1)."""
    seen = policy("run", "--python", sys.executable, *arguments)
    assert seen.returncode == 125
    assert "error: " in seen.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (
            "/dev/null/here",
            "/dev/null/here: not a directory; name an interpreter or the root of an environment",
        ),
        ("", "an empty path; name an interpreter or the root of an environment"),
    ],
)
def test_no_environment(policy: factories.Run, tmp_path: Path, named: str, message: str) -> None:
    """What is no environment: one line, 2, and nothing is made."""
    before = sorted(os.listdir(tmp_path))
    failed(policy("explain", named), 2, f"policy: error: {message.format(cwd=tmp_path)}")
    failed(
        policy("run", "--python", named or "/dev/null/x", "--", "true"),
        125,
        *policy("explain", "--python", named or "/dev/null/x").stderr.splitlines(),
    )
    assert sorted(os.listdir(tmp_path)) == before


def test_faults(policy: factories.Run, root: Path) -> None:
    """Faults of a file: each with file, line and column, the line of the file and a caret, 2; for `run` 125."""
    factories.written(root.parent / "lock-policy.toml", 'tiemout = 5\n[[rules]]\nlock = "globl"\n')
    lines = (
        'lock-policy.toml:1:1: error: unknown key "tiemout"; did you mean "timeout"?',
        "  tiemout = 5",
        "  ^^^^^^^",
        f'lock-policy.toml:3:8: error: expected {WORDS}, found "globl"; did you mean "global"?',
        '  lock = "globl"',
        "         ^^^^^^^",
    )
    failed(policy("explain", root), 2, *lines)
    failed(policy("run", "--python", root, "--", "echo", "hi"), 125, *lines)


def test_narrow_faults(policy: factories.Run, root: Path) -> None:
    """At a narrow terminal the message of a fault is broken between words, and the line of the file is not."""
    factories.written(root.parent / "lock-policy.toml", "tiemout = 5 # a comment that is longer than the terminal\n")
    seen = policy("explain", root, COLUMNS="50")
    assert seen.stderr.splitlines() == [
        "lock-policy.toml:1:1: error: unknown key",
        '  "tiemout"; did you mean "timeout"?',
        "  tiemout = 5 # a comment that is longer than the terminal",
        "  ^^^^^^^",
    ]


def test_hostile_faults(policy: factories.Run, root: Path) -> None:
    """A fault shows the line of a file with control characters escaped."""
    factories.written(root.parent / "lock-policy.toml", '"\\u001B[31m\u202e" = 1\n')
    seen = policy("explain", root)
    assert seen.returncode == 2
    assert seen.stderr.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "content", [b"\xff", b"a = \0", b"\xef\xbb\xbfa=1", b"a = [", b"[" * 1000, b"a=" + b"9" * 5000]
)
def test_no_toml(policy: factories.Run, root: Path, content: bytes) -> None:
    """What is no TOML: a located line, 2."""
    (root.parent / "lock-policy.toml").write_bytes(content)
    seen = policy("explain", root)
    assert (seen.returncode, seen.stdout) == (2, "")
    assert seen.stderr.startswith("lock-policy.toml:1:")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"LOCK_POLICY_NO_CONFIG": ""},
            "LOCK_POLICY_NO_CONFIG must be a boolean (true, false, yes, no, on, off, 1 or 0)",
        ),
        ({"LOCK_POLICY_TIMEOUT": "nan"}, "LOCK_POLICY_TIMEOUT must be a number of seconds from 0 to 86400"),
        ({"LOCK_POLICY_GLOBAL_DIR": "x"}, "LOCK_POLICY_GLOBAL_DIR must be an absolute path"),
        ({"LOCK_POLICY_MAX_SIZE": "x"}, "LOCK_POLICY_MAX_SIZE must be a number of bytes"),
        ({"LOCK_POLICY_CONFIG_FILE": "x"}, "x: no such file; name an existing one with --config-file"),
    ],
)
def test_variables(policy: factories.Run, root: Path, environ: dict[str, str], message: str) -> None:
    """A variable of ours that cannot be used: one line, 2."""
    failed(policy("explain", root, **environ), 2, f"policy: error: {message}")


def test_timeout(policy: factories.Run, root: Path) -> None:
    """Timed out waiting for the lock: 124 and who holds it; the command has not run."""
    holder = processes.holder(str(root / ".lock"))
    try:
        seen = policy("run", "--timeout", "0.2", "--python", root, "--", "echo", "hi")
    finally:
        processes.end(holder)
    assert (seen.returncode, seen.stdout) == (124, "")
    assert f"{root}/.lock: timed out after 0.2 s: held by pid {holder.pid} (" in seen.stderr


def test_unavailable(policy: factories.Run, root: Path) -> None:
    """A lock file that cannot be made: 125, the path, the reason and what to change; the command has not run."""
    missing = f"{root}/missing"
    seen = policy("run", "--python", root, "--global-dir", missing, "--", "echo", "hi", UV_ONLY_GLOBAL_LOCKS="1")
    assert (seen.returncode, seen.stdout) == (125, "")
    assert "(rule uv-only-global-locks)" in seen.stderr
    assert seen.stderr.endswith(
        f"its directory {missing} does not exist; create the directory; "
        "directories named in configuration are not created\n"
    )


def test_lost_working_directory(tmp_path: Path, root: Path) -> None:
    """A working directory that was deleted: one line, 2."""
    command = 'mkdir gone && cd gone && rmdir ../gone && policy explain "$1"'
    seen = shell(command, root, environ=factories.alone(tmp_path), cwd=tmp_path)
    failed(seen, 2, "policy: error: the working directory: No such file or directory; change to one that exists")


def test_unreadable_file(tmp_path: Path, root: Path) -> None:
    """A file that this user may not read: one line, 2."""
    factories.open_to_all(tmp_path)
    file = factories.written(tmp_path / "lock-policy.toml", "timeout = 1\n")
    file.chmod(0)
    code = "sys.exit(policy.__main__.main(['explain', sys.argv[1]]))"
    seen = factories.as_nobody(code, root, environ=factories.alone(tmp_path), cwd=tmp_path)
    failed(seen, 2, "lock-policy.toml: error: cannot be read: Permission denied")


# Streams


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", ["--help", "--version", "explain --help", 'explain "$1"', 'explain "$1" -v --output-format json']
)
def test_broken_pipe(tmp_path: Path, root: Path, arguments: str) -> None:
    """A reader that goes away is no failure, and nothing is said about it."""
    command = f"( sleep 0.5; policy {arguments} ) | true\nexit ${{PIPESTATUS[0]}}"
    failed(shell(command, root, environ=factories.alone(tmp_path), cwd=tmp_path), 0)


def test_reader_of_stderr_gone(tmp_path: Path) -> None:
    """A reader of stderr that goes away changes no exit code."""
    command = '( sleep 0.5; policy explain "$1" 2>&1 >/dev/null ) | true\nexit ${PIPESTATUS[0]}'
    failed(shell(command, "/dev/null/nothing", environ=factories.alone(tmp_path), cwd=tmp_path), 2)


def test_stdout_closed(tmp_path: Path, root: Path) -> None:
    """With stdout closed there is nothing to say, and nothing fails."""
    failed(shell('policy explain "$1" >&-', root, environ=factories.alone(tmp_path), cwd=tmp_path), 0)


def test_everything_closed(tmp_path: Path, root: Path) -> None:
    """With all streams closed the exit code still tells."""
    environ = factories.alone(tmp_path)
    failed(shell('policy explain "$1" <&- >&- 2>&-', root, environ=environ, cwd=tmp_path), 0)
    failed(shell('policy explain "$1" <&- >&- 2>&-', "/dev/null/nothing", environ=environ, cwd=tmp_path), 2)


@pytest.mark.parametrize("arguments", ['explain "$1"', "--help"])
def test_stdout_full(tmp_path: Path, root: Path, arguments: str) -> None:
    """A disk that is full is a failure in one line: an answer that was not written must not look like one."""
    requirements.need(os.path.exists("/dev/full"), "needs /dev/full")
    seen = shell(f"policy {arguments} >/dev/full", root, environ=factories.alone(tmp_path), cwd=tmp_path)
    failed(seen, 2, "policy: error: [Errno 28] No space left on device")


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_lock_is_no_stream(tmp_path: Path, root: Path, closed: str) -> None:
    """A stream that was closed does not become the lock: the command finds it closed, and the file stays empty."""
    command = (
        f'policy run --python "$1" -- bash -c \'for number in 0 1 2; do readlink /proc/self/fd/$number; done >"$2"; '
        f'echo oops; echo oops >&2; true\' bash x "$2" {closed}'
    )
    requirements.need(os.path.exists("/proc/self/fd"), "needs Linux")
    seen = shell(command, root, tmp_path / "streams", environ=factories.alone(tmp_path), cwd=tmp_path)
    assert seen.returncode == 0
    assert (root / ".lock").read_bytes() == b""
    assert ".lock" not in (tmp_path / "streams").read_text(encoding="utf-8")


@pytest.mark.slow
def test_interrupted(tmp_path: Path, root: Path) -> None:
    """Ctrl-C while waiting: 130, as the shell has it, no traceback, and nothing is held."""
    holder = processes.holder(str(root / ".lock"))
    try:
        process = subprocess.Popen(
            [*factories.PROGRAM, "run", "--python", root, "--", "true"],
            env={"PYTHONPATH": str(factories.CHECKOUT), **factories.alone(tmp_path)},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=factories.TIMEOUT)
    finally:
        processes.end(holder)
    assert process.returncode == 130
    assert "Traceback" not in stderr


# In this process


def test_returns(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`main` returns the exit code, and takes the arguments of this process where none are given."""
    for name, value in factories.alone(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert main(["explain", str(root), "--output-format", "path"]) == 0
    monkeypatch.setattr(sys, "argv", ["policy", "explain", str(root), "--output-format", "path"])
    assert main() == 0
    assert capsys.readouterr().out == f"{factories.gate(root)}\n{root}/.lock\n" * 2


@pytest.mark.parametrize("arguments", [("--version",), ("-V",), ("run", "--version"), ("-q", "-V", "nonsense")])
def test_version(policy: factories.Run, arguments: tuple[str, ...]) -> None:
    """`--version` is one line on stdout."""
    seen = policy(*arguments)
    assert (seen.returncode, seen.stdout, seen.stderr) == (0, f"lock-policy {__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("help",), ("-h",), ("--color", "always"), ("-q", "--help", "explain")])
def test_alone(policy: factories.Run, arguments: tuple[str, ...]) -> None:
    """Without a command the help is printed, which is no fault."""
    seen = policy(*arguments)
    assert (seen.returncode, seen.stdout, seen.stderr) == (0, policy("--help").stdout, "")


def test_options_before_the_command(policy: factories.Run, root: Path) -> None:
    """A common option means the same before and after the command's name."""
    assert policy("--color", "always", "explain", root).stdout == policy("explain", "--color=always", root).stdout
    assert "\033[" in policy("--color", "always", "explain", root).stdout
    factories.written(root.parent / "other.toml", '[[rules]]\nname = "other"\nlock = "global"\n')
    assert "other" in policy("--config-file", "other.toml", "explain", root).stdout
    seen = policy("--no-config", "-q", "run", "--python", root, "--", "echo", "--color", "-q")
    assert (seen.returncode, seen.stdout, seen.stderr) == (0, "--color -q\n", "")


def test_options_of_run_before_it(policy: factories.Run) -> None:
    """Options before `run` that it does not know are its usage errors: 125."""
    assert policy("--color", "always", "run", "--", "true").returncode == 125


def test_help_names_every_command(policy: factories.Run) -> None:
    """`--help` names every command with what it does."""
    seen = policy("--help")
    assert (seen.returncode, seen.stderr) == (0, "")
    text = " ".join(seen.stdout.split())
    for name, help in COMMANDS.items():
        assert f"{name} {' '.join(help.split())}" in text


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_commands(policy: factories.Run, command: str) -> None:
    """Every command has a help of its own."""
    seen = policy(command, "--help")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert seen.stdout.startswith(f"usage: policy {command}")
    assert policy("help", command).stdout == seen.stdout


def test_scripts() -> None:
    """`policy` and `lock-policy` are the same program."""
    from importlib.metadata import entry_points

    scripts = {script.name: script.value for script in entry_points(group="console_scripts", module="lock_policy")}
    assert scripts == {"policy": "lock_policy:main", "lock-policy": "lock_policy:main"}
