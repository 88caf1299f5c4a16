from __future__ import annotations

import marshal
import os
import shlex
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from policy.environment import interpreter
from policy.environment.interpreter import Answer, ask, requested
from policy.errors import EnvironmentNotFound
from tests import real_uv

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="interpreters made of shell scripts")

BASE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """This process remembers nothing of the tests before."""
    interpreter._told.clear()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}


def script(path: Path, text: str) -> str:
    """Writes a shell script to stand for an interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def counting(path: Path, *, answers_as_itself: bool = True) -> tuple[str, Path]:
    """An interpreter that writes a line whenever it is executed, and the file of the lines."""
    said = Answer(str(path) if answers_as_itself else BASE, "/p", "/p", "", "/p/lib/python3.11", "3.11.2", "cpython")
    values = tuple(getattr(said, field) for field in interpreter._FIELDS)
    log = path.with_suffix(".log")
    answer = shlex.quote(f"lock-policy:{values!a}")
    return script(path, f"echo ran >> {shlex.quote(str(log))}\necho\necho {answer}"), log


def runs(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_what_is_asked(environ: dict[str, str], tmp_path: Path) -> None:
    """The answer is what the interpreter itself prints in isolated mode."""
    code = "import sys; print([sys.executable, sys.prefix, sys.base_prefix, sys._base_executable])"
    expected = subprocess.check_output([BASE, "-I", "-c", code], text=True)
    answer = ask(BASE, environ, str(tmp_path))
    said = [answer.executable, answer.prefix, answer.base_prefix, answer.base_executable]
    assert f"{said}\n" == expected
    assert answer.stdlib == sysconfig.get_path("stdlib")
    assert answer.version == ".".join(map(str, sys.version_info[:3]))
    assert answer.implementation == sys.implementation.name


def test_a_link_elsewhere_keeps_its_spelling(environ: dict[str, str], tmp_path: Path) -> None:
    """`sys.executable`, after which uv names its lock, is the link, not what it leads to."""
    link = tmp_path / "my python"
    link.symlink_to(BASE)
    assert ask(str(link), environ, "/").executable == str(link)


def test_the_interpreter_is_isolated(environ: dict[str, str], tmp_path: Path) -> None:
    """Neither PYTHONPATH nor the working directory gets a say."""
    for name in ("sysconfig.py", "sitecustomize.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    ask(BASE, {**environ, "PYTHONPATH": str(tmp_path)}, str(tmp_path))
    assert not (tmp_path / "marker").exists()


def test_an_interpreter_is_asked_once(environ: dict[str, str], tmp_path: Path) -> None:
    """This process, and another one through the cache, do not ask again."""
    python, log = counting(tmp_path / "python")
    first = ask(python, environ, "/")
    assert ask(python, environ, "/") is first
    interpreter._told.clear()
    again = ask(python, environ, "/")
    assert [getattr(again, f) for f in Answer.__slots__] == [getattr(first, f) for f in Answer.__slots__]
    assert runs(log) == 1


@pytest.mark.parametrize("cleared", [False, True], ids=["in-this-process", "from-disk"])
@pytest.mark.parametrize("change", ["content", "touched", "replaced", "relinked"])
def test_a_changed_interpreter_is_asked_again(
    environ: dict[str, str],
    tmp_path: Path,
    change: str,
    cleared: bool,
) -> None:
    """A new size, time or inode of the file, or a link that leads elsewhere, ends what was known."""
    python, log = counting(tmp_path / "real" / "python")
    link = tmp_path / "python"
    link.symlink_to(python)
    ask(str(link), environ, "/")
    file = Path(python)
    status = file.stat()
    if change == "content":
        file.write_text(file.read_text() + "\n")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "touched":
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    elif change == "replaced":
        other = file.with_name("new")
        other.write_text(file.read_text())
        other.chmod(0o755)
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.replace(file)
    else:
        link.unlink()
        link.symlink_to(os.path.join(os.path.dirname(python), ".", "python"))
    if cleared:
        interpreter._told.clear()
    ask(str(link), environ, "/")
    assert runs(log) == 2


def test_a_wrapper_is_asked_every_time(environ: dict[str, str], tmp_path: Path) -> None:
    """What names another interpreter, as a shim of pyenv does, may name a third one tomorrow, and is not remembered."""
    python, log = counting(tmp_path / "shim", answers_as_itself=False)
    assert ask(python, environ, "/").executable == BASE
    assert ask(python, environ, "/").executable == BASE
    assert runs(log) == 2
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"garbage", marshal.dumps(None), marshal.dumps((1, 2, 3)), marshal.dumps(("x",) * 3)]
)
def test_a_spoilt_cache_is_made_again(environ: dict[str, str], tmp_path: Path, data: bytes) -> None:
    """Half a file, or another release's, is no answer, and is replaced."""
    python, log = counting(tmp_path / "python")
    ask(python, environ, "/")
    (cached,) = (tmp_path / "cache" / "lock-policy").iterdir()
    good = cached.read_bytes()
    cached.write_bytes(data)
    interpreter._told.clear()
    ask(python, environ, "/")
    assert runs(log) == 2
    assert cached.read_bytes() == good


