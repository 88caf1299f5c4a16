"""What the tests of the core are made of: environments, requests, configuration files, and the program itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from policy.config import layers
from policy.config.layers import Query, Source
from policy.environment.discovery import Environment
from policy.rules.gate import path
from policy.rules.request import Caller, Request

CHECKOUT = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-m", "policy"]
Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

NOBODY = 65534  # a user that owns nothing
TIMEOUT = 60  # seconds after which a test counts as hung
# What lets coverage measure the programs that a test starts with variables of its own; empty unless it measures.
COVERAGE = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
UNMEASURED = dict.fromkeys(COVERAGE, "")  # for tests of what a program imports, or of interrupts at any moment

# Becomes another user only when all is imported: the user may not be able to read this Python, or this checkout.
_AS_NOBODY = """
import asyncio, argparse, contextlib, difflib, importlib, json, os, pkgutil, pwd, re, subprocess, sys, tomllib
import attrs, filelock, packaging.specifiers, tomli_w, unicodedata
import policy.api, policy.__main__
for module in pkgutil.walk_packages(policy.__path__, "policy."):
    with contextlib.suppress(ImportError):
        importlib.import_module(module.name)
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(%(user)d, %(user)d, %(user)d)
    os.setresuid(%(user)d, %(user)d, %(user)d)
"""


def virtualenv(root: Path) -> Path:
    """Makes a virtual environment (PEP 405) of this Python, as small as one can be."""
    (root / "bin").mkdir(parents=True)
    base = os.path.realpath(sys.executable)
    (root / "bin" / "python").symlink_to(base)
    (root / "pyvenv.cfg").write_text(f"home = {os.path.dirname(base)}\nversion = 3.11.7\n", encoding="utf-8")
    return root


def system_python(prefix: Path, python: str = sys.executable) -> Path:
    """Makes an interpreter outside of virtual environments, with a prefix of its own.

    Args:
        prefix: Where to put it.
        python: What it is a copy of.

    Returns:
        The interpreter; `python` and `python3` beside it are links to it.
    """
    real = Path(python).resolve()
    code = "import sys, sysconfig; print(sysconfig.get_path('stdlib')); print(sys.version_info[1])"
    library, minor = subprocess.run([real, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.split()
    binary = prefix / "bin" / f"python3.{minor}"
    own = prefix / "lib" / f"python3.{minor}"
    own.mkdir(parents=True)
    binary.parent.mkdir()
    binary.write_bytes(real.read_bytes())
    binary.chmod(0o755)
    for name in ("python3", "python"):
        (binary.parent / name).symlink_to(binary.name)
    for entry in Path(library).iterdir():
        if entry.name not in {"site-packages", "dist-packages", "EXTERNALLY-MANAGED"}:
            (own / entry.name).symlink_to(entry)
    (own / "site-packages").mkdir()
    return binary


def gate(root: str | Path) -> str:
    """The lock file outside of an environment that every plan takes first."""
    return path("/tmp", str(root))


def environment(
    root: str = "/srv/app/.venv", kind: str = "virtualenv", interpreter: str = "", base: str = "/usr/bin/python3.11"
) -> Environment:
    """An environment that need not exist."""
    return Environment(interpreter or f"{root}/bin/python", root, kind, base)


def request(
    environ: Mapping[str, str] | None = None,
    facts: Mapping[str, object] | None = None,
    *,
    cwd: str = "/",
    operation: str | None = None,
    project: str | None = None,
    **of_environment: str,
) -> Request:
    """A request about an environment that need not exist, by a caller with these variables and no others."""
    return Request(environment(**of_environment), Caller(environ or {}, cwd, operation, project), facts)


def query(tmp_path: Path, environ: Mapping[str, str] | None = None, **more: Any) -> Query:
    """A question for files that sees nothing outside of a test's own directory."""
    options: dict[str, Any] = {"cwd": str(tmp_path), "root": str(tmp_path), **more}
    return Query({**alone(tmp_path), **(environ or {})}, **options)


def alone(tmp_path: Path) -> dict[str, str]:
    """Variables under which no configuration of this machine is read."""
    return {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "home" / ".config"),
        "XDG_CONFIG_DIRS": str(tmp_path / "etc"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PATH": os.environ["PATH"],
        **COVERAGE,
    }


def written(path: Path, text: str) -> Path:
    """A file with a text, in directories that are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def source(path: Path, text: str, layer: str = "project", keys: tuple[str, ...] = ()) -> Source:
    """A configuration file, written and named."""
    return Source(layers.layer(layer), str(written(path, text)), keys)


def policy(
    *arguments: str | Path, environ: Mapping[str, str], cwd: Path, program: Sequence[str] = (), **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end.

    Args:
        arguments: Of the command line.
        environ: All of its environment variables.
        cwd: Its working directory.
        program: Another way to start it.
        options: For `subprocess.run`; by default the output is captured as text.
    """
    if not {"stdout", "stderr", "capture_output"} & options.keys():
        options["capture_output"] = True
    return subprocess.run(
        [*(program or PROGRAM), *arguments],
        env={"PYTHONPATH": str(CHECKOUT), **COVERAGE, **environ},
        cwd=cwd,
        check=False,
        **{"encoding": "utf-8", "timeout": TIMEOUT, **options},
    )


def as_nobody(
    code: str, *arguments: str | Path, environ: Mapping[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Runs code as a real user without privileges: another one if the test runs as root, itself if not."""
    program = [sys.executable, "-c", _AS_NOBODY % {"user": NOBODY} + code]
    measured = COVERAGE if _all_can_write(os.environ.get("COVERAGE_FILE", "")) else UNMEASURED
    return policy(*arguments, environ={**environ, **measured}, cwd=cwd, program=program)


def _all_can_write(file: str) -> bool:
    """Whether every user can make files beside a file, as coverage does for each process; False where none is named."""
    folder = Path(os.path.abspath(file)).parent
    reached = all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))
    return bool(file) and reached and bool(folder.stat().st_mode & 0o002)


def open_to_all(directory: Path) -> Path:
    """Lets every user enter a directory of a test, which pytest keeps to its own."""
    for folder in (directory, *directory.parents):
        found = folder.stat()
        if sys.platform == "win32" or found.st_uid != os.geteuid() or len(folder.parts) < 3:
            break
        folder.chmod(found.st_mode | 0o055)
    return directory


def texts(faults: Iterable[Any]) -> list[str]:
    """Faults as `LINE:COLUMN: MESSAGE`."""
    return [f"{fault.line}:{fault.column}: {fault.message}" for fault in faults]
