from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from policy.uv import names
from tests import real_uv
from tests.real_uv import every_uv  # noqa: F401  (a fixture)

NOTHING = "there-is-no-such-distribution"

FOLDERS = {
    "plain": "plain",
    "spaces": "with  two spaces",
    "cjk": "中文 日本語",
    "emoji": "🐍 and 🧪🔒",
    "one-byte-over-a-word": "123456789",
}


@pytest.mark.parametrize(
    ("path", "expected"), [("/usr/bin/python3", "05f7b0856e340464"), ("/usr/bin/python3.11", "7fe2c1040d4a8780")]
)
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX path")
def test_known_digests(path: str, expected: str) -> None:
    """The digests that were read off real uv's files come out."""
    assert names.digest(path) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")
@pytest.mark.parametrize(
    ("one", "other"), [("/a//b", "/a/b"), ("/a/./b", "/a/b"), ("/a/b/", "/a/b"), ("/a/b/.", "/a/b"), ("//a/b", "/a/b")]
)
def test_spellings_that_rust_takes_for_one_path(one: str, other: str) -> None:
    """Doubled and trailing slashes and inner dots do not change the digest, as they do not change a Rust path."""
    assert names.digest(one) == names.digest(other)


@pytest.mark.parametrize(("one", "other"), [("/a/../b", "/b"), ("/ab/c", "/a/bc"), ("/a/B", "/a/b")])
def test_spellings_that_rust_tells_apart(one: str, other: str) -> None:
    """`..` is kept, components do not run together, and case counts."""
    assert names.digest(one) != names.digest(other)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's rule")
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/tmp"),
        ({"TMPDIR": "/x"}, "/x"),
        ({"TMPDIR": ""}, ""),
        ({"TMPDIR": "rel"}, "rel"),
        ({"TMPDIR": "/no/such/dir"}, "/no/such/dir"),
        ({"TMP": "/x", "TEMP": "/y"}, "/tmp"),
    ],
)
def test_temporary_directory(environ: dict[str, str], expected: str) -> None:
    """`TMPDIR` is taken verbatim, and `TMP` and `TEMP` are ignored."""
    assert names.temporary_directory(environ) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's rule")
@pytest.mark.parametrize(("value", "expected"), [("", "/w"), ("rel", "/w/rel"), ("/x", "/x")])
def test_relative_temporary_directory_is_taken_from_where_uv_runs(value: str, expected: str) -> None:
    """A lock's path is absolute, whatever `TMPDIR` is."""
    lock = names.path_lock("/usr/bin/python3", {"TMPDIR": value}, cwd="/w")
    assert lock == f"{expected}/uv-05f7b0856e340464.lock"


def test_all_spellings_in_the_folder(tmp_path: Path) -> None:
    """Links, chains of links and hard links to the interpreter in its folder are found, everything else is not."""
    folder, elsewhere = tmp_path / "bin", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "python3.11").write_bytes(b"interpreter")
    (folder / "python3").symlink_to("python3.11")
    (folder / "python").symlink_to("python3")
    (folder / "mine").symlink_to(folder / "python3.11")
    os.link(folder / "python3.11", folder / "python3.11-hard")
    shutil.copy(folder / "python3.11", folder / "copy")
    (folder / "broken").symlink_to("nothing")
    (folder / "loop").symlink_to("loop")
    (folder / "python3-config").symlink_to("copy")
    (elsewhere / "python3").symlink_to(folder / "python3.11")
    expected = tuple(str(folder / name) for name in ("mine", "python", "python3", "python3.11", "python3.11-hard"))
    assert {names.spellings(spelling) for spelling in expected} == {expected}


def test_spellings_of_the_folder(tmp_path: Path) -> None:
    """A folder that PATH names through a link has both names, as `/bin` and `/usr/bin` have."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").touch()
    (tmp_path / "link").symlink_to("bin")
    (tmp_path / "other").mkdir()
    environ = {"PATH": f"relative:{tmp_path}/link:{tmp_path}/other:/bin"}
    both = (f"{tmp_path}/bin/python3", f"{tmp_path}/link/python3")
    for path in both:
        assert names.spellings(path, environ) == both
    assert names.spellings(both[0]) == both[:1]
    if os.path.islink("/bin") and os.path.exists("/usr/bin/python3"):
        assert {"/bin/python3", "/usr/bin/python3"} <= set(names.spellings("/usr/bin/python3"))


def test_spellings_of_an_interpreter_that_is_gone(tmp_path: Path) -> None:
    """What was asked for is always among the spellings."""
    assert names.spellings(str(tmp_path / "no" / "python")) == (str(tmp_path / "no" / "python"),)


def test_spellings_in_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    """A folder that may be entered but not listed leaves the spelling that was asked for."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "python").touch()
    real_uv.given_to(folder)
    folder.chmod(0o100)
    question = "import sys; from policy.uv import names; print(names.spellings(sys.argv[1]))"
    environ = {"PYTHONPATH": real_uv.public_path()}
    argv = [real_uv.public_python(), "-c", question, str(folder / "python")]
    done = real_uv.as_user(argv, environ=environ)
    folder.chmod(0o700)
    assert done.stdout == f"('{folder / 'python'}',)\n", done.stderr