def test_another_interpreters_answer_is_not_taken(environ: dict[str, str], tmp_path: Path) -> None:
    """A cached answer under the wrong name is not believed: the path is part of what must be unchanged."""
    one, _ = counting(tmp_path / "one")
    two, log = counting(tmp_path / "two")
    ask(one, environ, "/")
    folder = tmp_path / "cache" / "lock-policy"
    (cached,) = folder.iterdir()
    ask(two, environ, "/")
    (other,) = (path for path in folder.iterdir() if path != cached)
    cached.replace(other)
    interpreter._told.clear()
    assert ask(two, environ, "/").executable == two
    assert runs(log) == 2


def test_without_a_cache_it_is_asked_all_the_same(tmp_path: Path) -> None:
    """Where no cache can be written, an answer is had, and nothing is said about it."""
    assert ask(BASE, {"XDG_CACHE_HOME": "/dev/null"}, str(tmp_path)).executable == BASE


def test_noise_before_the_answer(environ: dict[str, str], tmp_path: Path) -> None:
    """A wrapper that prints something first, with or without a newline, on either stream, is understood."""
    python = script(tmp_path / "python", f'echo hello; printf noise >&2; printf noise; exec {shlex.quote(BASE)} "$@"')
    assert ask(python, environ, "/").executable == BASE


def test_a_child_that_keeps_the_pipe_does_not_hold_us_up(environ: dict[str, str], tmp_path: Path) -> None:
    """A wrapper that leaves a process behind which has its output open is not waited for."""
    python = script(tmp_path / "python", f'sleep 60 &\nexec {shlex.quote(BASE)} "$@"')
    begin = time.monotonic()
    assert ask(python, environ, "/").executable == BASE
    assert time.monotonic() - begin < interpreter.TIMEOUT


def refusal(path: str, environ: dict[str, str]) -> str:
    with pytest.raises(EnvironmentNotFound) as caught:
        ask(path, environ, "/")
    return str(caught.value)


