"""What the playground shows; tests/end_to_end/test_playground.py looks at it in a browser."""

from __future__ import annotations

import html
import importlib.util
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from policy.rules.supposition import DEFAULTS, FACTS
from tests import browser_page, factories

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

DOCS = factories.CHECKOUT / "docs"
PARTS = DOCS / "_static" / "playground"
STORE = '[[rules]]\nname = "store"\nmatch.interpreter = "/nix/store/*"\nlock = "global"\n'
EXAMPLES = json.loads((PARTS / "examples.json").read_text(encoding="utf-8"))


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that answers, at work in a project of a test."""
    spec = importlib.util.spec_from_file_location("answers", PARTS / "answers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("HOME", "/")
    monkeypatch.chdir(tmp_path)
    module.prepare(str(tmp_path / "you" / "project"))
    return module


def asked(answers: ModuleType, rules: str, **request: str) -> Any:
    """What is answered to rules and a request."""
    return json.loads(answers.answer(json.dumps({"rules": rules, "request": request})))


@pytest.mark.slow
@pytest.mark.parametrize("rules", ["", "[", "timout = 1\n", STORE + STORE, 'x = "é\u202e"\n', "\ud800"])
def test_check_is_the_command(answers: ModuleType, tmp_path: Path, rules: str) -> None:
    """What `policy check` prints about a file is shown byte for byte, whatever stands in it."""
    found = asked(answers, rules)
    shown = found["check"]
    assert ("All good" in shown) == (found["codes"] == [])
    project = tmp_path / "you" / "project"
    done = factories.policy("check", "lock-policy.toml", environ=factories.alone(tmp_path), cwd=project)
    assert shown == done.stderr + done.stdout != ""


def test_the_decision_follows_the_request(answers: ModuleType) -> None:
    """Another interpreter has another plan, and the page, the text and the data say the same."""
    for interpreter, rule, purposes in (
        ("/nix/store/x/bin/python", "store", ["gate"]),
        ("/home/you/.venv/bin/python", "environment", ["gate", "local"]),
    ):
        found = asked(answers, STORE, interpreter=interpreter)
        assert [entry["purpose"] for entry in found["record"]["plan"]] == purposes
        assert found["record"]["rule"]["name"] == rule
        assert f"decided by {rule} (" in found["text"]
        assert browser_page.texts(browser_page.tree(found["page"]), ".//~ol[@class='plan']/~li/~b") == purposes
        assert f"--assume interpreter={interpreter}" in found["command"]


def test_faults_are_said(answers: ModuleType) -> None:
    """Rules with a fault decide nothing; a fault of the request names the fact; the next answer is whole again."""
    assert asked(answers, "timout = 1\n")["fault"] == answers.FAULTY
    assert asked(answers, STORE, kind="x")["fault"].startswith("kind ")
    assert asked(answers, STORE, env="CI")["fault"] == "env: write NAME=VALUE, not CI"
    assert "fault" not in asked(answers, STORE, env=" A=1 \n\nB=x=y\n", operation=" ")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["title"])
def test_examples(answers: ModuleType, example: dict[str, Any]) -> None:
    """Each example is as its title says; one whose title says nothing is good, and its own rule decides."""
    found = asked(answers, example["rules"], **example["request"])
    if example["title"] == "Faults":
        assert "Found 3 errors" in found["check"]
        assert found["codes"] == ["unknown-key", "wrong-value"]
        assert "fault" in found
    elif "never reached" in example["title"]:
        assert "this rule is never reached" in found["check"]
        assert found["record"]["rule"]["name"] == "team"
    elif "the caller" in example["title"]:
        assert "who is kept out depends on the caller" in found["check"]
        assert found["record"]["rule"]["name"] == "builds"
    else:
        assert "All good" in found["check"]
        assert found["record"]["rule"]["layer"] == "project"


def test_the_form_asks_for_every_fact() -> None:
    """Each condition's fact has a field, and a field that is left empty shows what then counts."""
    page = (DOCS / "playground.md").read_text(encoding="utf-8")
    fields = dict(re.findall(r'<input data-fact="([^"]+)"(?: placeholder="([^"]*)")?', page))
    menus = dict(re.findall(r'<select data-fact="([^"]+)"><option value="">([^<]+)<', page))
    areas = re.findall(r'<textarea data-fact="([^"]+)"', page)
    assert {*fields, *menus, *areas} == set(FACTS)
    for key, shown in {**fields, **menus}.items():
        if shown and key != "operation":
            assert html.unescape(shown) == str(DEFAULTS[key]).replace("True", "true").replace("False", "false")


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No file of the playground names an address outside of the site, and a reader without JavaScript is told so."""
    for path in (*PARTS.iterdir(), DOCS / "playground.md"):
        if path.is_file():
            assert not re.search(r"https?:|[\"'(]//", path.read_text(encoding="utf-8")), path
    assert "<noscript>" in (DOCS / "playground.md").read_text(encoding="utf-8")


def test_without_npm(tmp_path: Path) -> None:
    """Where there is no npm, building the parts ends with one line."""
    command = [sys.executable, str(DOCS / "playground.py"), str(tmp_path)]
    done = subprocess.run(
        command, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "npm is not installed; it fetches Pyodide\n")
    assert list(tmp_path.iterdir()) == []
