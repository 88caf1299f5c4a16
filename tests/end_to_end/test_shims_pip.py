"""Five pips at once on one environment: with shims it stays whole, without them it does not."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import venv
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs a POSIX shell", allow_module_level=True)

pytestmark = pytest.mark.slow

VERSIONS = ("1.0", "2.0", "3.0", "4.0", "5.0")
FILES = 400


def wheel(folder: Path, version: str) -> None:
    """A package of many files, each of which says its version."""
    information = f"many-{version}.dist-info"
    texts = {f"many/m{number}.py": f"version = {version!r}\n" for number in range(FILES)}
    texts[f"{information}/METADATA"] = f"Metadata-Version: 2.1\nName: many\nVersion: {version}\n"
    texts[f"{information}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = []
    with zipfile.ZipFile(folder / f"many-{version}-py3-none-any.whl", "w") as file:
        for name, text in texts.items():
            file.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(text)}")
        file.writestr(f"{information}/RECORD", "\n".join([*record, f"{information}/RECORD,,"]) + "\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An environment with pip, beside wheels and shims."""
    venv.create(tmp_path / "env", with_pip=True, symlinks=True)
    (tmp_path / "wheels").mkdir()
    for version in VERSIONS:
        wheel(tmp_path / "wheels", version)
    environ = factories.alone(tmp_path)
    factories.policy("shims", tmp_path / "shims", environ=environ, cwd=tmp_path).check_returncode()
    return tmp_path / "env"


def install(root: Path, *folders: Path) -> bool:
    """Installs all versions at once; says whether one of them, whole, is what is there afterwards."""
    environ = {
        **factories.alone(root.parent),
        "PYTHONPATH": str(factories.CHECKOUT),
        "PATH": ":".join([*map(str, folders), str(root / "bin"), "/usr/bin", "/bin"]),
        "VIRTUAL_ENV": str(root),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(root.parent / "wheels"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    running = [
        subprocess.Popen(
            ["/bin/sh", "-c", 'exec pip "$@"', "sh", "install", "-q", "--no-deps", f"many=={version}"],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for version in VERSIONS
    ]
    codes = [process.wait(factories.TIMEOUT * 3) for process in running]
    packages = root / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    found = [*packages.glob("many-*.dist-info"), *packages.glob("~*")]
    versions = [path.name.removeprefix("many-").removesuffix(".dist-info") for path in found]
    texts = [path.read_text(encoding="utf-8") for path in packages.glob("many/*.py")]
    whole = (
        codes == [0] * len(VERSIONS)
        and len(found) == 1
        and (found[0] / "RECORD").exists()
        and texts == [f"version = {versions[0]!r}\n"] * FILES
    )
    for path in (*found, packages / "many"):
        shutil.rmtree(path, ignore_errors=True)
    return whole


def test_five_at_once(root: Path) -> None:
    """Through shims each pip finds the environment as the one before has left it: RECORD and all files are there."""
    assert [install(root, root.parent / "shims") for _ in range(2)] == [True, True]


def test_five_without(root: Path) -> None:
    """Without shims the same five leave several versions, files of different ones, or fail."""
    assert not all(install(root) for _ in range(10))