@pytest.mark.slow
def test_one_that_never_answers(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time is up the interpreter is killed, with what it started, and the message says so."""
    monkeypatch.setattr(interpreter, "TIMEOUT", 0.5)
    survived = tmp_path / "survived"
    python = script(tmp_path / "python", f"sh -c 'sleep 1; touch {shlex.quote(str(survived))}' & wait")
    assert refusal(python, environ) == f"{python}: no answer within 0.5 s; name another one"
    time.sleep(1)
    assert not survived.exists()


def test_one_that_never_ends_its_answer(environ: dict[str, str], tmp_path: Path) -> None:
    """An endless output is read up to a bound and then cut off."""
    python = script(tmp_path / "python", "exec yes lock-policy:")
    begin = time.monotonic()
    assert refusal(python, environ) == f"{python}: not a Python interpreter: lock-policy:; name another one"
    assert time.monotonic() - begin < interpreter.TIMEOUT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exit 3", "exit code 3"),
        ("echo 'pyenv: python3.99: command not found' >&2; exit 127", "pyenv: python3.99: command not found"),
        ("printf '\\033[31mred\\n'", "?[31mred"),
        ("echo; echo 'lock-policy:(1, 2)'", "lock-policy:(1, 2)"),
        ("echo; echo 'lock-policy:nonsense('", "lock-policy:nonsense("),
        ("echo; echo \"lock-policy:('', '/p', '/p', '', '', '3.11.2', 'cpython')\"", None),
    ],
    ids=["silent", "a-shim", "colour", "too-short", "no-literal", "no-executable"],
)
def test_one_that_is_no_python(environ: dict[str, str], tmp_path: Path, text: str, said: str | None) -> None:
    """What answers something else is quoted, in one line without control characters."""
    python = script(tmp_path / "python", text)
    message = refusal(python, environ)
    assert message.startswith(f"{python}: not a Python interpreter: {said or ''}")
    assert message.endswith("; name another one")
    assert message.isprintable()


def test_one_that_cannot_be_executed(environ: dict[str, str], tmp_path: Path) -> None:
    """The kernel's reason is named."""
    python = tmp_path / "python"
    python.write_text("#!/nowhere\n")
    python.chmod(0o755)
    assert refusal(str(python), environ) == f"{python}: cannot be executed: no such file or directory; name another one"
    python.write_bytes(b"\x7fELF but not really")
    assert refusal(str(python), environ) == f"{python}: cannot be executed: exec format error; name another one"


def test_one_that_is_not_there(environ: dict[str, str], tmp_path: Path) -> None:
    """A missing file is named as such."""
    path = tmp_path / "python"
    assert refusal(str(path), environ) == f"{path}: no such file or directory; name another one"


def test_an_unprivileged_user_asks_too(tmp_path: Path) -> None:
    """Another user gets an answer and a private cache of its own."""
    home = tmp_path / "home"
    home.mkdir()
    real_uv.given_to(home)
    python = real_uv.public_python()
    code = (
        "import os; from policy.environment.interpreter import ask\n"
        f"print(ask({python!r}, os.environ, '/').executable)\n"
        "print(os.listdir(os.environ['HOME'] + '/.cache/lock-policy')[0][:7])"
    )
    environ = {"HOME": str(home), "PYTHONPATH": real_uv.public_path()}
    done = real_uv.as_user([python, "-B", "-c", code], environ=environ)
    assert (done.stdout, done.stderr) == (f"{python}\npython-\n", "")


@pytest.mark.parametrize(
    ("request_", "version", "implementation", "holds"),
    [
        ("3", "3.11.2", "cpython", True),
        ("3.11", "3.11.2", "cpython", True),
        ("3.11", "3.12.0", "cpython", False),
        ("3.1", "3.11.2", "cpython", False),
        ("3.11.2", "3.11.2", "cpython", True),
        ("3.11.2", "3.11.7", "cpython", False),
        ("311", "3.11.2", "cpython", True),
        ("3.13t", "3.13.0", "cpython", True),
        ("python3", "3.11.2", "pypy", True),
        ("python3.11", "3.11.2", "", True),
        ("cpython", "3.11.2", "", True),
        ("cpython", "3.10.14", "PyPy", False),
        ("CPython-3.11", "3.11.2", "CPython", True),
        ("cpython@3.11", "3.11.2", "cpython", True),
        ("cpython-3.11.2-linux-x86_64-gnu", "3.11.2.final.0", "cpython", True),
        ("pypy3.10", "3.10.14", "pypy", True),
        ("pypy", "3.10.14", "cpython", False),
        (">=3.9", "3.11.2", "cpython", True),
        (">=3.9,<3.11", "3.11.2", "cpython", False),
        (">=3.9, <4", "3.11.2", "cpython", True),
        (">3.11", "3.11.2", "cpython", False),
        ("<=3.11", "3.11.2", "cpython", True),
        ("<3.11", "3.11.0", "cpython", False),
        ("!=3.11.*", "3.11.2", "cpython", False),
        ("==3.11.*", "3.11.2", "cpython", True),
        ("~=3.9", "3.11.2", "cpython", True),
        ("~=3.9.1", "3.11.2", "cpython", False),
        ("cpython>=3.12", "3.11.2", "cpython", False),
        ("3.11", "", "cpython", False),
    ],
)
def test_a_version_request(request_: str, version: str, implementation: str, holds: bool) -> None:
    """The ways in which uv lets a version be asked for are understood."""
    wanted = requested(request_)
    assert wanted is not None
    assert wanted.holds(version, implementation) is holds


@pytest.mark.parametrize("text", ["", "python", "venv", "3.x", ">=", ">=x", "=>3.9", "3..1", "mypython3.11", "\u0663"])
def test_what_is_no_version_request(text: str) -> None:
    """A command, a word or nonsense asks for no version."""
    assert requested(text) is None


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("3.11", ("python3.11", "python3", "python")),
        ("cpython-3.12.1", ("python3.12", "python3", "python")),
        ("pypy3.10", ("pypy3.10", "pypy3", "pypy")),
        (">=3.9", ("python3", "python")),
    ],
)
def test_the_commands_of_a_version(text: str, commands: tuple[str, ...]) -> None:
    """The command that carries the version is looked for first."""
    wanted = requested(text)
    assert wanted is not None
    assert wanted.commands() == commands
