"""`policy run` as a good parent: on a terminal, killed, nested, and left behind by daemons."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.locks.hold import MARKER
from tests import factories, processes, real_uv, requirements
from tests.real_uv import uv  # noqa: F401  (a fixture)
from tests.running import LISTENER, MODES, PYTHON, Place, Terminal, ended, killed, line, state, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

modes = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where the command runs."""
    return Place(tmp_path)


def nested(place: Place, *command: str | Path, root: Path | None = None, mode: str = "exec") -> list[str]:
    """A command line that runs a command under the lock of an environment, and does not wait forever."""
    more = ["--close"] if mode == "close" else []
    words = [*factories.PROGRAM, "run", "--python", str(root or place.root), "--timeout", "0.5", *more, "--"]
    return [*words, *map(str, command)]


# On a terminal


@pytest.fixture
def terminal(place: Place, mode: str) -> Iterator[Terminal]:
    """A terminal on which a command that tells its signals is the foreground job."""
    shown = Terminal(place.words(PYTHON, "-c", LISTENER, mode=mode), place.environ, place.directory)
    try:
        yield shown
    finally:
        found = re.search(r"ready (\d+)", shown.seen)
        if found:
            killed(int(found[1]))
        shown.close()


@modes
def test_ctrl_c_arrives_once(terminal: Terminal, mode: str) -> None:
    """Ctrl-C on a terminal reaches the command once, from the terminal: a parent does not send it again."""
    requirements.need(os.path.exists("/proc/self/stat"), "needs /proc")
    pid = int(terminal.read(r"ready (\d+)\r")[1])
    leader = os.getpgid(pid)
    if mode == "close":
        # so that the parent comes to its own signal when the command has long had its: two at once would be one
        os.kill(leader, signal.SIGSTOP)
        assert terminal.told() == "stopped"
    terminal.press(b"\x03")
    terminal.read(rf"got {signal.SIGINT.value}\r")
    if mode == "close":
        terminal.resume()
    os.kill(leader, signal.SIGUSR2)  # comes after SIGINT: the kernel hands out the lowest number first
    assert terminal.told() == "ended 0"
    assert terminal.drain().count(f"got {signal.SIGINT.value}\r") == 1


@modes
def test_ctrl_c_ends_a_command(place: Place, mode: str) -> None:
    """A command that Ctrl-C ends has ended for the shell too, and the lock is free."""
    shown = Terminal(place.words("sh", "-c", "echo rea''dy; read word", mode=mode), place.environ, place.directory)
    try:
        shown.read(r"ready\r")
        shown.press(b"\x03")
        assert shown.told() == f"ended {-signal.SIGINT if mode == 'exec' else 128 + signal.SIGINT}"
    finally:
        shown.close()
    assert place.is_free()


@pytest.mark.slow
@modes
def test_ctrl_z_and_fg(place: Place, terminal: Terminal) -> None:
    """Ctrl-Z stops the command and whatever stands beside it, the lock stays, and `fg` lets all go on."""
    requirements.need(os.path.exists("/proc/self/stat"), "needs /proc")
    pid = int(terminal.read(r"ready (\d+)\r")[1])
    for _ in range(2):
        terminal.press(b"\x1a")
        assert terminal.told() == "stopped"
        wait_until(lambda: state(pid) == "T", "the command has not stopped")
        assert not place.is_free()
        terminal.resume()
        wait_until(lambda: state(pid) == "S", "the command has not gone on")
    os.kill(pid, signal.SIGUSR1)
    terminal.read(rf"got {signal.SIGUSR1.value}\r")
    os.kill(pid, signal.SIGUSR2)
    assert terminal.told() == "ended 0"
    assert place.is_free()


@modes
def test_terminal_is_the_command_s(place: Place, mode: str) -> None:
    """The command reads what is typed and sees a terminal on all three streams."""
    script = "test -t 0 && test -t 1 && test -t 2 && echo rea''dy; read word; echo read:$word"
    shown = Terminal(place.words("sh", "-c", script, mode=mode), place.environ, place.directory)
    try:
        shown.read(r"ready\r")
        shown.press(b"typed\n")
        shown.read(r"read:typed\r")
        assert shown.told() == "ended 0"
    finally:
        shown.close()


