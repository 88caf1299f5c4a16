"""Asks an interpreter what it is, once; the answer is kept in the user's cache directory.

Why not python-discovery (1.9.5, measured): uv names its lock of a system interpreter after `sys.executable` exactly,
and python-discovery resolves links in it (it says `/usr/bin/python3` for a link to that elsewhere, where Python and uv
say the link), runs the interpreter without `-I`, so that PYTHONPATH and the user's site-packages count, and costs
57 ms to import, five times a start of Python, where an answer from this cache costs 0.05 ms.
"""

from __future__ import annotations

import marshal
import os

from policy import cache
from policy.errors import EnvironmentNotFound, NoAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    Key = tuple[str | int, ...]

TIMEOUT = 10.0
LARGEST = 64 * 1024
_MARK = b"lock-policy:"

# `-I` and `-B` as uv has them. Not `-S`: `site` sets sys.prefix, and Nix's sitecustomize sets sys.executable.
_OPTIONS = ("-I", "-B", "-c")
# The newline first: a wrapper may have printed something without one. ascii: the child's encoding does not matter.
_QUESTION = """\
import sys, sysconfig
sys.stdout.write("\\nlock-policy:" + ascii((sys.executable or "", sys.prefix, getattr(sys, "base_prefix", sys.prefix),
    getattr(sys, "_base_executable", None) or "", sysconfig.get_path("stdlib") or "",
    "%d.%d.%d" % sys.version_info[:3], sys.implementation.name)) + "\\n")
"""
_FIELDS = ("executable", "prefix", "base_prefix", "base_executable", "stdlib", "version", "implementation")

# What this process was told already: a lock that is taken often asks the kernel whether the file is the same, no more.
_told: dict[str, tuple[Key, Answer]] = {}


class Answer:
    """What an interpreter says about itself.

    Args:
        executable: `sys.executable`.
        prefix: `sys.prefix`.
        base_prefix: `sys.base_prefix`.
        base_executable: `sys._base_executable`, or "".
        stdlib: `sysconfig.get_path("stdlib")`.
        version: Such as `3.11.2`.
        implementation: `sys.implementation.name`.
    """

    __slots__ = _FIELDS

    def __init__(  # noqa: PLR0917  (one for each thing asked)
        self,
        executable: str,
        prefix: str,
        base_prefix: str,
        base_executable: str,
        stdlib: str,
        version: str,
        implementation: str,
    ) -> None:
        self.executable = executable
        self.prefix = prefix
        self.base_prefix = base_prefix
        self.base_executable = base_executable
        self.stdlib = stdlib
        self.version = version
        self.implementation = implementation


def ask(path: str, environ: Mapping[str, str], cwd: str, *, spelled: str = "") -> Answer:
    """Asks an interpreter what it is, or remembers what it said.

    Args:
        path: Absolute path of the interpreter; it is executed if its answer is not cached.
        environ: Environment variables for the interpreter, and to find the cache by.
        cwd: Working directory of the interpreter, absolute.
        spelled: How to name the interpreter to the kernel if relative to `cwd`: Python makes `sys.executable` of it.

    Returns:
        The interpreter's answer.

    Raises:
        EnvironmentNotFound: It cannot be executed, is no Python, or does not answer in time.
    """
    key = _key(path)
    if (told := _told.get(path)) and told[0] == key:
        return told[1]
    # A remainder, not a digest of hashlib's, whose import takes as long as all the rest; the path itself is in the key.
    name = f"python-{int.from_bytes(os.fsencode(path), 'little') % ((1 << 61) - 1):016x}"
    answer = _remembered(name, key, environ)
    if answer is None:
        answer = _run(path, spelled or path, environ, cwd)
        # As uv: a pyenv shim or another wrapper may name another one tomorrow without being changed itself.
        if not _same(path, answer.executable):
            return answer
        values = tuple(getattr(answer, field) for field in _FIELDS)
        cache.store(name, marshal.dumps((_FIELDS, key, values)), environ)
    _told[path] = (key, answer)
    return answer


def _same(path: str, executable: str) -> bool:
    """Whether an interpreter names its own file."""
    try:
        return os.path.samefile(path, executable)
    except (OSError, ValueError):
        return False


