"""Programs that take part: a uv that says any version, packages, configuration files."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from policy.commands.health import programs
from policy.commands.health.finding import NOTE, WRONG, Surroundings
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from policy.commands.health.finding import Finding

if sys.platform == "win32":
    pytest.skip("needs POSIX programs", allow_module_level=True)


def here(tmp_path: Path, root: Path | None = None, **environ: str) -> Surroundings:
    """What is looked at."""
    variables = {**factories.alone(tmp_path), "PYTHONPATH": str(factories.CHECKOUT), **environ}
    environment = factories.environment(str(root)) if root else None
    return Surroundings(variables, str(tmp_path), "/tmp", environment)


def uv(tmp_path: Path, version: str) -> str:
    """A PATH with a program that says it is a release of uv."""
    file = factories.written(tmp_path / "bin" / "uv", f"#!/bin/sh\necho 'uv {version} (x 2026)'\n")
    file.chmod(0o755)
    return f"{tmp_path / 'bin'}:/usr/bin:/bin"


def codes(found: Iterable[Finding]) -> list[str]:
    """The codes of what was found."""
    return [finding.code for finding in found]


@pytest.mark.parametrize(
    ("version", "writable", "expected"),
    [
        ("0.7.11", False, []),
        ("0.7.12", False, ["uv-fails-read-only"]),
        ("0.7.18", False, ["uv-fails-read-only"]),
        ("0.7.19", False, ["uv-unlocked-read-only"]),
        ("0.13.9", False, ["uv-unlocked-read-only", "uv-gives-up"]),
        ("0.7.12", True, []),
        ("0.13.9", True, ["uv-gives-up"]),
    ],
)
def test_uv(tmp_path: Path, version: str, writable: bool, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a release does to an environment that cannot be written, by its version."""
    monkeypatch.setattr(programs, "lock_errno", lambda _: 0 if writable else 30)
    root = factories.virtualenv(tmp_path / "env")
    assert codes(programs.uv(here(tmp_path, root, PATH=uv(tmp_path, version)))) == expected


@pytest.mark.parametrize(
    ("version", "variable", "expected"),
    [
        ("0.9.15", "5", []),
        ("0.9.16", "5", [WRONG]),
        ("0.9.16", "", [NOTE]),
        ("0.13.9", "300", [NOTE]),
        ("0.13.9", "abc", [NOTE]),
        ("0.13.9", "86400", []),
    ],
)
def test_uv_timeout(tmp_path: Path, version: str, variable: str, expected: list[str]) -> None:
    """From 0.9.16 on a uv works without its lock after some time; when nobody has chosen that it is a note."""
    surroundings = here(tmp_path, PATH=uv(tmp_path, version), UV_LOCK_TIMEOUT=variable)
    found = list(programs.uv(surroundings))
    assert [finding.severity for finding in found] == expected
    for finding in found:
        assert finding.code == "uv-gives-up"
        script = f"{finding.remedy}; echo $UV_LOCK_TIMEOUT"
        value = subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True, text=True).stdout.strip()
        assert list(programs.uv(here(tmp_path, PATH=uv(tmp_path, version), UV_LOCK_TIMEOUT=value))) == []


def test_uv_says_nothing(tmp_path: Path) -> None:
    """A uv that does not say its version; without one there is nothing to find."""
    uv(tmp_path, "")
    surroundings = here(tmp_path, PATH=uv(tmp_path, "of some kind"))
    assert codes(programs.uv(surroundings)) == ["uv-does-not-answer"]
    assert codes(programs.uv(here(tmp_path, PATH="/nowhere"))) == []


def test_foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unrelated distribution that installs the same package is named with its version."""
    assert codes(programs.foreign(here(tmp_path))) == []
    metadata = tmp_path / "policy-1.0.0.dist-info" / "METADATA"
    factories.written(metadata, "Metadata-Version: 2.1\nName: policy\nVersion: 1.0.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (finding,) = programs.foreign(here(tmp_path))
    assert finding.message.startswith(f"{tmp_path / 'policy'}: the distribution policy 1.0.0 ")


def test_configuration(tmp_path: Path) -> None:
    """A fault is said with its place; options of the command line choose the files."""
    assert codes(programs.configuration(here(tmp_path))) == []
    factories.written(tmp_path / "lock-policy.toml", "tiemout = 1\n")
    (finding,) = programs.configuration(here(tmp_path))
    assert finding.message.startswith("lock-policy.toml:1:1: error: unknown key")
    surroundings = here(tmp_path)
    without = Surroundings(surroundings.environ, surroundings.cwd, surroundings.gate, None, ("--no-config",))
    assert codes(programs.configuration(without)) == []


def test_cluster(tmp_path: Path) -> None:
    """Without a server configured there is nothing to ask; one that cannot be reached is found."""
    assert codes(programs.cluster(here(tmp_path))) == []
    text = '[cluster]\nengine = "postgresql"\nhost = "127.0.0.1"\nport = 1\n'
    factories.written(tmp_path / "home" / ".config" / "lock-policy" / "lock-policy.toml", text)
    (finding,) = programs.cluster(here(tmp_path))
    assert (finding.code, finding.remedy) == ("cluster", "policy cluster status")


def test_leaves_nothing(tmp_path: Path) -> None:
    """Asking the program itself caches nothing."""
    before = sorted(os.listdir(tmp_path))
    list(programs.configuration(here(tmp_path)))
    assert sorted(os.listdir(tmp_path)) == before
