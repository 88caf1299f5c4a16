"""What we predict of uv against what strace sees real uv do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from attrs import field, frozen

from policy.environment.discovery import Environment
from policy.uv import names
from policy.uv.command import parse
from policy.uv.environment import environment
from policy.uv.locks import certain, locks
from policy.uv.release import version
from tests import real_uv, requirements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")

_STRACE = ("strace", "-f", "-y", "-qq", "-s", "4096", "-e", "trace=flock,openat", "-o")
_FLOCK = re.compile(r"flock\(\d+<(?P<path>[^>]*)>, (?P<mode>[A-Z_|]+)\)\s*= 0")
_OPEN = re.compile(r'openat\([^,]*, "(?P<path>[^"]*)", O_RDWR[^)]*\)\s*= -1 (?P<errno>[A-Z]+)')
_SCRIPT = '# /// script\n# requires-python = ">=3.8"\n# dependencies = ["tiny"]\n# ///\nprint("script")\n'


@frozen
class Case:
    """A uv command in the project of `Stage`.

    Args:
        line: The command line, where `{name}` is an attribute of the stage.
        environ: Variables on top; `{name}` as in the line.
        prepare: uv commands to run before.
        without: What to remove from the project before.
        cwd: Where to start, below the stage's project.
        subset: Whether uv may lock only some of what is predicted.
        code: The exit code; None where releases differ.
    """

    line: str
    environ: Mapping[str, str] = field(factory=dict)
    prepare: Sequence[str] = ()
    without: Sequence[str] = ()
    cwd: str = ""
    subset: bool = False
    code: int | None = 0


@frozen
class Stage:
    """A project with an environment, another environment, interpreters on PATH, wheels: all below one folder.

    Args:
        base: The folder.
        uv: Which uv.
    """

    base: Path
    uv: Path

    @property
    def project(self) -> Path:
        """The project."""
        return self.base / "project"

    @property
    def other(self) -> Path:
        """The root of another virtual environment."""
        return self.base / "other"

    @property
    def python(self) -> Path:
        """A system interpreter."""
        return self.base / "py" / "python3"

    @property
    def environ(self) -> dict[str, str]:
        """Variables for uv, with the interpreters first on PATH."""
        return real_uv.clean_environ(
            self.base / "home",
            UV_FIND_LINKS=str(self.base / "wheels"),
            UV_LINK_MODE="copy",
            PATH=os.pathsep.join((str(self.base / "py"), "/usr/bin", "/bin")),
        )

    def filled(self, text: str) -> str:
        """A text with the stage's attributes put in."""
        return text.format(base=self.base, project=self.project, other=self.other, python=self.python)


def built(base: Path, uv: Path) -> Stage:
    """Sets the stage for one uv."""
    stage = Stage(base, uv)
    wheels = real_uv.wheelhouse(base / "wheels")
    real_uv.wheel(wheels, "dep")
    (base / "py").mkdir()
    for name in ("python", "python3"):
        (base / "py" / name).symlink_to(os.path.realpath(real_uv.public_python()))
    project = real_uv.project(stage.project)
    text = (project / "pyproject.toml").read_text(encoding="utf-8").replace("[]", '["dep"]')
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    (project / "plain.py").write_text("print('plain')\n", encoding="utf-8")
    (project / "script.py").write_text(_SCRIPT, encoding="utf-8")
    (project / "req.txt").write_text("tiny\n", encoding="utf-8")
    (project / "src").mkdir()
    real_uv.virtualenv(stage.other)
    built = real_uv.slow_project(base / "built", "built")
    built.proceed()
    real_uv.project(base / "workspace", workspace='[tool.uv.workspace]\nmembers = ["packages/*"]')
    member = real_uv.project(base / "workspace" / "packages" / "member")
    text = (member / "pyproject.toml").read_text(encoding="utf-8").replace('"app"', '"member"')
    (member / "pyproject.toml").write_text(text, encoding="utf-8")
    subprocess.run([uv, "sync", "--quiet"], cwd=project, env=stage.environ, check=True, timeout=60)
    return stage


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """One stage for each uv, set when it is first asked for."""
    del tmp_path_factory
    return {}


