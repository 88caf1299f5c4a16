"""Draws docs/explain.svg from the page of `policy explain --output-format html`: `python docs/picture.py`.

The request is supposed, so the picture is the same on every machine, and a test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from policy.config.layers import Source, layer
from policy.config.read import chain, read_file
from policy.render import render
from policy.render.page import STYLE
from policy.render.record import record
from policy.rules import supposition

PICTURE = Path(__file__).with_name("explain.svg")
WIDTH, HEIGHT = 960, 1016  # what the page needs, and a line more for wider fonts; a test with a browser measures it
LEFT_OUT = "<h2>Environment"
FILE = "/srv/report/lock-policy.toml"
RULES = b"""\
timeout = 60

[[rules]]
name = "scratch"
match = { filesystem = ["nfs*", "lustre"], operation = "sync" }
lock = "both"

[[rules]]
name = "shared"
match = { environment = "/srv/shared/*", writable = true }
lock = ["beside", "local"]
reason = "containers share this volume"
"""
FACTS = {
    "environment": "/srv/shared/analysis",
    "base-interpreter": "/usr/bin/python3.13",
    "filesystem": "ext4",
    "operation": "sync",
    "project": "/srv/report",
}


def drawn() -> str:
    """The page's text up to the rule that decides, in the frame of an SVG picture; it loads nothing."""
    rules = chain([read_file(Source(layer("project"), FILE), (FILE, RULES))])
    told = record(rules.decide(supposition.request(FACTS)))
    told["steps"] = [step for step in told["steps"] if step["outcome"] != "not-reached"]
    body = re.sub(r".*<main>|</main>.*", "", render("html", told), flags=re.DOTALL)
    parts = [part for part in re.split(r"(?=<h2>)", body) if not part.startswith(LEFT_OUT)]
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {size}>',
            f"<style>{STYLE}</style>",
            f"<foreignObject {size}>",
            f'<body xmlns="http://www.w3.org/1999/xhtml"><main>{"".join(parts)}</main></body>',
            "</foreignObject>",
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