def _key(path: str) -> Key:
    """What must be unchanged for an answer to hold: the link and the file that it leads to."""
    try:
        link, file = os.lstat(path), os.stat(path)
    except OSError as error:
        raise EnvironmentNotFound(f"{path}: {reason(error)}; name another one") from None
    statuses = (link, file)
    numbers = [number for s in statuses for number in (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns)]
    return (path, os.path.realpath(path), *numbers)


def _remembered(name: str, key: Key, environ: Mapping[str, str]) -> Answer | None:
    """The answer that was cached for this very file."""
    data = cache.load(name, environ)
    if data is None:
        return None
    try:
        # Only this user can have written it, as `cache.load` makes sure.
        fields, known, values = marshal.loads(data)  # noqa: S302  (of the cache, which this user alone can write)
        return Answer(*values) if fields == _FIELDS and known == key else None
    except (EOFError, ValueError, TypeError):
        return None  # half a file, or another version's


def _run(path: str, spelled: str, environ: Mapping[str, str], cwd: str) -> Answer:
    """Executes an interpreter with the question."""
    import subprocess

    try:
        process = subprocess.Popen(
            [spelled, *_OPTIONS, _QUESTION],
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that what a wrapper started can be ended with it
        )
    except (OSError, ValueError) as error:
        raise EnvironmentNotFound(f"{path}: cannot be executed: {reason(error)}; name another one") from None
    said, in_time = _listen(process)
    if (answer := _understood(said)) is not None:
        return answer
    if not in_time:
        raise NoAnswer(f"{path}: no answer within {TIMEOUT:g} s; name another one")
    # What it said is most telling ("pyenv: python3.13: command not found"), but not where it repeats the question.
    lines = (line.strip() for line in said.decode("utf-8", "replace").splitlines())
    told = next((line for line in lines if line and "sysconfig" not in line), f"exit code {process.returncode}")
    told = "".join(character if character.isprintable() else "?" for character in told[:200])
    raise EnvironmentNotFound(f"{path}: not a Python interpreter: {told}; name another one")


