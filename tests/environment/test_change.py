from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.environment.work import Work

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


def test_first_line_of_pip(work: Work) -> None:
    """Pip belongs to the interpreter in its first line, also through env, a long path's second line, or its place."""
    tool = work.base / "bin" / "pip"
    for text in (
        f"#!{work.near}/bin/python -I\n",
        f"#! {work.near}/bin/python\n",
        f"#!/bin/sh\n'''exec' \"{work.near}/bin/python\" \"$0\" \"$@\"\n' '''\n",
        f"#!/bin/sh\n'''exec' {work.near}/bin/python \"$0\" \"$@\"\n' '''\n",
    ):
        work.script(tool, text)
        assert work.root("pip install x") == "project/.venv", text
    work.script(tool, "#!/usr/bin/env python\n")
    assert work.root("pip install x") == "other"
    work.script(work.near / "bin" / "pip", '#!/bin/sh\n\'\'\'exec\' "$(dirname -- "$0")"/\'python\' "$0" "$@"\n')
    assert work.root(".venv/bin/pip install x") == "project/.venv"
    tool.unlink()
    tool.symlink_to(work.near / "bin" / "pip")
    assert work.root("pip install x") == "project/.venv"


def test_nothing_of_the_checkout_is_executed(work: Work) -> None:
    """An interpreter of the checkout that a script leads to is not executed; what cannot be known is reported."""
    ran = work.project / "ran"
    work.script(work.project / "tools" / "python", f"#!/bin/sh\ntouch {ran}\n")
    work.script(work.project / "tools" / "pip", f"#!{work.project}/tools/python\n")
    change = work.read("tools/pip install x")
    assert change
    assert change.environment is None
    assert "cannot be seen without executing" in change.uncertain
    assert not ran.exists()


def test_program_without_an_interpreter(work: Work) -> None:
    """A program that is no script of Python belongs to the Python beside it, and to none where there is none."""
    work.script(work.near / "bin" / "pip")
    assert work.root(".venv/bin/pip install x") == "project/.venv"
    alone = work.base / "bin" / "pip"
    for text in ("\x7fELF", "#!/usr/bin/perl\n", "#!/bin/sh\n'''exec' python \"$0\" \"$@\"\n"):
        work.script(alone, text)
        change = work.read(f"{alone} install x")
        assert change
        assert change.environment is None, text


def test_interpreter_that_is_none(work: Work) -> None:
    """A script whose interpreter does not answer belongs to no environment; where it is gone, to its old one."""
    python = work.script(work.base / "old" / "bin" / "python", "#!/bin/sh\nexit 3\n")
    tool = work.script(work.base / "bin" / "pip", f"#!{python}\n")
    change = work.read(f"{tool} install x")
    assert change
    assert change.environment is None
    python.unlink()
    assert work.root(f"{tool} install x") == "old"