def fresh(request: pytest.FixtureRequest, stages: dict[str, Stage], tmp_path: Path, release: str) -> Stage:
    """A copy of the stage for one test."""
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    if release not in stages:
        stages[release] = built(factory.mktemp("stage"), real_uv.installed(release))
    base = tmp_path / "s"
    shutil.copytree(stages[release].base, base, symlinks=True)
    # What remembers where it was made.
    for path in (base / "other" / "pyvenv.cfg", base / "built" / "backend" / "slow_backend.py"):
        path.write_text(
            path.read_text(encoding="utf-8").replace(str(stages[release].base), str(base)), encoding="utf-8"
        )
    shutil.rmtree(base / "home" / "tmp")
    return Stage(base, stages[release].uv)


def traced(argv: Sequence[str | Path], environ: Mapping[str, str], cwd: Path, trace: Path) -> tuple[str, int]:
    """What strace says of the files that a command opens and locks, and its exit code."""
    requirements.need(shutil.which("strace") is not None, "needs strace")
    done = subprocess.run(
        [*_STRACE, trace, *argv], env=environ, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    requirements.need("ptrace" not in done.stderr, f"needs a strace that may trace: {done.stderr.strip()}")
    return trace.read_text(encoding="utf-8", errors="surrogateescape"), done.returncode


def locked(trace: str, cache: Path) -> set[str]:
    """The files that were locked exclusively, except for those of builds and of the entries of the cache."""
    found = set()
    for match in _FLOCK.finditer(trace):
        path = _unescaped(match["path"])
        of_cache = path.startswith(f"{cache}{os.sep}") and path != str(cache / ".lock")
        if "LOCK_EX" in match["mode"] and not of_cache and not os.path.basename(path).startswith("uv-setuptools-"):
            found.add(path)
    return found


def _unescaped(path: str) -> str:
    """A path as strace writes it, with octal escapes of what is not ASCII."""
    raw = re.sub(rb"\\([0-7]{1,3})", lambda match: bytes([int(match[1], 8)]), os.fsencode(path))
    return os.fsdecode(raw)


CASES = {
    "add": Case("add tiny"),
    "add-no-sync": Case("add --no-sync tiny"),
    "add-no-sync-variable": Case("add tiny", {"UV_NO_SYNC": "1"}),
    "add-no-sync-no-environment": Case("add --no-sync tiny", without=[".venv"], subset=True),
    "add-no-sync-UV_PYTHON": Case("add --no-sync tiny", {"UV_PYTHON": "{other}/bin/python"}, without=[".venv"]),
    "add-no-sync-UV_PYTHON-root": Case("add --no-sync tiny", {"UV_PYTHON": "{other}"}, without=[".venv"]),
    "add-no-sync-python-system": Case("add --no-sync --python {python} tiny", without=[".venv"]),
    "add-no-sync-UV_PYTHON-same-base": Case("add --no-sync tiny", {"UV_PYTHON": "{other}/bin/python"}, subset=True),
    "add-UV_PYTHON": Case("add tiny", {"UV_PYTHON": "{other}/bin/python"}),
    "add-frozen": Case("add --frozen tiny"),
    "add-active": Case("add --active tiny", {"VIRTUAL_ENV": "{other}"}),
    "add-inactive": Case("add tiny", {"VIRTUAL_ENV": "{other}"}),
    "add-UV_PROJECT_ENVIRONMENT": Case("add tiny", {"UV_PROJECT_ENVIRONMENT": "elsewhere"}),
    "add-script": Case("add --script plain.py tiny", subset=True),
    "remove": Case("remove dep"),
    "remove-no-sync": Case("remove --no-sync dep"),
    "remove-frozen": Case("remove --frozen dep"),
    "remove-script": Case("remove --script script.py tiny", subset=True),
    "sync": Case("sync"),
    "sync-below": Case("sync", cwd="src"),
    "sync-new": Case("sync", without=[".venv"]),
    "sync-frozen": Case("sync --frozen"),
    "sync-dry-run": Case("sync --dry-run"),
    "sync-check": Case("sync --check"),
    "sync-active": Case("sync --active", {"VIRTUAL_ENV": "{other}"}),
    "sync-absolute": Case("sync", {"UV_PROJECT_ENVIRONMENT": "{other}"}),
    "sync-python": Case("sync -p{other}/bin/python"),
    "sync-project": Case("sync --project {project}", cwd="../other"),
    "sync-UV_PROJECT": Case("sync", {"UV_PROJECT": "{project}"}, cwd="../other"),
    "sync-directory": Case("--directory {project} sync", cwd="../other"),
    "sync-script": Case("sync --script script.py"),
    "sync-workspace-member": Case("sync", cwd="../workspace/packages/member"),
    "sync-workspace-root": Case("sync", cwd="../workspace"),
    "lock": Case("lock"),
    "lock-check": Case("lock --check", code=None),
    "lock-script": Case("lock --script script.py"),
    "run": Case("run python -c pass"),
    "run-no-sync": Case("run --no-sync python -c pass"),
    "run-no-project": Case("run --no-project python -c pass"),
    "run-isolated": Case("run --isolated python -c pass"),
    "run-with": Case("run --with tiny -- python -c pass"),
    "run-plain-script": Case("run plain.py"),
    "run-script": Case("run script.py"),
    "run-active": Case("run --active python -c pass", {"VIRTUAL_ENV": "{other}"}),
    "run-outside": Case("run python -c pass", cwd="../home"),
    "run-uv": Case("run --no-sync {uv} pip install tiny"),
    "tree": Case("tree"),
    "export": Case("export"),
    "build": Case("build --wheel {base}/built"),
    "venv": Case("venv --allow-existing"),
    "venv-below": Case("venv", cwd="src"),
    "venv-new": Case("venv new"),
    "venv-other": Case("venv --allow-existing {other}"),
    "venv-no-project": Case("venv --no-project --allow-existing"),
    "init": Case("init sub"),
    "version": Case("version"),
    "version-bump": Case("version --bump patch"),
    "version-value": Case("version 3.0"),
    "version-bump-frozen": Case("version --bump patch --frozen"),
    "version-dry-run": Case("version 3.0 --dry-run"),
    "pip-install": Case("pip install tiny"),
    "pip-install-VIRTUAL_ENV": Case("pip install tiny", {"VIRTUAL_ENV": "{other}"}),
    "pip-install-CONDA_PREFIX": Case("pip install tiny", {"CONDA_PREFIX": "{other}"}),
    "pip-install-python": Case("pip install --python {other}/bin/python tiny"),
    "pip-install-python-root": Case("pip install -p {other} tiny"),
    "pip-install-python-joined": Case("pip install -qp{other}/bin/python tiny"),
    "pip-install-UV_PYTHON": Case("pip install tiny", {"UV_PYTHON": "{other}/bin/python"}),
    "pip-install-option-over-variable": Case(
        "pip install --python={other}/bin/python tiny", {"UV_PYTHON": "{python}", "VIRTUAL_ENV": "{project}/.venv"}
    ),
    "pip-install-target": Case("pip install --target packages tiny"),
    "pip-install-target-short": Case("pip install -t {base}/packages tiny", subset=True, code=None),
    "pip-install-prefix": Case("pip install --prefix=packages tiny"),
    "pip-install-system": Case("pip install --system --dry-run --break-system-packages tiny", subset=True),
    "pip-install-UV_SYSTEM_PYTHON": Case(
        "pip install --dry-run --break-system-packages tiny", {"UV_SYSTEM_PYTHON": "true"}, subset=True
    ),
    "pip-install-system-python": Case("pip install --dry-run --break-system-packages -p {python} tiny"),
    "pip-install-directory": Case("--directory {project} pip install tiny", cwd="../other"),
    "pip-sync": Case("pip sync req.txt"),
    "pip-sync-target": Case("pip sync --target packages req.txt"),
    "pip-uninstall": Case("pip uninstall dep"),
    "pip-uninstall-system": Case("pip uninstall --break-system-packages -p {python} there-is-no-such-distribution"),
    "pip-compile": Case("pip compile req.txt"),
    "pip-compile-file": Case("pip compile req.txt -o out.txt"),
    "pip-list": Case("pip list"),
    "pip-freeze": Case("pip freeze"),
    "pip-check": Case("pip check"),
    "pip-show": Case("pip show dep"),
    "pip-tree": Case("pip tree"),
    "tool-run": Case("tool run tool"),
    "tool-run-isolated": Case("tool run --isolated tool"),
    "tool-install": Case("tool install tool"),
    "tool-list": Case("tool list", prepare=["tool install tool"]),
    "tool-upgrade": Case("tool upgrade tool", prepare=["tool install tool"]),
    "tool-uninstall": Case("tool uninstall tool", prepare=["tool install tool"]),
    "tool-dir": Case("tool dir"),
    "python-list": Case("python list"),
    "python-find": Case("python find"),
    "python-pin": Case("python pin --no-project 3", code=None),
    "python-dir": Case("python dir"),
    "python-install": Case("python install 3.12", code=1),
    "python-uninstall": Case("python uninstall 3.12", code=None),
    "cache-clean": Case("cache clean"),
    "cache-prune": Case("cache prune"),
    "cache-dir": Case("cache dir"),
    "publish": Case("publish nothing.whl", code=2),
    "self-version": Case("self version"),
    "help": Case("help"),
}

QUICK = {
    "add",
    "add-no-sync",
    "add-no-sync-UV_PYTHON",
    "add-active",
    "remove",
    "sync",
    "sync-new",
    "lock",
    "run",
    "run-no-sync",
    "run-script",
    "venv",
    "pip-install",
    "pip-install-UV_PYTHON",
    "pip-install-target",
    "pip-install-system",
    "pip-install-system-python",
    "pip-uninstall",
    "pip-list",
    "tool-install",
    "version-bump",
    "sync-workspace-member",
}

BOTH_ENDS = (real_uv.OLDEST, real_uv.NEWEST)


def _parameters() -> list[object]:
    found: list[object] = []
    for release in (*real_uv.RELEASES, real_uv.NEWEST):
        for name, case in CASES.items():
            marks = () if name in QUICK and release in BOTH_ENDS else (pytest.mark.slow,)
            found.append(pytest.param(release, case, id=f"{release}-{name}", marks=marks))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("release", "case"), _parameters())
