from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from policy.commands import run
from policy.locks.hold import MARKER
from tests import factories, processes, requirements
from tests.running import MODES, PYTHON, WITNESS, Place, ended

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

# a folder on PATH that may not be entered makes 126 of 127, as in env(1): the command could stand there
READABLE = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if os.access(folder, os.X_OK))

modes = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where the command runs."""
    return Place(tmp_path)


@modes
@pytest.mark.parametrize("code", [0, 1, 2, 7, 124, 125, 255])
def test_exit_code_of_the_command(place: Place, mode: str, code: int) -> None:
    """The command's own exit code is the exit code."""
    done = place.run("sh", "-c", f"exit {code}", mode=mode)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGPIPE])
def test_command_killed_by_a_signal(place: Place, number: signal.Signals) -> None:
    """A command that a signal kills: its parent sees that signal, with --close 128+N; a shell sees 128+N in both."""
    kill = ("sh", "-c", f"kill -{number.value} $$")
    assert place.run(*kill).returncode == -number
    assert place.run(*kill, mode="close").returncode == 128 + number
    for mode in MODES:
        shell = place.call(["sh", "-c", '"$@"; exit $?', "sh", *place.words(*kill, mode=mode)])
        assert shell.returncode == 128 + number


@modes
def test_lock_not_had_in_time(place: Place, mode: str) -> None:
    """124 after timing out waiting for the lock: the file and its holder are named, and the command has not run."""
    holder = processes.holder(place.lock)
    try:
        done = place.run("touch", "ran", options=("--timeout", "0.1"), mode=mode)
    finally:
        processes.end(holder)
    assert done.returncode == 124
    assert done.stderr.startswith(f"policy: error: {place.lock}: timed out after 0.1 s: held by ")
    if os.path.exists("/proc/locks"):
        assert f"pid {holder.pid} (" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (place.directory / "ran").exists()


@pytest.mark.parametrize(
    ("words", "environ", "said"),
    [
        ([], {}, "name a command"),
        (["--"], {}, "name a command"),
        (["--no-such-option", "--", "touch", "ran"], {}, 'unknown option "--no-such-option"'),
        (["--timeout", "soon", "--", "touch", "ran"], {}, "--timeout must be a number"),
        (["--timeout", "nan", "touch", "ran"], {}, "--timeout must be a number"),
        (["--timeout"], {}, "usage: policy run"),
        (["--global-dir", "relative", "--", "touch", "ran"], {}, "--global-dir must be an absolute path"),
        (["--", "touch", "ran"], {"LOCK_POLICY_TIMEOUT": "x"}, "LOCK_POLICY_TIMEOUT must be"),
        (["--", "touch", "ran"], {"LOCK_POLICY_NO_CONFIG": "perhaps"}, "LOCK_POLICY_NO_CONFIG must be"),
        (["--config-file", "missing.toml", "--", "touch", "ran"], {}, "missing.toml"),
        (["--config-file", "faulty.toml", "--", "touch", "ran"], {}, "faulty.toml:1:1: error: "),
        (["--python", "/dev/null/bin/python", "--", "touch", "ran"], {}, "/dev/null/bin/python"),
    ],
)
def test_policy_itself_failed(place: Place, words: list[str], environ: dict[str, str], said: str) -> None:
    """125 for whatever is wrong before the command, usage and configuration too; it is said, and nothing has run."""
    factories.written(place.directory / "faulty.toml", "no-such-key = 1\n")
    environ = {**place.environ, "VIRTUAL_ENV": str(place.root), **environ}
    done = place.call([*factories.PROGRAM, "run", *words], env=environ)
    assert done.returncode == 125, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place.directory / "ran").exists()
    assert not os.path.exists(place.lock)


@modes
def test_lock_unavailable(place: Place, mode: str) -> None:
    """125 when a lock file cannot be opened: it names file, rule, reason and remedy, and the command has not run."""
    (place.root / ".lock").mkdir()
    factories.written(place.directory / "rules.toml", '[[rules]]\nname = "mine"\nlock = "local"\n')
    done = place.run("touch", "ran", options=("--config-file", "rules.toml"), mode=mode)
    assert done.returncode == 125
    assert f"{place.lock}: cannot be locked (rule mine): it is a directory" in done.stderr
    assert not (place.directory / "ran").exists()


