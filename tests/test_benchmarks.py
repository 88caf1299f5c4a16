"""That the benchmarks work at all, and that board and pages have what they measure; the figures are for people."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

if sys.platform == "win32":
    pytest.skip("they start processes with posix_spawn", allow_module_level=True)

from benchmarks import report
from tests import requirements, servers

ROOT = Path(__file__).parent.parent
SERVER = {"a lock on a server, a connection for each, against open, flock, close"}
ROWS = {  # what is measured wherever this suite runs
    "`policy explain`, 5 rules, against `python -c pass`",
    "`policy explain`, 100 rules against 5",
    "`policy run -- true`, 5 rules, against `python -c pass`",
    "`policy run --shared -- true`, against `policy run -- true`",
    "`policy run -- true`, a server is named and not asked, against none",
    "a warm decision, 5 rules, against hand-written `if`",
    "a warm decision, 100 rules such as `**/app-17/**`, against a regex loop",
    "`policy.lock(env, rules=rules)` and release, against a reused `FileLock`",
    "`policy.lock(env, rules=rules, shared=True)`, a reader, against `policy.lock(env, rules=rules)`",
    'the gate alone, `lock = "global"`, against `policy.lock(env, rules=rules)`',
    "`policy.lock()`, 8 processes wait, hand-off, against a blocking flock",
    "memory of `policy run` beside its command",
    "`policy check`, 10 rules",
    "`policy check`, 100 rules",
    "`policy locks` with 20 held",
    "`policy users` looks at 20 processes",
    "`policy doctor` on this machine",
    "a shim, `pip install x`, against `python -c pass`",
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a quick run writes."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "a warm decision" in done.stdout
    return folder


def data(folder: Path, name: str) -> dict[str, Any]:
    """What a run has kept."""
    kept: dict[str, Any] = json.loads((folder / "figures" / f"{name}.json").read_text("utf-8"))
    return kept


def pictures(text: str) -> set[str]:
    """The pictures that a page shows."""
    return set(re.findall(r"\]\((figures/[\w-]+\.svg)\)", text))


@pytest.mark.slow
def test_every_row(measured: Path) -> None:
    """A quick run measures each row that needs no peer, and those of a server where one can be started."""
    rows = {row["what"] for family in data(measured, "bench")["families"] for row in family["rows"]}
    assert ROWS - rows == set()
    server = bool(servers.binaries() and importlib.util.find_spec("psycopg"))
    requirements.need(available=server, reason="needs PostgreSQL and psycopg")
    assert SERVER - rows == set()


@pytest.mark.slow
def test_pages(measured: Path) -> None:
    """Page and board have each row with its verdict, and a picture of each plot for light and dark pages."""
    board, page = ((measured / name).read_text("utf-8") for name in ("board.md", "performance.md"))
    kept = data(measured, "bench")
    for row in (row for family in kept["families"] for row in family["rows"]):
        verdict = {True: "yes", False: "**no**", None: ""}[row["met"]]
        line = report.close(f"| {row['what']} | {row['target']} | {row['measured']} | {verdict} |")
        assert line in board
        assert line in page
    assert {f"figures/{path.name}" for path in (measured / "figures").glob("*.svg")} == pictures(board)
    assert pictures(page) <= pictures(board)
    for text in (board, page, json.dumps(kept)):
        assert str(ROOT) not in text
        assert not re.search(r"/(home|root|work|usr)\b", text)


@pytest.mark.slow
def test_plots(measured: Path) -> None:
    """Each plot names its axis, says which direction is better, labels what it shows, and is there for both themes."""
    for family in data(measured, "bench")["families"]:
        for plot in family["plots"]:
            for theme in ("light", "dark"):
                svg = ET.parse(measured / "figures" / f"{plot['name']}-{theme}.svg").getroot()  # noqa: S314  (our own)
                words = [element.text or "" for element in svg.iter("{http://www.w3.org/2000/svg}text")]
                assert f"{plot['axis']}; smaller is better".replace("`", "") in words
                for name in plot["values"] or plot["curves"]:
                    assert name.replace("`", "") in words


@pytest.mark.parametrize("name", ["bench", "reliability"])
def test_the_board_has_what_was_measured(name: str) -> None:
    """Each target whose figure is kept stands on the board of the documentation, and each picture of it exists."""
    docs = ROOT / "docs"
    board = (docs / "board.md").read_text("utf-8")
    assert all((docs / path).is_file() for path in pictures(board))
    if not (docs / "figures" / f"{name}.json").exists():
        assert f"Not measured yet: `nox -s {name}` does." in board
        return
    for row in (row for family in data(docs, name)["families"] for row in family["rows"]):
        assert report.close(f"| {row['what']} | {row['target']} | {row['measured']} |") in board


def test_the_board_is_fresh(tmp_path: Path) -> None:
    """The board is what `python -m benchmarks.board` makes of the data that is kept."""
    (tmp_path / "figures").mkdir()
    for kept in (ROOT / "docs" / "figures").glob("*.json"):
        shutil.copy(kept, tmp_path / "figures")
    code = f"from benchmarks import board; board.draw({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert (tmp_path / "board.md").read_text("utf-8") == (ROOT / "docs" / "board.md").read_text("utf-8")
    drawn, shown = ({path.name for path in (at / "figures").glob("*.svg")} for at in (tmp_path, ROOT / "docs"))
    assert drawn == shown