def test_uv_locks_what_we_predict(
    request: pytest.FixtureRequest, stages: dict[str, Stage], tmp_path: Path, release: str, case: Case
) -> None:
    """Real uv locks exactly the files that are predicted for its command line, on every release."""
    stage = fresh(request, stages, tmp_path, release)
    cwd = stage.project / case.cwd
    for line in case.prepare:
        subprocess.run(
            [stage.uv, *line.split()], cwd=cwd, env=stage.environ, check=True, capture_output=True, timeout=60
        )
    for name in case.without:
        shutil.rmtree(stage.project / name)
    line = case.line.replace("{uv}", str(stage.uv))
    argv = [str(stage.uv), *(stage.filled(word) for word in line.split())]
    environ = {**stage.environ, **{name: stage.filled(value) for name, value in case.environ.items()}}

    command = parse(argv, environ, os.path.realpath(cwd))
    assert command is not None
    works_on = environment(command)
    predicted = set(locks(command, works_on, version(command.launch, environ)))
    whatever_release = set(locks(command, works_on))

    trace, code = traced(argv, environ, cwd, tmp_path / "trace")
    assert case.code in {code, None}, trace[-2000:]
    seen = locked(trace, stage.base / "home" / "uv-cache")
    if case.subset or not certain(command, works_on):
        assert seen <= predicted
    else:
        assert seen == predicted
    assert predicted <= whatever_release