@pytest.mark.slow
def test_ctrl_c_while_waiting(place: Place) -> None:
    """Ctrl-C while the lock is waited for ends the waiting with 130 and no traceback, and the command does not run."""
    holder = processes.holder(place.lock)
    shown = Terminal(place.words("touch", "ran"), place.environ, place.directory)
    try:
        shown.read("waiting for ")
        shown.press(b"\x03")
        assert shown.told() == "ended 130"
        assert "Traceback" not in shown.drain()
    finally:
        processes.end(holder)
        shown.close()
    assert not (place.directory / "ran").exists()
    assert place.is_free()


# Waiting is reported


@pytest.mark.slow
def test_waiting_is_told(place: Place) -> None:
    """After two seconds of waiting, one message names the file and its holder; not before, nor with -q."""
    holder = processes.holder(place.lock)
    waiters: list[subprocess.Popen[str]] = []
    said: list[list[str]] = []
    try:
        for options in (("--timeout", "1"), ("--timeout", "3.2"), ("-q", "--timeout", "2.6")):
            waiters.append(place.start(place.words("true", options=options)))  # alone, for the gate lets one through
            said.append(waiters[-1].communicate(timeout=factories.TIMEOUT)[1].splitlines())
    finally:
        processes.end(holder)
        ended(*waiters)
    soon, late, quiet = said
    assert [waiter.returncode for waiter in waiters] == [124] * 3
    assert [entry for entry in soon + quiet if "waiting for " in entry] == []
    (told,) = (entry for entry in late if "waiting for " in entry)
    assert re.match(rf"policy: waiting for {re.escape(place.lock)} \([23] s so far\), held by ", told)
    if os.path.exists("/proc/locks"):
        assert f"pid {holder.pid} (" in told
        assert " since " in told
    assert len(late) == 2
    assert len(soon) == len(quiet) == 1  # the error itself


@pytest.mark.slow
def test_waiting_is_told_sooner_on_a_terminal(place: Place) -> None:
    """On a terminal somebody is looking: the message comes before two seconds are over."""
    holder = processes.holder(place.lock)
    shown = Terminal(place.words("true", options=("--timeout", "1.5")), place.environ, place.directory)
    try:
        assert shown.told() == "ended 124"
        assert shown.drain().count("waiting for ") == 1
    finally:
        processes.end(holder)
        shown.close()


@pytest.mark.slow
def test_the_wait_ends_with_the_lock(place: Place) -> None:
    """Who was told to wait gets the lock when it is free, and runs."""
    holder = processes.holder(place.lock)
    running = place.start(place.words("echo", "ran"))
    assert running.stderr is not None
    try:
        assert "waiting for" in running.stderr.readline()
        processes.end(holder)
        assert running.communicate(timeout=factories.TIMEOUT)[0] == "ran\n"
    finally:
        ended(holder, running)
    assert running.returncode == 0


# Killed, and left behind


def test_killing_what_was_started_kills_the_command(place: Place) -> None:
    """There is no wrapper to be killed: what was started is the command, and with it ends the lock."""
    running = place.start(place.words("sleep", "60"))
    try:
        wait_until(lambda: os.path.exists(place.lock) and not place.is_free(), "the lock is not held")
        running.kill()
        running.communicate(timeout=factories.TIMEOUT)
        assert place.is_free()
    finally:
        ended(running)


def test_what_a_killed_command_leaves_keeps_the_lock(place: Place) -> None:
    """Where the command was killed and a process of it goes on, the lock stays until that has ended."""
    running = place.start(place.words("sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!; wait"))
    pid = 0
    try:
        pid = int(line(running))
        running.kill()
        running.communicate(timeout=factories.TIMEOUT)
        assert not place.is_free()
        killed(pid)
        wait_until(place.is_free, "the lock of a process that has ended is still held")
    finally:
        ended(running)
        if pid:
            killed(pid)


def test_a_daemon_keeps_the_lock(place: Place) -> None:
    """A daemon that a command leaves behind keeps the lock as with flock(1), and is named to who waits for it."""
    done = place.run("sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")
    pid = int(done.stdout)
    try:
        refused = place.run("true", options=("--timeout", "0.1"))
        assert refused.returncode == 124
        if os.path.exists("/proc/locks"):
            assert f"pid {pid} (" in refused.stderr
    finally:
        killed(pid)
    wait_until(place.is_free, "the lock of a process that has ended is still held")


