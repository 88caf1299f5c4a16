"""`policy diff` as it is called."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML  # check-jsonschema brings it

from policy.__main__ import main
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

OLD = '[[rules]]\nname = "a"\nlock = "local"\nmatch.user = "a"\n'
NEW = '[[rules]]\nname = "b"\nlock = "beside"\nmatch.user = "a*"\n'

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX paths")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without variables of ours and of git."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith(("LOCK_POLICY_", "GIT_"))]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def committed(here: Path) -> Path:
    """A repository whose file has another rule than the commit."""
    (here / "lock-policy.toml").write_text(OLD, encoding="utf-8")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    factories.written(here / "folder" / "a", "")
    for words in (["init", "-q"], ["add", "lock-policy.toml", "folder"], [*who, "commit", "-qm", "Rules"]):
        subprocess.run(["git", *words], cwd=here, check=True)
    (here / "lock-policy.toml").write_text(NEW, encoding="utf-8")
    return here


def _files(here: Path, old: str, new: str) -> list[str]:
    (here / "old.toml").write_text(old, encoding="utf-8")
    (here / "new.toml").write_text(new, encoding="utf-8")
    return ["old.toml", "new.toml"]


def test_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing differs that is said, and the exit code is 0."""
    assert main(["diff", *_files(here, OLD, f"# a comment\n{OLD}")]) == 0
    assert capsys.readouterr() == ("No difference: every environment and every caller gets the same as before\n", "")


@pytest.mark.slow
def test_replay(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`policy explain` answers each witness with the rule that diff says, under the old file and under the new one."""
    assert main(["diff", "--output-format", "json", *_files(here, OLD, NEW)]) == 1
    regions = json.loads(capsys.readouterr().out)["regions"]
    assert len(regions) > 1
    for region in regions:
        words = shlex.split(region["example"])[1:]
        for side in ("old", "new"):
            assert main([*words, "--config-file", f"{side}.toml", "--output-format", "json"]) == 0
            explained = json.loads(capsys.readouterr().out)
            assert explained["rule"]["name"] == region[side]["rule"]["name"]
            purposes = [{entry["purpose"] for entry in plan["plan"]} for plan in (explained, region[side])]
            assert purposes[0] == purposes[1]  # how many spellings an interpreter has depends on the machine


@pytest.mark.parametrize(
    "words", [["git:HEAD"], ["git:HEAD", "lock-policy.toml"], ["git:HEAD:lock-policy.toml", "lock-policy.toml"]]
)
def test_revision(committed: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A file as of a revision is compared with the one of the working tree, however it is named."""
    del committed
    assert main(["diff", *words]) == 1
    out = capsys.readouterr().out
    assert "a (git:HEAD:lock-policy.toml:1) decided, now b (lock-policy.toml:1) does" in out
    assert "new: rule b (lock-policy.toml:1)\ngone: rule a (git:HEAD:lock-policy.toml:1)" in out


def test_two_revisions(committed: Path) -> None:
    """Both can be of revisions, and the working tree does not matter."""
    del committed
    assert main(["diff", "git:HEAD", "git:HEAD"]) == 0


def test_new_file(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that did not exist then is compared with the built-in rules alone, and a note says so."""
    (committed / "more.toml").write_text(NEW, encoding="utf-8")
    assert main(["diff", "git:HEAD", "more.toml"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "policy: more.toml does not exist in HEAD: the built-in rules decided alone\n"
    assert "new: rule b" in captured.out
    assert main(["diff", "-q", "git:HEAD", "more.toml"]) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["old.toml"], "name NEW too, or compare with a revision: policy diff git:REV"),
        (["git:", "lock-policy.toml"], "git:: write git:REV or git:REV:FILE"),
        (["git:nope"], "nope: no such revision of the repository around"),
        (["git:--all"], "--all: no such revision of the repository around"),
        (["git:HEAD:away/x.toml", "lock-policy.toml"], "away: no such directory"),
        (["git:HEAD:folder", "lock-policy.toml"], "folder: no file in HEAD"),
    ],
)
def test_usage(committed: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be compared is one line that says what to do, and the exit code is 2."""
    del committed
    assert main(["diff", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


def test_no_repository(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a repository that is said, and so is a git that is missing."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(here.parent))
    _files(here, OLD, NEW)
    assert main(["diff", "git:HEAD", "new.toml"]) == 2
    assert capsys.readouterr().err.startswith(f"policy: error: {here}: git reads no repository here; ")
    monkeypatch.setenv("PATH", str(here))
    assert main(["diff", "git:HEAD", "new.toml"]) == 2
    assert capsys.readouterr().err == "policy: error: git is not installed; compare two files instead\n"


@pytest.mark.parametrize(("text", "changed"), [(NEW, "true"), (OLD, "false"), ("x = 1", "")])
def test_action(committed: Path, text: str, changed: str) -> None:
    """The step of our GitHub action writes the Markdown and says whether plans change; a fault ends it with 2."""
    (committed / "lock-policy.toml").write_text(text, encoding="utf-8")
    factories.written(committed / "bin" / "policy", f'#!/bin/sh\nexec {sys.executable} -m policy "$@"\n').chmod(0o755)
    steps = YAML(typ="safe").load(factories.CHECKOUT / "action.yml")["runs"]["steps"]
    (script,) = [step["run"] for step in steps if step.get("id") == "diff"]
    given = {"FILES": "", "REVISION": "HEAD", "RUNNER_TEMP": str(committed)}
    outputs = {name: str(committed / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    environ = {**os.environ, **given, **outputs, "PATH": f"{committed / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=committed, env=environ, check=False)
    assert done.returncode == (0 if changed else 2)
    if changed:
        assert (committed / "GITHUB_OUTPUT").read_text(encoding="utf-8") == f"changed={changed}\n"
        summary = (committed / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")
        assert summary.startswith("### lock-policy: what changes\n")


def test_no_file_here(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no file is named and the project has none, that is said."""
    assert main(["diff", "git:HEAD"]) == 2
    assert capsys.readouterr().err == "policy: error: there is no project configuration file here; name NEW\n"


def test_faults(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Faults of both files are located in the file that has them."""
    assert main(["diff", *_files(here, "x = 1\n", "y = 1\n")]) == 2
    err = capsys.readouterr().err
    assert "old.toml:1:1: error" in err
    assert "new.toml:1:1: error" in err


def test_layer(here: Path) -> None:
    """--layer gives both files the rights of a layer."""
    files = _files(here, OLD, 'gate-dir = "/run/lock"\n' + OLD)
    assert main(["diff", *files]) == 2
    assert main(["diff", "--layer", "system", *files]) == 1


def test_relative_directory(here: Path) -> None:
    """A relative directory means the same in both files, wherever OLD lies."""
    (here / "below").mkdir()
    for name in ("old.toml", "below/new.toml"):
        (here / name).write_text('global-dir = "locks"\n', encoding="utf-8")
    assert main(["diff", "old.toml", "below/new.toml"]) == 0


def test_same_example_each_time(here: Path) -> None:
    """The example does not depend on the order in which sets of a process lie."""
    rule = '[[rules]]\nlock = "beside"\nmatch.all = [{ environment = "/a/*" }, { environment = "/b/*" }]\n'
    files = _files(here, "", rule)
    command = [sys.executable, "-m", "policy", "diff", *files]
    said = {
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=False).stdout
        for seed in "01234567"
    }
    assert len(said) == 1
    assert b"/a/" in said.pop()
