"""Real releases of uv, small wheels for them to install, and another user to run them as.

uv comes from whatever index this machine's pip is configured for; it is installed once for each release, into `.cache`
at the repository's root.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from tests import requirements
from tests.factories import COVERAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent

OLDEST = "0.7.13"
"""A release that fails on an environment that it cannot write (0.7.12 to 0.7.18 do)."""

RELEASES = (OLDEST, "0.8.24", "0.9.30", "0.11.33")
"""The releases that are pinned; the newest one comes on top."""

NEWEST = "newest"
"""Stands for the release that pip finds without a version."""

NOBODY = 65534
"""A user and a group that own nothing; no entry in the passwd file is needed to become them."""

_DAY = 24 * 60 * 60
_INSTALL_SECONDS = 600


def installed(version: str = NEWEST) -> Path:
    """The uv binary of a release, installed if it is not there yet.

    The test skips where pip cannot install it.

    Args:
        version: A release, or `NEWEST`, which is looked for once a day.

    Returns:
        A path that every user of the machine can execute.
    """
    cache = _cache()
    if version == NEWEST:
        marker = cache / "newest-uv"
        with _locked(cache / "newest-uv.lock"):
            fresh = marker.is_file() and time.time() - marker.stat().st_mtime < _DAY
            if not (fresh and _binary(marker, cache).is_file()):
                release = _install("uv", cache)
                marker.write_text(release, encoding="utf-8")
        return _binary(marker, cache)
    binary = cache / f"uv-{version}" / "bin" / _NAME
    if not binary.is_file():
        with _locked(cache / f"uv-{version}.lock"):
            if not binary.is_file():
                _install(f"uv=={version}", cache)
    return binary


_NAME = "uv.exe" if os.name == "nt" else "uv"


def _binary(marker: Path, cache: Path) -> Path:
    return cache / f"uv-{marker.read_text(encoding='utf-8')}" / "bin" / _NAME


def _install(requirement: str, cache: Path) -> str:
    """Installs uv beside its final place and renames it, so that a torn installation is never found."""
    staging = Path(tempfile.mkdtemp(prefix="uv-", dir=cache))
    try:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(staging / "uv"))
        done = subprocess.run(
            (*pip, requirement), capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS
        )
        requirements.need(
            done.returncode == 0, f"needs {requirement}, which pip could not install: {done.stderr.strip()}"
        )
        release = next((staging / "uv").glob("uv-*.dist-info")).name.removeprefix("uv-").removesuffix(".dist-info")
        for path in (staging / "uv", *(staging / "uv").rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        final = cache / f"uv-{release}"
        if not final.exists():
            (staging / "uv").rename(final)
        return release
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def tools(*requirements_: str) -> Path:
    """A folder of programs from PyPI, installed if they are not there yet; apart, for prek takes a uv beside it.

    The test skips where pip cannot install them.

    Args:
        requirements_: The distributions.
    """
    cache = _cache()
    root = cache / "-".join(("tools", *requirements_))
    marker = root / "complete"
    with _locked(cache / "tools.lock"):
        if not marker.exists():
            virtualenv(root, sys.executable)
            pip = [sys.executable, "-m", "pip", "--python", str(root / "bin" / "python"), "install", "--quiet"]
            done = subprocess.run(
                [*pip, *requirements_], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
            )
            requirements.need(done.returncode == 0, f"needs {', '.join(requirements_)}: {done.stderr.strip()}")
            marker.touch()
    return root / "bin"


def with_uv(root: Path, binary: Path) -> Path:
    """A virtual environment whose `python -m uv` is a certain uv.

    Args:
        root: Where to put it.
        binary: The uv, as `installed` gave it.
    """
    python = virtualenv(root)
    packages = next((root / "lib").glob("python3*")) / "site-packages"
    (packages / "uv.pth").write_text(f"{binary.parent.parent}\n", encoding="utf-8")
    return python


def _cache() -> Path:
    """`.cache` at the repository's root; where it cannot be written, or other users cannot get there, a folder of ours.

    What is found there by others is executed, so it must belong to this user or to root and be writable by no one else.
    """
    cache = REPOSITORY / ".cache"
    try:
        cache.mkdir(exist_ok=True)
        cache.chmod(0o755)
    except OSError:
        pass
    if os.access(cache, os.W_OK) and (not _can_become_others() or reachable(cache)):
        return cache
    if sys.platform == "win32":
        cache = Path(tempfile.gettempdir()) / "lock-policy-tests"
        cache.mkdir(exist_ok=True)
        return cache
    cache = Path(tempfile.gettempdir()) / f"lock-policy-tests-{os.geteuid()}"
    cache.mkdir(mode=0o755, exist_ok=True)
    assert cache.stat().st_uid == os.geteuid(), f"{cache} belongs to someone else"
    assert not cache.is_symlink(), f"{cache} leads elsewhere"
    return cache


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock

    with FileLock(path):
        yield


def _can_become_others() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def reachable(path: str | Path) -> bool:
    """Whether every user can read a file, or enter a folder, going by the permissions for others on the way to it."""
    path = Path(path).resolve()
    if not path.exists():
        return False
    wanted = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & wanted == wanted and all(parent.stat().st_mode & 0o001 for parent in path.parents)


def public_python() -> str:
    """An interpreter outside of virtual environments that every user can run: this one's base, or one of the system.

    The test skips where there is none, as where Python lies in root's home.
    """
    own = getattr(sys, "_base_executable", sys.executable)
    minors = (".14", ".13", ".12", ".11", "")
    found = (own, *(f"{folder}/python3{minor}" for folder in ("/usr/local/bin", "/usr/bin") for minor in minors))
    usable = [path for path in found if reachable(path)] if _can_become_others() else [own]
    requirements.need(bool(usable), "needs a Python that every user can run")
    return usable[0]


def public_path() -> str:
    """PYTHONPATH with which `public_python` finds this project and what it needs, all of which is pure Python."""
    return os.pathsep.join((str(REPOSITORY), sysconfig.get_path("purelib")))


def clean_environ(home: str | Path, **more: str) -> dict[str, str]:
    """Environment variables for a uv that knows nothing of this machine's configuration and stays in one folder.

    Args:
        home: A folder of the test; made if it is missing.
        more: Variables on top.

    Returns:
        No `UV_*` but what keeps uv off the network and below `home`, no `LOCK_POLICY_*`, no `VIRTUAL_ENV`.
    """
    home = Path(home)
    for folder in (home, home / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    kept = ("PATH", "SYSTEMROOT", "PATHEXT", "COMSPEC", "WINDIR", "LD_LIBRARY_PATH")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "HOME": str(home),
        "USERPROFILE": str(home),
        "APPDATA": str(home / "appdata"),
        "LOCALAPPDATA": str(home / "localappdata"),
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(home / "tmp"),
        "TMP": str(home / "tmp"),
        "TEMP": str(home / "tmp"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CONFIG_DIRS": str(home / "config-dirs"),
        "XDG_DATA_HOME": str(home / "data"),
        **COVERAGE,
        "UV_CACHE_DIR": str(home / "uv-cache"),
        "UV_OFFLINE": "1",
        "UV_NO_INDEX": "1",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_MANAGED_PYTHON": "1",
        **more,
    }


def wheel(
    directory: str | Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    script: str = "",
    code: str = "",
) -> Path:
    """Writes a pure wheel of one module.

    Args:
        directory: Where to put it; made if it is missing.
        name: Of the distribution and of the module.
        version: Of the distribution.
        requires: Its requirements.
        script: The name of a console script that prints the module's name, if there is to be one.
        code: What the script does instead.

    Returns:
        The wheel.
    """
    info = f"{name}-{version}.dist-info"
    requirements = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    files = {
        f"{name}.py": code or f"def main():\n    print({name!r})\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirements}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script} = {name}:main\n"
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text.encode())}\n"
        for path, text in files.items()
    )
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    made = Path(directory) / f"{name}-{version}-py3-none-any.whl"
    made.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return made


def wheelhouse(directory: str | Path) -> Path:
    """A folder for `UV_FIND_LINKS`: `tiny` 1.0 and 2.0, `small` 1.0 that needs it, and `tool` 1.0 with a script.

    Every user can read it.
    """
    directory = Path(directory)
    for made in (
        wheel(directory, "tiny"),
        wheel(directory, "tiny", "2.0"),
        wheel(directory, "small", requires=["tiny"]),
        wheel(directory, "tool", script="tool"),
    ):
        made.chmod(0o644)
    directory.chmod(0o755)
    return directory


def project(directory: str | Path, **tables: str) -> Path:
    """A project for `uv add` and its kin: a pyproject.toml without a build system.

    Args:
        directory: Made if it is missing.
        tables: TOML to append, by any name.

    Returns:
        The directory.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    text = '[project]\nname = "app"\nversion = "1.0"\nrequires-python = ">=3.8"\ndependencies = []\n'
    (directory / "pyproject.toml").write_text("\n".join((text, *tables.values())), encoding="utf-8")
    return directory


