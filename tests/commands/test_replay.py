"""`policy replay` after real runs under LOCK_POLICY_LOG."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

import pytest

from policy.__main__ import main
from policy.locks.journal import LONGEST
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

SECRET = "hunter2"  # noqa: S105  (a value that must not be written)
RULES = """
[[rules]]
name = "deploy"
lock = ["beside", "local"]
match.env = { DEPLOY = ["hunter*", "prod"], CI = true }

[[rules]]
name = "sync"
lock = "local"
match.operation = "sync"
"""


class Place:
    """A project with rules and an environment, and a log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.root = factories.virtualenv(self.folder / ".venv")
        self.log = folder / "log"
        self.environ = factories.alone(folder)
        self.rules(RULES)

    def rules(self, text: str) -> None:
        """Writes the project's rules."""
        (self.folder / "lock-policy.toml").write_text(text, encoding="utf-8")

    def run(self, *words: str, environ: Mapping[str, str] | None = None) -> None:
        """One `policy run` that is logged."""
        environ = {**self.environ, "LOCK_POLICY_LOG": str(self.log), **(environ or {})}
        line = ["run", "--python", str(self.root), *words, "--", "true"]
        done = factories.policy(*line, environ=environ, cwd=self.folder)
        assert done.returncode == 0, done.stderr

    def replay(self, *words: str) -> tuple[int, Any, str]:
        """The exit code, the JSON and stderr of a replay."""
        line = ["replay", str(self.log), "--output-format", "json", *words]
        done = factories.policy(*line, environ=self.environ, cwd=self.folder.parent)
        return done.returncode, json.loads(done.stdout or "null"), done.stderr

    def decisions(self) -> list[int]:
        """The numbers of the lines that are decisions."""
        lines = self.log.read_text(encoding="ascii").splitlines()
        return [number for number, line in enumerate(lines, 1) if json.loads(line)["event"] == "decided"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place after three runs: one that the first rule decides, one for the second, one for a built-in rule."""
    made = Place(tmp_path)
    made.run(environ={"DEPLOY": SECRET, "CI": "1", "TOKEN": SECRET})
    made.run("--operation", "sync", environ={"DEPLOY": "staging"})
    made.run("--timeout", "30")
    return made


def test_nothing_changed(place: Place) -> None:
    """Under the rules of then nothing changes, from whatever directory and with whatever variables it is asked."""
    code, found, said = place.replay()
    assert (code, said) == (0, "")
    assert (found["decisions"], found["same"], found["changed"], found["differs"]) == (3, 3, 0, False)


def test_other_rules(place: Place) -> None:
    """Under other rules exactly the lines of those that get something else, with both plans and who is kept out."""
    place.rules(RULES.replace('lock = "local"', 'lock = "global"\ntimeout = 9'))
    code, found, _ = place.replay()
    assert (code, found["changed"], found["same"]) == (1, 1, 2)
    (change,) = found["changes"]
    assert change["lines"] == [place.decisions()[1]]
    old, new = change["old"], change["new"]
    assert (old["rule"]["name"], new["rule"]["name"]) == ("sync", "sync")
    assert [entry["purpose"] for entry in old["plan"]] == ["gate", "local"]
    assert [entry["purpose"] for entry in new["plan"]] == ["gate"]
    assert old["plan"][0] == new["plan"][0]
    assert "uv (this environment)" in old["excluded"]
    assert "uv (this environment)" not in new["excluded"]
    assert (old["timeout"], new["timeout"]) == (None, 9)


def test_a_file_instead(place: Place, tmp_path: Path) -> None:
    """With --config-file that file decides alone; without files the built-in rules do."""
    (tmp_path / "new.toml").write_text('[[rules]]\nname = "n"\nlock = ["beside", "local"]\n', encoding="utf-8")
    code, found, _ = place.replay("--config-file", str(tmp_path / "new.toml"))
    changed = [line for change in found["changes"] for line in change["lines"]]
    assert (code, changed) == (1, place.decisions()[1:])
    code, found, _ = place.replay("--no-config")
    assert [change["lines"] for change in found["changes"]] == [place.decisions()[:1]]


def test_layer(place: Place, tmp_path: Path) -> None:
    """The file can be judged as one of the layer that it is meant for, with the rights of that."""
    (tmp_path / "new.toml").write_text('[[rules]]\nlock = "beside"\nmandatory = true\n', encoding="utf-8")
    words = ["--config-file", str(tmp_path / "new.toml")]
    assert place.replay(*words)[0] == 2
    code, found, _ = place.replay(*words, "--layer", "system")
    assert (code, found["changed"]) == (1, 3)
    code, _, said = place.replay("--layer", "system")
    assert (code, said) == (2, "policy: error: --layer is for the file that --config-file names\n")
    (tmp_path / "new.toml").unlink()
    assert place.replay(*words, "--layer", "system")[0] == 2


def test_example(place: Place, tmp_path: Path) -> None:
    """The request of a change, given to `policy explain`, is decided as the replay says."""
    new = tmp_path / "new.toml"
    new.write_text(RULES.replace('["beside", "local"]', '"global"').replace("hunter*", "h*"), encoding="utf-8")
    _, found, _ = place.replay("--config-file", str(new))
    (change,) = found["changes"]
    words = [*shlex.split(change["example"])[1:], "--config-file", str(new), "--output-format", "json"]
    done = factories.policy(*words, environ={**place.environ, "CI": "no"}, cwd=tmp_path)
    explained = json.loads(done.stdout)
    assert explained["rule"] == change["new"]["rule"]
    assert explained["plan"] == change["new"]["plan"]


def test_what_was_not_asked(place: Place) -> None:
    """A variable that only the rules of now ask about is named, with the lines for which it matters."""
    place.rules('[[rules]]\nlock = "beside"\nmatch.env.NEW = true\n' + RULES)
    code, found, _ = place.replay()
    assert (code, found["changed"]) == (1, 0)
    assert found["not_known"] == [{"because": "the log does not say enough of $NEW", "lines": place.decisions()}]


def test_no_secret(place: Place) -> None:
    """No value of a variable is in the log, neither of one that rules name nor of another."""
    text = place.log.read_text(encoding="ascii")
    assert SECRET not in text
    assert "staging" not in text
    assert "TOKEN" not in text
    assert '"DEPLOY": [["hunter*"], ["prod"]]' in text


def test_python(tmp_path: Path) -> None:
    """A decision of the Python API is logged as one of `policy run`."""
    made = Place(tmp_path)
    code = "import policy, sys\nwith policy.lock(sys.argv[1], operation='sync'): pass"
    environ = {**made.environ, "LOCK_POLICY_LOG": str(made.log)}
    done = factories.policy(environ=environ, cwd=made.folder, program=[sys.executable, "-c", code, str(made.root)])
    assert done.returncode == 0, done.stderr
    assert made.replay()[1]["same"] == 1


def test_long(tmp_path: Path) -> None:
    """A decision whose facts have no room in a line is counted, and a line is never longer than the kernel appends."""
    made = Place(tmp_path)
    names = ", ".join(f'V{number} = "{"x" * 60}*"' for number in range(60))
    made.rules(f'[[rules]]\nlock = "local"\nmatch.env = {{ {names} }}\n')
    made.run(environ={f"V{number}": "y" for number in range(60)})
    assert all(len(line) < LONGEST for line in made.log.read_bytes().splitlines())
    code, _, said = made.replay()
    assert (code, said.count("\n")) == (2, 1)
    assert "it holds no decision; 1 line was left out: line 1 (a decision without facts)" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"", 2, "it holds no decision\n"),
        (b"\x7fELF\x00\xff" * 1000, 2, "it holds no decision; 1 line was left out: line 1 (too long)\n"),
        (b'{"level": "info"}\n{"level": "info"}\n', 2, "2 lines were left out, the first of them line 1 (not from"),
        (b"x" * 3_000_000, 2, "1 line was left out: line 1 (too long)\n"),
        (None, 1, "1 line was left out: line "),
    ],
)
def test_hostile_logs(place: Place, content: bytes | None, code: int, message: str) -> None:
    """What is no log is one clear line; one bad line in a log is one, too, and -q leaves it out."""
    if content is None:
        place.log.write_bytes(place.log.read_bytes() + b'{"event": "decided", "fac')
    else:
        place.log.write_bytes(content)
    found = place.replay("--no-config")
    assert found[0] == code
    assert message in found[2]
    assert found[2].count("\n") == 1
    if content is None:
        assert place.replay("--no-config", "-q")[2] == ""


def test_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no regular file is a fault of usage, in one line."""
    if sys.platform == "win32":
        pytest.skip("needs a FIFO")
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    for name in ("fifo", "missing", "."):
        assert main(["replay", name]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_text(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Text is for people, and fits the terminal."""
    for name in [name for name in os.environ if name.startswith("LOCK_POLICY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "90")
    assert main(["replay", str(place.log), "--no-config"]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("1 decision of deploy")  # a long path begins a line of its own
    assert shown.endswith("\n3 decisions: 1 would change, 2 would not\n")
    assert all(len(line) <= 90 or " " not in line.strip() for line in shown.splitlines())
