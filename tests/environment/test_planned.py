from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from policy.environment import interpreter
from policy.environment.discovery import find
from policy.environment.interpreter import Answer
from policy.environment.planned import begun, root_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("path", "root"),
    [("/a/b", "/a/b"), ("/a/bin/python3.12", "/a"), ("/a/bin/pip", "/a/bin/pip"), ("/a/python", "/a/python")],
)
def test_root_of(path: str, root: str) -> None:
    """An interpreter that is not there stands for the root above it."""
    assert root_of(path) == root


def test_begun(tmp_path: Path) -> None:
    """An environment may become of an empty directory and of one that a tool has begun, and of no other."""
    assert begun(str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / ".lock").touch()
    assert begun(str(tmp_path))
    (tmp_path / "setup.py").touch()
    assert not begun(str(tmp_path))
    assert not begun(str(tmp_path / "setup.py"))


def test_around_an_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment may be being made around an interpreter that belongs elsewhere, if nothing else lies there."""
    monkeypatch.setattr(interpreter, "_run", answers)
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)

    def again() -> bool:
        found = find(str(python), environ={"HOME": str(tmp_path)}, cwd=str(tmp_path))
        return found.again is not None

    assert again()
    assert find(str(python), target="/t", environ={"HOME": str(tmp_path)}, cwd="/").again is None
    (tmp_path / "env" / "sbin").mkdir()
    assert not again()


def uv_makes(root: Path) -> list[Callable[[], object]]:
    """What uv 0.13 does to make an environment, then to take it away as with `--clear`, in its order."""
    folder, python, config = root / "bin", root / "bin" / "python", root / "pyvenv.cfg"
    tag, ignored, lib = root / "CACHEDIR.TAG", root / ".gitignore", root / "lib"
    return [
        *(root.mkdir, tag.touch, ignored.touch, folder.mkdir),
        lambda: python.symlink_to(sys.executable),
        lambda: config.write_text(f"home = {Path(sys.executable).parent}\n", encoding="utf-8"),
        *(lib.mkdir, tag.unlink, ignored.unlink, lib.rmdir, python.unlink, folder.rmdir, config.unlink, root.rmdir),
    ]


def answers(path: str, *_: object) -> Answer:
    """What an interpreter says that does not find the environment in which it stands."""
    return Answer(path, sys.base_prefix, sys.base_prefix, path, "", "3.11.7", "cpython")


@pytest.mark.parametrize("name", ["", "bin/python"])
@pytest.mark.parametrize("state", range(15))
def test_made_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: int, name: str) -> None:
    """Whichever look is the first to see uv's next step: it is this environment, or one that is looked at again."""
    monkeypatch.setattr(interpreter, "_run", answers)
    root = tmp_path / "env"
    looks = ("stat", "lstat", "listdir", "readlink")
    real = {look: getattr(os, look) for look in looks}

    def count(step: Callable[[], object], at: int) -> int:
        """Finds the environment while one look is spoiled; how many there were."""
        seen = 0

        def look(kind: str, *given: Any, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == at:
                step()
            return real[kind](*given, **options)

        with monkeypatch.context() as patch:
            for kind in looks:
                patch.setattr(os, kind, partial(look, kind))
            found = find(str(root / name), environ={"HOME": str(tmp_path)}, cwd=str(tmp_path))
        assert found.root == str(root) or (found.again and found.root == sys.base_prefix), at
        return seen

    steps = uv_makes(root)
    at, total = 1, 2
    while at < total:
        shutil.rmtree(root, ignore_errors=True)
        for step in steps[:state]:
            step()
        total = count(steps[state] if state < len(steps) else list, at)
        at += 1
    assert total > 2