def test_locks_are_in_one_order_whichever_spelling_is_named(tmp_path: Path) -> None:
    """All who hold several locks take them in the same order, so that no two wait for each other."""
    (tmp_path / "python3.11").touch()
    (tmp_path / "python3").symlink_to("python3.11")
    environ = {"TMPDIR": "/t", "TMP": "/t"}
    first = names.interpreter_locks(str(tmp_path / "python3"), environ)
    assert first == names.interpreter_locks(str(tmp_path / "python3.11"), environ)
    assert len(first) == 2
    assert list(first) == sorted(first)


@pytest.mark.skipif(sys.platform == "win32", reason="the XDG rule")
def test_locks_of_tools_pythons_and_cache() -> None:
    """The variables of uv come first, then an absolute XDG directory, then the place below the home directory."""
    for variable, xdg, own, below, lock in (
        ("UV_TOOL_DIR", "XDG_DATA_HOME", "/t", ".local/share/uv/tools", names.tools_lock),
        ("UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", "/p", ".local/share/uv/python", names.pythons_lock),
        ("UV_CACHE_DIR", "XDG_CACHE_HOME", "/c", ".cache/uv", names.cache_lock),
    ):
        name = below.removeprefix(".local/share/").removeprefix(".cache/")
        assert lock({variable: own, xdg: "/x", "HOME": "/h"}) == f"{own}/.lock"
        assert lock({variable: "rel", "HOME": "/h"}, "/w") == "/w/rel/.lock"
        assert lock({xdg: "/x", "HOME": "/h"}) == f"/x/{name}/.lock"
        assert lock({xdg: "relative", "HOME": "/h"}) == f"/h/{below}/.lock"


def _made_by(uv: Path, python: Path, environ: dict[str, str]) -> list[str]:
    """The locks that uv leaves in its temporary directory when it is to remove what is not there."""
    command = [str(uv), "pip", "uninstall", "--break-system-packages", "--python", str(python), NOTHING]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(str(path) for path in Path(environ["TMPDIR"]).glob("uv-*.lock"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="links and copies of interpreters are POSIX's")
@pytest.mark.parametrize("how", ["link", "copy", "link-to-folder"])
@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_real_uv_makes_this_file(every_uv: Path, tmp_path: Path, folder: str, how: str) -> None:
    """The lock of an interpreter is the very file that real uv makes for this spelling of it."""
    real = Path(os.path.realpath(sys.executable))
    place = tmp_path / folder
    if how == "link-to-folder":
        place.symlink_to(real.parent)
        python = place / real.name
    else:
        place.mkdir()
        python = place / "python3"
        if how == "link":
            python.symlink_to(real)
        else:
            shutil.copy(real, python)
    environ = real_uv.clean_environ(tmp_path / "home")
    executable = subprocess.run(
        [python, "-c", "import sys; print(sys.executable, sys.prefix == sys.base_prefix)"],
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    if executable.returncode:
        pytest.skip(f"this Python does not run as a {how}: {executable.stderr.strip().splitlines()[-1]}")
    assert executable.stdout == f"{python} True\n"
    assert _made_by(every_uv, python, environ) == [names.path_lock(str(python), environ)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="TMPDIR is POSIX's")
@pytest.mark.parametrize("value", ["", "rel"])
def test_real_uv_takes_tmpdir_verbatim(every_uv: Path, tmp_path: Path, value: str) -> None:
    """An empty and a relative `TMPDIR` lead to a lock below uv's working directory, as real uv makes it."""
    (tmp_path / "rel").mkdir()
    python = tmp_path / "python3"
    python.symlink_to(os.path.realpath(sys.executable))
    environ = real_uv.clean_environ(tmp_path / "home", TMPDIR=value)
    command = [str(every_uv), "pip", "uninstall", "--break-system-packages", "-p", str(python), NOTHING]
    subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert [str(path) for path in tmp_path.glob("**/uv-*.lock")] == [
        names.path_lock(str(python), environ, cwd=str(tmp_path))
    ]