@frozen
class Slow:
    """A source tree whose build stops until it is released on: uv waits for it while it holds its locks.

    Args:
        path: The source tree: `uv pip install PATH`, `uv add PATH`.
        started: Appears when the build is waiting.
        go: To be made by the test; the build waits 60 seconds at most.
    """

    path: Path
    started: Path
    go: Path

    def wait(self, running: subprocess.Popen[Any], seconds: float = 60) -> None:
        """Waits until the build has begun.

        Args:
            running: The process that builds; it must not end before.
            seconds: How long to wait.
        """
        until = time.monotonic() + seconds
        while not self.started.exists():
            assert running.poll() is None, f"ended with {running.returncode} before the build began: {_said(running)}"
            assert time.monotonic() < until, f"the build did not begin within {seconds} s"
            time.sleep(0.01)

    def proceed(self) -> None:
        """Lets the build go on."""
        self.go.touch()


def _said(running: subprocess.Popen[Any]) -> Any:
    return running.communicate(timeout=10)


def slow_project(directory: str | Path, name: str = "slow") -> Slow:
    """Writes a source tree of which not even the version is known before its own build backend has run.

    Args:
        directory: Where to put it; made if it is missing. Every user may write there, as the build makes a file.
        name: Of the distribution.

    Returns:
        The tree and the two files by which the test and the build speak to each other.
    """
    directory = Path(directory)
    (directory / "backend").mkdir(parents=True, exist_ok=True)
    slow = Slow(path=directory, started=directory / "started", go=directory / "go")
    (directory / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "slow_backend"\nbackend-path = ["backend"]\n'
        f'[project]\nname = "{name}"\ndynamic = ["version"]\n',
        encoding="utf-8",
    )
    (directory / "backend" / "slow_backend.py").write_text(
        _SLOW_BACKEND.format(name=name, started=str(slow.started), go=str(slow.go)), encoding="utf-8"
    )
    for path in (directory, directory / "backend"):
        path.chmod(0o777)
    return slow