def test_uv_tries_the_lock_that_we_predict(
    request: pytest.FixtureRequest, stages: dict[str, Stage], tmp_path: Path
) -> None:
    """In an environment that it cannot write real uv tries to open the very file that is predicted, old and new."""
    requirements.need_root()
    for release in BOTH_ENDS:
        stage = fresh(request, stages, tmp_path / release, release)
        real_uv.given_to(stage.project)
        real_uv.given_to(stage.base / "home")
        shutil.rmtree(stage.project / ".venv")
        environ = {**stage.environ, "UV_PYTHON": str(stage.other / "bin" / "python")}
        argv = [str(stage.uv), "add", "--no-sync", "tiny"]
        command = parse(argv, environ, str(stage.project))
        assert command is not None
        works_on = environment(command)
        assert isinstance(works_on, Environment)
        assert works_on.root == str(stage.other)
        assert locks(command, works_on) == (names.environment_lock(str(stage.other)),)
        trace = stage.base / "home" / "trace"
        done = real_uv.as_user([*_STRACE, str(trace), *argv], environ=environ, cwd=stage.project)
        text = trace.read_text(encoding="utf-8")
        assert not locked(text, stage.base / "home" / "uv-cache"), done.stderr
        # The newer one tries to open the file first, the older one makes a temporary file beside it at once.
        tried = {os.path.dirname(match["path"]) for match in _OPEN.finditer(text) if match["errno"] == "EACCES"}
        assert str(stage.other) in tried, text[-2000:]
        assert (done.returncode == 0) == (release == real_uv.NEWEST), done.stderr
