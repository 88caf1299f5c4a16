"""`policy init` as it is called, and what it writes."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from typing import TYPE_CHECKING

import jsonschema
import pytest

from policy.__main__ import main
from policy.commands.init import STARTER, for_pyproject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _uncommented(text: str) -> str:
    """The text with the lines that are commented TOML as if they were not."""
    return re.sub(r"^# (?=\[\[|(name|match\S*|lock|timeout|global-dir) = )", "", text, flags=re.MULTILINE)


def test_what_it_writes_is_right(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file passes `check --strict`, its tests pass and reach all of its rules."""
    assert main(["init"]) == 0
    assert (here / "lock-policy.toml").read_text(encoding="utf-8") == STARTER
    assert main(["check", "--strict", "lock-policy.toml"]) == 0
    assert main(["test", "lock-policy.toml"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "All good: 1 file, 1 rule\ncovered: 1 of 1 (100 %) rule" in captured.out
    assert captured.out.endswith("\n2 passed in 1 file\n")


def test_what_it_proposes_is_right(here: Path) -> None:
    """The rules and settings in its comments pass `check --strict` too."""
    text = _uncommented(STARTER)
    assert len(tomllib.loads(text)["rules"]) == 3
    assert {"timeout", "global-dir"} <= set(tomllib.loads(text))
    (here / "lock-policy.toml").write_text(text, encoding="utf-8")
    (here / "locks").mkdir()  # it proposes a directory, and one that is missing would be a finding
    assert main(["check", "--strict", "lock-policy.toml"]) == 0


def test_the_tables_for_pyproject(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--pyproject prints the same as tables, and writes nothing."""
    assert main(["init", "--pyproject"]) == 0
    assert list(here.iterdir()) == []
    text = capsys.readouterr().out
    assert text == for_pyproject()
    for change in (str, _uncommented):
        assert tomllib.loads(change(text))["tool"]["lock-policy"] == tomllib.loads(change(STARTER))
    (here / "pyproject.toml").write_text(text, encoding="utf-8")
    assert main(["check", "--strict", "pyproject.toml"]) == 0


def test_it_does_not_overwrite(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there stays as it is, unless --force."""
    (here / "x.toml").write_text("kept", encoding="utf-8")
    assert main(["init", "x.toml"]) == 2
    assert capsys.readouterr().err == "policy: error: x.toml: already exists; --force replaces it\n"
    assert (here / "x.toml").read_text(encoding="utf-8") == "kept"
    assert main(["init", "--force", "x.toml"]) == 0
    assert (here / "x.toml").read_text(encoding="utf-8") == STARTER
    assert [file.name for file in here.iterdir()] == ["x.toml"]


@pytest.mark.parametrize("there", [True, False], ids=["a file", "nothing"])
def test_it_follows_no_link(here: Path, *, there: bool) -> None:
    """What a link leads to is never written: without --force the link stays, with it the link is replaced."""
    target, link = here / "target", here / "lock-policy.toml"
    if there:
        target.write_text("kept", encoding="utf-8")
    link.symlink_to(target)
    assert main(["init"]) == 2
    assert main(["init", "--force"]) == 0
    assert not link.is_symlink()
    assert target.exists() is there
    assert not there or target.read_text(encoding="utf-8") == "kept"


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_only_the_owner_can_write_it(here: Path) -> None:
    """A file that everyone can write would be ignored, so none is made, whatever the umask."""
    before = os.umask(0)
    try:
        assert main(["init"]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((here / "lock-policy.toml").stat().st_mode) == 0o644


@pytest.mark.parametrize("arguments", [["missing/x.toml"], [".", "--force"], ["pyproject.toml"], ["a\0b"]])
def test_where_nothing_can_be_written(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A place where it cannot be is refused in one line, and nothing is left behind."""
    assert main(["init", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert os.listdir() == []


def test_schema(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--schema writes the schema beside the file, and a line with which editors find it."""
    (here / "sub").mkdir()
    assert main(["init", "--schema", "sub/lock-policy.toml"]) == 0
    text = (here / "sub/lock-policy.toml").read_text(encoding="utf-8")
    assert text == f"#:schema ./lock-policy.schema.json\n\n{STARTER}"
    schema = json.loads((here / "sub/lock-policy.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(tomllib.loads(text))
    assert main(["check", "--strict", "sub/lock-policy.toml"]) == 0
    capsys.readouterr()
    assert main(["init", "--schema", "sub/lock-policy.toml"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["init", "--schema", "--force", "sub/lock-policy.toml"]) == 0


def test_schema_of_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Tables for pyproject.toml have no schema line, for others use that file too."""
    assert main(["init", "--schema", "--pyproject"]) == 2
    assert capsys.readouterr().err == "policy: error: --schema is for a file of its own, not for --pyproject\n"