def test_killing_the_parent_of_close_frees_the_lock(place: Place) -> None:
    """With --close the lock is the parent's: who kills it with SIGKILL frees the lock, and the command goes on."""
    running = place.start(place.words(PYTHON, "-c", LISTENER, mode="close"))
    pid = 0
    try:
        pid = int(line(running).split()[1])
        assert not place.is_free()
        running.kill()
        running.wait(timeout=factories.TIMEOUT)
        assert place.is_free()
        os.kill(pid, 0)
    finally:
        if pid:
            killed(pid)
        ended(running)


# Nested


@modes
@pytest.mark.parametrize("inner", MODES)
def test_nested_joins(place: Place, mode: str, inner: str) -> None:
    """A `policy run` inside another one of the same environment joins its lock, and does not wait for itself."""
    if "close" in (mode, inner):
        requirements.need(os.path.exists("/proc/locks"), "needs /proc")
    done = place.run(*nested(place, "echo", "inside", mode=inner), mode=mode)
    assert (done.returncode, done.stdout, done.stderr) == (0, "inside\n", "")


@modes
def test_three_levels(place: Place, mode: str) -> None:
    """Three of them join, whatever stands between: a shell, and a program that closes what it has inherited."""
    if mode == "close":
        requirements.need(os.path.exists("/proc/locks"), "needs /proc")
    innermost = nested(place, "echo", "inside")
    closing = [PYTHON, "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))", *innermost]
    between = nested(place, "sh", "-c", '"$@"', "sh", *closing)
    if not os.path.exists("/proc/locks"):
        between = nested(place, "sh", "-c", '"$@"', "sh", *innermost)
    done = place.run(*between, mode=mode)
    assert (done.returncode, done.stdout, done.stderr) == (0, "inside\n", "")


@modes
def test_another_environment_in_between(place: Place, mode: str) -> None:
    """A `policy run` of another environment in between does not hide the lock that is held further up."""
    if mode == "close":
        requirements.need(os.path.exists("/proc/locks"), "needs /proc")
    innermost = nested(place, "echo", "inside")
    done = place.run(*nested(place, *innermost, root=place.other, mode=mode), mode=mode)
    assert (done.returncode, done.stdout, done.stderr) == (0, "inside\n", "")


def test_joining_keeps_the_lock(place: Place) -> None:
    """The end of a nested one does not release what the outer one holds."""
    script = '"$@"; echo done; read word'
    running = place.start(place.words("sh", "-c", script, "sh", *nested(place, "true")), stdin=subprocess.PIPE)
    try:
        assert line(running) == "done"
        assert not place.is_free()
        running.communicate("\n", timeout=factories.TIMEOUT)
    finally:
        ended(running)
    assert place.is_free()


_SLEEPS = "trace=?poll,ppoll,?select,pselect6,nanosleep,clock_nanosleep,?epoll_wait,epoll_pwait"


@modes
def test_marker_lost(place: Place, mode: str) -> None:
    """Where the marker is lost on the way, as with `env -i`, the nested one ends with a message, and never sleeps."""
    requirements.need(os.path.exists("/proc/locks") and shutil.which("strace") is not None, "needs /proc and strace")
    variables = [f"{name}={value}" for name, value in place.environ.items()]
    trace = place.directory / "trace"
    traced = ("strace", "-f", "-qq", "-o", str(trace), "-e", _SLEEPS)
    done = place.run("env", "-i", *variables, *traced, *nested(place, "touch", "ran"), mode=mode)
    assert done.returncode == 125
    assert "an ancestor of this one, holds it, so both would wait forever; leave LOCK_POLICY_HELD in its" in done.stderr
    assert not (place.directory / "ran").exists()
    assert not [line for line in trace.read_text().splitlines() if "(" in line]
    # with no time to wait it is as with any other holder
    words = [word if word != "0.5" else "0" for word in nested(place, "touch", "ran")]
    done = place.run("env", "-i", *variables, *words, mode=mode)
    assert done.returncode == 124
    assert "held by pid" in done.stderr


