"""Virtual environments and installations of Python, made by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import requirements

BASE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
PYTHON_LIBRARY = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def virtualenv(root: Path, *, base: str = BASE, configuration: str | None = None) -> str:
    """Writes a virtual environment as venv does it, without starting Python."""
    (root / "bin").mkdir(parents=True)
    (root / "lib" / PYTHON_LIBRARY / "site-packages").mkdir(parents=True)
    (root / "pyvenv.cfg").write_text(
        configuration if configuration is not None else f"home = {os.path.dirname(base)}\nversion = 3.11.2\n"
    )
    (root / "bin" / "python").symlink_to(base)
    (root / "bin" / "python3").symlink_to("python")
    return str(root)


def prefix(root: Path, *, conda: bool = False) -> str:
    """Makes a real installation of Python at a prefix: a copy of this one's binary, and links to its library."""
    real = Path(BASE)
    (root / "bin").mkdir(parents=True)
    shutil.copy2(real, root / "bin" / PYTHON_LIBRARY)
    for name in ("python3", "python"):
        (root / "bin" / name).symlink_to(PYTHON_LIBRARY)
    library = root / "lib" / PYTHON_LIBRARY
    library.mkdir(parents=True)
    standard = Path(os.__file__).parent
    for path in standard.iterdir():
        if path.name not in {"EXTERNALLY-MANAGED", "sitecustomize.py", "__pycache__", "site-packages"}:
            (library / path.name).symlink_to(path)
    for path in standard.parent.glob("libpython*"):
        (library.parent / path.name).symlink_to(path)
    if conda:
        (root / "conda-meta").mkdir()
        (root / "conda-meta" / "history").touch()
    code = "import sys; print(sys.prefix)"
    done = subprocess.run([root / "bin" / "python", "-I", "-c", code], capture_output=True, text=True, check=False)
    requirements.need(done.stdout == f"{root}\n", f"needs a Python that can be moved: {done.stdout}{done.stderr}")
    return str(root)
