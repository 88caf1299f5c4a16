"""`policy check` as it is called."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML  # check-jsonschema brings it

from policy.__main__ import main
from tests.factories import CHECKOUT, alone, as_nobody, open_to_all
from tests.requirements import need_root

ROOT = Path(__file__).parents[2]
# where the files of the user and of the system are looked for, on POSIX and on Windows
HOMES = {"XDG_CONFIG_HOME": "config", "XDG_CONFIG_DIRS": "system", "APPDATA": "config", "PROGRAMDATA": "system"}
WARNED = '[[rules]]\nlock = "global"\nmatch.user = "a"\n'
FAULTY = 'timout = 60\n\n[[rules]]\nlock = "x"\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, and a configuration home, where nothing stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, folder in HOMES.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    for name in [name for name in os.environ if name.startswith("LOCK_POLICY_")]:
        monkeypatch.delenv(name)
    return tmp_path


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_all_good(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files without a finding are counted on stdout, and nothing stands on stderr."""
    _write(here / "a.toml", '[[rules]]\nlock = "both"\n')
    _write(here / "b.toml", "")
    assert main(["check", "a.toml", "b.toml"]) == 0
    assert capsys.readouterr() == ("All good: 2 files, 1 rule\n", "")


def test_nothing_applies(capsys: pytest.CaptureFixture[str]) -> None:
    """Without any file that is said, and is fine."""
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "No configuration file applies here: the built-in rules decide\n"


