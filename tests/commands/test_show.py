"""`policy show` as it is called, and what it writes is configuration that decides the same."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from attrs import evolve
from hypothesis import given, settings

from policy.__main__ import main
from policy.config import layers
from policy.config.layers import Source
from policy.config.read import load_chain
from policy.render.effective import as_toml
from tests.strategies import files

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """\
global-dir = "locks"

[[rules]]
name = "ci"
match = { env = { CI = true, "odd name" = ["a", "b*"] }, any = [{ kind = "system" }, { not.writable = true }] }
lock = "both"
timeout = 600
"""
SYSTEM = """\
timeout = 60

[[rules]]
lock = "global"
match.host = "login*"

[[rules]]
name = "site"
lock = "both"
match.environment = "/usr/local"
mandatory = true
required = false
reason = "the site's own"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a file, and a system file."""
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "system/lock-policy").mkdir(parents=True)
    (project / "lock-policy.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "system/lock-policy/lock-policy.toml").write_text(SYSTEM, encoding="utf-8")
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    for name in [name for name in os.environ if name.startswith("LOCK_POLICY_")]:
        monkeypatch.delenv(name)
    return project


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the system file is found through XDG_CONFIG_DIRS")


def _shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["show", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_the_whole_text(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings, then the rules in the order in which they are asked, as people write them."""
    assert _shown(capsys).partition("\n\n")[2] == (
        f'global-dir = "{here}/locks"\n'
        "timeout = 60\n"
        "\n"
        "[[rules]]\n"
        'name = "site"\n'
        'match.environment = "/usr/local"\n'
        'lock = ["global", "local"]\n'
        "required = false\n"
        'reason = "the site\'s own"\n'
        "\n"
        "[[rules]]\n"
        'name = "ci"\n'
        'match.env = { CI = true, "odd name" = ["a", "b*"] }\n'
        'match.any = [{ kind = "system" }, { not = { writable = true } }]\n'
        'lock = ["global", "local"]\n'
        "timeout = 600\n"
        "\n"
        "[[rules]]\n"
        'match.host = "login*"\n'
        'lock = "global"\n'
    )


