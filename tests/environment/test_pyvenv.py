from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from policy.environment import pyvenv


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The folder of something that looks like a base interpreter."""
    folder = tmp_path / "base" / "bin"
    folder.mkdir(parents=True)
    for name in ("python3.11", "python3"):
        (folder / name).touch(0o755)
    return folder


def environment(root: Path, configuration: str, *, link: Path | None = None, copy: bool = True) -> str:
    """Writes an environment by hand, and returns its interpreter."""
    (root / "bin").mkdir(parents=True)
    (root / "pyvenv.cfg").write_text(configuration, encoding="utf-8", newline="")
    interpreter = root / "bin" / "python"
    if link is not None:
        interpreter.symlink_to(link)
    elif copy:
        interpreter.touch(0o755)
    return str(interpreter)


def base_of(interpreter: str) -> str:
    return pyvenv.base_interpreter(interpreter, os.path.dirname(os.path.dirname(interpreter)))


@pytest.mark.parametrize(
    "text",
    [
        "home = /b\nversion = 3.11.2\n",
        "\ufeffhome = /b\nversion = 3.11.2\n",
        "home = /b\r\nversion = 3.11.2\r\n",
        "\ufeffHOME=/b\r\n\r\n# a comment\r\nversion=3.11.2",
        "  Home  =  /b  \nVersion= 3.11.2\nno equals sign\nhome = /second\n",
    ],
    ids=["plain", "byte-order-mark", "crlf", "both", "case-and-spaces"],
)
def test_read_tolerates_what_python_tolerates(tmp_path: Path, text: str) -> None:
    """A byte order mark, CRLF, case, spaces and lines that are no keys change nothing; the first `home` counts."""
    (tmp_path / "pyvenv.cfg").write_bytes(text.encode())
    values = pyvenv.settings(str(tmp_path))
    assert values is not None
    assert (values["home"], values["version"]) == ("/b", "3.11.2")


def test_a_value_may_hold_an_equals_sign(tmp_path: Path) -> None:
    """A key ends at the first equals sign."""
    (tmp_path / "pyvenv.cfg").write_text("home = /a=b\n")
    assert pyvenv.settings(str(tmp_path)) == {"home": "/a=b"}


def test_bytes_that_are_no_utf_8_name_a_path(tmp_path: Path) -> None:
    """A home that is no UTF-8 is the path that the kernel knows by these bytes."""
    (tmp_path / "pyvenv.cfg").write_bytes(b"home = /caf\xe9\n")
    values = pyvenv.settings(str(tmp_path))
    assert values is not None
    assert os.fsencode(values["home"]) == b"/caf\xe9"


def test_a_file_of_64_kib_is_read_and_a_larger_one_is_not(tmp_path: Path) -> None:
    """Nobody makes this program read a large file."""
    path = tmp_path / "pyvenv.cfg"
    path.write_text("home = /b\n".ljust(64 * 1024))
    assert pyvenv.settings(str(tmp_path)) == {"home": "/b"}
    path.write_text("home = /b\n".ljust(64 * 1024 + 1))
    assert pyvenv.settings(str(tmp_path)) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs here")
def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    """A FIFO, a directory, a device, a broken link and a missing file are no configuration, and nothing hangs."""
    if sys.platform == "win32":
        return
    path = tmp_path / "pyvenv.cfg"
    assert pyvenv.settings(str(tmp_path)) is None
    os.mkfifo(path)
    assert pyvenv.settings(str(tmp_path)) is None
    path.unlink()
    for target in ("/dev/zero", str(tmp_path), "missing"):
        path.symlink_to(target)
        assert pyvenv.settings(str(tmp_path)) is None
        path.unlink()


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    """A tree of links, as Nix's buildEnv makes it, is an environment."""
    (tmp_path / "elsewhere").write_text("home = /b\n")
    (tmp_path / "pyvenv.cfg").symlink_to("elsewhere")
    assert pyvenv.settings(str(tmp_path)) == {"home": "/b"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"version": "3.11.2"}, "3.11.2"),
        ({"version_info": "3.11.2.final.0"}, "3.11.2.final.0"),
        ({"version_info": "3.11.7", "uv": "0.13.9"}, "3.11.7"),
        ({}, ""),
    ],
    ids=["venv", "virtualenv", "uv", "none"],
)
def test_version(values: dict[str, str], expected: str) -> None:
    """The version is found under the key of each tool that makes environments."""
    assert pyvenv.version(values) == expected


def test_base_through_a_link(tmp_path: Path, base: Path) -> None:
    """The link in an environment leads to its base, whatever `home` says, as it does for Python."""
    interpreter = environment(tmp_path / "v", "home = /nowhere\n", link=base / "python3.11")
    assert base_of(interpreter) == str(base / "python3.11")


def test_base_of_a_copy_through_home(tmp_path: Path, base: Path) -> None:
    """An environment of copies says in `home` where its base is."""
    interpreter = environment(tmp_path / "v", f"home = {base}\n")
    assert base_of(interpreter) == str(base / "python3")


def test_base_by_the_version(tmp_path: Path, base: Path) -> None:
    """Where the base has no interpreter of the same name, the version in pyvenv.cfg names it."""
    (base / "python3").unlink()
    interpreter = environment(tmp_path / "v", f"home = {base}\nversion_info = 3.11.2.final.0\n")
    assert base_of(interpreter) == str(base / "python3.11")


