"""Writes the matrix of docs/uv.md: what we predict of uv against what strace sees; `nox -s uv`, some minutes."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))  # a script finds what lies beside it, and the tests do not

from policy.uv.command import parse  # noqa: E402  (after the path)
from policy.uv.environment import environment, works_on_none  # noqa: E402  (the path is set above)
from policy.uv.locks import certain, locks  # noqa: E402  (the path is set above)
from policy.uv.release import version  # noqa: E402  (the path is set above)
from tests import real_uv  # noqa: E402  (the path is set above)
from tests.end_to_end.test_uv_traced import Stage, built, locked, traced  # noqa: E402  (the path is set above)

PAGE = REPOSITORY / "docs" / "uv.md"
BEGIN, END = "<!-- matrix: nox -s uv -->", "<!-- /matrix -->"
RELEASES = ("0.7.13", "0.7.18", "0.8.24", "0.9.30", "0.11.33", "0.12.24", "0.13.8", real_uv.NEWEST)
RIGHT, UNCERTAIN, WRONG = "right", "uncertain", "wrong"

COMMANDS = (
    "add tiny",
    "add --no-sync tiny",
    "add --frozen tiny",
    "remove dep",
    "sync",
    "sync --active",
    "sync -p {other}/bin/python",
    "sync --script script.py",
    "sync --active --script script.py",
    "lock",
    "run python -c pass",
    "run --no-sync python -c pass",
    "run --no-project python -c pass",
    "run script.py",
    "run ../elsewhere/script.py",
    "venv --allow-existing",
    "venv new",
    "version --bump patch",
    "pip install tiny",
    "pip install -p ../other/bin/python tiny",
    "pip install --target packages tiny",
    "pip uninstall dep",
    "pip list",
    "tool install tool",
)
_UNKNOWN_KEY = '[tool.uv]\nunknown = 1\n[tool.uv.pip]\npython = "{other}"\n'
# Variables, "-NAME" for what is taken away first, "FILE=TEXT" for what is written first.
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "nothing": {},
    "no .venv": {"-": ".venv"},
    ".venv is a file": {"-": ".venv", ">.venv": "{other}"},
    "VIRTUAL_ENV": {"VIRTUAL_ENV": "{other}"},
    "VIRTUAL_ENV is gone": {"VIRTUAL_ENV": "{base}/gone"},
    "CONDA_PREFIX": {"CONDA_PREFIX": "{other}", "CONDA_DEFAULT_ENV": "other"},
    "CONDA_PREFIX, base": {"CONDA_PREFIX": "{other}", "CONDA_DEFAULT_ENV": "base"},
    "UV_PYTHON, a virtual environment": {"UV_PYTHON": "{other}/bin/python"},
    "UV_PYTHON, a system interpreter": {"UV_PYTHON": "{python}"},
    "UV_PROJECT_ENVIRONMENT": {"UV_PROJECT_ENVIRONMENT": "{other}"},
    "UV_NO_PROJECT": {"UV_NO_PROJECT": "1"},
    "UV_NO_SYNC": {"UV_NO_SYNC": "1"},
    "UV_ISOLATED": {"UV_ISOLATED": "1"},
    "UV_PYTHON_SEARCH_PATH": {"UV_PYTHON_SEARCH_PATH": "{other}/bin"},
    "uv.toml with pip.python": {"UV_NO_CONFIG": "", ">uv.toml": '[pip]\npython = "{other}"\n'},
    "[tool.uv] with an unknown key": {
        "UV_NO_CONFIG": "",
        "+pyproject.toml": '[tool.uv]\nunknown = 1\n[tool.uv.pip]\npython = "{other}"\n',
    },
}


def main() -> None:
    """Runs the matrix and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", nargs="*", default=RELEASES)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    rows, misses = [], []
    total: Counter[str] = Counter()
    for release in options.releases:
        with tempfile.TemporaryDirectory(prefix="uv-matrix-") as folder:
            counted, wrong = of_release(release, Path(folder).resolve(), options.jobs)
        total += counted
        misses += wrong
        name = real_uv.installed(release).parent.parent.name.removeprefix("uv-")
        rows.append(f"| {name} | {counted[RIGHT]} | {counted[UNCERTAIN]} | {counted[WRONG]} | {counted.total()} |")
        print(rows[-1], *wrong, sep="\n", flush=True)  # noqa: T201  (a script)
    rows.append(f"| all | {total[RIGHT]} | {total[UNCERTAIN]} | {total[WRONG]} | {total.total()} |")
    write(rows, misses)


