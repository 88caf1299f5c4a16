"""A project, environments and tools to read command lines about; the tools are not needed, their files are."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from policy.environment.command import changed_by
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

    from policy.environment.change import Change


class Work:
    """A project with a virtual environment and pip, beside another environment with pip; variables; a PATH.

    Args:
        base: The folder of all.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.project = base / "project"
        self.near = factories.virtualenv(self.project / ".venv")
        self.other = factories.virtualenv(base / "other")
        for root in (self.near, self.other):
            self.script(root / "bin" / "pip", f"#!{root}/bin/python\n")
        (base / "bin").mkdir()
        self.environ = {**factories.alone(base), "PATH": f"{base}/bin:{self.other}/bin"}

    def script(self, path: Path, text: str = "#!/bin/sh\n") -> Path:
        """An executable file."""
        factories.written(path, text).chmod(0o755)
        return path

    def read(self, line: str, **environ: str) -> Change | None:
        """What a command line changes; `{other}` and the like stand for paths."""
        words = [word.format(**{key: str(value) for key, value in vars(self).items()}) for word in shlex.split(line)]
        return changed_by(words, {**self.environ, **environ}, str(self.project))

    def root(self, line: str, **environ: str) -> str:
        """The root of what a command line changes, below the folder of all; "" where it says nothing."""
        change = self.read(line, **environ)
        found = change.environment if change else None
        return os.path.relpath(found.root, self.base) if found else ""

    def uncertain(self, line: str, **environ: str) -> str:
        """What cannot be told of the environment that a command line changes."""
        change = self.read(line, **environ)
        assert change
        return change.uncertain

    def apart(self, line: str, **environ: str) -> str:
        """Why a command line changes no environment, or one of its own; "" where it changes one."""
        change = self.read(line, **environ)
        assert change
        return change.apart
