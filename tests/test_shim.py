"""What a shim calls; what comes of it is tests/end_to_end/test_shims.py's."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy import shim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("there another program is started", allow_module_level=True)


class Became(Exception):  # noqa: N818  (an event)
    """This process would have been replaced."""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A real pip on PATH, and an exec that only says what it would start."""
    path = tmp_path / "pip"
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LOCK_POLICY_SHIMS", raising=False)

    def become(program: str, words: Sequence[str], _: Mapping[str, str]) -> None:
        raise Became(program, list(words))

    monkeypatch.setattr(os, "execve", become)
    return str(path)


def run(monkeypatch: pytest.MonkeyPatch, *words: str, hold_runs: bool = False) -> tuple[list[str], ...]:
    """The command lines of `policy` that a shim runs, or nothing where it becomes the program at once."""
    called: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", ["-c", *words[1:]])

    def main(line: list[str]) -> int:
        called.append(line)
        return 7

    monkeypatch.setattr("policy.__main__.main", main)
    with pytest.raises((SystemExit, Became)):
        shim.main(words[0], hold_runs=hold_runs)
    return tuple(called)


def test_what_is_locked(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes an environment goes through `policy run -q`; what changes nothing does not."""
    assert run(monkeypatch, "pip", "install", "x") == (["run", "-q", "--", tool, "install", "x"],)
    assert run(monkeypatch, "pip", "list") == ()


def test_runs(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs something is started as it is, or as a reader where that is wanted."""
    poetry = os.path.join(os.path.dirname(tool), "poetry")
    os.rename(tool, poetry)
    assert run(monkeypatch, "poetry", "run", "x") == ()
    assert run(monkeypatch, "poetry", "run", "x", hold_runs=True) == (
        ["run", "-q", "--shared", "--", poetry, "run", "x"],
    )


@pytest.mark.parametrize("value", ["0", "no", "FALSE"])
def test_switched_off(tool: str, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """LOCK_POLICY_SHIMS, a boolean as uv's, turns all of it off."""
    monkeypatch.setenv("LOCK_POLICY_SHIMS", value)
    assert run(monkeypatch, "pip", "install", "x") == ()
    monkeypatch.setenv("LOCK_POLICY_SHIMS", "")
    assert len(run(monkeypatch, "pip", "install", "x")) == 1
    assert tool


def test_cannot_be_started(tool: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A program that cannot be started is 126 and one line, one that is not there 127."""

    def refuse(*_: object) -> None:
        raise OSError(8, "Exec format error")

    monkeypatch.setattr(os, "execve", refuse)
    monkeypatch.setattr(sys, "argv", ["-c", "list"])
    with pytest.raises(SystemExit) as ended:
        shim.main("pip")
    assert ended.value.code == 126
    assert capsys.readouterr().err == f"policy: error: {tool}: cannot be started: Exec format error\n"
    with pytest.raises(SystemExit) as ended:
        shim.main("uv")
    assert ended.value.code == 127
