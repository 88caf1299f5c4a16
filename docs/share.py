"""Writes man pages and completions into share/: `python docs/share.py`; a test fails when they are not fresh."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reference import VARIABLES

from policy.commands import AS_ENV, COMMANDS, parser_for
from policy.commands.help import DESCRIPTION, options_of, program
from policy.commands.shells import module_of
from policy.manual import EXIT_CODES, RUN_EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policy.commands.reading import Option, Parser

SHARE = Path(__file__).parents[1] / "share"
# bash and fish look for a file of the command's name
BASH_ALIAS = '. "${BASH_SOURCE[0]%/*}/policy"\n'
BEFORE_OR_AFTER = "They may stand before or after the name of a command that has them.\n"
FISH_ALIAS = "complete -c lock-policy -w policy\n"


def files() -> dict[str, str]:
    """Every file below share/ and what is in it."""
    return {
        "bash-completion/completions/policy": module_of("bash").completions(),
        "bash-completion/completions/lock-policy": BASH_ALIAS,
        "fish/vendor_completions.d/policy.fish": module_of("fish").completions(),
        "fish/vendor_completions.d/lock-policy.fish": FISH_ALIAS,
        "zsh/site-functions/_policy": module_of("zsh").completions(),
        "man/man1/policy.1": _of_program(),
        "man/man1/lock-policy.1": ".so man1/policy.1\n",
        **{f"man/man1/policy-{name}.1": _of_command(name) for name in COMMANDS},
    }


def _of_program() -> str:
    parser = program()
    return "".join(
        [
            _head("policy", DESCRIPTION.rstrip(".")[0].lower() + DESCRIPTION.rstrip(".")[1:]),
            _section("SYNOPSIS", _synopsis(parser)),
            _section("DESCRIPTION", _text(DESCRIPTION)),
            _section("COMMANDS", _list((_page(f"policy-{name}"), text) for name, text in COMMANDS.items())),
            _section("OPTIONS", BEFORE_OR_AFTER, _options(options_of(parser))),
            _section("EXIT STATUS", _list((_bold(code), text) for code, text in EXIT_CODES.items())),
            _environment(),
            _section(
                "FILES",
                _list(
                    [
                        (
                            _bold("lock-policy.toml"),
                            "the project's configuration, or [tool.lock-policy] in pyproject.toml",
                        ),
                        (_bold("$XDG_CONFIG_HOME/lock-policy/lock-policy.toml"), "the user's"),
                        (_bold("/etc/lock-policy/lock-policy.toml"), "the system's"),
                    ]
                ),
            ),
            _section("SEE ALSO", ", ".join(map(_page, (*(f"policy-{name}" for name in COMMANDS), "flock")))),
        ]
    )  # fmt: skip  (a table)


def _of_command(name: str) -> str:
    parser = parser_for(name)
    codes = RUN_EXIT_CODES if name in AS_ENV else EXIT_CODES
    parts = [
        _head(f"policy-{name}", COMMANDS[name]),
        _section("SYNOPSIS", _synopsis(parser)),
        _section("DESCRIPTION", _text(parser.description)),
    ]
    if any(option.help for option in parser.positionals):
        parts.append(_section("ARGUMENTS", _list((_italic(one.value), one.help) for one in parser.positionals)))
    groups = [group for group in (*parser.groups.values(), parser.common) if group.options]
    parts += [_section((group.title or "other").upper(), _options(group.options)) for group in groups]
    parts += [
        _section("EXIT STATUS", _list((_bold(code), text) for code, text in codes.items())),
        _section("SEE ALSO", _page("policy")),
    ]
    return "".join(parts)


def _environment() -> str:
    return _section("ENVIRONMENT", _list((_bold(name), text.replace("`", "")) for name, text in VARIABLES.items()))


def _head(name: str, summary: str) -> str:
    return (
        f'.\\" Made by `python docs/share.py`; what is changed by hand is lost.\n'
        f'.TH "{name.upper()}" "1" "" "lock\\-policy" "lock\\-policy"\n.nh\n.ad l\n'
        f".SH NAME\n{_text(name)} \\- {_text(summary)}\n"
    )


def _section(title: str, *parts: str) -> str:
    return f'.SH "{_text(title)}"\n' + "".join(part.rstrip("\n") + "\n" for part in parts)


def _synopsis(parser: Parser) -> str:
    return "\n.br\n".join(_bold(line) for line in parser.synopsis.split("\n"))


def _options(options: Iterable[Option]) -> str:
    return _list((_spelled(option), option.help) for option in options)


def _spelled(option: Option) -> str:
    names = ", ".join(_bold(name) for name in option.names)
    return f"{names} {_italic(option.value)}" if option.value else names


def _list(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f".TP\n{name}\n{_text(text)}\n" for name, text in rows)


def _page(name: str) -> str:
    return f"{_bold(name)}(1)"


def _bold(text: str) -> str:
    return f"\\fB{_text(text)}\\fR"


def _italic(text: str) -> str:
    return f"\\fI{_text(text)}\\fR"


def _text(text: str) -> str:
    """Text as roff takes it: a dash that can be copied, and no line that looks like a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga")
    return f"\\&{text}" if text[:1] in {".", "'"} else text


def write(share: Path) -> None:
    """Writes all files, and removes those that are no longer made."""
    made = files()
    for path in sorted(share.rglob("*")):
        if path.is_file() and path.relative_to(share).as_posix() not in made:
            path.unlink()
    for name, text in made.items():
        path = share / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else SHARE)