@pytest.mark.slow
@modes
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("no-such-command", 127),
        ("./no-such-command", 127),
        ("no-such-folder/command", 127),
        ("plain/command", 127),
        ("", 127),
        ("./plain", 126),
        ("./", 126),
        ("./wrong", 126),
    ],
)
def test_command_that_does_not_start(place: Place, mode: str, command: str, code: int) -> None:
    """126 when the command cannot be started, 127 when it is not found; one line says so, and the lock is free."""
    factories.written(place.directory / "plain", "#!/bin/sh\n")
    factories.written(place.directory / "wrong", "\x7fELF is what it begins with\n").chmod(0o755)
    done = place.run(command, mode=mode, env={**place.environ, "PATH": READABLE})
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("policy: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert place.is_free()


def test_options_end_where_the_command_begins(place: Place) -> None:
    """What follows the command is the command's, with `--` and without; `--` itself may be an argument of it."""
    for words in (["--", "echo", "-q", "--timeout"], ["echo", "-q", "--timeout"], ["-q", "echo", "-q", "--timeout"]):
        done = place.call([*factories.PROGRAM, "run", "--python", str(place.root), *words])
        assert (done.stdout, done.stderr, done.returncode) == ("-q --timeout\n", "", 0)
    assert place.run("echo", "--", "x").stdout == "-- x\n"


def test_help_is_no_failure(place: Place) -> None:
    """`--help` before the command is ours, after it the command's."""
    ours = place.call([*factories.PROGRAM, "run", "--help"])
    assert (ours.returncode, ours.stderr) == (0, "")
    assert ours.stdout.startswith("usage: policy run [options] -- COMMAND [ARG ...]")
    assert place.run(PYTHON, "--help").stdout.startswith("usage: ")


@modes
def test_nothing_is_said(place: Place, mode: str) -> None:
    """Where nothing is wrong nothing is written, neither to stdout nor to stderr."""
    done = place.run("true", mode=mode)
    assert (done.stdout, done.stderr) == ("", "")


def test_quiet(place: Place) -> None:
    """-q leaves out notes, hints and warnings, but not errors."""
    factories.written(
        place.directory / "rules.toml",
        '[[rules]]\nname = "ci"\nmatch.env.CI = true\nlock = "global"\nrequired = false\n',
    )
    environ = {**place.environ, "CI": "1"}
    options = ("--config-file", "rules.toml", "--global-dir", "/nowhere/at/all")
    loud = place.run("true", options=options, env=environ)
    assert "continuing without a lock, as rule ci allows" in loud.stderr
    quiet = place.run("true", options=("-q", *options), env=environ)
    assert (loud.returncode, quiet.returncode, quiet.stderr) == (0, 0, "")
    failed = place.run("no-such-command", options=("-q",), env={**place.environ, "PATH": READABLE})
    assert "command not found" in failed.stderr


@modes
def test_streams_are_the_command_s(place: Place, mode: str) -> None:
    """Whatever bytes go in come out, on stdout and on stderr, to the last one."""
    data = bytes(range(256)) * 1000
    done = place.run("sh", "-c", "tee /dev/stderr", mode=mode, input=data, text=False)
    assert (done.stdout, done.stderr) == (data, data)


@modes
def test_stdin_is_not_read_ahead(place: Place, mode: str) -> None:
    """What the command leaves on stdin is there for the next reader."""
    words = place.words("sh", "-c", "read line; echo $line", mode=mode)
    done = place.call(["sh", "-c", '"$@"; cat', "sh", *words], input="first\nsecond\n")
    assert done.stdout == "first\nsecond\n"


@modes
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_stay_closed(place: Place, mode: str, closed: tuple[int, ...]) -> None:
    """A stream that was closed is closed in the command too: no lock, and no file of ours, takes its number."""
    told = place.directory / "told.json"
    close = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    words = place.words(PYTHON, "-c", WITNESS, told, mode=mode)
    done = place.call(["sh", "-c", f'exec "$@" {close}', "sh", *words])
    assert done.returncode == 0, done.stderr
    fds = json.loads(told.read_text())["fds"]
    assert set(fds) & {"0", "1", "2"} == {str(number) for number in {0, 1, 2} - set(closed)}


def need_proc() -> None:
    """Skips where the kernel does not say what a process has."""
    requirements.need(os.path.exists("/proc/self/status"), "needs /proc")


LAUNCHER = """
import os, signal, sys
for name in sys.argv[1].split():
    signal.signal(getattr(signal, name), signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, name) for name in sys.argv[2].split()})
os.execvp(sys.argv[3], sys.argv[3:])
"""
PYTHONS_OWN = {signal.SIGPIPE, signal.SIGXFSZ}  # Python ignores them
LIBCS_OWN = {32, 33}  # glibc's posix_spawn ignores what only glibc's threads use


def signals(place: Place, words: list[str], ignored: str = "", blocked: str = "") -> tuple[set[int], set[int]]:
    """Which signals `grep` has blocked and ignored when a command line that ends with it is run."""
    done = place.call([PYTHON, "-c", LAUNCHER, ignored, blocked, *words, "grep", "Sig", "/proc/self/status"])
    found = dict(line.split(":\t") for line in done.stdout.splitlines())

    def numbers(name: str) -> set[int]:
        mask = int(found[name], 16)
        return {number for number in range(1, 65) if mask >> (number - 1) & 1} - LIBCS_OWN

    return numbers("SigBlk"), numbers("SigIgn")


@modes
@pytest.mark.parametrize(
    ("ignored", "blocked"),
    [
        ("", ""),
        ("SIGINT SIGQUIT", ""),
        ("SIGHUP", ""),
        ("SIGTERM SIGTSTP", "SIGUSR1"),
        ("", "SIGTERM SIGINT SIGCHLD SIGUSR2 SIGHUP SIGRTMIN"),
        ("SIGPIPE", "SIGPIPE"),
    ],
)
def test_signals_are_as_if_started_directly(place: Place, mode: str, ignored: str, blocked: str) -> None:
    """The command's blocked and ignored signals are as without us, but SIGPIPE and SIGXFSZ are at their defaults."""
    need_proc()
    direct = signals(place, [], ignored, blocked)
    through = signals(place, place.words(mode=mode), ignored, blocked)
    assert through == (direct[0], direct[1] - PYTHONS_OWN)


@modes
def test_sigpipe_ends_the_command(place: Place, mode: str) -> None:
    """A command that writes to a reader who has left ends as it does in every pipeline."""
    words = place.words("yes", mode=mode)
    done = place.call(["sh", "-c", '{ "$@"; echo $? >code; } | head -n 1', "sh", *words])
    assert (done.stdout, done.stderr) == ("y\n", "")
    assert (place.directory / "code").read_text() == f"{128 + signal.SIGPIPE}\n"


def witness(place: Place, mode: str = "exec", options: tuple[str, ...] = (), **more: Any) -> tuple[dict[str, Any], int]:
    """What a command was given, and the pid of what was started."""
    told = place.directory / "told.json"
    running = place.start(place.words(PYTHON, "-c", WITNESS, told, mode=mode, options=options), **more)
    _, said = running.communicate(timeout=factories.TIMEOUT)
    assert (running.returncode, said) == (0, "")
    return json.loads(told.read_text()), running.pid


def test_command_is_the_process_that_was_started(place: Place) -> None:
    """The command replaces the process: its pid, parent, process group and session are those of what was started."""
    told, pid = witness(place)
    assert (told["pid"], told["ppid"]) == (pid, os.getpid())
    assert (told["group"], told["session"]) == (os.getpgrp(), os.getsid(0))
    told, pid = witness(place, start_new_session=True)
    assert (told["pid"], told["group"], told["session"]) == (pid, pid, pid)


def test_command_beside_its_parent(place: Place) -> None:
    """With --close the command is a child, in the same process group and session."""
    told, pid = witness(place, "close", start_new_session=True)
    assert (told["ppid"], told["group"], told["session"]) == (pid, pid, pid)


def fds_without_streams(told: dict[str, Any]) -> dict[int, str]:
    """The descriptors beyond the three streams."""
    return {int(number): target for number, target in told["fds"].items() if int(number) > 2}


@modes
def test_descriptors(place: Place, mode: str) -> None:
    """The command inherits what its parent passed on, and the lock files unless --close; nothing else of ours."""
    need_proc()
    factories.written(place.directory / "rules.toml", '[[rules]]\nlock = "both"\n')
    reader, writer = os.pipe()
    try:
        options = ("--config-file", "rules.toml", "--global-dir", str(place.directory))
        told, _ = witness(place, mode, options, pass_fds=(reader,))
        passed = os.readlink(f"/proc/self/fd/{reader}")
    finally:
        os.close(reader)
        os.close(writer)
    fds = fds_without_streams(told)
    assert fds.pop(reader) == passed
    expected = {place.lock, *map(str, place.directory.glob("lock-policy-*.lock"))}
    assert len(expected) == 2
    expected.add(factories.gate(place.root))
    assert set(fds.values()) == (expected if mode == "exec" else set())
    assert len(fds) == len(set(fds.values()))


@modes
def test_variables(place: Place, mode: str) -> None:
    """The command's variables are its parent's, two that say whose lock it runs under, and one for a uv in it."""
    told, _ = witness(place, mode)
    environ = told["environ"]
    entries = [entry.split(":") for entry in environ.pop(MARKER).split(",")]
    paths = (factories.gate(place.root), place.lock)
    for (descriptor, device, inode), path in zip(entries, paths, strict=True):
        status = os.stat(path)
        assert (int(device), int(inode)) == (status.st_dev, status.st_ino)
        if mode == "exec" and os.path.exists("/proc/self/fd"):
            assert told["fds"][descriptor] == path
    assert environ.pop(run.ENVIRONMENT) == str(place.root)
    assert environ.pop("UV_LOCK_TIMEOUT") == "0"
    # Python itself sets LC_CTYPE where the locale is C (PEP 538)
    assert {name: value for name, value in environ.items() if name != "LC_CTYPE"} == place.environ


def test_uv_lock_timeout_is_for_uv(place: Place) -> None:
    """UV_LOCK_TIMEOUT makes uv wait as long as it takes, not over the user's; a uv inside another does not wait."""
    script = factories.written(place.directory / "bin" / "uv", "#!/bin/sh\nenv\n")
    script.chmod(0o755)
    assert "UV_LOCK_TIMEOUT=0\n" in place.run("env").stdout
    assert "UV_LOCK_TIMEOUT=4294967295\n" in place.run(script, "pip", "install", "x").stdout
    own = place.run(script, "pip", "install", "x", env={**place.environ, "UV_LOCK_TIMEOUT": "7"})
    assert "UV_LOCK_TIMEOUT=7\n" in own.stdout
    assert "UV_LOCK_TIMEOUT=7 is set" in own.stderr


def test_lock_is_held_while_the_command_runs(place: Place) -> None:
    """Nobody else has the lock from before the command begins until it has ended."""
    for mode in MODES:
        running = place.start(place.words("sh", "-c", "echo go; read line", mode=mode), stdin=subprocess.PIPE)
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "go\n"
            assert not place.is_free()
            running.communicate("\n", timeout=factories.TIMEOUT)
        finally:
            ended(running)
        assert place.is_free()


def test_uv_found_by_its_own_command_line(place: Place) -> None:
    """For a uv command the environment is the one that uv will work on, unless the options name another."""
    script = factories.written(place.directory / "bin" / "uv", "#!/bin/sh\nenv\n")
    script.chmod(0o755)
    words = [*factories.PROGRAM, "run", "--", str(script), "pip", "install", "--python", str(place.other), "x"]
    done = place.call(words, env={**place.environ, "VIRTUAL_ENV": str(place.root)})
    assert f"{run.ENVIRONMENT}={place.other}\n" in done.stdout
    done = place.call([*words[:4], "--python", str(place.root), *words[4:]], env=place.environ)
    assert f"{run.ENVIRONMENT}={place.root}\n" in done.stdout