def test_faults_of_every_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All faults of all files are said at once, located, with a caret; the exit code is 2."""
    _write(here / "a.toml", FAULTY)
    assert main(["check", "a.toml", "missing.toml"]) == 2
    out, err = capsys.readouterr()
    assert err == (
        'a.toml:1:1: error: unknown key "timout"; did you mean "timeout"?\n'
        "  timout = 60\n"
        "  ^^^^^^\n"
        'a.toml:4:8: error: expected "local", "global", "beside", "cluster", "strict" or "both", found "x"\n'
        '  lock = "x"\n'
        "         ^^^\n"
        "missing.toml: error: no such file\n"
    )
    assert out == "Found 3 errors in 2 files\n"


def test_warnings_are_findings_when_strict(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning is exit code 0, and 1 with --strict."""
    _write(here / "a.toml", WARNED)
    assert main(["check", "a.toml"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("a.toml:3:7: warning: who is kept out depends on the caller")
    assert '  match.user = "a"\n        ^^^^\n  example       policy explain --config-file ' in err
    assert "\n  other caller  policy explain --config-file " in err
    assert err.count("\n") == 5
    assert out == "Found 1 warning in 1 file\n"
    assert main(["check", "--strict", "a.toml"]) == 1


def test_examples_fit_the_terminal(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A request that shows a finding is broken between words, below its own column."""
    _write(here / "a.toml", WARNED)
    monkeypatch.setenv("COLUMNS", "70")
    assert main(["check", "a.toml"]) == 0
    lines = capsys.readouterr().err.splitlines()
    shown = lines[next(at for at, line in enumerate(lines) if line.startswith("  example")) :]
    assert all(len(line) <= 70 or len(line.split()) == 1 for line in shown)
    assert sum(line.startswith(" " * 16) for line in shown) > 1


SHADOWED = """
[[rules]]
name = "first"
lock = "local"
match = { environment = "/srv/**", project = "/p", env = { A = "x*" } }

[[rules]]
name = "second"
lock = "global"
match = { environment = ["/srv/a", "~/srv"], project = "/p", env = { A = "xy", B = true } }

[[rules]]
name = "third"
lock = "both"
match = { environment = "~/w", env = { CI = true, TOKEN = false }, not = { project = "**" } }

[[rules]]
name = "fourth"
lock = "local"
match = { environment = "~/w/x", env = { CI = true, TOKEN = false }, any = [{ not = { project = "**" } }] }

[[rules]]
name = "fifth"
lock = "global"
match = { environment = "/opt/**", operation = "sync", host = "h*" }
"""


@pytest.mark.slow
def test_examples_can_be_replayed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each request that shows a finding is decided as it says, whatever the variables and facts of this machine are."""
    _write(here / "a.toml", SHADOWED)
    assert main(["check", "--output-format", "json", "a.toml"]) == 0
    found = json.loads(capsys.readouterr().out)["findings"]
    told = {(one["code"], one["line"]): one["examples"] for one in found}
    assert {code for code, _ in told} == {"subsumed", "kept-out-by-caller"}
    for name, value in {"A": "other", "B": "no", "CI": "0", "TOKEN": "1", "UV_ONLY_GLOBAL_LOCKS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(here / "elsewhere"))

    def decided(example: str) -> str:
        assert main([*shlex.split(example)[1:], "--output-format", "json"]) == 0
        rule: str = json.loads(capsys.readouterr().out)["rule"]["name"]
        return rule

    for (code, line), examples in told.items():
        name = re.findall('name = "(.*)"', "\n".join(SHADOWED.splitlines()[:line]))[-1]
        if code == "subsumed":
            assert (name, decided(examples[0])) == ("fourth", "third")
        else:
            assert decided(examples[0]) == name
            assert decided(examples[1]) != name


def test_quiet_says_only_what_is_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-q leaves the sum out, not the findings."""
    _write(here / "a.toml", WARNED)
    assert main(["check", "-q", "a.toml"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "warning" in err


def test_files_that_apply(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without FILE the project's, the user's and the system's files are checked together."""
    _write(here / "lock-policy.toml", WARNED)
    _write(here / "config/lock-policy/lock-policy.toml", "timeout = -1\n")
    _write(here / "system/lock-policy/lock-policy.toml", "lock = 1\n")
    assert main(["check"]) == 2
    err = capsys.readouterr().err
    assert [line.partition(":")[0] for line in err.splitlines() if "error" in line] == [
        "config/lock-policy/lock-policy.toml",
        "system/lock-policy/lock-policy.toml",
    ]
    assert main(["check", "--no-config"]) == 2  # nobody knows whether it holds something mandatory
    assert capsys.readouterr().err.startswith("system/lock-policy/lock-policy.toml")
    (here / "system/lock-policy/lock-policy.toml").unlink()
    assert main(["check", "--no-config"]) == 0
    assert main(["check", "--config-file", "config/lock-policy/lock-policy.toml"]) == 2


def test_a_table_that_is_ignored_is_a_warning(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was noticed while looking for files is said, and counts with --strict."""
    _write(here / "lock-policy.toml", "")
    _write(here / "pyproject.toml", "[tool.lock-policy]\n")
    assert main(["check", "--strict"]) == 1
    assert "is ignored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "arguments", "code"),
    [("project", [], 2), ("config", [], 2), ("system", [], 0), ("project", ["--layer", "system"], 0)],
)
def test_the_layer_of_a_file(here: Path, folder: str, arguments: list[str], code: int) -> None:
    """A named file is judged as what stands in its place, unless --layer says otherwise."""
    file = _write(here / folder / "lock-policy/lock-policy.toml", '[[rules]]\nlock = "both"\nmandatory = true\n')
    assert main(["check", *arguments, str(file)]) == code


def test_pyproject(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of pyproject.toml only our table is judged; one without it is fine."""
    _write(here / "pyproject.toml", '[project]\nname = "x"\n')
    assert main(["check", "pyproject.toml"]) == 0
    _write(here / "pyproject.toml", '[project]\nname = "x"\n[tool.lock-policy]\nx = 1\n')
    assert main(["check", "pyproject.toml"]) == 2
    assert "pyproject.toml:4:1: error: unknown key" in capsys.readouterr().err


def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON holds every finding with its place, and stderr stays empty."""
    file = _write(here / "a.toml", WARNED)
    assert main(["check", "--output-format", "json", "a.toml", "missing.toml"]) == 2
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert err == ""
    assert (record["version"], record["errors"], record["warnings"], record["rules"]) == (1, 1, 1, 1)
    assert record["files"][0] == {"file": str(file), "layer": "project"}
    warning, error = record["findings"]
    assert len(warning.pop("examples")) == 2
    assert {key: warning[key] for key in warning if key != "message"} == {
        "severity": "warning",
        "code": "kept-out-by-caller",
        "anchor": "docs/reference.md#code-kept-out-by-caller",
        "file": str(file),
        "line": 3,
        "column": 7,
        "end_column": 11,
        "key": ["rules", 0, "match", "user"],
    }
    assert (error["code"], error["line"], error["column"], error["end_column"]) == ("unreadable", None, None, None)


def test_github(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """GitHub's runner gets one command for each finding, escaped as its toolkit does."""
    _write(here / "a,b:c%.toml", '"new\\nline%" = 1\n')
    assert main(["check", "--output-format", "github", "a,b:c%.toml"]) == 2
    out = capsys.readouterr().out
    assert out.startswith("::error file=a%2Cb%3Ac%25.toml,line=1,col=1,endColumn=13,title=policy check (unknown-key)::")
    assert out.count("\n") == 1
    assert "line%25" in out


def test_colours(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With colours the place and the word stand out, the text stays the same."""
    _write(here / "a.toml", FAULTY)
    main(["check", "a.toml"])
    plain = capsys.readouterr().err
    main(["check", "--color", "always", "a.toml"])
    painted = capsys.readouterr().err
    assert painted != plain
    for code in ("\033[1m", "\033[1;31m", "\033[0m"):
        painted = painted.replace(code, "")
    assert painted == plain


@pytest.mark.parametrize(
    "arguments", [["--config-file", "a.toml", "b.toml"], ["--no-config", "b.toml"], ["--layer", "user"]]
)
def test_contradictory_options(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Options that contradict each other are refused in one line."""
    assert main(["check", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_text_cannot_fool_the_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences in a file reach neither stderr nor stdout."""
    _write(here / "a.toml", '"\\u001b[31m" = 1\n[[rules]]\nlock = "both"\nname = "\u202e"\n')
    for style in ("text", "github", "json"):
        assert main(["check", "--output-format", style, "a.toml"]) == 2
        out, err = capsys.readouterr()
        assert not {"\x1b", "\u202e"} & set(out + err)


def _hook(name: str) -> list[str]:
    """The words after `policy` of what pre-commit would run, and which files it would name."""
    (hook,) = [one for one in YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml") if one["id"] == name]
    entry = [*hook["entry"].split(), *hook.get("args", ())]
    assert entry[0] in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    names = [
        "lock-policy.toml",
        "pyproject.toml",
        "a/b/lock-policy.toml",
        "lock-policy.toml.orig",
        "my-lock-policy.toml",
    ]
    assert [name for name in names if re.search(hook["files"], name)] == names[:3]
    return entry[1:]


FAILING = '[[tests]]\nname = "t"\nexpect.lock = "global"\n'
HOOKS = [
    ("policy-check", "", 0),
    ("policy-check", WARNED, 1),
    ("policy-test", "", 0),
    ("policy-test", FAILING, 1),
]  # fmt: skip  (a table)


@pytest.mark.parametrize(("name", "text", "code"), HOOKS)
def test_the_hooks(here: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, code: int) -> None:
    """What pre-commit would run exists, in sub-folders too, passes a good file and fails a bad one."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    _write(here / "sub/lock-policy.toml", text)
    _write(here / "pyproject.toml", '[project]\nname = "x"\n')
    command = [sys.executable, "-m", "policy", *_hook(name), "pyproject.toml", "sub/lock-policy.toml"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == code


@pytest.mark.parametrize("arguments", [[], ["--output-format", "json"], ["--output-format", "github"]])
def test_a_reader_that_leaves(here: Path, arguments: list[str]) -> None:
    """A reader that has seen enough, such as head(1), changes nothing about the exit code."""
    _write(here / "a.toml", "".join(f"key-{number} = 1\n" for number in range(900)))
    command = [sys.executable, "-m", "policy", "check", *arguments, "a.toml"]
    checking = subprocess.Popen(
        command,
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert checking.stdout
    assert checking.stderr
    checking.stdout.close()
    checking.stderr.read()
    assert checking.wait(60) == 2
    checking.stderr.close()


def test_strict_and_an_ignored_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is ignored is a finding: --strict fails, and nothing says that all is good."""
    _write(here / "lock-policy.toml", "").chmod(0o666)
    assert main(["check", "--strict"]) == 1
    out, err = capsys.readouterr()
    assert out == "Found 1 warning; no configuration file applies here: the built-in rules decide\n"
    assert err.startswith("lock-policy.toml: warning: is ignored: everyone can write it")


def test_fix(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--diff shows what --fix would write, and writes nothing; --fix writes that, and checks what is left."""
    text = "# mine\ntimout = 60\nxyz = 1\n"
    file = _write(here / "a.toml", text)
    assert main(["check", "--diff", "a.toml"]) == 1
    out, err = capsys.readouterr()
    assert "-timout = 60\n+timeout = 60\n xyz = 1\n" in out
    assert err == ""
    assert file.read_text(encoding="utf-8") == text
    assert main(["check", "--fix", "a.toml"]) == 2
    err = capsys.readouterr().err
    assert f"policy: {file}: corrected\n" in err
    assert 'a.toml:3:1: error: unknown key "xyz"' in err
    assert file.read_text(encoding="utf-8") == text.replace("timout", "timeout")
    assert main(["check", "--diff", "a.toml"]) == 0
    assert main(["check", "--fix", "-q", "a.toml"]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs another user")
@pytest.mark.parametrize("words", [["check", "--fix"], ["test", "--write"]], ids=" ".join)
def test_a_file_that_cannot_be_written(here: Path, words: list[str]) -> None:
    """A file of another user that is to be changed stays as it was, its folder too, and one line says so."""
    need_root()
    text = "# mine\ntimout = 60\n" if "--fix" in words else '[[rules]]\nlock = "both"\n'
    _write(open_to_all(here) / "a.toml", text)
    environ = {**alone(here), "PYTHONPATH": str(CHECKOUT)}
    done = as_nobody("sys.exit(policy.__main__.main(sys.argv[1:]))", *words, "a.toml", environ=environ, cwd=here)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"policy: error: {here}/a.toml: cannot be written: Permission denied\n"
    assert os.listdir(here) == ["a.toml"]
    assert (here / "a.toml").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("option", ["--fix", "--diff"])
def test_fix_needs_a_file(here: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    """Files that merely apply here are not changed: they may be everybody's."""
    _write(here / "lock-policy.toml", "timout = 1\n")
    assert main(["check", option]) == 2
    assert capsys.readouterr().err == "policy: error: --fix and --diff need the name of a FILE\n"
