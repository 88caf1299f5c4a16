from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

import policy
from policy.environment.discovery import Environment, find
from policy.rules.request import Caller, Request
from policy.subject import Subject
from policy.uv import names
from policy.uv.command import parse
from policy.uv.environment import environment
from policy.wrap import NOT_AT_ALL, UV_LOCK_TIMEOUT, Adaptation, adaptation, lockable
from tests import factories, real_uv
from tests.real_uv import uv  # noqa: F401  (a fixture)

if TYPE_CHECKING:
    from pathlib import Path

    from policy.rules.decision import Decision

if sys.platform == "win32":
    pytest.skip("POSIX paths", allow_module_level=True)


def _decided(
    line: str, cwd: Path, environ: dict[str, str], root: Path | None = None, rules: policy.Rules | None = None
) -> tuple[Subject, Decision]:
    """A command, and what the rules, else the built-in ones, say about its environment, or that of a root."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(cwd), **environ}
    command = parse(line.split(), environ, str(cwd))
    named = environment(command) if root is None and command else None
    if named is None:
        found = find(str(root or cwd), environ=environ, cwd=str(cwd))
        asked = Request(found, Caller(environ, cwd=str(cwd)))
    else:
        asked = Request(named, Caller(environ, cwd=str(cwd)))
    return Subject(named, command), (rules or policy.load(no_config=True)).decide(asked)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an environment."""
    made = real_uv.project(tmp_path / "p")
    real_uv.virtualenv(made / ".venv")
    return made


ONLY_GLOBAL = {"UV_ONLY_GLOBAL_LOCKS": "1"}


@pytest.mark.parametrize(
    "line", ["uv add x", "uv add --no-sync x", "uv sync", "uv pip install x", "uv run x", "uv frob"]
)
def test_local_lock_is_left_to_uv(project: Path, line: str) -> None:
    """Where uv locks the environment, or might, nothing of a local plan is held, and uv waits as long as it takes."""
    command, decision = _decided(line, project, {"VIRTUAL_ENV": str(project / ".venv")}, project / ".venv")
    adapted = adaptation(command, decision)
    assert decision.lock == ("local",)
    assert adapted.left == {str(project / ".venv" / ".lock")}
    assert adapted.environ == {"UV_LOCK_TIMEOUT": UV_LOCK_TIMEOUT}


@pytest.mark.parametrize("line", ["uv pip list", "uv tree", "uv lock", "uv version --bump patch"])
def test_local_lock_is_held_where_uv_does_not(project: Path, line: str) -> None:
    """Where no release locks the environment, the plan is held; a later one that does gives up after its own 300 s."""
    adapted = adaptation(*_decided(line, project, {}, project / ".venv"))
    assert (adapted.left, adapted.environ, adapted.notes) == (frozenset(), {}, ())


def test_global_lock_is_held(project: Path) -> None:
    """A global lock is ours: nothing is left to uv, which takes its own beside it and waits for it."""
    adapted = adaptation(*_decided("uv add x", project, ONLY_GLOBAL))
    assert adapted.left == frozenset()
    assert adapted.environ == {"UV_LOCK_TIMEOUT": UV_LOCK_TIMEOUT}


def test_one_spelling_is_left_to_uv(tmp_path: Path) -> None:
    """Of a system interpreter that is named by its path uv takes one lock, and all the others are held."""
    for name in ("python3", "python"):
        (tmp_path / name).symlink_to(os.path.realpath(real_uv.public_python()))
    python = str(tmp_path / "python3")
    environ = {"TMPDIR": str(tmp_path)}
    command, decision = _decided(f"uv pip install -p {python} x", tmp_path, environ)
    own = names.path_lock(python, environ)
    assert adaptation(command, decision).left == {own}
    assert {lock.name for lock in decision.plan} - {own} == {
        decision.plan[0].name,
        names.path_lock(str(tmp_path / "python"), environ),
    }
    by_path = {**environ, "PATH": str(tmp_path)}
    adapted = adaptation(*_decided("uv pip install --system x", tmp_path, by_path))
    assert adapted.left == {own, names.path_lock(str(tmp_path / "python"), environ)}


def test_environment_reached_through_a_link(tmp_path: Path, project: Path) -> None:
    """The lock of uv is recognised in the plan whichever way leads to the environment."""
    (tmp_path / "link").symlink_to(project / ".venv")
    command, decision = _decided("uv sync", project, {}, tmp_path / "link")
    assert adaptation(command, decision).left == {str(tmp_path / "link" / ".lock")}


@pytest.mark.parametrize("lock", ["local", "both"])
def test_environment_that_uv_will_make(tmp_path: Path, lock: str) -> None:
    """No lock is made in the place of an environment that is not there: it would keep `uv venv` from making it."""
    project = real_uv.project(tmp_path / "p")
    (tmp_path / "rules.toml").write_text(f'[[rules]]\nlock = "{lock}"\n', encoding="utf-8")
    command, decision = _decided("uv venv", project, {}, rules=policy.load(config_file=tmp_path / "rules.toml"))
    adapted = adaptation(command, decision)
    assert (adapted.left, adapted.notes) == (frozenset(), ())


