from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from policy.environment.identity import real_folder
from policy.rules.request import JUST_NOW, Caller, Request
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_caller_is_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that nobody describes is this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME_VARIABLE", "x")
    caller = Caller()
    assert caller.environ["SOME_VARIABLE"] == "x"
    assert (caller.cwd, caller.operation, caller.project) == (os.path.realpath(tmp_path), None, None)


def test_caller_elsewhere() -> None:
    """A caller that is described takes nothing from this process."""
    caller = Caller({}, "/there", "sync", "/there/app")
    assert (caller.environ, caller.cwd, caller.operation, caller.project) == ({}, "/there", "sync", "/there/app")


def test_working_directory_deleted(tmp_path: Path) -> None:
    """A working directory that was deleted is an error of the user's, not a traceback."""
    code = "import os, sys\nfrom policy.rules.request import Caller\nos.mkdir('x')\nos.chdir('x')\nos.rmdir('../x')\n"
    code += "try:\n    Caller()\nexcept Exception as error:\n    print(type(error).__name__, error)"
    seen = factories.policy(environ={}, cwd=tmp_path, program=[sys.executable, "-c", code])
    expected = "UsageError the working directory: No such file or directory; change to one that exists\n"
    assert seen.stdout == expected, seen.stderr


def test_facts_given() -> None:
    """Facts that are given are kept apart from the caller's own mapping."""
    given = {"writable": True}
    asked = Request(factories.environment(), Caller({}, "/"), given)
    asked.facts["host"] = "h"
    assert given == {"writable": True}
    assert Request(factories.environment()).caller.cwd == os.getcwd()


def test_real(tmp_path: Path) -> None:
    """Each request resolves the links of its environment anew, also where the environment is the same object."""
    for name in ("one", "two"):
        (tmp_path / name / "bin").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    link = tmp_path / "link"
    plain, linked = (factories.environment(str(tmp_path / name)) for name in ("one", "link"))
    assert Request(plain).real == (f"{tmp_path}/one/bin/python", f"{tmp_path}/one")
    for name in ("one", "two"):
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        assert Request(linked).real == (f"{tmp_path}/{name}/bin/python", f"{tmp_path}/{name}")
    (tmp_path / "one" / "bin").rmdir()
    (tmp_path / "one" / "bin").symlink_to("../bin")
    assert Request(plain).real == (f"{tmp_path}/bin/python", f"{tmp_path}/one")


def test_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at the root counts for a moment only, and for that request only."""
    root = str(tmp_path)
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    asked = Request(factories.environment(root))
    assert asked.seen is None
    assert asked.real[1] == root
    assert asked.seen == real_folder(root)
    clock[0] += 2 * JUST_NOW
    assert asked.seen is None
    assert Request(asked.environment).seen is None
