"""`policy help`: what people read before they type."""

from __future__ import annotations

import pytest

from policy.commands import COMMANDS, parser_for
from policy.commands.help import called, main, misread, options_of, program
from policy.commands.reading import Arguments, CommandLineError


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_fits(name: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of everything fits the terminal, however wide, and says something of each option."""
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(Arguments(command=name or None)) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= columns
    for option in options_of(parser_for(name) if name else program()):
        assert option.help
        assert f"{', '.join(option.names)} {option.value}".strip() in text


def test_without_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file the help has 80 columns."""
    monkeypatch.delenv("COLUMNS", raising=False)
    main(Arguments(command=None))
    assert 70 < max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], ("help", [])),
        (["-q"], ("help", [])),
        (["--color", "always", "explain", "x"], ("explain", ["--color", "always", "x"])),
        (["-q", "run", "--", "uv", "-q"], ("run", ["-q", "--", "uv", "-q"])),
        (["--project=.", "--", "check"], ("check", ["--project=.", "--"])),
        (["-V", "explain"], ("help", ["--version"])),
        (["--help", "nonsense"], ("help", [])),
    ],
)
def test_called(argv: list[str], expected: tuple[str, list[str]]) -> None:
    """Options before the command's name are the command's."""
    assert called(argv) == expected


def test_misread() -> None:
    """What may have been meant, or where all of it is listed."""
    assert misread(CommandLineError("x", "policy x [options]", "--colour", ["--color"])) == 'x; did you mean "--color"?'
    assert misread(CommandLineError("x", "policy x [A]", "--y", [])) == "x; `policy x --help` lists the options"
    assert misread(CommandLineError("x is missing", "policy x [A]")) == "x is missing"
