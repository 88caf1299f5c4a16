"""Shims on PATH: the same programs with and without them, except for the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.commands.tools import TOOLS
from tests import factories, processes
from tests.running import Place, Terminal, ended, wait_until

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

# Prints all that it was given, byte for byte, except for what the lock adds; then ends as its arguments say.
WITNESS = r"""#!/bin/sh
printf '<%s>' "${0##*/}" "$@"
for number in 0 1 2; do [ -t $number ] && printf ' tty%s' $number; done
printf '\n'
env -0 | tr '\n\0' '\t\n' | grep -v '^LOCK_POLICY_\|^_=\|^UV_LOCK_TIMEOUT=\|^PATH=\|^SHLVL=' | LC_ALL=C sort
for number in /proc/self/fd/[3-9]; do readlink "$number"; done | grep -v '\.lock$'
umask; ulimit -n; pwd
echo "to stderr" >&2
for word; do
    case $word in
        read) cat ;;
        exit*) exit "${word#exit}" ;;
        kill*) kill -"${word#kill}" $$ ;;
    esac
done
"""

LINES = [
    (b"uv", b"--version"),
    (b"uv",),
    (b"uv", b"sync"),
    (b"uv", b"sync", b"exit1"),
    (b"uv", b"sync", b"exit2"),
    (b"uv", b"sync", b"exit124"),
    (b"uv", b"sync", b"exit255"),
    (b"uv", b"sync", b"read"),
    (b"uv", b"add", b"a b", b"", b"c\nd", b"'\"$HOME`true`\\"),
    (b"uv", b"add", b"\xff\xfe", "é".encode()),
    (b"uv", b"add", b"*", b"?", b"[a]", b"~"),
    (b"uv", b"add", b"--", b"-q", b"--help"),
    (b"uv", b"add", b"-", b"--", b"--"),
    (b"uv", b"remove", b"kill15"),
    (b"uv", b"remove", b"kill9"),
    (b"uv", b"remove", b"kill2"),
    (b"uv", b"remove", b"kill13"),
    (b"uv", b"pip", b"list", b"kill15"),
    (b"uv", b"pip", b"list", b"exit3"),
    (b"uv", b"pip", b"list", b"read"),
    (b"uv", b"pip", b"install", b"--python-version=3.12", b"x"),
    (b"uv", b"pip", b"install", b"-q", b"--quiet", b"-v"),
    (b"uv", b"pip", b"uninstall", b"--color", b"always"),
    (b"uv", b"run", b"exit7"),
    (b"uv", b"run", b"--", b"--version"),
    (b"uv", b"run", b"kill15"),
    (b"uv", b"cache", b"dir"),
    (b"uv", b"--no-config", b"sync"),
    (b"uv", b"--config-file", b"x", b"sync"),
    (b"uv", b"venv", b"--python", b"/nowhere"),
    (b"uv", b"nonsense", b"exit2"),
    (b"uvx", b"--version"),
    (b"uvx", b"ruff", b"exit4"),
    (b"uvx", b"ruff", b"read"),
    (b"pip", b"--version"),
    (b"pip",),
    (b"pip", b"list"),
    (b"pip", b"list", b"exit9"),
    (b"pip", b"install", b"x"),
    (b"pip", b"install", b"exit1"),
    (b"pip", b"install", b"read"),
    (b"pip", b"install", b"kill15"),
    (b"pip", b"install", b"kill1"),
    (b"pip", b"install", b"x" * 100_000),
    (b"pip", b"install", *(b"word%d" % number for number in range(1000))),
    (b"pip", b"-q", b"freeze"),
    (b"pip", b"download", b"exit5"),
    (b"pip3", b"install", b"--timeout", b"3", b"--python", b"x"),
    (b"pip3", b"show", b"exit1"),
    (b"pipx", b"list"),
    (b"pipx", b"install", b"exit1"),
    (b"pipx", b"run", b"black", b"exit6"),
    (b"poetry", b"install", b"exit1"),
    (b"poetry", b"run", b"exit8"),
    (b"poetry", b"--version"),
    (b"pdm", b"sync", b"read"),
    (b"pdm", b"run", b"kill15"),
    (b"hatch", b"env", b"create", b"exit1"),
    (b"hatch", b"version"),
    (b"virtualenv", b".venv"),
    (b"virtualenv", b"--help"),
    (b"virtualenv", b"--prompt", b"$(touch x) & a;b", b".venv"),
]


class Shimmed:
    """A user who has put shims first on PATH, and programs behind them.

    Args:
        directory: Where all of it is made.
    """

    def __init__(self, directory: Path) -> None:
        self.place = Place(directory)
        self.shims = directory / "shims"
        self.programs = directory / "programs"
        self.programs.mkdir()
        for name in TOOLS:
            self.program(name, WITNESS)
        self.write()
        self.bare = {**self.place.environ, "VIRTUAL_ENV": str(self.place.root), "PATH": self.path(self.programs)}
        self.environ = {**self.bare, "PATH": self.path(self.shims, self.programs)}

    def path(self, *folders: Path) -> str:
        """PATH with these folders first."""
        return os.pathsep.join([*map(str, folders), "/usr/bin", "/bin"])

    def program(self, name: str, text: str) -> Path:
        """A program behind the shims."""
        file = factories.written(self.programs / name, text)
        file.chmod(0o755)
        return file

    def write(self, *options: str) -> None:
        """Writes the shims."""
        self.place.call([*factories.PROGRAM, "shims", *options, str(self.shims)]).check_returncode()

    def lines(self, name: str, *words: str) -> list[str]:
        """A command line as a shell starts it: by what PATH leads to."""
        return ["/bin/sh", "-c", 'exec "$@"', "sh", name, *words]


@pytest.fixture
def user(tmp_path: Path) -> Shimmed:
    """Someone with shims."""
    return Shimmed(tmp_path)


def test_enough() -> None:
    """Sixty command lines and more, of every tool."""
    assert len(set(LINES)) >= 60
    assert {line[0].decode() for line in LINES} == set(TOOLS)


def seen(user: Shimmed, line: tuple[bytes, ...], environ: dict[str, str]) -> tuple[int, bytes, bytes]:
    """How a command line ends, and what it writes."""
    done = subprocess.run(
        [b"/bin/sh", b"-c", b'exec "$@"', b"sh", *line],
        env=environ,
        cwd=user.place.directory,
        input=b"in\0put\xff\r\n",
        capture_output=True,
        check=False,
        timeout=factories.TIMEOUT,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_same(user: Shimmed, locale: str) -> None:
    """Exit code or signal, every byte written, arguments, variables, descriptors and stdin are as without shims."""
    different = {}
    for line in LINES:
        with_shims = seen(user, line, {**user.environ, "LC_ALL": locale, "SPECIAL": "a\nb"})
        without = seen(user, line, {**user.bare, "LC_ALL": locale, "SPECIAL": "a\nb"})
        if with_shims != without:
            different[line[:3]] = (with_shims, without)
    assert not different


def test_plain_locale(user: Shimmed) -> None:
    """Where no locale is set, the program does not inherit Python's own."""
    for line in (LINES[0], LINES[2]):
        assert seen(user, line, user.environ) == seen(user, line, user.bare)


