from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from policy.__main__ import main
from policy.checks.codes import CODES

if TYPE_CHECKING:
    import pathlib


@pytest.mark.parametrize("name", CODES)
def test_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The page of a code says what it means, what to do, and shows both examples."""
    assert main(["rule", name]) == 0
    out = capsys.readouterr().out
    code = CODES[name]
    assert out.startswith(f"# {name} ({code.severity})\n\n{code.summary}\n\n{code.remedy}\n")
    assert code.example in out
    assert code.better in out


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a code all are listed, one a line."""
    assert main(["rule"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CODES)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has every field of every code."""
    assert main(["rule", "--output-format", "json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in records] == list(CODES)
    assert {"severity", "summary", "remedy", "example", "better", "layer"} < set(records[0])


def test_no_such_code(capsys: pytest.CaptureFixture[str]) -> None:
    """A code that does not exist is refused in one line, with the code that was probably meant."""
    assert main(["rule", "unkown-key"]) == 2
    assert capsys.readouterr().err == (
        'policy: error: no code "unkown-key"; `policy rule` lists those of policy check; did you mean "unknown-key"?\n'
    )


def test_codes_of_a_check_have_pages(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `policy check --output-format json` names, `policy rule` explains."""
    (tmp_path / "a.toml").write_text("timeout = \n", encoding="utf-8")
    main(["check", "--output-format", "json", str(tmp_path / "a.toml")])
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert main(["rule", finding["code"]]) == 0
