"""The commands' start, beside the unrelated distribution of the name `policy`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

START = "import sys; from lock_policy import main; sys.exit(main())"
# The files of PyPI's policy 1.0.0 that are read first.
FOREIGN = {
    "__init__.py": "__all__ = ['Enforcer']\nfrom policy.enforcer import Enforcer\nfrom policy import checks\n",
    "enforcer.py": "from policy import checks, _parser\n",
    "checks.py": "class Check: pass\n",
    "_parser.py": "from policy.checks import Check\n",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with what a wheel of this project installs."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(factories.CHECKOUT / "policy", tmp_path / "site" / "policy", ignore=ignored)
    shutil.copy(factories.CHECKOUT / "lock_policy.py", tmp_path / "site")
    return tmp_path / "site"


def overwrite(site: Path) -> None:
    """Installs the other distribution over it."""
    for name, text in FOREIGN.items():
        (site / "policy" / name).write_text(text, encoding="utf-8")
    info = site / "policy-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: policy\nVersion: 1.0.0\n", encoding="utf-8")


def run(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as its console script does, with nothing else on the path."""
    program = [sys.executable, "-S", "-c", START]
    return factories.policy(*words, environ={"PYTHONPATH": str(site)}, cwd=site, program=program)


def test_ours(site: Path) -> None:
    """Where nothing is overwritten the command runs."""
    done = run(site, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(("words", "code"), [(["explain"], 2), (["run", "--", "true"], 125)])
def test_overwritten(site: Path, words: list[str], code: int) -> None:
    """The other distribution is named in one line with what to do, and nothing else is said or done."""
    overwrite(site)
    done = run(site, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == (
        f"policy: error: the package in {site}/policy is not lock-policy's: the unrelated distribution `policy` 1.0.0 "
        "has overwritten it; run: python -m pip uninstall policy && python -m pip install --force-reinstall --no-deps "
        "lock-policy\n"
    )


def test_uninstalled(site: Path) -> None:
    """Uninstalling the other one leaves files missing, which is said as well."""
    (site / "policy" / "__init__.py").unlink()
    done = run(site, "explain")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("run: python -m pip install --force-reinstall --no-deps lock-policy\n")


def test_something_else_is_missing(site: Path) -> None:
    """A dependency that is missing is not blamed on the other distribution."""
    (site / "policy" / "commands" / "options.py").write_text("import no_such_module\n", encoding="utf-8")
    done = run(site, "explain")
    assert "no_such_module" in done.stderr
    assert "unrelated" not in done.stderr