_SLOW_BACKEND = """\
import os
import time
import zipfile

METADATA = "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: slow\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"


def wait():
    open({started!r}, "w").close()
    until = time.monotonic() + 60
    while not os.path.exists({go!r}) and time.monotonic() < until:
        time.sleep(0.01)


def prepare_metadata_for_build_wheel(directory, settings=None):
    wait()
    info = os.path.join(directory, "{name}-1.0.dist-info")
    os.makedirs(info)
    for file, text in (("METADATA", METADATA), ("WHEEL", WHEEL)):
        with open(os.path.join(info, file), "w") as stream:
            stream.write(text)
    return "{name}-1.0.dist-info"


def build_wheel(directory, settings=None, metadata=None):
    wait()
    wheel = "{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, wheel), "w") as archive:
        archive.writestr("{name}.py", "")
        for file, text in (("METADATA", METADATA), ("WHEEL", WHEEL), ("RECORD", "")):
            archive.writestr("{name}-1.0.dist-info/" + file, text)
    return wheel


build_editable = build_wheel
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
"""


def virtualenv(root: str | Path, python: str | None = None) -> Path:
    """Makes a virtual environment without pip.

    Args:
        root: Where to put it.
        python: Its base interpreter; by default one that every user can run.

    Returns:
        The interpreter of the new environment.
    """
    subprocess.run([python or public_python(), "-m", "venv", "--without-pip", root], check=True, timeout=60)
    return Path(root) / ("Scripts" if os.name == "nt" else "bin") / ("python.exe" if os.name == "nt" else "python")


def _identity(uid: int) -> dict[str, Any]:
    """What `subprocess` needs to become another user, or nothing where only the present one can be."""
    return {"user": uid, "group": uid, "extra_groups": []} if _can_become_others() else {}


def as_user(
    argv: Sequence[str | Path], *, environ: Mapping[str, str], uid: int = NOBODY, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end as a real unprivileged user: another one if the test runs as root, itself if not.

    Args:
        argv: The command.
        environ: All of its environment variables.
        uid: User and group; no entry in the passwd file is needed.
        options: For `subprocess.run`; by default the output is captured as text and the command may take two minutes.

    Returns:
        What became of it; the exit code is not checked.
    """
    options = {"capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run(argv, env=environ, check=False, **_identity(uid), **options)


def start_as_user(
    argv: Sequence[str | Path], *, environ: Mapping[str, str], uid: int = NOBODY, **options: Any
) -> subprocess.Popen[str]:
    """Starts a program as `as_user` does, and does not wait for it."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(argv, env=environ, **_identity(uid), **options)


def given_to(path: str | Path, uid: int = NOBODY) -> Path:
    """Gives a folder and all in it to the user of `as_user`, and lets every user come to it.

    Args:
        path: A folder of the test; folders above it that belong to this user become enterable by others.
        uid: User and group.

    Returns:
        The folder.
    """
    path = Path(path)
    if sys.platform != "win32" and os.geteuid() == 0:
        for one in (path, *path.rglob("*")):
            os.chown(one, uid, uid, follow_symlinks=False)
        for parent in path.resolve().parents:
            if not parent.stat().st_mode & 0o001 and parent.stat().st_uid == os.geteuid() and len(parent.parts) > 2:
                parent.chmod(parent.stat().st_mode | 0o011)
    return path


@pytest.fixture(params=[OLDEST, "0.8.24", NEWEST])
def uv(request: pytest.FixtureRequest) -> Path:
    """A real uv of each of the releases that differ most: `from tests.real_uv import uv` to use it."""
    return installed(request.param)


@pytest.fixture(params=[*RELEASES, NEWEST])
def every_uv(request: pytest.FixtureRequest) -> Path:
    """A real uv of each release that is tested."""
    return installed(request.param)
