"""Writes docs/llms.txt, the list of pages for programs that read documentation (llmstxt.org): `python docs/llms.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

DOCS = Path(__file__).parent
SUMMARY = """\
> Rules in TOML decide which locks a Python environment gets. The command `policy` explains them, and holds them while a
> command runs; `import policy` does the same for a block of Python."""
SECTIONS = {
    "Learn": ("tutorial.md", "playground.md"),
    "How to": ("how-to/*.md",),
    "Reference": ("reference.md", "api.md"),
    "Explanation": ("explanation/*.md", "uv.md", "board.md", "reliability.md", "performance.md"),
}


def text() -> str:
    """The whole file: what this is, then each page with its address below the site and its title."""
    parts = ["# lock-policy", SUMMARY]
    for kind, patterns in SECTIONS.items():
        pages = [page for pattern in patterns for page in sorted(DOCS.glob(pattern))]
        lines = [f"- [{_title(page)}]({page.relative_to(DOCS).with_suffix('.html').as_posix()})" for page in pages]
        parts.append("\n".join([f"## {kind}", "", *lines]))
    return "\n\n".join(parts) + "\n"


def _title(page: Path) -> str:
    """The first heading of a page, or of the file that it includes."""
    content = page.read_text(encoding="utf-8")
    if included := re.match(r"```\{include\} (\S+)", content):
        content = (page.parent / included[1]).read_text(encoding="utf-8")
    found = re.search(r"^# (.+)$", content, re.MULTILINE)
    return found[1] if found else page.stem


if __name__ == "__main__":
    (DOCS / "llms.txt").write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{DOCS / 'llms.txt'} written\n")
