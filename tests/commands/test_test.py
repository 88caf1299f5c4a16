"""`policy test` as it is called, and the facts that a test does not give."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from policy.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

# where the files of the user and of the system are looked for, on POSIX and on Windows
HOMES = {"XDG_CONFIG_HOME": "config", "XDG_CONFIG_DIRS": "system", "APPDATA": "config", "PROGRAMDATA": "system"}
RULES = """\
[[rules]]
name = "nix"
match.interpreter = "/nix/store/*"
lock = "global"

[[rules]]
name = "ci"
match = { env = { CI = true }, writable = true }
lock = "both"

[[rules]]
match.environment = "~/shared/**"
lock = "both"

"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, and a configuration home, where nothing stands."""
    monkeypatch.chdir(tmp_path)
    for name, folder in HOMES.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    for name in [name for name in os.environ if name.startswith("LOCK_POLICY_")]:
        monkeypatch.delenv(name)
    return tmp_path


def _test(here: Path, tests: str, *arguments: str, rules: str = RULES) -> int:
    here.joinpath("lock-policy.toml").write_text(rules + tests, encoding="utf-8")
    return main(["test", *arguments])


PASSING = """\
[[tests]]
name = "plain"
expect = { lock = "local", rule = "environment" }

[[tests]]
name = "store"
given.interpreter = "/nix/store/a/bin/python"
expect = { lock = "global", rule = "nix" }
"""


def test_passing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tests that pass are counted, and the rules that none of them reaches are named with their lines."""
    assert _test(here, PASSING) == 0
    told = (
        "no test of lock-policy.toml reaches 2 of its 3 rules:\n"
        "  ci (lock-policy.toml:6)\n"
        "  lock-policy.toml:11\n"
        "\n"
        "covered: 1 of 3 (33.3 %) rules, 5 of 8 (62.5 %) answers of conditions\n"
        "2 passed in 1 file\n"
    )
    assert capsys.readouterr() == (told, "")


def test_verbose_names_what_passed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-v lists the tests that passed."""
    assert _test(here, PASSING, "-v") == 0
    assert "pass lock-policy.toml:15: plain\npass lock-policy.toml:19: store\n" in capsys.readouterr().out


