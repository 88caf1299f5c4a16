from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from policy.commands import child
from tests import acquiring as hold
from tests import factories, requirements
from tests.running import LISTENER, PYTHON, Place, ended, killed, line, state, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

ALL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where the command runs."""
    return Place(tmp_path)


class Listening:
    """A command beside its parent that tells every signal that it gets.

    Args:
        place: Where it runs.
    """

    def __init__(self, place: Place) -> None:
        self.parent = place.start(place.words(PYTHON, "-c", LISTENER, mode="close"), start_new_session=True)
        word, _, pid = line(self.parent).partition(" ")
        assert word == "ready"
        self.pid = int(pid)

    def end(self) -> tuple[list[str], int]:
        """Sends the signal that the command ends with; answers what it told, and the parent's exit code."""
        self.parent.send_signal(signal.SIGUSR2)
        told, _ = self.parent.communicate(timeout=factories.TIMEOUT)
        return told.splitlines(), self.parent.returncode


@pytest.fixture
def listening(place: Place) -> Iterator[Listening]:
    """A command that listens."""
    command = Listening(place)
    yield command
    killed(command.pid)
    ended(command.parent)


@pytest.mark.parametrize("number", ALL)
def test_forwards_once(listening: Listening, number: signal.Signals) -> None:
    """A signal that is sent to the parent reaches the command, once."""
    listening.parent.send_signal(number)
    assert line(listening.parent) == f"got {number.value}"
    assert listening.end() == ([f"got {signal.SIGUSR2.value}"], 0)


def test_forwards_many(listening: Listening) -> None:
    """One signal after the other reaches the command, each as often as it was sent."""
    for number in ALL * 3:
        listening.parent.send_signal(number)
        assert line(listening.parent) == f"got {number.value}"
    assert listening.end() == ([f"got {signal.SIGUSR2.value}"], 0)


def test_what_the_group_gets_the_command_got(listening: Listening) -> None:
    """A signal to the process group reaches the command, whatever the parent adds, and ends neither."""
    os.killpg(listening.parent.pid, signal.SIGINT)
    assert line(listening.parent) == f"got {signal.SIGINT.value}"
    told, code = listening.end()
    assert set(told) <= {f"got {signal.SIGINT.value}", f"got {signal.SIGUSR2.value}"}
    assert code == 0


@pytest.mark.slow
def test_signals_from_the_very_beginning(place: Place) -> None:
    """A signal that comes while the command is being started is not lost: parent and command never survive it."""
    for delay in (0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08):
        parent = place.start(place.words("sleep", "60", mode="close"), start_new_session=True)
        try:
            time.sleep(delay)
            parent.terminate()
            parent.communicate(timeout=factories.TIMEOUT)
            assert parent.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
        finally:
            ended(parent)
        assert place.is_free()


SLOW_TO_END = """
import os, signal, sys
def tell(number, frame):
    os.write(1, b"asked\\n")
    sys.stdin.readline()
    os._exit(5)
signal.signal(signal.SIGTERM, tell)
os.write(1, b"ready\\n")
signal.pause()
"""


def test_released_when_reaped(place: Place) -> None:
    """A parent that is asked to end waits for its command to end, and holds the lock until then."""
    parent = place.start(place.words(PYTHON, "-c", SLOW_TO_END, mode="close"), stdin=subprocess.PIPE)
    try:
        assert line(parent) == "ready"
        parent.terminate()
        assert line(parent) == "asked"
        assert not place.is_free()
        assert parent.poll() is None
        parent.communicate("\n", timeout=factories.TIMEOUT)
        assert parent.returncode == 5
        assert place.is_free()
    finally:
        ended(parent)


def test_stopped_command_is_waited_for(place: Place) -> None:
    """A command that is stopped has not ended: the lock stays, and the exit code comes when it goes on."""
    requirements.need(os.path.exists("/proc/self/stat"), "needs /proc")
    words = place.words("sh", "-c", "echo $$; kill -STOP $$; exit 6", mode="close")
    parent = place.start(words)
    try:
        pid = int(line(parent))
        wait_until(lambda: state(pid) == "T", "the command has not stopped")
        assert parent.poll() is None
        assert not place.is_free()
        os.kill(pid, signal.SIGCONT)
        parent.communicate(timeout=factories.TIMEOUT)
        assert parent.returncode == 6
    finally:
        ended(parent)


AUTOREAPED = (
    "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])"
)


