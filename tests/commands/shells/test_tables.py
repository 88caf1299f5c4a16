"""What the completion of every shell is made of."""

from __future__ import annotations

from policy.commands import COMMANDS
from policy.commands.help import options_of
from policy.commands.reading import REMAINDER, Option
from policy.commands.shells import tables


def test_one_arity() -> None:
    """An option that takes a value takes one in every command, for scripts skip the word behind it."""
    flags = {
        name
        for _, parser in tables.parsers()
        for option in options_of(parser)
        if not option.value
        for name in option.names
    }
    assert not flags & set(tables.with_values())


def test_parsers() -> None:
    """The program and every command."""
    assert [name for name, _ in tables.parsers()] == ["", *COMMANDS]


def test_completed() -> None:
    """A value is completed by its choices, else by what its help calls it."""
    assert tables.completed(Option(["--color"], choices=("a", "b"))) == ("a", "b")
    assert tables.completed(Option(["--python"], metavar="ENV")) == (tables.FILES,)
    assert tables.completed(Option(["--target"], metavar="DIR")) == (tables.FOLDERS,)
    assert tables.completed(Option(["--timeout"], metavar="SECONDS")) == ()
    assert tables.completed(Option(["command"], metavar="COMMAND")) == tuple(COMMANDS)
    assert tables.completed(Option(["command"], metavar="COMMAND", nargs=REMAINDER)) == (tables.PROGRAMS,)


def test_takes_programs() -> None:
    """`run` is followed by a command line, and by nothing else."""
    assert "run" in tables.takes_programs()
    assert "run" in tables.takes_programs(alone=True)
    assert "check" not in tables.takes_programs()


def test_quoted() -> None:
    """An apostrophe is written as the shell wants it."""
    assert tables.quoted("it's") == r"'it'\''s'"
    assert tables.quoted("it's", "''") == "'it''s'"


def test_filled() -> None:
    """Names between at-signs are replaced."""
    assert tables.filled("a @B@ @C@", B="1") == "a 1 @C@"