def markers(place: Place) -> list[str]:
    """Markers that say that we hold a lock which we do not hold."""
    status = os.stat(place.lock)
    file = f"{status.st_dev}:{status.st_ino}"
    return [
        "3:1:2",
        f"3:{file}",
        f"0:{file}",
        f"-1:{file}",
        f"99999999999999999999:{file}",
        f"3:{file}," * 2000,
        f"\u0663:{file}",
        ",,,:::,",
        "x" * 100_000,
        "\udcff",
    ]


@pytest.mark.slow
def test_forged_markers(place: Place) -> None:
    """A marker that is not true, whatever it holds, opens no lock that another process holds, and breaks nothing."""
    holder = processes.holder(place.lock)
    try:
        for marker in markers(place):
            done = place.call(nested(place, "touch", "ran")[:-2], env={**place.environ, MARKER: marker})
            assert done.returncode == 125, done.stderr  # no command
            words = [word if word != "0.5" else "0.05" for word in nested(place, "touch", "ran")]
            done = place.call(words, env={**place.environ, MARKER: marker})
            assert done.returncode == 124, (marker, done.stderr)
            assert "Traceback" not in done.stderr
    finally:
        processes.end(holder)
    assert not (place.directory / "ran").exists()


@pytest.mark.slow
def test_forged_markers_on_a_free_lock(place: Place) -> None:
    """With a marker that is not true a free lock is taken as it would be without."""
    place.run("true")
    for marker in markers(place):
        done = place.run("flock", "-n", place.lock, "true", env={**place.environ, MARKER: marker})
        assert done.returncode == 1, (marker, done.stderr)


def test_marker_of_a_lock_that_is_over(place: Place) -> None:
    """A daemon that keeps the marker but not the lock takes the lock anew when it runs `policy run` later."""
    requirements.need(os.path.exists("/proc/locks"), "needs /proc")
    script = '(read word <fifo; exec "$@" >out 2>&1) </dev/null >/dev/null 2>&1 &'
    os.mkfifo(place.directory / "fifo")
    held = "flock -n " + place.lock + " true || echo held"
    place.run("sh", "-c", script, "sh", *nested(place, "sh", "-c", held), mode="close")
    assert place.is_free()
    (place.directory / "fifo").write_text("go\n")
    out = place.directory / "out"
    wait_until(lambda: out.exists() and out.read_text(), "the daemon has not run")
    assert out.read_text() == "held\n"


@pytest.mark.slow
@modes
def test_uv_inside_a_nested_run(place: Place, mode: str, uv: Path, tmp_path: Path) -> None:
    """Inside a `policy run` that holds uv's own file a new uv goes on at once; an old one is refused."""
    if mode == "close":
        requirements.need(os.path.exists("/proc/locks"), "needs /proc")
    wheels = real_uv.wheelhouse(tmp_path / "wheels")
    environ = {**real_uv.clean_environ(tmp_path / "home"), "PYTHONPATH": str(factories.CHECKOUT)}
    install = [str(uv), "pip", "install", "--find-links", str(wheels), "--python", str(place.root), "tiny"]
    done = place.run(*factories.PROGRAM, "run", "--", *install, mode=mode, env=environ)
    if re.search(r"uv-0\.[78]\.", str(uv)):
        assert done.returncode == 125, done.stderr
        (said,) = done.stderr.splitlines()
        assert said.startswith(f"policy: error: {place.lock}: a `policy run` that started this one holds it, and this ")
        assert "would wait for it forever; start uv without the outer `policy run`" in said
        assert not list(place.root.glob("lib/**/tiny.py"))
    else:
        assert done.returncode == 0, done.stderr
        assert "policy:" not in done.stderr
    # the remedy that it names
    factories.written(place.directory / "outer.toml", '[[rules]]\nlock = "global"\n')
    options = ("--config-file", place.directory / "outer.toml", "--global-dir", place.directory)
    done = place.run(*factories.PROGRAM, "run", "--", *install, mode=mode, options=options, env=environ)
    assert done.returncode == 0, done.stderr
    assert list(place.root.glob("lib/**/tiny.py"))
