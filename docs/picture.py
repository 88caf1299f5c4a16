"""Draws docs/explain.svg from what `policy explain` really prints: `python docs/picture.py`.

The scene is made in a temporary directory, whose name is replaced by /srv.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from policy.uv.names import digest

PICTURE = Path(__file__).with_name("explain.svg")
SHOWN = "/srv"
COLUMNS = 118
RULES = """\
timeout = 60

[[rules]]
name = "scratch"
match = { filesystem = ["nfs*", "lustre"], operation = "sync" }
lock = "both"

[[rules]]
name = "shared"
match.environment = "{root}/shared/*"
lock = "global"
reason = "the whole team installs here, and cannot write the root"
"""


def scene(root: Path) -> str:
    """What `policy explain` prints in a project that works in a shared environment.

    Args:
        root: A new directory.

    Returns:
        The output with its colours, with /srv in place of the directory.
    """
    base = root / "python" / "bin" / "python3.12"
    environment, project = root / "shared" / "analysis", root / "work" / "report"
    for folder in (base.parent, environment / "bin", project):
        folder.mkdir(parents=True)
    base.touch(0o755)
    (environment / "bin" / "python").symlink_to(base)
    (environment / "pyvenv.cfg").write_text(f"home = {base.parent}\nversion = 3.12.8\n", encoding="utf-8")
    (project / "lock-policy.toml").write_text(RULES.replace("{root}", str(root)), encoding="utf-8")
    environ = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environ["COLUMNS"] = str(COLUMNS)
    environ |= {"HOME": str(root), "UV_PYTHON": str(environment / "bin" / "python"), "XDG_CONFIG_DIRS": str(root)}
    command = [sys.executable, "-m", "policy", "explain", "--color", "always"]
    output = subprocess.run(command, env=environ, cwd=project, capture_output=True, text=True, check=True).stdout
    named = re.sub(r"lock-policy-[0-9a-f]{16}", f"lock-policy-{digest(SHOWN)}", output)  # the same each time
    return named.replace(str(root), SHOWN)


def draw(output: str) -> str:
    """The output as an SVG picture of a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ policy explain", style="bold"))
    console.print(Text.from_ansi(output))
    from rich._export_format import CONSOLE_SVG_FORMAT

    # the picture names no host to load a font from
    style = CONSOLE_SVG_FORMAT[CONSOLE_SVG_FORMAT.index("@font-face") : CONSOLE_SVG_FORMAT.index(".{unique_id}-matrix")]
    return console.export_svg(
        title="lock-policy", code_format=CONSOLE_SVG_FORMAT.replace(style, ""), unique_id="explain"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PICTURE.write_text(draw(scene(Path(folder).resolve())), encoding="utf-8")
