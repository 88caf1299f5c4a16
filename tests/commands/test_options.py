from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.commands import options
from policy.commands.reading import Arguments, Parser
from policy.errors import UsageError
from policy.rules.conditions import CONDITIONS, Combinator
from policy.rules.request import Request
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

FACTS = [key for key, one in CONDITIONS.items() if not isinstance(one, Combinator) and key != "env"]


def declared() -> Parser:
    """The options that commands share."""
    parser = Parser("policy x")
    for declare in (options.environment, options.settings, options.common):
        declare(parser)
    return parser


def arguments(*words: str) -> Arguments:
    """The options that commands share, read."""
    return declared().read(words)


def test_rules() -> None:
    """The options become the rules that they ask for."""
    rules = options.rules(
        arguments("--project", "p", "--config-file", "f", "--no-config", "--timeout", "1.5", "--global-dir", "/g")
    )
    got = (rules.project, rules.config_file, rules.no_config, rules.timeout, rules.global_dir)
    assert got == ("p", "f", True, 1.5, "/g")
    rules = options.rules(arguments())
    assert (rules.project, rules.config_file, rules.no_config, rules.timeout, rules.global_dir) == (
        None,
        None,
        False,
        None,
        None,
    )


@pytest.mark.parametrize("value", ["", "x", "-1", "nan", "86401"])
def test_bad_timeout(value: str) -> None:
    """A timeout that cannot be one is an error that names the option."""
    with pytest.raises(UsageError, match=r"^--timeout must be a number of seconds from 0 to 86400$"):
        options.rules(arguments(f"--timeout={value}"))


def test_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller is this process, with the variables and the operation that the options say."""
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("GONE", "1")
    caller = options.caller(Arguments(env=["A=b=c", "EMPTY="], unset=["GONE", "NEVER"], operation="sync"))
    assert (caller.environ["KEPT"], caller.environ["A"], caller.environ["EMPTY"]) == ("1", "b=c", "")
    assert "GONE" not in caller.environ
    assert (caller.operation, caller.cwd) == ("sync", os.getcwd())
    assert os.environ["GONE"] == "1"
    assert "A" not in os.environ


def test_env_after_unset() -> None:
    """A variable that is unset and set is set."""
    assert options.caller(Arguments(env=["A=1"], unset=["A"])).environ["A"] == "1"


@pytest.mark.parametrize("pair", ["A", "=1", "", "="])
def test_bad_env(pair: str) -> None:
    """What is no variable is an error that shows how to write one."""
    with pytest.raises(UsageError) as caught:
        options.caller(Arguments(env=[pair]))
    assert str(caught.value) == f"--env {pair}: write --env NAME=VALUE"


@pytest.mark.parametrize(
    ("pair", "key", "fact"),
    [
        ("writable=no", "writable", False),
        ("externally-managed=1", "externally-managed", True),
        ("kind=target", "kind", "target"),
        ("interpreter=/nix//store/./x/bin/python", "interpreter", "/nix/store/x/bin/python"),
        ("filesystem=nfs4", "filesystem", "nfs4"),
        ("host=", "host", ""),
        ("user=a=b", "user", "a=b"),
    ],
)
def test_assume(pair: str, key: str, fact: object) -> None:
    """A fact is assumed as it would be observed, and the explanation says that it was."""
    asked = factories.request()
    options.assume(asked, [pair])
    assert asked.facts == {key: fact}
    assert asked.details == {key: "assumed"}


@pytest.mark.parametrize("pair", ["writable", "x=1", "env=A", "any=1", "", "=1"])
def test_bad_assume(pair: str) -> None:
    """What is no fact is an error that names all of them."""
    with pytest.raises(UsageError) as caught:
        options.assume(factories.request(), [pair])
    assert str(caught.value) == f"--assume {pair}: write --assume FACT=VALUE with one of {', '.join(FACTS)}"


def test_impossible_fact() -> None:
    """A fact that cannot be is an error that says what can."""
    with pytest.raises(UsageError) as caught:
        options.assume(factories.request(), ["writable=maybe"])
    assert str(caught.value) == "--assume writable=maybe: writable must be true or false"


@pytest.mark.parametrize(
    ("words", "found_by", "kind"),
    [
        (("--python", "{root}"), "--python", "virtualenv"),
        (("--python", "{root}", "--target", "there"), "--target", "target"),
        (("--python", "{root}", "--prefix", "there"), "--prefix", "prefix"),
    ],
)
def test_found(tmp_path: Path, words: tuple[str, ...], found_by: str, kind: str) -> None:
    """The environment is the one that the options name."""
    root = factories.virtualenv(tmp_path / "env")
    read = arguments(*(word.format(root=root) for word in words))
    found = options.found(read, factories.request(factories.alone(tmp_path), cwd=str(tmp_path)).caller)
    assert (found.found_by, found.kind) == (found_by, kind)


def test_notes(capsys: pytest.CaptureFixture[str]) -> None:
    """Notes, warnings and errors are one line each on stderr, with what is not printable escaped."""
    options.note("a\nb")
    options.warn("\x1b[31m")
    options.complain("\u202e")
    assert capsys.readouterr() == ("", "policy: a\\nb\npolicy: warning: \\x1b[31m\npolicy: error: \\u202e\n")


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note that nobody can read any more stops nothing."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1, encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        options.note("x")
        monkeypatch.undo()
        stream.flush()  # what was not taken is not tried again


def test_requests_are_separate() -> None:
    """Assuming a fact of one request says nothing of another."""
    one, other = factories.request(), factories.request()
    options.assume(one, ["writable=no"])
    assert isinstance(other, Request)
    assert other.facts == {}


def test_help_of_every_option() -> None:
    """Every shared option has a help text."""
    assert all(option.help for option in declared().options.values())


def test_what_follows_from_assumptions() -> None:
    """An assumed root, interpreter or kind is what is locked: the plan follows, and the real one is left alone."""
    asked = factories.request()
    found = asked.environment
    options.assume(asked, ["environment=/x/env", "kind=system", "operation=sync"])
    assert (asked.environment.root, asked.environment.kind, asked.caller.operation) == ("/x/env", "system", "sync")
    assert asked.environment.interpreter == found.interpreter
    assert (found.root, found.kind) == ("/srv/app/.venv", "virtualenv")
    two = factories.request()
    options.assume(two, ["environment=/link/env", "environment=/real/env"])
    assert two.facts["environment"] == ("/link/env", "/real/env")
    assert two.environment.root == "/link/env"