def of_release(release: str, base: Path, jobs: int) -> tuple[Counter[str], list[str]]:
    """Counts the verdicts on one uv, and lists what was wrong."""
    stage = built(base / "stage", real_uv.installed(release))
    cells = [(line, name) for line in COMMANDS for name in ENVIRONMENTS]
    counted: Counter[str] = Counter()
    wrong = []
    with ThreadPoolExecutor(jobs) as pool:
        for (line, name), (verdict, detail) in zip(
            cells, pool.map(lambda cell: judged(stage, base, *cell), cells), strict=True
        ):
            counted[verdict] += 1
            if verdict == WRONG:
                wrong.append(f"- {stage.uv.parent.parent.name.removeprefix('uv-')}, {name}: `uv {line}`: {detail}")
    return counted, wrong


def judged(stage: Stage, base: Path, line: str, name: str) -> tuple[str, str]:
    """Whether uv locks what is predicted for one command in one environment."""
    folder = Path(tempfile.mkdtemp(dir=base))
    try:
        copied = copy(stage, folder / "s")
        environ = prepared(copied, ENVIRONMENTS[name])
        argv = [str(copied.uv), *(copied.filled(word) for word in line.split())]
        command = parse(argv, environ, str(copied.project))
        if command is None:
            raise AssertionError(line)
        works_on = environment(command)
        if not certain(command, works_on):  # as `policy run` does
            command.release = version(command.launch, environ)
            works_on = environment(command)
        predicted = set(locks(command, works_on))
        by_release = locks(command, works_on, command.release or version(command.launch, environ))
        sure = certain(command, works_on) or works_on_none(command)
        trace, code = traced(argv, environ, copied.project, folder / "trace")
        # What is in the environment, or stands for a system interpreter, is what a plan can hold.
        seen = {plain(path, copied) for path in locked(trace, copied.base / "home" / "uv-cache")}
        expected = {plain(path, copied) for path in predicted}
        missed = sorted(seen - expected)
        # Of a system interpreter's spellings uv takes one; what fails may fail before it locks anything.
        surely = {plain(path, copied) for path in by_release if os.path.basename(path) == ".lock"}
        idle = sorted(surely - seen) if code == 0 else []
        if not sure:
            return UNCERTAIN, ""
        if missed:
            return WRONG, f"locks {', '.join(missed)}, predicted {', '.join(sorted(expected)) or 'nothing'}"
        return (WRONG, f"does not lock {', '.join(idle)}") if idle else (RIGHT, "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy(stage: Stage, base: Path) -> Stage:
    """A copy of the stage for one command."""
    shutil.copytree(stage.base, base, symlinks=True)
    for path in (base / "other" / "pyvenv.cfg", base / "built" / "backend" / "slow_backend.py"):
        path.write_text(path.read_text(encoding="utf-8").replace(str(stage.base), str(base)), encoding="utf-8")
    shutil.rmtree(base / "home" / "tmp")
    real_uv.project(base / "elsewhere", more="[tool.uv]\nmanaged = true\n")
    shutil.copy(base / "project" / "plain.py", base / "elsewhere" / "script.py")
    return Stage(base, stage.uv)


def prepared(stage: Stage, changes: dict[str, str]) -> dict[str, str]:
    """Makes the changes of an environment, and gives the variables."""
    environ = stage.environ
    for name, value in changes.items():
        text = stage.filled(value) if "{" in value else value
        path = stage.project / name[1:]
        if name == "-":
            shutil.rmtree(stage.project / value)
        elif name.startswith(">"):
            path.write_text(text, encoding="utf-8")
        elif name.startswith("+"):
            path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
        elif text:
            environ[name] = text
        else:
            environ.pop(name, None)
    return environ


def plain(path: str, stage: Stage) -> str:
    """A path that is the same in each copy."""
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return real.replace(f"{stage.base}{os.sep}", "")


def write(rows: list[str], misses: list[str]) -> None:
    """Puts the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    table = "\n".join(["| uv | right | uncertain | wrong | of |", "|---|---|---|---|---|", *rows])
    listed = "\n".join(["", "What was wrong:", "", *misses, ""]) if misses else ""
    PAGE.write_text(f"{text[:begin]}\n\n{table}\n{listed}\n{text[end:]}", encoding="utf-8")


if __name__ == "__main__":
    main()