def test_lock_timeout_of_the_users(project: Path) -> None:
    """A timeout that the user gave uv is kept, and said; an empty one is none."""
    adapted = adaptation(*_decided("uv sync", project, {"UV_LOCK_TIMEOUT": "5"}))
    assert adapted.environ == {}
    assert any("UV_LOCK_TIMEOUT=5" in note for note in adapted.notes)
    assert adaptation(*_decided("uv sync", project, {"UV_LOCK_TIMEOUT": ""})).environ


@pytest.mark.parametrize("line", ["uv run x", "uv run --no-sync x", "uv run pytest -x", "uv run sh -c make"])
def test_run_reads(project: Path, line: str) -> None:
    """`uv run` is a reader for as long as its command lives, and the environment's own lock is left to uv."""
    adapted = adaptation(*_decided(line, project, {}))
    assert adapted.shared
    assert adapted.left == {str(project / ".venv" / ".lock")}


@pytest.mark.parametrize(
    "line", ["uv run pip install x", "uv run uv sync", "uv run python -m pip install x", "uv sync"]
)
def test_installers_write(project: Path, line: str) -> None:
    """An installer behind `uv run` changes the environment for as long as it lives, so it is no reader."""
    assert not adaptation(*_decided(line, project, {})).shared


def test_uv_inside_uv_run(project: Path) -> None:
    """A uv that `uv run` starts is adapted as if it had been started itself."""
    command, decision = _decided("uv run --no-sync uv pip install x", project, {})
    assert adaptation(command, decision).left == {str(project / ".venv" / ".lock")}
    command, decision = _decided("uv run --no-sync -- python -m uv pip list", project, {})
    assert adaptation(command, decision).left == frozenset()


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/r/.lock", True), ("/tmp/uv-0123.lock", True), ("/tmp/lock-policy-0123.lock", False), ("/r/x.lock", False)],
)
def test_lockable(path: str, expected: bool) -> None:
    """Files of uv differ from ours by their names."""
    assert lockable(path) is expected


def _unwritable(tmp_path: Path) -> tuple[Path, Path]:
    """A project, and a virtual environment that the user of `as_user` cannot write."""
    project = real_uv.project(tmp_path / "p")
    real_uv.virtualenv(tmp_path / "ro")
    return project, tmp_path / "ro"


_QUESTION = """
import json, os, sys
import policy
from policy.rules.request import Caller, Request
from policy.uv.command import parse
from policy.subject import Subject
from policy.uv.environment import environment
from policy.wrap import adaptation

command = parse(sys.argv[1:], os.environ, os.getcwd())
decision = policy.load(no_config=True).decide(Request(environment(command), Caller()))
adapted = adaptation(Subject(None, command), decision)
print(json.dumps([decision.lock, decision.environment.base_interpreter, adapted.environ, adapted.notes]))
"""


@pytest.mark.parametrize("extra", [{}, ONLY_GLOBAL], ids=["no-configuration", "only-global"])
def test_base_interpreter_for_releases_that_fail(uv: Path, tmp_path: Path, extra: dict[str, str]) -> None:
    """0.7.12 to 0.7.18 get the base interpreter where `UV_PYTHON` leads to what they cannot lock; a note says so."""
    project, root = _unwritable(tmp_path)
    environ = real_uv.clean_environ(
        tmp_path / "home", UV_PYTHON=str(root / "bin" / "python"), PYTHONPATH=real_uv.public_path(), **extra
    )
    for folder in (project, tmp_path / "home"):
        real_uv.given_to(folder)
    root.chmod(0o555)
    argv = [real_uv.public_python(), "-c", _QUESTION, str(uv), "add", "--no-sync", "tiny"]
    done = real_uv.as_user(argv, environ=environ, cwd=project)
    root.chmod(0o755)
    assert done.returncode == 0, done.stderr
    lock, base, changes, notes = json.loads(done.stdout)
    fails = real_uv.OLDEST in str(uv)
    assert lock == ["global"]
    assert changes.get("UV_PYTHON") == (base if fails else None)
    assert any("UV_PYTHON=" in note for note in notes) == fails


def test_base_interpreter_only_where_it_helps(tmp_path: Path) -> None:
    """What changes the environment never gets another one, nor does what can write it, nor an explicit choice."""
    project, root = _unwritable(tmp_path)
    binary = real_uv.installed(real_uv.OLDEST)
    environ = {"UV_PYTHON": str(root), **ONLY_GLOBAL}
    for line in ("pip install tiny", "sync", f"add --no-sync -p {root} tiny"):
        assert "UV_PYTHON" not in adaptation(*_decided(f"{binary} {line}", project, environ)).environ
    assert "UV_PYTHON" not in adaptation(*_decided(f"{binary} add --no-sync tiny", project, environ)).environ