def test_no_tests(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file without tests is fine, and that is said."""
    assert _test(here, "") == 0
    assert capsys.readouterr().out == "no [[tests]] here\n"


def test_the_expected_rule_does_not_match(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure shows what was expected, what came, and which condition of the expected rule failed."""
    tests = '[[tests]]\nname = "t"\ngiven.env.CI = "0"\nexpect = { lock = "both", rule = "ci" }\n'
    assert _test(here, tests) == 1
    assert capsys.readouterr().out.startswith(
        "FAIL lock-policy.toml:15: t\n"
        '  - lock = ["global", "local"]\n'
        '  + lock = "local"\n'
        "  - decided by ci\n"
        "  + decided by environment (built in)\n"
        "  ci (lock-policy.toml:6) does not match:\n"
        "       x env.CI    wants true  saw false\n"
        "       + writable  wants true  saw true\n"
        "\n"
    )


def test_an_earlier_rule_decides(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the expected rule matches too, the earlier one is shown with its conditions."""
    given = 'given = { interpreter = "/nix/store/a/bin/python", env.CI = "1" }\n'
    assert _test(here, f'[[tests]]\nname = "t"\n{given}expect = {{ lock = "both", rule = "ci" }}\n') == 1
    out = capsys.readouterr().out
    assert "  ci (lock-policy.toml:6) matches too, but stands after nix (lock-policy.toml:1), which matches:\n" in out
    assert "       + interpreter  wants /nix/store/*  saw /nix/store/a/bin/python\n" in out


def test_only_the_rule_differs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The right lock by another rule is a failure too; a name that no rule has is said to be none."""
    assert _test(here, '[[tests]]\nname = "t"\nexpect = { lock = "local", rule = "nx" }\n') == 1
    out = capsys.readouterr().out
    assert '    lock = "local"\n  - decided by nx\n' in out
    assert "  no rule here is named nx\n" in out
    assert out.endswith("1 failed, 0 passed in 1 file\n")


def test_files_are_tested_by_themselves(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tests of a file see its own rules and the built-in ones, not another file's."""
    (here / "a.toml").write_text('[[rules]]\nlock = "both"\n', encoding="utf-8")
    (here / "b.toml").write_text('[[tests]]\nname = "t"\nexpect.lock = "local"\n', encoding="utf-8")
    assert main(["test", "a.toml", "b.toml"]) == 0
    assert capsys.readouterr().out == "covered: 0 of 1 (0 %) rule\n1 passed in 2 files\n"


def test_faults(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Faults of all files are shown as `check` shows them, with exit code 2."""
    assert _test(here, "x = 1\n", rules="") == 2
    assert capsys.readouterr().err.startswith("lock-policy.toml:1:1: error: unknown key")


def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON tells of each test what was expected and decided, and of a failure every step."""
    tests = PASSING + '[[tests]]\nname = "f"\ngiven.env.CI = "1"\nexpect.lock = "local"\n'
    assert _test(here, tests, "--output-format", "json") == 1
    record = json.loads(capsys.readouterr().out)
    assert (record["version"], record["passed"], record["failed"]) == (1, 2, 1)
    (file,) = record["files"]
    assert [test["passed"] for test in file["tests"]] == [True, True, False]
    failed = file["tests"][2]
    assert failed["expected"] == {"lock": ["local"], "rule": None}
    assert failed["decided"]["rule"]["name"] == "ci"
    assert [step["outcome"] for step in failed["steps"]][:3] == ["no", "matched", "not-reached"]
    assert [rule["line"] for rule in file["unreached"]] == [11]


def test_junit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The XML is well formed whatever stands in names and values, and counts right."""
    nasty = "a<b>&\\\"'\\u0007]]>\\ud7ff\\u202e"
    tests = f'[[tests]]\nname = "{nasty}"\ngiven.env.CI = "{nasty}"\nexpect = {{ lock = "both", rule = "{nasty}" }}\n'
    assert _test(here, PASSING + tests, "--output-format", "junit") == 1
    root = ET.fromstring(capsys.readouterr().out)  # noqa: S314  (our own)
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "3", "1")
    (suite,) = root
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("lock-policy.toml", "3", "1")
    case = suite[2]
    assert case.get("name", "").startswith("a<b>&\"'\\x07]]>")
    failure = case.find("failure")
    assert failure is not None
    assert '- lock = ["global", "local"]' in str(failure.text)


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")


@POSIX
def test_home_is_any_home(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test about `~` passes for every user."""
    monkeypatch.setenv("HOME", "/somewhere/else")
    assert _test(here, '[[tests]]\nname = "t"\ngiven.environment = "~/shared/x"\nexpect.lock = "both"\n') == 0


def test_this_machine_does_not_matter(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither variables nor the user nor the host of this process reach a test."""
    monkeypatch.setenv("CI", "1")
    monkeypatch.setenv("UV_ONLY_GLOBAL_LOCKS", "1")
    tests = '[[tests]]\nname = "t"\nexpect = { lock = "local", rule = "environment" }\n'
    extra = "".join(
        f'[[rules]]\nlock = "both"\nmatch = {{ {match} }}\n'
        for match in ('not.user = "user"', 'not.host = "host"', 'project = "**/*"')
    )
    assert _test(here, tests, rules=RULES + extra) == 0


@pytest.mark.parametrize(("least", "code"), [("33", 0), ("33.3", 0), ("33.4", 1), ("100", 1), ("0", 0)])
def test_min_coverage(here: Path, capsys: pytest.CaptureFixture[str], least: str, code: int) -> None:
    """Where the tests reach too few of the rules, that is an error with exit code 1, though all of them pass."""
    assert _test(here, PASSING, "--min-coverage", least) == code
    err = capsys.readouterr().err
    assert err == (
        f"policy: error: the tests reach 33.3 % of the rules; --min-coverage wants {least} %\n" if code else ""
    )


@pytest.mark.parametrize("value", ["x", "-1", "101", "nan", ""])
def test_no_percentage(here: Path, capsys: pytest.CaptureFixture[str], value: str) -> None:
    """What is no percentage is refused in one line."""
    assert _test(here, PASSING, f"--min-coverage={value}") == (2 if value else 0)
    if value:
        assert capsys.readouterr().err == "policy: error: --min-coverage must be a number from 0 to 100\n"


def test_coverage_of_conditions(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-v lists the conditions that gave one answer only, and the JSON has both coverages."""
    assert _test(here, '[[tests]]\nname = "t"\ngiven.env.CI = "1"\nexpect.lock = "both"\n', "-v") == 0
    assert (
        "conditions that gave only one answer:\n"
        "  ci (lock-policy.toml:6): match.env never failed\n"
        "  ci (lock-policy.toml:6): match.writable never failed\n"
    ) in capsys.readouterr().out
    assert _test(here, PASSING, "--output-format", "json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["coverage"] == {
        "rules": {"covered": 1, "total": 3, "percent": 33.3},
        "conditions": {"covered": 5, "total": 8, "percent": 62.5},
    }


def test_github(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On GitHub a failing test is an annotation of its line."""
    assert _test(here, '[[tests]]\nname = "t"\nexpect.lock = "both"\n', "--output-format", "github") == 1
    assert (
        "::error file=lock-policy.toml,line=15,title=t::expected global and local, got local" in capsys.readouterr().out
    )


WHO = """\
[[rules]]
name = "mine"
match = { user = "ada", host = "tower", environment = "~/envs/**" }
lock = "both"

[[tests]]
name = "ada at home"
given = { user = "ada", host = "tower", home = "/home/ada", environment = "/home/ada/envs/x", cwd = "/" }
expect = { lock = "both", rule = "mine" }

[[tests]]
name = "ada away from home"
given = { user = "ada", host = "tower", home = "/root", environment = "/home/ada/envs/x" }
expect = { lock = "local", rule = "environment" }
"""


def test_nothing_of_this_machine(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """User, host, home and working directory are those of the test, whatever they are here."""
    for home in ("/home/ada", "/nowhere", ""):
        monkeypatch.setenv("HOME", home)
        monkeypatch.setenv("USER", "ada")
        assert _test(here, WHO, rules="") == 0


def test_write(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--write adds a test for each rule that no test reaches; they pass, and all is covered then."""
    file = here / "lock-policy.toml"
    file.write_text(RULES + PASSING, encoding="utf-8")
    assert main(["test", "--write", "--min-coverage", "100", "lock-policy.toml"]) == 0
    out, err = capsys.readouterr()
    assert out == "covered: 3 of 3 (100 %) rules, 7 of 8 (87.5 %) answers of conditions\n4 passed in 1 file\n"
    assert err == f"policy: {file}: 2 tests added\n"
    text = file.read_text(encoding="utf-8")
    assert text.startswith(RULES + PASSING + "\n[[tests]]\n")
    assert main(["check", "--strict", "lock-policy.toml"]) in {0, 1}
    assert "duplicate-name" not in capsys.readouterr().err
    assert main(["test", "--write", "lock-policy.toml"]) == 0
    assert file.read_text(encoding="utf-8") == text


def test_write_into_pyproject(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In pyproject.toml the tests stand in our table; with -q nothing is said of them."""
    file = here / "pyproject.toml"
    file.write_text('[[tool.lock-policy.rules]]\nname = "a\\"b"\nlock = "both"', encoding="utf-8")
    assert main(["test", "--write", "-q", "--min-coverage", "100", "pyproject.toml"]) == 0
    assert capsys.readouterr().err == ""
    (test,) = tomllib.loads(file.read_text(encoding="utf-8"))["tool"]["lock-policy"]["tests"]
    assert test == {"name": 'a"b decides', "expect": {"lock": ["global", "local"], "rule": 'a"b'}}


def test_write_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Files that merely apply here are not changed: they may be everybody's."""
    assert main(["test", "--write"]) == 2
    assert capsys.readouterr().err == "policy: error: --write needs the name of a FILE\n"
