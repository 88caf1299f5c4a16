from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.errors import UsageError
from policy.rules.request import Caller, Request
from policy.variables import boolean, flag
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

SPELLED = {
    True: ["y", "yes", "t", "true", "on", "1", "YES", "True", "oN", "T", "Y"],
    False: ["n", "no", "f", "false", "off", "0", "NO", "False", "oFF", "F", "N"],
    None: ["", " ", "2", "-1", "truee", "yes ", "enabled", "null", "\u00ff"],
}


@pytest.mark.parametrize(("expected", "value"), [(flag, value) for flag, values in SPELLED.items() for value in values])
def test_boolean(expected: bool | None, value: str) -> None:  # noqa: FBT001
    """Booleans in variables are uv's, in any case; anything else, empty too, is none."""
    assert boolean(value) is expected


@pytest.mark.parametrize("value", SPELLED[None])
def test_no_flag(value: str) -> None:
    """A flag of ours that is set to no boolean is an error that does not show the value."""
    with pytest.raises(UsageError) as caught:
        flag({"LOCK_POLICY_NO_CONFIG": value}, "LOCK_POLICY_NO_CONFIG")
    assert str(caught.value) == "LOCK_POLICY_NO_CONFIG must be a boolean (true, false, yes, no, on, off, 1 or 0)"


def test_flag() -> None:
    """An unset flag is false."""
    assert flag({}, "X") is False
    assert flag({"X": "on"}, "X") is True


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
