"""Puts what the playground runs into a site that was built: `python docs/playground.py docs/_build/html`.

That is Pyodide, which npm fetches, and the wheels of lock-policy and of what it needs, which pip builds and fetches.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYODIDE = "314.0.7"
FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json", "python_stdlib.zip")


def fetch(npm: str, folder: Path) -> None:
    """Python for the browser, from the registry that npm is configured for; npm compares it with its checksum.

    Args:
        npm: The program.
        folder: Where the files go.

    Raises:
        subprocess.CalledProcessError: When npm fails.
    """
    with tempfile.TemporaryDirectory() as packed:
        command = [npm, "pack", f"pyodide@{PYODIDE}", "--silent", "--pack-destination", packed]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(packed).glob("*.tgz")
        with tarfile.open(archive) as package:
            for name in FILES:
                found = package.extractfile(f"package/{name}")
                assert found is not None, name  # noqa: S101  (they are regular files of the package)
                (folder / name).write_bytes(found.read())


def build(folder: Path) -> list[str]:
    """The wheel of this checkout, and those that it depends on.

    Args:
        folder: Where they go.

    Returns:
        Their names.

    Raises:
        subprocess.CalledProcessError: When pip fails.
        RuntimeError: When one of them is not Python alone, which a browser could not run.
    """
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    names = sorted(path.name for path in folder.glob("*.whl"))
    compiled = [name for name in names if not name.endswith("-none-any.whl")]
    if compiled:
        raise RuntimeError(f"{', '.join(compiled)}: not Python alone")
    return names


def write(site: Path, npm: str) -> None:
    """All parts, in place of those that were there.

    Args:
        site: The folder of the built site.
        npm: The program.
    """
    place = site / "_static" / "playground"
    for name in ("pyodide", "wheels"):
        shutil.rmtree(place / name, ignore_errors=True)
        (place / name).mkdir(parents=True)
    fetch(npm, place / "pyodide")
    (place / "wheels.json").write_text(json.dumps(build(place / "wheels")), encoding="utf-8")


if __name__ == "__main__":
    found = shutil.which("npm")
    if not found:
        sys.exit("npm is not installed; it fetches Pyodide")
    write(Path(sys.argv[1]), found)