def test_oldest_release_works_as_an_unprivileged_user(tmp_path: Path) -> None:
    """What the adaptation changes makes the release that fails work, for a real user who cannot write there."""
    project, root = _unwritable(tmp_path)
    binary = real_uv.installed(real_uv.OLDEST)
    environ = real_uv.clean_environ(
        tmp_path / "home",
        UV_FIND_LINKS=str(real_uv.wheelhouse(tmp_path / "wheels")),
        UV_PYTHON=str(root / "bin" / "python"),
    )
    for folder in (project, tmp_path / "home"):
        real_uv.given_to(folder)
    root.chmod(0o555)
    argv = [str(binary), "add", "--no-sync", "tiny"]
    failed = real_uv.as_user(argv, environ=environ, cwd=project)
    assert failed.returncode != 0
    assert "Permission denied" in failed.stderr
    base = Environment(str(root / "bin" / "python"), str(root), "virtualenv", os.path.realpath(root / "bin" / "python"))
    done = real_uv.as_user(argv, environ={**environ, "UV_PYTHON": base.base_interpreter}, cwd=project)
    assert done.returncode == 0, done.stderr
    root.chmod(0o755)


def test_adaptation_of_nothing() -> None:
    """A command for which nothing is different is held as planned."""
    nothing = Adaptation()
    assert (nothing.left, nothing.environ, nothing.notes, nothing.shared) == (frozenset(), {}, (), False)


def _uv_that_says(folder: Path, release: str) -> str:
    """A PATH with a uv that says its release; it counts how often it was asked."""
    script = factories.written(folder / "uv", f"#!/bin/sh\necho asked >>{folder}/asked\necho uv {release}\n")
    script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("line", ["make install", "sh -c make", "python script.py"])
def test_uv_inside_another_command(project: Path, tmp_path: Path, line: str) -> None:
    """All is held for another command; a uv in it goes on at once, or the file is left to it where it is too old."""
    lock = str(project / ".venv" / ".lock")
    (tmp_path / "cwd").mkdir()
    for release, left in (("0.9.16", False), ("0.13.9", False), ("0.9.15", True), ("0.7.13", True)):
        environ = {"PATH": _uv_that_says(tmp_path / release, release), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        _, decision = _decided(line, tmp_path / "cwd", environ, project / ".venv")
        for _ in range(2):
            adapted = adaptation(Subject(decision.environment, environ=environ), decision)
            assert adapted.left == ({lock} if left else frozenset())
            assert adapted.environ == ({} if left else {"UV_LOCK_TIMEOUT": NOT_AT_ALL})
            assert bool(adapted.notes) is left
        assert (tmp_path / release / "asked").read_text() == "asked\n"


def test_uv_of_the_environment_is_not_executed(project: Path) -> None:
    """The release of a uv in the environment itself is read from its metadata; one of the checkout is not executed."""
    _uv_that_says(project / ".venv" / "bin", "0.7.13")
    packages = project / ".venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "uv-0.9.15.dist-info").mkdir()
    environ = {"PATH": f"{project}/.venv/bin"}
    _, decision = _decided("make", project, environ, project / ".venv")
    assert adaptation(Subject(decision.environment, environ=environ), decision).left
    (packages / "uv-0.9.15.dist-info").rmdir()
    assert not adaptation(Subject(decision.environment, environ=environ), decision).left
    assert not (project / ".venv" / "bin" / "asked").exists()


def test_global_lock_needs_nothing(project: Path) -> None:
    """Where no file of uv's is held nothing is changed for another command."""
    _, decision = _decided("make", project, ONLY_GLOBAL, project / ".venv")
    adapted = adaptation(Subject(decision.environment), decision)
    assert (adapted.left, adapted.environ, adapted.notes) == (frozenset(), {}, ())


def test_the_lock_beside_is_left_to_pipx(tmp_path: Path) -> None:
    """Pipx locks the file beside its environment itself, and waits for it forever: for it alone it is not held."""
    root = tmp_path / "pipx" / "venvs" / "tool"
    beside = str(root.parent / ".tool.lock")
    rules = policy.load(
        config_file=factories.written(tmp_path / "rules.toml", '[[rules]]\nlock = ["beside", "local"]\n')
    )
    found = factories.environment(str(factories.virtualenv(root)))
    decision = rules.decide(Request(found, Caller({}, cwd=str(tmp_path))))
    assert beside in [lock.name for lock in decision.plan]
    assert adaptation(Subject(found, operation="pipx upgrade"), decision).left == {beside}
    assert adaptation(Subject(found, operation="pip install"), decision).left == frozenset()
