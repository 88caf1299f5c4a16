"""The promises of the board name tests that exist, and count what comes of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests import promises
from tests.promises import PROMISES, ROOT, Promise

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_one(number):
    assert number < 2

def test_one_more():
    pytest.skip("not here")
"""


@pytest.mark.parametrize("one", [one for several in PROMISES.values() for one in several], ids=lambda one: one.what)
def test_the_tests_exist(one: Promise) -> None:
    """Each promise is decided by tests that are there."""
    for name in one.tests:
        file, _, function = name.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not function or function in functions


@pytest.mark.slow
def test_cases_are_counted(tmp_path: Path) -> None:
    """Each case of a promise's tests is counted with its end, and no case of another test whose name begins alike."""
    (tmp_path / "test_example.py").write_text(EXAMPLE, encoding="utf-8")
    words = ["-p", "no:cacheprovider", "--junit-xml=report.xml", "test_example.py"]
    subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, check=False, capture_output=True)
    found = Counter(promises.outcomes(tmp_path / "report.xml"))
    one = promises.promise("", "", "test_example.py::test_one")
    assert Counter(end for (test, end) in found.elements() if promises.belongs(test, one)) == {"passed": 2, "failed": 1}
    file = promises.promise("", "", "test_example.py")
    assert sum(promises.belongs(test, file) for test, _ in found.elements()) == 4