def test_ignored_sigchld(place: Place) -> None:
    """Where SIGCHLD was ignored before us the end of the command is noticed all the same, and its exit code."""
    done = place.call([PYTHON, "-c", AUTOREAPED, *place.words("sh", "-c", "exit 3", mode="close")])
    assert (done.returncode, done.stderr) == (3, "")


def test_command_of_another_user(place: Place) -> None:
    """A command that has become another user gets no signal from us: that is said, and the lock stays until it ends."""
    requirements.need_root()
    setpriv = shutil.which("setpriv")
    requirements.need(setpriv is not None, "needs setpriv")
    become = ("setpriv", f"--reuid={factories.NOBODY}", "--clear-groups", "sh", "-c", "echo $$; read line; exit 4")
    # without CAP_KILL even root is refused
    words = ["setpriv", "--bounding-set=-kill", *place.words(*become, mode="close")]
    parent = place.start(words, stdin=subprocess.PIPE)
    try:
        line(parent)
        parent.terminate()
        assert parent.stderr is not None
        assert "SIGTERM cannot be sent on to process" in parent.stderr.readline()
        assert not place.is_free()
        parent.communicate("\n", timeout=factories.TIMEOUT)
        assert parent.returncode == 4
    finally:
        ended(parent)
    assert place.is_free()


def test_no_lock_in_the_command(place: Place) -> None:
    """The command does not hold the lock: a daemon that it leaves behind keeps nobody out."""
    words = place.words("sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!", mode="close")
    parent = place.start(words)
    pid = 0
    try:
        pid = int(line(parent))
        parent.communicate(timeout=factories.TIMEOUT)
        assert (parent.returncode, state(pid) in {"S", "R", ""}) == (0, True)
        assert place.is_free()
    finally:
        ended(parent)
        if pid:
            killed(pid)


@pytest.mark.parametrize(
    ("command", "code"),
    [("rm {lock}", 125), ("rm {lock}; exit 3", 3), ("mv {lock} {lock}.old", 125), ("rm {lock}; kill -9 $$", 137)],
)
def test_lost_lock(place: Place, command: str, code: int) -> None:
    """A lock lost meanwhile is reported, with 125 if the command succeeded, and the command's own code if not."""
    done = place.run("sh", "-c", command.format(lock=place.lock), mode="close")
    assert done.returncode == code
    assert done.stderr == (
        f"policy: error: {place.lock}: deleted or replaced while locked; another process may have been inside\n"
    )


def test_replaced_lock(place: Place) -> None:
    """A lock file that another one has taken the place of is lost as well."""
    done = place.run("sh", "-c", f"rm {place.lock}; : > {place.lock}", mode="close")
    assert done.returncode == 125
    assert "deleted or replaced" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FileNotFoundError(errno.ENOENT, "gone"), 127, "x: command not found"),
        (NotADirectoryError(errno.ENOTDIR, "none"), 127, "x: command not found"),
        (PermissionError(errno.EACCES, "Permission denied"), 126, "x: cannot be started: Permission denied"),
        (OSError(errno.E2BIG, "Argument list too long"), 126, "x: cannot be started: Argument list too long"),
        (ValueError("embedded null byte"), 126, "x: cannot be started: embedded null byte"),
    ],
)
def test_cannot_start(error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """127 is for what is not found, 126 for everything else, as env(1) and timeout(1) have it."""
    assert child.cannot_start("x", error) == code
    assert capsys.readouterr().err == f"policy: error: {said}\n"


def test_mask_is_put_back(tmp_path: Path) -> None:
    """Who calls `stay` gets its signal mask back, whether the command ran or did not start."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert child.stay(["true"], dict(os.environ), hold.hold([str(tmp_path / "lock")])) == 0
    assert child.stay(["sh", "-c", "exit 9"], dict(os.environ), hold.hold([str(tmp_path / "lock")])) == 9
    assert child.stay([str(tmp_path / "none")], dict(os.environ), hold.hold([str(tmp_path / "lock")])) == 127
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_held_lock_is_released_once(tmp_path: Path) -> None:
    """What `stay` was given is free afterwards, also where the command did not start."""
    path = str(tmp_path / "lock")
    for command in (["true"], ["/nowhere"]):
        held = hold.hold([path])
        child.stay(command, dict(os.environ), held)
        assert held.descriptors == ()
        hold.hold([path], timeout=0).release()
