"""What stands on the pages is true: each of their commands is run, and prints what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("pages are run by bash", allow_module_level=True)

from tests import pages

if TYPE_CHECKING:
    from pathlib import Path

PAGE = """\
<!-- setup: cd /tmp && greeting=hello -->

<!-- file: ~/a.txt -->
```text
one
```

```console
$ cat ~/a.txt
two
$ echo $greeting; false
$ echo $?
```

<!-- not run: it would take long -->
```console
$ sleep 1000
```
"""


@pytest.mark.slow
@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_page(page: Path) -> None:
    """Every command on the page prints what stands below it."""
    shown = page.read_text(encoding="utf-8")
    assert pages.fresh(page) == shown, f"stale: python -m tests.pages {page.relative_to(pages.ROOT)}, and read the diff"


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_readers_see_what_they_need(page: Path) -> None:
    """A hidden command only waits, as a reader's own typing does; a file's name stands before its content."""
    shown = page.read_text(encoding="utf-8")
    for step in pages.steps(shown):
        assert step.start >= 0 or not step.command or step.command.startswith("while policy run -q --timeout 0 ")
    for before, path in re.findall(r"(.*?)<!-- file: (\S+) -->", re.sub(r"<!-- setup.*?-->", "", shown), re.DOTALL):
        prose = before.rpartition("```")[2]
        assert path.rpartition("/")[2] in prose, f"{page}: the reader is not told to save {path}"


def test_llms() -> None:
    """docs/llms.txt lists every page of the documentation, by its title."""
    run = subprocess.run(
        [sys.executable, "-c", "import llms, sys; sys.stdout.write(llms.text())"],
        cwd=pages.ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
    )
    assert (pages.ROOT / "docs" / "llms.txt").read_text(encoding="utf-8") == run.stdout, "stale: python docs/llms.py"
    listed = set(re.findall(r"\]\(([^)]+)\.html\)", run.stdout))
    docs = pages.ROOT / "docs"
    found = {str(page.relative_to(docs).with_suffix("")) for page in docs.rglob("*.md") if "_build" not in str(page)}
    assert found - listed == {"index", "changes", "contributing"}


def test_runner(tmp_path: Path) -> None:
    """Commands see the page's files, each other's variables and exit codes; wrong output is replaced."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    expected = PAGE.replace("two\n$ echo $greeting; false\n", "one\n$ echo $greeting; false\nhello\n")
    assert pages.fresh(page) == expected.replace("$ echo $?\n", "$ echo $?\n1\n")


def test_names() -> None:
    """Names that differ from run to run are the same in every run, and different ones stay different."""
    names = pages.Names("/tmp/abcdefgh")
    one, other = "0123456789abcdef", "fedcba9876543210"
    seen = names.normal(f"{names.home}/x lock-{one}.lock lock-{other}.lock lock-{one}.lock pid 12 pid 13 pid 12")
    home, first, second, third, *pids = seen.split(maxsplit=4)
    assert (home, first == third, first == second) == ("/home/babbage/x", True, False)
    assert pids == ["pid 4711 pid 4712 pid 4711"]
