from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.errors import ConfigError
from policy.toml import document, positions
from policy.toml.diagnostic import Diagnostic, Location
from policy.toml.document import locate, read, show
from policy.variables import MAX_SIZE
from tests import requirements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def fault_of(path: Path | str, limit: int = MAX_SIZE) -> Diagnostic:
    """The one fault that reading a file raises."""
    with pytest.raises(ConfigError) as caught:
        read(str(path), limit=limit)
    diagnostic: Diagnostic
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.location == Location(str(path))
    return diagnostic


def written(folder: Path, content: bytes) -> Path:
    """A file with some content."""
    file = folder / "lock-policy.toml"
    file.write_bytes(content)
    return file


def test_read(tmp_path: Path) -> None:
    """A file is read into data, text, lines and positions."""
    file = written(tmp_path, 'a = 1\r\n[b]\r\nc = "é"\r\n'.encode())
    document = read(str(file))
    assert document.file == str(file)
    assert document.data == {"a": 1, "b": {"c": "é"}}
    assert document.text == 'a = 1\r\n[b]\r\nc = "é"\r\n'


def test_empty(tmp_path: Path) -> None:
    """An empty file is a table without keys."""
    assert read(str(written(tmp_path, b""))).data == {}


@pytest.mark.parametrize("name", ["missing.toml", "file/lock-policy.toml", "missing/lock-policy.toml", "a\0b"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    """A file that does not exist is a fault."""
    (tmp_path / "file").touch()
    path = f"{tmp_path}/{name}"
    diagnostic = fault_of(path)
    assert diagnostic.message == "no such file"
    assert diagnostic.line == 0


def test_through_link(tmp_path: Path) -> None:
    """A link to a file is followed."""
    requirements.need(sys.platform != "win32", "needs symbolic links that anyone may make")
    written(tmp_path, b"a = 1")
    (tmp_path / "link.toml").symlink_to("lock-policy.toml")
    document = read(str(tmp_path / "link.toml"))
    assert document.data == {"a": 1}


def test_circle(tmp_path: Path) -> None:
    """Links that lead in a circle are a fault, not a missing file."""
    requirements.need(sys.platform != "win32", "needs symbolic links that anyone may make")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert fault_of(tmp_path / "a").message == "cannot be read: its symbolic links lead in a circle"
    assert fault_of(tmp_path / "a" / "x").message == "cannot be read: its symbolic links lead in a circle"


def test_directory(tmp_path: Path) -> None:
    """A directory is no file."""
    assert fault_of(tmp_path).message == "is a directory, not a regular file"


def test_fifo(tmp_path: Path) -> None:
    """A named pipe is refused at once instead of waiting for a writer."""
    if sys.platform == "win32":
        pytest.skip("needs named pipes")
    os.mkfifo(tmp_path / "fifo")
    assert fault_of(tmp_path / "fifo").message == "is a named pipe, not a regular file"


def test_fifo_that_takes_the_place_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named pipe that takes the file's place after it was looked at is refused, and nobody waits."""
    if sys.platform == "win32":
        pytest.skip("needs named pipes")
    file = written(tmp_path, b"a = 1")
    status = os.stat(file)
    file.unlink()
    os.mkfifo(file)
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", lambda _path, **_options: status)
        with pytest.raises(ConfigError, match="is a named pipe, not a regular file"):
            read(str(file))


def test_socket() -> None:
    """A socket is refused."""
    if sys.platform == "win32":
        pytest.skip("needs sockets in the file system")
    with (
        tempfile.TemporaryDirectory() as folder,  # a socket's path may have about 100 characters
        socket.socket(socket.AF_UNIX) as listening,
    ):
        listening.bind(f"{folder}/s")
        assert fault_of(f"{folder}/s").message == "is a socket, not a regular file"


def test_device() -> None:
    """A device is refused, and not read to its end, which it may not have."""
    requirements.need(os.path.exists("/dev/zero"), "needs /dev/zero")
    assert fault_of("/dev/zero").message == "is a device, not a regular file"
    assert fault_of("/dev/null").message == "is a device, not a regular file"


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Somebody whom permissions bind."""
    if sys.platform == "win32":
        pytest.skip("needs POSIX permissions")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_no_permission(unprivileged: None) -> None:
    """A file that may not be read says so, and so does one in a folder that may not be entered."""
    del unprivileged
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/lock-policy.toml"
        with open(file, "w") as opened:
            opened.write("a = 1")
        os.chmod(file, 0)
        assert fault_of(file).message == "cannot be read: Permission denied"
        os.chmod(folder, 0)
        assert fault_of(file).message == "cannot be read: Permission denied"
        os.chmod(folder, 0o700)


def test_too_large(tmp_path: Path) -> None:
    """A file above the limit is refused with the name of the variable that raises it."""
    file = written(tmp_path, b"#" * 101)
    message = "too large: at least 101 bytes, 100 are allowed; LOCK_POLICY_MAX_SIZE can allow more"
    assert fault_of(file, limit=100).message == message
    assert read(str(file), limit=101).data == {}
    file.write_bytes(b"#" * (MAX_SIZE + 1))
    assert fault_of(file).message.startswith("too large")


def test_endless(tmp_path: Path) -> None:
    """A file of any size is refused without being read."""
    file = tmp_path / "sparse"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)
    start = time.monotonic()
    assert fault_of(file).message.startswith("too large")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("content", [b"a = 2", b"a = 1\nb = 2\n", b""])
def test_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A file that is written to while it is read is refused."""
    file = written(tmp_path, b"a = 1")
    os.utime(file, (1, 1))
    original = os.read

    def read_and_write(descriptor: int, count: int) -> bytes:
        found = original(descriptor, count)
        file.write_bytes(content)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(os, "read", read_and_write)
        assert fault_of(file).message == "changed while it was read; try again"


def test_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in whose place an editor puts another one while it is read is read again."""
    requirements.need(sys.platform != "win32", "an open file cannot be replaced on Windows")
    file = written(tmp_path, b"a = 1")
    new = tmp_path / "new"
    new.write_bytes(b"a = 2")
    original = os.read

    def read_and_replace(descriptor: int, count: int) -> bytes:
        found = original(descriptor, count)
        if new.exists():
            new.replace(file)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(os, "read", read_and_replace)
        assert read(str(file)).data == {"a": 2}


@pytest.mark.parametrize(
    ("content", "line", "column", "source", "message"),
    [
        (b"a = 1\nb = \xff\n", 2, 5, "b = \\xff", "byte 0xff is not valid UTF-8 (invalid start byte)"),
        (b'"\xc3\xa9" = "\xc3', 1, 8, '"é" = "\\xc3', "byte 0xc3 is not valid UTF-8 (unexpected end of data)"),
        (
            b"a = '\xed\xa0\x80'",
            1,
            6,
            "a = '\\xed\\xa0\\x80'",
            "byte 0xed is not valid UTF-8 (invalid continuation byte)",
        ),
        (b"a = 1\r\nb = '\0'\r\n", 2, 6, "b = '\0'", "a NUL byte is not allowed; a TOML file is UTF-8 text"),
        (
            b"\xef\xbb\xbfa = 1\n",
            1,
            1,
            "a = 1",
            "begins with a byte order mark; save it as UTF-8 without BOM",
        ),
        ("a = 1".encode("utf-16"), 1, 1, "", "is UTF-16, not UTF-8; save it as UTF-8 without BOM"),
        (b'a = "\\ud800"', 1, 12, 'a = "\\ud800"', "not valid TOML: Escaped character is not a Unicode scalar value"),
        (b"a = 1\nb =", 2, 4, "b =", "not valid TOML: Invalid value"),
        (b"a = [\n1,\n", 3, 1, "", "not valid TOML: Invalid value"),
        (
            b"a = 1\r\nb = 2 c\r\n",
            2,
            7,
            "b = 2 c",
            "not valid TOML: Expected newline or end of document after a statement",
        ),
        (b"a = 1\na = 2", 2, 6, "a = 2", "not valid TOML: Cannot overwrite a value"),
        (b"a = 2020-02-31", 1, 5, "a = 2020-02-31", "not valid TOML: Invalid date or datetime"),
        (
            b"a = 1\rb = 2",
            1,
            6,
            "a = 1\rb = 2",
            "not valid TOML: Expected newline or end of document after a statement",
        ),
        (
            b"a = 1\nb." + b"c." * 31 + b"d = 1",
            2,
            65,
            "b." + "c." * 31 + "d = 1",
            "a key may have 32 parts, this one has more",
        ),
        (b"a = '", 1, 5, "a = '", 'not valid TOML: Expected "\'"'),
    ],
)
def test_bad_content(tmp_path: Path, content: bytes, line: int, column: int, source: str, message: str) -> None:
    """What is no TOML, or no text, is refused at its line and column."""
    diagnostic = fault_of(written(tmp_path, content))
    assert (diagnostic.message, diagnostic.line, diagnostic.column, diagnostic.excerpt) == (
        message,
        line,
        column,
        source,
    )
    assert show(diagnostic).isascii() or "é" in show(diagnostic)


BOMBS = {
    "a dotted key": (".".join(["a"] * 32_000) + " = 1", "a key may have 32 parts"),
    "a dotted header": ("[" + ".".join(["a"] * 32_000) + "]", "a key may have 32 parts"),
    "a dotted key in a table": ("x = {" + ".".join(["a"] * 32_000) + " = 1}", "a key may have 32 parts"),
    "arrays": ("a = " + "[" * 10_000 + "]" * 10_000, "may be nested 64 deep"),
    "inline tables": ("a = " + "{a=" * 10_000 + "1" + "}" * 10_000, "may be nested 64 deep"),
    "brackets": ("[" * 200_000, "not valid TOML"),
    "a value of brackets": ("a = " + "[" * 200_000, "may be nested 64 deep"),
    "a number": ("a = " + "9" * 200_000, "a number may have 128 characters"),
    "a hexadecimal number": ("a = 0x" + "f" * 200_000, "a number may have 128 characters"),
    "a float": ("a = 1." + "9" * 200_000, "a number may have 128 characters"),
    "headers": (
        "".join(f"[{number:x}." + ".".join("abcdefghijklmno") + "]\n" for number in range(7_000)),
        "keys, this one has more",
    ),
    "keys": ("a=1\n" * 65_000, "keys, this one has more"),
    "quotes": ("a = " + '"' * 200_000, "not valid TOML"),
    "behind what is no TOML": ("a = ]\n" + ".".join(["a"] * 32_000) + " = 1", "not valid TOML"),
    "an open string": ('a = """' + ".".join(["a"] * 32_000), "not valid TOML"),
    "a million brackets": ("[" * 1_000_000, "too large"),
}

MEASURE = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
from policy import errors
from policy.toml.document import read, show
start = time.process_time()
try:
    read(sys.argv[1])
except errors.ConfigError as error:
    print(show(error.diagnostics[0]).splitlines()[0])
print(time.process_time() - start)
if sys.platform == "linux":  # ru_maxrss counts what the parent had before exec, too
    with open("/proc/self/status") as status:
        print(next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, name: str) -> None:
    """A file made to be costly is refused with a located fault, in half a second and within 100 MB."""
    requirements.need(sys.platform != "win32", "needs resource limits")
    text, message = BOMBS[name]
    file = written(tmp_path, text.encode())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(file)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    shown, seconds, size = done.stdout.splitlines()
    assert re.match(re.escape(str(file)) + r"(:\d+:\d+)?: error: ", shown)
    assert message in shown
    assert (":1: " in shown or re.search(r":\d+:\d+: ", shown)) or message == "too large"
    assert float(seconds) < 1.5  # half a second on a quiet machine
    assert int(size) < 100 << 20


def test_deep_stack(tmp_path: Path) -> None:
    """Where the caller has used up the stack, a file is refused, not ended with a traceback."""
    file = written(tmp_path, b"a = " + b"[" * 60 + b"]" * 60)

    def deeper(left: int) -> object:
        return deeper(left - 1) if left else read(str(file))

    depth = len(__import__("inspect").stack())
    assert deeper(10)
    refused = False
    for left in range(sys.getrecursionlimit() - depth - 200, sys.getrecursionlimit() - depth - 60, 20):
        try:
            deeper(left)
        except ConfigError as error:
            refused = True
            assert error.diagnostics[0].message == "not valid TOML: nested too deeply"  # noqa: PT017  (a RecursionError is expected as well)
        except RecursionError:
            break
    assert refused


def test_long_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that Python refuses to convert is a fault even where the bound of the scan lets it through."""
    monkeypatch.setattr(positions, "NUMBER", 10_000)
    file = tmp_path / "f"
    file.write_text("a = " + "9" * 5_000)
    with pytest.raises(ConfigError, match="f:1:1: error: not valid TOML: Exceeds the limit"):
        read(str(file))


def test_not_understood() -> None:
    """A text that tomllib takes and the scan does not is refused, for its bounds are not known."""
    with pytest.raises(ConfigError, match="f:2:1: error: not valid TOML: this cannot be understood"):
        document._parse("f", "a = 1\nb = 2\n", positions.Positions("a = 1\nb = 2\n", 6))


def test_locate(tmp_path: Path) -> None:
    """A fault with a place gets line, column, width and source; what is missing has its table's."""
    file = tmp_path / "f"
    file.write_text('[[rules]]\nname = "a"\nlock = "globall"\nmatch = { kinds = ["system", 1] }\n')
    document = read(str(file))

    def found(*keys: str | int, of_key: bool = False) -> tuple[int, int, int, str]:
        diagnostic = locate(document, Diagnostic(Location("f", keys), "wrong", of_key=of_key))
        return diagnostic.line, diagnostic.column, diagnostic.width, diagnostic.excerpt

    assert found("rules", 0, "lock") == (3, 8, 9, 'lock = "globall"')
    assert found("rules", 0, "lock", of_key=True) == (3, 1, 4, 'lock = "globall"')
    assert found("rules", 0, "match", "kinds", of_key=True)[:3] == (4, 11, 5)
    assert found("rules", 0, "match", "kinds", 1)[:3] == (4, 30, 1)
    assert found("rules", 0, "timeout") == (1, 1, 9, "[[rules]]")
    assert found() == (0, 0, 1, "")
    located = locate(document, Diagnostic(Location("f", ("rules", 0, "lock")), "wrong"))
    assert locate(document, located) is located


def shown(source: str, column: int, width: int = 1, message: str = "wrong") -> list[str]:
    """The lines of a fault, its headline left out."""
    diagnostic = Diagnostic(Location("f"), message, line=3, column=column, width=width, excerpt=source)
    headline, *lines = show(diagnostic).split("\n")
    assert headline == f"f:3:{column}: error: {message}"
    return lines


def test_show() -> None:
    """A fault is shown with its line and a caret below the value."""
    assert shown('lock = "globall"', 8, 9) == ['  lock = "globall"', "         ^^^^^^^^^"]


def test_show_without_line() -> None:
    """A fault of a whole file is shown with no line, one of an empty line without a caret."""
    assert show(Diagnostic(Location("f"), "no such file")) == "f: error: no such file"
    assert shown("", 1) == []


@pytest.mark.parametrize(
    ("source", "column", "width", "line", "caret"),
    [
        ("\ta = 1", 6, 1, "    a = 1", "        ^"),
        ("ab\tc = 1", 4, 1, "ab  c = 1", "    ^"),
        ('"中文" = "é"', 8, 3, '"中文" = "é"', "         ^^^"),
        ('"中文" = 1', 1, 4, '"中文" = 1', "^^^^^^"),
        ("e\N{COMBINING ACUTE ACCENT} = 1", 6, 1, "e\N{COMBINING ACUTE ACCENT} = 1", "    ^"),
        ("a = '\x1b[31m'", 5, 7, "a = '\\x1b[31m'", "    ^^^^^^^^^^"),
        ("a = '\u202e' # b", 5, 3, "a = '\\u202e' # b", "    ^^^^^^^^"),
        ("a =", 4, 1, "a =", "   ^"),
        ("a =", 9, 1, "a =", "   ^"),
        ("a = 1", 5, 99, "a = 1", "    ^"),
    ],
)
def test_caret(source: str, column: int, width: int, line: str, caret: str) -> None:
    """The caret stands below the value also after tabs, wide and combining characters, and escaped controls."""
    assert shown(source, column, width) == [f"  {line}", f"  {caret}"]


def test_long_line() -> None:
    """A long line is cut around the caret."""
    line, caret = shown("a = ['" + "x" * 300 + "', 17, '" + "y" * 300 + "']", 310, 2)
    assert len(line) < 110
    assert line.startswith("  …xxx")
    assert line.endswith("yyy…")
    assert line[caret.index("^") : caret.rindex("^") + 1] == "17"
    assert shown("x" * 90 + " = 1", 94) == ["  " + "x" * 90 + " = 1", "  " + " " * 93 + "^"]
    line, caret = shown("a = '" + "x" * 300 + "'", 5, 302)
    assert line[: caret.index("^")] == "  a = "
    assert len(caret) <= len(line)


def test_show_is_safe() -> None:
    """No file name, message or line can send controls to the terminal."""
    diagnostic = Diagnostic(Location("\x1b]0;f\x07"), "bad '\x9b'\n", line=1, column=1, excerpt="\x1b[2J\r\u2066")
    headline, line, caret = show(diagnostic).split("\n")
    assert headline == "\\x1b]0;f\\x07:1:1: error: bad '\\x9b'\\n"
    assert line == "  \\x1b[2J\\r\\u2066"
    assert caret == "  ^^^^"


@given(
    before=st.text("a\t中é\x1b\u202e\N{COMBINING ACUTE ACCENT} ", max_size=150),
    after=st.text("b\t文\x07 ", max_size=150),
    value=st.text("vV", min_size=1, max_size=30),
)
@example(before="", after="", value="v")
@example(before="\t" * 150, after="文" * 150, value="v" * 30)
def test_caret_stands_below(before: str, after: str, value: str) -> None:
    """Whatever stands around a value, the caret is as wide as it and begins below it on a terminal."""
    line, caret = shown(before + value + after, len(before) + 1, len(value))
    columns = sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) == "W" else 1
        for character in line[: line.index(value)]
    )
    assert caret == " " * columns + "^" * len(value)


@given(st.binary(max_size=60) | st.text("a=[]{}\"'\\u.#\n\r\t1é", max_size=40).map(str.encode))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Any bytes are either TOML or one fault that can be shown."""
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(content)
    try:
        document = read(str(file))
    except ConfigError as error:
        (diagnostic,) = error.diagnostics
        assert diagnostic.line > 0
        assert diagnostic.column > 0
        show(diagnostic).encode()
        with pytest.raises((UnicodeDecodeError, tomllib.TOMLDecodeError)):
            tomllib.loads(content.decode())
    else:
        assert document.data == tomllib.loads(content.decode())
