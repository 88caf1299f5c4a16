from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from policy.environment.discovery import find
from policy.locks.file import FileLock
from policy.rules import plan as locations
from policy.rules.plan import LOCATIONS
from policy.rules.request import Caller, Request
from policy.uv import names
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths and links", allow_module_level=True)


def settings(directory: str) -> Callable[[str], Any]:
    """Settings of which only `global-dir` is set."""
    return {"global-dir": directory}.get


def plan(
    location: str, root: Path | str, directory: str = "/g", environ: Mapping[str, str] | None = None, cwd: str = "/"
) -> list[tuple[str, str]]:
    """The plan of a virtual environment besides the gate: (path, purpose)."""
    asked = factories.request(environ, root=str(root), cwd=cwd)
    first, *rest = locations.plan(location.split("+"), asked, settings(directory))
    assert first == FileLock("gate", factories.gate(root))
    return [(lock.name, lock.purpose) for lock in rest]


def test_names() -> None:
    """The locations of the design, and no other."""
    assert list(LOCATIONS) == ["local", "global", "beside", "cluster", "strict"]


@pytest.mark.parametrize("kind", ["virtualenv", "target", "prefix", "system"])
def test_local(kind: str) -> None:
    """A local lock is uv's own file in the root."""
    assert locations.local(factories.request(root="/e", kind=kind), settings("/g")) == (FileLock("local", "/e/.lock"),)


def test_global() -> None:
    """A global lock is the gate, and one file more in the directory that is set, named after the root."""
    asked = factories.request(root="/e")
    assert locations.plan(("global",), asked, settings("")) == (FileLock("gate", factories.gate("/e")),)
    ((path, purpose),) = plan("global", "/e")
    assert path == f"/g/lock-policy-{names.digest('/e')}.lock"
    assert purpose == "global"


def test_every_spelling_meets(tmp_path: Path) -> None:
    """Every spelling of an environment, through links, `..`, `.` and slashes, meets in one global file."""
    root = factories.virtualenv(tmp_path / "real" / "env")
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "link").symlink_to(root)
    spellings = [
        root,
        f"{root}/",
        f"{tmp_path}/folder/env",
        f"{tmp_path}/link",
        f"{tmp_path}/link/../env",
        f"{root}/./",
    ]
    spellings += [f"{root}/bin/python", f"{tmp_path}/link/bin/python"]
    caller = Caller({}, str(tmp_path))
    plans = {
        locations.global_(Request(find(str(spelling), environ={}, cwd=caller.cwd), caller), settings("/g"))
        for spelling in [*spellings, "link", "real/env", "./folder//env"]
    }
    assert len(plans) == 1


def test_others_do_not_meet(tmp_path: Path) -> None:
    """Two environments have two global files."""
    assert plan("global", factories.virtualenv(tmp_path / "a")) != plan("global", factories.virtualenv(tmp_path / "b"))


def test_no_utf8(tmp_path: Path) -> None:
    """A root whose name is no UTF-8 has a lock like any other."""
    root = os.path.join(os.fsencode(tmp_path), b"\xff")
    os.mkdir(root)
    ((path, _),) = plan("global", os.fsdecode(root))
    assert path.isascii()


def system(tmp_path: Path) -> Path:
    """An interpreter under three names in one folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    factories.written(folder / "python3.11", "")
    (folder / "python3").symlink_to("python3.11")
    (folder / "python").symlink_to("python3")
    factories.written(folder / "python3.12", "")
    return folder


@pytest.mark.parametrize("spelling", ["python", "python3", "python3.11"])
def test_system(tmp_path: Path, spelling: str) -> None:
    """A global plan of a system interpreter holds uv's locks of every spelling in its folder, whichever was given."""
    folder = system(tmp_path)
    asked = factories.request(root=str(tmp_path), kind="system", interpreter=f"{folder}/{spelling}")
    files = locations.global_(asked, settings("/g"))
    spellings = [f"{folder}/{name}" for name in ("python", "python3", "python3.11")]
    uvs = sorted(f"/tmp/uv-{names.digest(path)}.lock" for path in spellings)
    assert files[0] == FileLock("global", f"/g/lock-policy-{names.digest(os.path.realpath(tmp_path))}.lock")
    assert [(file.name, file.purpose) for file in files[1:]] == [(path, "uv") for path in uvs]
    assert locations.plan(("global", "local"), asked, settings("/g")) == (
        FileLock("gate", factories.gate(tmp_path)),
        *files,
        FileLock("local", f"{tmp_path}/.lock"),
    )


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        ({}, "/tmp"),
        ({"TMPDIR": "/var/own"}, "/var/own"),
        ({"TMPDIR": "own"}, "/work/own"),
        ({"TMPDIR": ""}, "/work"),
        ({"TMP": "/var/own", "TEMP": "/var/own"}, "/tmp"),
    ],
)
def test_uvs_directory(tmp_path: Path, environ: dict[str, str], directory: str) -> None:
    """Uv's locks lie where uv of the caller puts them, by the caller's TMPDIR and working directory."""
    asked = factories.request(
        environ, root=str(tmp_path), kind="system", interpreter=f"{system(tmp_path)}/python", cwd="/work"
    )
    assert {
        os.path.dirname(file.name) for file in locations.global_(asked, settings("/g")) if file.purpose == "uv"
    } == {directory}


def test_beside() -> None:
    """A lock beside the environment is pipx's own file."""
    assert plan("beside", "/v/black") == [("/v/.black.lock", "beside")]


def test_beside_an_application_of_pipx(tmp_path: Path) -> None:
    """A link to an application of pipx counts for what it leads to, since pipx locks the file beside that."""
    root = factories.virtualenv(tmp_path / "apps" / "venvs" / "tool")
    link = tmp_path / "link"
    link.symlink_to(root)
    assert plan("beside", str(link)) == [(f"{tmp_path}/.link.lock", "beside")]
    factories.written(root / "pipx_metadata.json", "{}")
    assert plan("beside", str(link)) == [(f"{root.parent}/.tool.lock", "beside")]


def test_order() -> None:
    """Whatever the order of the locations, everybody takes the locks in the same one, each once."""
    one = plan("local+beside+global+local", "/v/black")
    assert [purpose for _, purpose in one] == ["global", "beside", "local"]
    assert one == plan("global+local+beside", "/v/black")


def test_read_only_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the gate's directory is read-only nobody has a gate, and it is left out; a plan is never empty."""
    monkeypatch.setattr(locations, "is_read_only", lambda directory: directory == "/tmp")
    asked = factories.request(root="/e")
    assert locations.plan(("local",), asked, settings("")) == (FileLock("local", "/e/.lock"),)
    assert locations.plan(("global",), asked, settings("")) == (FileLock("gate", factories.gate("/e")),)
    moved = {"gate-dir": "/run/gate"}.get
    assert [lock.purpose for lock in locations.plan(("local",), asked, moved)] == ["gate", "local"]


def test_interpreter_in_a_begun_root(tmp_path: Path) -> None:
    """Where an environment may be being made around the interpreter, both gates are held, and one says why."""
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(os.path.realpath(sys.executable))
    found = find(str(python), environ={}, cwd="/")
    gates = [
        lock for lock in locations.plan(["global"], Request(found, Caller({})), settings("")) if "gate" in lock.purpose
    ]
    words = {lock.name: str(lock) for lock in gates}
    assert "may become an environment" in words.pop(factories.gate(tmp_path / "env"))
    assert words.keys() == {factories.gate(found.root)}