def _listen(process: subprocess.Popen[bytes]) -> tuple[bytes, bool]:
    """Reads until the answer is complete, the process closes its output, says too much, or the time is up.

    Returns:
        What was read, and whether it ended in time; the process is gone.
    """
    import threading

    said = bytearray()

    def read() -> None:
        # A thread, because Windows cannot wait for a pipe with a timeout. It owns the pipe: what a wrapper left behind
        # may keep the other end open for long.
        with process.stdout as pipe:  # type: ignore[union-attr]  # it is a pipe
            while len(said) < LARGEST and (part := os.read(pipe.fileno(), LARGEST)):
                said.extend(part)
                if _understood(said) is not None:
                    return

    reader = threading.Thread(target=read, daemon=True)
    try:
        reader.start()
        reader.join(TIMEOUT)
        return bytes(said[:LARGEST]), not reader.is_alive()
    finally:
        # Ctrl-C comes this way too. One that is about to end by itself keeps its exit code.
        try:
            process.wait(0 if reader.is_alive() else 0.1)
        except Exception:  # noqa: BLE001  (subprocess.TimeoutExpired, not imported here)
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and those that it started."""
    killpg = getattr(os, "killpg", None)
    try:
        if killpg:
            killpg(process.pid, 9)
        else:
            process.kill()
    except OSError:
        process.kill()
    process.wait()


def _understood(said: bytes | bytearray) -> Answer | None:
    """The answer, if it is complete."""
    begin = said.rfind(b"\n" + _MARK)
    end = said.find(b"\n", begin + 1)
    if begin < 0 or end < 0:
        return None
    import ast

    try:
        values = ast.literal_eval(said[begin + 1 + len(_MARK) : end].decode("ascii"))
    except (ValueError, SyntaxError):
        return None
    if not isinstance(values, tuple) or len(values) != len(_FIELDS) or not all(isinstance(v, str) for v in values):
        return None
    answer = Answer(*values)
    return answer if os.path.isabs(answer.executable) and os.path.isabs(answer.prefix) else None


def reason(error: Exception) -> str:
    """The words of an error, without its number and its file.

    Args:
        error: Such as an OSError.
    """
    words = getattr(error, "strerror", None) or str(error)
    return words[:1].lower() + words[1:]


class Version:
    """A version as uv lets one be asked for: `3.11`, `cpython-3.11`, `pypy@3.10`, `python3.12`, `312`, `>=3.9,<3.13`.

    Args:
        implementation: `cpython`, `pypy`, `graalpy`, or "" for any.
        clauses: Pairs of an operator and the numbers that it compares with; all must hold.
    """

    __slots__ = ("clauses", "implementation")

    def __init__(self, implementation: str, clauses: tuple[tuple[str, tuple[int, ...]], ...]) -> None:
        self.implementation: str = implementation
        self.clauses: tuple[tuple[str, tuple[int, ...]], ...] = clauses

    def holds(self, version: str, implementation: str) -> bool:
        """Whether an interpreter is of this version.

        Args:
            version: Such as `3.11.2`, or `3.11.2.final.0` as virtualenv writes it.
            implementation: Such as `cpython`; "" if not known, which is taken for CPython.
        """
        numbers = _numbers(version)
        if numbers is None or self.implementation not in {"", implementation.lower() or "cpython"}:
            return False
        return all(_compared(operator, numbers, wanted) for operator, wanted in self.clauses)

    def commands(self) -> tuple[str, ...]:
        """The commands to look for on PATH, best first."""
        stem = self.implementation if self.implementation not in {"", "cpython"} else "python"
        exact = [wanted[:2] for operator, wanted in self.clauses if operator in {"==", "~="} and len(wanted) > 1]
        return (*(f"{stem}{major}.{minor}" for major, minor in exact), f"{stem}3", stem)


def requested(text: str) -> Version | None:
    """Reads a version request.

    Args:
        text: What `UV_PYTHON` or `--python` says.

    Returns:
        The version, or None if the text asks for none.
    """
    text = text.strip().lower()
    if text == "python":
        return None  # to uv a command, unlike python3
    implementation = ""
    for name, meant in (("cpython", "cpython"), ("python", ""), ("pypy", "pypy"), ("graalpy", "graalpy")):
        if text.startswith(name):
            implementation, text = meant, text[len(name) :].removeprefix("@").removeprefix("-")
            if not text:
                return Version(implementation, ())
            break
    if text[:1] in {"<", ">", "=", "!", "~"}:
        clauses = _specifiers(text)
        return Version(implementation, clauses) if clauses else None
    # Of `3.12.3-linux-x86_64-gnu` and `3.13t`, `3.13+freethreaded` the numbers count here.
    text = text.partition("-")[0].partition("+")[0].removesuffix("t").removesuffix("d")
    if text.isdigit() and len(text) > 1:
        text = f"{text[0]}.{text[1:]}"
    numbers = _numbers(text, whole=True)
    return Version(implementation, (("==", numbers),)) if numbers else None


def _specifiers(text: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """PEP 440's comparisons of release numbers; () where it is something else."""
    clauses = []
    for part in text.split(","):
        clause = part.strip()
        operator = clause[:2] if clause[:2] in {">=", "<=", "==", "!=", "~="} else clause[:1]
        rest = clause[len(operator) :].strip()
        numbers = _numbers(rest.removesuffix(".*"), whole=True)
        if numbers is None or operator not in {">=", "<=", "==", "!=", "~=", ">", "<"}:
            return ()
        clauses.append((operator, numbers))
    return tuple(clauses)


def _numbers(text: str, *, whole: bool = False) -> tuple[int, ...] | None:
    """The leading numbers of a version, three at most; None if there are none, or if all of it should be numbers."""
    numbers = []
    for part in text.split("."):
        if not (part.isascii() and part.isdigit()):
            if whole:
                return None
            break
        numbers.append(int(part[:6]))
    return tuple(numbers[:3]) or None


def _compared(operator: str, seen: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Compares as many numbers as were asked for."""
    part = seen[: len(wanted)]
    return {
        "==": part == wanted,
        "!=": part != wanted,
        "~=": part >= wanted and part[: len(wanted) - 1] == wanted[:-1],
        ">=": seen >= wanted,
        "<=": part <= wanted,
        ">": part > wanted,
        "<": seen < wanted,
    }[operator]