@pytest.mark.parametrize("words", [("uv", "sync"), ("uv", "--version"), ("pip", "install", "x")])
def test_terminal(user: Shimmed, words: tuple[str, ...]) -> None:
    """On a terminal the program has it for its input and its output."""
    terminal = Terminal(user.lines(*words), user.environ, user.place.directory)
    try:
        assert terminal.told() == "ended 0"
        assert " tty0 tty1 tty2" in terminal.drain()
    finally:
        terminal.close()


SLEEPER = '#!/bin/sh\necho "ready $$"\nexec sleep 60\n'


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("words", [("pip", "install", "x"), ("pip", "list")])
def test_signals(user: Shimmed, words: tuple[str, ...], number: int) -> None:
    """A signal that is sent to what was started reaches the program: it is the same process."""
    user.program("pip", SLEEPER)
    process = subprocess.Popen(
        user.lines(*words), env=user.environ, cwd=user.place.directory, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"ready {process.pid}\n"
        process.send_signal(number)
        assert process.wait(factories.TIMEOUT) == -number
    finally:
        ended(process)


def is_held(user: Shimmed, *words: str, **environ: str) -> bool:
    """Whether a program runs under the lock of the environment."""
    user.program(words[0], SLEEPER)
    process = subprocess.Popen(
        user.lines(*words),
        env={**user.environ, **environ},
        cwd=user.place.directory,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        try:  # another real holder: its own `policy run` must wait
            other = user.place.run("true", options=("--timeout", "0"))
        except subprocess.TimeoutExpired:
            return True
        assert other.returncode in {0, 124}
        return other.returncode == 124
    finally:
        ended(process)


def test_held(user: Shimmed) -> None:
    """What changes an environment keeps others out; what changes nothing does not, nor anything with the switch off."""
    assert is_held(user, "pip", "install", "x")
    assert is_held(user, "poetry", "install")
    assert not is_held(user, "pip", "list")
    assert not is_held(user, "poetry", "run", "serve")
    assert not is_held(user, "uv", "run", "serve")
    assert not is_held(user, "pip", "install", "x", LOCK_POLICY_SHIMS="0")
    assert is_held(user, "pip", "install", "x", LOCK_POLICY_SHIMS="1")


def test_waits(user: Shimmed) -> None:
    """A shim waits for another holder, and then runs."""
    holder = processes.holder(user.place.lock)
    process = subprocess.Popen(
        user.lines("pip", "install", "x"),
        env=user.environ,
        cwd=user.place.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if sys.platform == "linux":
            assert processes.waits_in_kernel(process)
        assert process.poll() is None
        processes.end(holder)
        assert process.wait(factories.TIMEOUT) == 0
    finally:
        processes.end(holder)
        ended(process)


# No loop


def test_shim_in_a_shim(user: Shimmed) -> None:
    """A program that starts another one through its shim joins the lock that is held already."""
    user.program("pipx", '#!/bin/sh\npip install "$@" && pip list\n')
    user.program("pip", "#!/bin/sh\necho pip $@\n")
    done = seen(user, (b"pipx", b"runpip", b"x"), user.environ)
    assert done == (0, b"pip install runpip x\npip list\n", b"")


def test_twice_on_path(user: Shimmed) -> None:
    """The folder may stand on PATH twice, under another name, and beside another folder of shims."""
    more = user.place.directory / "more"
    user.place.call([*factories.PROGRAM, "shims", str(more)]).check_returncode()
    link = user.place.directory / "link"
    link.symlink_to(user.shims)
    path = user.path(user.shims, more, user.shims, link, user.programs, more)
    for line in ((b"pip", b"install", b"x"), (b"uv", b"--version")):
        assert seen(user, line, {**user.environ, "PATH": path}) == seen(user, line, user.bare)


@pytest.mark.parametrize("line", [(b"pip", b"install", b"x"), (b"pip", b"list"), (b"uv", b"sync")])
def test_no_real_tool(user: Shimmed, line: tuple[bytes, ...]) -> None:
    """Without a real program: 127 and one line, and nothing starts itself again."""
    environ = {**user.environ, "PATH": user.path(user.shims, user.shims)}
    for name in ("pip", "uv"):
        (user.programs / name).unlink()
    environ["PATH"] = os.pathsep.join([str(user.shims), str(user.shims)])
    done = seen(user, line, environ)
    assert done == (127, b"", b"policy: error: %s: command not found\n" % line[0])


def test_working_directory_gone(user: Shimmed) -> None:
    """Where the working directory was deleted, what changes nothing runs all the same."""
    gone = user.place.directory / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", f"cd {gone} && rmdir {gone} && exec pip list"],
        env=user.environ,
        cwd=user.place.directory,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_hold_runs(user: Shimmed) -> None:
    """With --hold-runs a program that runs in the environment keeps writers out, and no other reader."""
    user.write("--hold-runs")
    assert is_held(user, "uv", "run", "serve")
    assert is_held(user, "poetry", "run", "serve")
    assert not is_held(user, "pip", "list")
    first, second = (
        subprocess.Popen(
            user.lines("poetry", "run", "serve"),
            env=user.environ,
            cwd=user.place.directory,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    )
    try:
        for process in (first, second):
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")
    finally:
        ended(first, second)
    wait_until(lambda: user.place.run("true", options=("--timeout", "0")).returncode == 0, "both have left")
