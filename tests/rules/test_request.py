from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from policy.rules.request import Caller, Request
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
