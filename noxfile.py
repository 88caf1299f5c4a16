"""Everything that is run on this project: `nox` for what must pass, `nox -s NAME` for one session, `nox -l` for all."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import nox
from nox.command import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

nox.needs_version = ">=2025.2"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "venv"

PROJECT = nox.project.load_toml("pyproject.toml")
ALL = ["-m", "not soak and not browser and not tools"]  # what pytest runs where no session says otherwise


def install(session: nox.Session, *groups: str, package: bool = True) -> None:
    """The project itself and dependency groups of pyproject.toml; older pips know no --group."""
    wanted = nox.project.dependency_groups(PROJECT, *groups) if groups else ()
    session.install(*wanted, *(["."] if package else []))


@nox.session
def lint(session: nox.Session) -> None:
    """Style: ruff's rules, and its formatter."""
    install(session, "lint", package=False)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, for each platform."""
    install(session, "type")
    for platform in ("linux", "darwin", "win32"):
        session.run("mypy", "--platform", platform)


@nox.session
def interface(session: nox.Session) -> None:
    """Whether every public name of the installed package has its type written down; pyright fetches itself from npm."""
    install(session, "type")
    with session.chdir(session.create_tmp()):  # where no checkout hides the installed package
        session.run("pyright", "--verifytypes", "policy", "--ignoreexternal")


@nox.session
def tests(session: nox.Session) -> None:
    """Every test but the soak, the browser's and those of other tools; `nox -s tests -- ARGS` hands ARGS to pytest."""
    install(session, "test")
    session.run("pytest", *(session.posargs or ALL))


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """The same tests on each Python that is supported, where it is installed; `nox -s pythons-3.13` for one."""
    install(session, "test")
    session.run("pytest", *(session.posargs or ALL))


@nox.session
def coverage(session: nox.Session) -> None:
    """The same, with coverage of the programs that they start too: two halves at a time, for tests mostly wait."""
    install(session, "test", package=False)
    session.install("-e", ".")  # what console scripts import must be what is measured
    # Not `session.create_tmp`, which becomes TMPDIR: tests would work below this checkout and its environment.
    data = Path(session.virtualenv.location, "measured")
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    data.chmod(0o1777)  # some of the programs become other users, and write what they measured at their end
    session.env["COVERAGE_FILE"] = str(data / "coverage")
    apart = "--ignore-glob=*/end_to_end/test_"  # those of uv go with the other folders: so both take as long
    halves = [["tests/end_to_end", f"{apart}uv*", *ALL], ["tests", f"{apart}[!u]*", *ALL]]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(partial(measured, session), [session.posargs] if session.posargs else halves))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    if not all(results):
        session.error("tests failed while they were measured")


def measured(session: nox.Session, words: Sequence[str]) -> bool:
    """Runs pytest under coverage, and answers whether all passed: one that fails does not cost the figure."""
    try:
        said = session.run("coverage", "run", "-m", "pytest", "--durations=20", *words, silent=True)
    except CommandFailed:
        return False  # nox has shown what it said
    session.log(said)
    return True


@nox.session
def quick(session: nox.Session) -> None:
    """The tests one runs while working."""
    install(session, "test")
    session.run("pytest", "-m", "not slow and not soak and not browser and not tools", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Locks under load, kills and faults, for some minutes."""
    install(session, "test")
    session.run("pytest", "-m", "soak", "-o", "faulthandler_timeout=1800", *session.posargs)


@nox.session
def reliability(session: nox.Session) -> None:
    """What locks hold, into docs/reliability.md and docs/board.md; `-- --medium` and `-- --full` for more of it."""
    install(session, "test")
    session.run("python", "docs/reliability.py", *session.posargs)


def site(session: nox.Session) -> None:
    """The pages, into docs/_build/html."""
    session.run(
        "python", "docs/reference.py", env={"PYTHONPATH": "."}
    )  # the schemas stand beside the checkout's package
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-d", "docs/_build/doctrees", "docs", "docs/_build/html")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site, into docs/_build/html; a warning is an error, as is a link that leads nowhere."""
    install(session, "docs")
    site(session)


@nox.session
def playground(session: nox.Session) -> None:
    """The same site with its playground, for which npm fetches Pyodide, and the playground tried in Chromium."""
    install(session, "docs", "test")
    site(session)
    session.run("python", "docs/playground.py", "docs/_build/html")
    session.run("pytest", "-m", "browser", *session.posargs)


@nox.session
def tools(session: nox.Session) -> None:
    """Whether pipx, poetry, pdm and hatch, installed for it, change the environment that is locked for them."""
    install(session, "test")
    session.run("pytest", "-m", "tools", *session.posargs)


@nox.session
def uv(session: nox.Session) -> None:
    """What is predicted of uv's locks against strace, on eight releases, into docs/uv.md; some minutes."""
    install(session, "test")
    session.run("python", "docs/uv.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Costs beside those of peers, into docs/performance.md and docs/board.md; `-- --quick` sees that it works."""
    session.install("--upgrade", "pip")  # what an old one writes as a console script imports `re`
    install(session)
    for peer in nox.project.dependency_groups(PROJECT, "bench"):  # one by one: what cannot be installed is left out
        session.install(peer, success_codes=[0, 1], silent=True)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzzers over configuration files and patterns; `nox -s fuzz -- --seconds 600 --seed 2` for longer or others."""
    install(session, "test")
    session.install("atheris>=3", success_codes=[0, 1], silent=True)  # without it: random changes of the examples
    for target in ("read", "check", "globs"):
        session.run("python", "-m", "tests.fuzzing", target, "--seconds", "120", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and sources into dist/, checked and the same bytes when built again; a Homebrew formula into build/."""
    install(session, "release", package=False)
    made = []
    for number in ("first", "second"):
        folder = f"{session.create_tmp()}/{number}"
        shutil.rmtree(folder, ignore_errors=True)
        # the wheel is built from the source distribution, as an installation from it does
        session.run("python", "-m", "build", "--outdir", folder, silent=True)
        made.append({path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())})
    if made[0] != made[1]:
        session.error("two builds gave different bytes")
    direct = f"{session.create_tmp()}/direct"
    shutil.rmtree(direct, ignore_errors=True)
    session.run("python", "-m", "build", "--wheel", "--outdir", direct, silent=True)
    (wheel,) = Path(direct).glob("*.whl")
    if wheel.read_bytes() != made[0][wheel.name]:
        session.error("the source distribution gives another wheel than the checkout")
    session.run("twine", "check", "--strict", *(str(path) for path in sorted(Path(folder).iterdir())))
    shutil.copytree(folder, "dist", dirs_exist_ok=True)
    archive = next(Path("dist").glob("*.tar.gz"))
    formula = session.run("python", "recipes/homebrew.py", str(archive), silent=True)
    Path("build").mkdir(exist_ok=True)  # PyPI takes all that is in dist/
    Path("build/lock-policy.rb").write_text(str(formula), encoding="utf-8")


@nox.session
def release(session: nox.Session) -> None:
    """A release of the version in policy/__init__.py: its changes go into CHANGELOG.md, its files into dist/."""
    install(session, "release", package=False)
    found = re.search(r'__version__ = "(.+)"', Path("policy/__init__.py").read_text(encoding="utf-8"))
    if not found:
        session.error("policy/__init__.py names no version")
    session.run("towncrier", "build", "--yes", "--version", found[1])
    session.notify("build")