def test_origins(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """--show-origin says the file and the line of everything, in comments, and lists the built-in rules."""
    monkeypatch.setenv("LOCK_POLICY_TIMEOUT", "7")
    text = _shown(capsys, "--show-origin")
    system = here.parent / "system/lock-policy/lock-policy.toml"
    lines = text.splitlines()
    assert lines[lines.index("timeout = 7.0") - 1] == "# LOCK_POLICY_TIMEOUT"
    assert "# project: lock-policy.toml:1" in lines
    assert "# project: lock-policy.toml:3" in lines
    assert f"# system: {system}:3" in lines
    assert f"# system: {system}:7, mandatory" in lines
    assert "#   read-only: global, writable = false" in lines
    assert tomllib.loads(text) == tomllib.loads(_shown(capsys))


def test_what_is_forced(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables and options stand before all files, and before the timeouts of rules."""
    monkeypatch.setenv("LOCK_POLICY_GLOBAL_DIR", "/elsewhere")
    content = tomllib.loads(_shown(capsys, "--timeout", "5"))
    assert (content["global-dir"], content["timeout"]) == ("/elsewhere", 5)
    assert all("timeout" not in rule for rule in content["rules"])
    assert here.exists()


def test_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file the text says so, and is valid."""
    assert here.exists()
    assert [rule["name"] for rule in tomllib.loads(_shown(capsys, "--no-config"))["rules"]] == ["site"]
    (here.parent / "system/lock-policy/lock-policy.toml").unlink()
    assert tomllib.loads(_shown(capsys, "--no-config")) == {}
    assert _shown(capsys, "--no-config").startswith("# No file applies here")


def test_html(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page has the same rules in the same order, each with its origin."""
    page = _shown(capsys, "--output-format", "html")
    assert page.startswith("<!DOCTYPE html>")
    rules = [page.index(f">{name}") for name in ("site (", "ci (lock-policy.toml:3)", "uv-only-global-locks")]
    assert rules == sorted(rules)
    assert f'title="{here}/lock-policy.toml:3"' in page


def test_a_file_that_is_ignored(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that everyone can write has no rule in the text, and a warning says why; with -q there is none."""
    (here / "lock-policy.toml").chmod(0o666)
    for words, warnings in ((["show"], 1), (["show", "-q"], 0)):
        assert main(words) == 0
        out, err = capsys.readouterr()
        assert '"ci"' not in out
        assert err.count("is ignored: everyone can write it") == warnings


def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has every setting and every rule with its origin, the built-in ones too."""
    record = json.loads(_shown(capsys, "--output-format", "json", "--timeout", "5"))
    own = str(here / "lock-policy.toml")
    assert record["settings"] == {
        "global_dir": {"value": f"{here}/locks", "file": own, "line": 1, "layer": "project"},
        "timeout": {"value": 5.0, "file": None, "line": None, "layer": "caller", "given_by": "--timeout"},
    }
    assert [rule["name"] for rule in record["rules"]][:4] == ["site", "ci", "", "uv-only-global-locks"]
    assert record["rules"][0]["mandatory"]
    assert (record["rules"][1]["file"], record["rules"][1]["line"]) == (own, 3)
    assert record["rules"][-1]["layer"] == "built-in"


def test_a_name_that_is_no_text(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory whose bytes are not UTF-8 is refused in one line."""
    assert here.exists()
    monkeypatch.setenv("LOCK_POLICY_GLOBAL_DIR", os.fsdecode(b"/tmp/\xff"))
    assert main(["show"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def _meaning(file: Path, layer: str) -> tuple[object, object]:
    """All that a file decides by: settings that any file may hold, and its rules without where they stand."""
    chain = load_chain([Source(layers.layer(layer), str(file))])
    rules = [evolve(rule, file="", line=0, layer="", mandatory=False) for rule in chain.rules]
    settings = {name: setting.value for name, setting in chain.settings.items() if name not in {"gate-dir", "cluster"}}
    return settings, list(dict.fromkeys(rules))  # a rule that repeats another never decides


@pytest.mark.slow
@given(files())
@settings(max_examples=100)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    """What is shown, saved and read again has the same settings and the same rules in the same order."""
    before, after = (tmp_path_factory.getbasetemp() / name for name in ("before.toml", "after.toml"))
    before.write_text(tomli_w.dumps(content), encoding="utf-8")
    chain = load_chain([Source(layers.SYSTEM, str(before))])
    for origin in (False, True):
        after.write_text(as_toml(chain, origin=origin), encoding="utf-8")
        assert _meaning(after, "file") == _meaning(before, "system")


def test_round_trip_of_layers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several files come to one that is shown the same again."""
    first = _shown(capsys)
    saved = here / "saved.toml"
    saved.write_text(first, encoding="utf-8")
    assert _shown(capsys, "--config-file", str(saved)) == first


def test_merged(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands below another host's /etc is shown alone, the hidden host file's mandatory rules too."""
    etc = here / "hosts" / "a"
    for folder, name, mandatory in (("xdg/", "x", ""), ("", "plain", ""), ("", "site", "mandatory = true\n")):
        (etc / folder / "lock-policy").mkdir(parents=True, exist_ok=True)
        with (etc / folder / "lock-policy/lock-policy.toml").open("a", encoding="utf-8") as file:
            file.write(f'[[rules]]\nname = "{name}"\nmatch.host = "{name}"\nlock = "both"\n{mandatory}')
    monkeypatch.setenv("LOCK_POLICY_TIMEOUT", "5")
    text = _shown(capsys, "--merged", "hosts/a")
    assert [rule["name"] for rule in tomllib.loads(text)["rules"]] == ["site", "x"]
    assert "timeout" not in text
    (etc / "xdg/lock-policy/lock-policy.toml").unlink()
    assert [rule["name"] for rule in tomllib.loads(_shown(capsys, "--merged", "hosts/a"))["rules"]] == ["site", "plain"]


def test_two_hosts_are_compared(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown of two hosts differs where their rules do, and wherever the copies lie it is the same."""
    shown = []
    for name, rule in (("a", "one"), ("b", "one"), ("c", "other")):
        file = here / name / "etc/lock-policy/lock-policy.toml"
        file.parent.mkdir(parents=True)
        file.write_text(f'# {name}\n[[rules]]\nname = "{rule}"\nlock = "both"\n', encoding="utf-8")
        shown.append(_shown(capsys, "--merged", str(here / name / "etc")))
    assert shown[0] == shown[1] != shown[2]


@pytest.mark.parametrize(
    "arguments", [["--merged", "."], ["--merged", ".", "--no-config"], ["--merged", "x", "--timeout", "1"]]
)
def test_nothing_to_merge(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """A folder without a system file, and options that would change what is shown, are refused in one line."""
    assert here.exists()
    assert main(["show", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