@pytest.mark.parametrize("key", ["executable", "base-executable"])
@pytest.mark.parametrize("home", ["", "home = \n", "home = /nowhere\n", "home = not/here\n"])
def test_base_through_the_other_keys_where_home_is_odd(tmp_path: Path, base: Path, home: str, key: str) -> None:
    """A missing, empty, absent or relative `home` leaves the interpreter that venv or virtualenv wrote down."""
    interpreter = environment(tmp_path / "v", f"{home}{key} = {base / 'python3.11'}\n")
    assert base_of(interpreter) == str(base / "python3.11")


def test_home_may_be_relative_to_the_root(tmp_path: Path, base: Path) -> None:
    """An environment that was made to be moved names its base by a relative path."""
    interpreter = environment(tmp_path / "v", "home = ../base/bin\n")
    assert base_of(interpreter) == str(base / "python3")


def test_home_may_name_the_interpreter_itself(tmp_path: Path, base: Path) -> None:
    """A `home` that is the interpreter, not its folder, is understood."""
    interpreter = environment(tmp_path / "v", f"home = {base / 'python3.11'}\n")
    assert base_of(interpreter) == str(base / "python3.11")


def test_base_is_a_real_path(tmp_path: Path, base: Path) -> None:
    """Links in `home` and in the interpreter it names are resolved."""
    (base / "python").symlink_to("python3.11")
    (tmp_path / "spelled").symlink_to(base)
    interpreter = environment(tmp_path / "v", f"home = {tmp_path / 'spelled'}\n")
    assert base_of(interpreter) == str(base / "python3.11")


@pytest.mark.parametrize("copies", [False, True], ids=["links", "copies"])
def test_nested_environments_lead_to_the_outermost_base(tmp_path: Path, base: Path, copies: bool) -> None:
    """An environment that was made from another's interpreter, which was made from a third's, has the base of all."""
    made_from = base
    interpreter = ""
    for name in ("one", "two", "three"):
        link = None if copies else made_from / ("python3" if made_from == base else "python")
        interpreter = environment(tmp_path / name, f"home = {made_from}\n", link=link)
        made_from = tmp_path / name / "bin"
    assert base_of(interpreter) == str(base / "python3" if copies else (base / "python3").resolve())


def test_a_link_into_an_environment_of_copies(tmp_path: Path, base: Path) -> None:
    """A link that ends at another environment's copy is followed through that one's `home`."""
    copy = environment(tmp_path / "one", f"home = {base}\n")
    interpreter = environment(tmp_path / "two", "home = /nowhere\n", link=Path(copy))
    assert base_of(interpreter) == str(base / "python3")


def test_environments_that_name_each_other_end(tmp_path: Path) -> None:
    """A circle of `home` ends at one of its interpreters instead of running forever."""
    one = environment(tmp_path / "one", f"home = {tmp_path / 'two' / 'bin'}\n")
    two = environment(tmp_path / "two", f"home = {tmp_path / 'one' / 'bin'}\n")
    assert base_of(one) in {one, two}
    itself = environment(tmp_path / "itself", f"home = {tmp_path / 'itself' / 'bin'}\n")
    assert base_of(itself) == itself


def test_a_broken_link_is_helped_by_home(tmp_path: Path, base: Path) -> None:
    """Where the link's target was removed, `home` says which interpreter took its place."""
    interpreter = environment(tmp_path / "v", f"home = {base}\n", link=base / "python3.9")
    assert base_of(interpreter) == str(base / "python3")


def test_where_nothing_leads_out_the_link_is_told(tmp_path: Path) -> None:
    """A broken link and an odd `home` leave the path that the link meant; a copy leaves itself."""
    gone = tmp_path / "gone" / "python3.9"
    assert base_of(environment(tmp_path / "v", "home = /nowhere\n", link=gone)) == str(gone)
    copy = environment(tmp_path / "w", "")
    assert base_of(copy) == copy


def test_an_interpreter_that_is_missing(tmp_path: Path, base: Path) -> None:
    """An environment without an interpreter has the base that it names."""
    assert base_of(environment(tmp_path / "v", f"home = {base}\n", copy=False)) == str(base / "python3")


def test_pypy_by_its_own_name(tmp_path: Path) -> None:
    """A base that has no `python` but `pypy3` is found."""
    folder = tmp_path / "pypy" / "bin"
    folder.mkdir(parents=True)
    (folder / "pypy3").touch(0o755)
    interpreter = environment(tmp_path / "v", f"home = {folder}\nimplementation = PyPy\nversion_info = 3.10.14\n")
    assert base_of(interpreter) == str(folder / "pypy3")


def test_the_windows_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows `home` is the prefix that holds python.exe."""
    monkeypatch.setattr(pyvenv, "_WINDOWS", True)
    home = tmp_path / "Python311"
    scripts = tmp_path / "v" / "Scripts"
    scripts.mkdir(parents=True)
    home.mkdir()
    (home / "python.exe").touch()
    (scripts / "python.exe").touch()
    (tmp_path / "v" / "pyvenv.cfg").write_text(f"home = {home}\n")
    assert pyvenv.base_interpreter(str(scripts / "python.exe"), str(tmp_path / "v")) == str(home / "python.exe")
