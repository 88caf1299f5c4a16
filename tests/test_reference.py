"""docs/reference.md is what the code says."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_fresh() -> None:
    """The page in the repository is what the code makes."""
    fresh = _script().page() == (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert fresh, "stale: python docs/reference.py"


def test_every_variable_is_listed() -> None:
    """The environment variables of ours that the code names are those of the page."""
    found = {
        name
        for file in ROOT.glob("policy/**/*.py")
        for name in re.findall(r"LOCK_POLICY_[A-Z_]*[A-Z]", file.read_text(encoding="utf-8"))
    }
    assert found == set(_script().VARIABLES)


def test_the_command_that_mends_it_works(tmp_path: Path) -> None:
    """`python docs/reference.py` writes the page, next to itself."""
    script = tmp_path / "reference.py"
    script.write_bytes((ROOT / "docs" / "reference.py").read_bytes())
    subprocess.run([sys.executable, str(script)], cwd=ROOT, check=True, capture_output=True, env=_environ())
    assert (tmp_path / "reference.md").read_text(encoding="utf-8") == _script().page()


def _environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_every_name_has_an_anchor() -> None:
    """Each condition, setting, code, exit code and variable can be linked to, and no two anchors are the same."""
    script = _script()
    anchors = re.findall(r'<a id="([^"]+)"></a>', script.page())
    assert len(anchors) == len(set(anchors))
    expected = {f"match-{name}" for name in script.CONDITIONS}
    expected |= {f"rule-{name}" for name in script.RULE_KEYS} | {f"key-{name}" for name in script.FILE_KEYS}
    expected |= {f"code-{name}" for name in script.CODES} | {f"built-in-{rule.name}" for rule in script.BUILT_IN}
    expected |= {f"exit-{code}" for code in ("0", "1", "2", "124", "125", "126", "127")}
    expected |= {f"variable-{name.lower()}" for name in script.VARIABLES}
    assert expected <= set(anchors)
