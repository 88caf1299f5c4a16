from __future__ import annotations

import ast
from pathlib import Path

import pytest

from policy.checks.codes import CODES, ERROR, WARNING
from policy.checks.lint import check
from policy.config import layers
from policy.config.layers import Source

PACKAGE = Path(__file__).parents[2] / "policy"
SHOWN = [code.name for code in CODES.values() if code.example]


def found(tmp_path: Path, text: str, layer: str) -> list[str]:
    """The codes of what a file has, checked by itself."""
    file = tmp_path / "lock-policy.toml"
    file.write_text(text, encoding="utf-8")
    report = check([Source(layers.layer(layer), str(file))], together=False)
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize("name", SHOWN)
def test_example(tmp_path: Path, name: str) -> None:
    """The example of a code has that finding and no other, and the better one has none."""
    code = CODES[name]
    assert found(tmp_path, code.example, code.layer) == [name]
    assert found(tmp_path, code.better, code.layer) == []


@pytest.mark.parametrize("name", CODES)
def test_page(name: str) -> None:
    """Each code has a severity, and says in sentences what it means and what to do."""
    code = CODES[name]
    assert code.severity in {ERROR, WARNING}
    assert code.summary.endswith(".")
    assert code.remedy.endswith(".")
    assert bool(code.example) is bool(code.better)


def test_every_code_has_a_page() -> None:
    """Each code that some module writes is one that `policy rule` describes."""
    used = set()
    folders = [PACKAGE / name for name in ("toml", "config", "rules")]
    files = [path for folder in folders for path in folder.glob("*.py")]
    for path in [*files, PACKAGE / "checks" / "lint.py", PACKAGE / "checks" / "surroundings.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                used.add(node.value.value)
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {
                "Finding",
                "finding",
                "located",
            }:
                used |= {one.value for one in node.args[:2] if isinstance(one, ast.Constant) and "-" in str(one.value)}
    assert used >= {"syntax", "unknown-key", "ignored-file", "duplicate-name"}
    assert used <= set(CODES)
