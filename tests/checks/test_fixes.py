from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from policy.checks.fixes import fixed, write
from policy.checks.lint import check
from policy.checks.run_cases import run
from policy.config.layers import PROJECT, TABLE, Source
from policy.config.read import read_file
from policy.errors import ConfigError
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path


def better(tmp_path: Path, text: str, name: str = "lock-policy.toml") -> str:
    """A file after all corrections; the file itself stays as it was."""
    path = factories.written(tmp_path / name, text)
    before, after = fixed(Source(PROJECT, str(path), TABLE if name == "pyproject.toml" else ()))
    assert before == text == path.read_text(encoding="utf-8")
    return after


MISSPELLED = """\
# the head of the file
timout = 60  # a minute

[[rules]]  # the store
name = "store"
match.interpretr = "/nix/store/*"
lock = 'globl'

[[tests]]
name = "t"
"expct" = { lock = "local", rule = "environment" }
"""


def test_spellings(tmp_path: Path) -> None:
    """Misspelled keys and names are corrected where they stand, in their quotes; all else stays, comments too."""
    expected = MISSPELLED.replace("timout", "timeout").replace("interpretr", "interpreter").replace("globl", "global")
    expected = expected.replace("expct", "expect")
    assert better(tmp_path, MISSPELLED) == expected


@pytest.mark.parametrize(
    "text",
    [
        "xyz = 1\n",  # like no key
        "tout = 60\n",  # like one, but not enough
        "timeout = 1\ntimout = 2\n",  # the key is there already
        'timout = "x"\n',  # would be wrong all the same
        '[[rules]]\nlock = "both"\nmatch = {}\n',  # nobody knows what was meant
        "",
    ],
)
def test_what_needs_thought(tmp_path: Path, text: str) -> None:
    """What may have been meant otherwise stays as it is."""
    assert better(tmp_path, text) in {text, 'timeout = "x"\n'}


NAMES = """\
[[rules]]
name = "a"
lock = "global"
match.writable = false

[[rules]]
name = 'a'  # the second
lock = "both"
match.kind = "target"

[[tests]]
name = "t"
expect.lock = "local"

[[tests]]
name = "t"
expect.lock = "local"
given.platform = "darwin"
"""


def test_names(tmp_path: Path) -> None:
    """The second of two rules, or tests, of one name gets another one, which nothing has."""
    expected = NAMES.replace("name = 'a'", "name = 'a-2'")
    head, mark, tail = expected.rpartition('name = "t"')
    assert better(tmp_path, NAMES) == f'{head}{mark[:-1]}-2"{tail}'


COPIES = """\
# about the first
[[rules]]
name = "a"
lock = "global"
match.writable = false

# about the copy
# in two lines
[[rules]]
name = "b"
lock = ["global"]
[rules.match]  # the same
writable = false

# about the test
[[tests]]
name = "t"
given.writable = false
expect.lock = "global"
"""


def test_copies(tmp_path: Path) -> None:
    """A rule that says what an earlier one says goes, with the comments above it; those of others stay."""
    begin, end = COPIES.index("# about the copy"), COPIES.index("# about the test")
    assert better(tmp_path, COPIES) == COPIES[:begin] + COPIES[end:]


def test_copy_in_pyproject(tmp_path: Path) -> None:
    """In pyproject.toml the tables of others stay, wherever they stand."""
    rule = '[[tool.lock-policy.rules]]\nlock = "global"\nmatch.writable = false\n\n'
    others = '[tool.other]\nx = 1  # theirs\n\n[project]\nname = "p"\n'
    assert better(tmp_path, rule + rule + others, "pyproject.toml") == rule + others
    assert better(tmp_path, others + "\n" + rule + rule, "pyproject.toml") == others + "\n" + rule


def test_inline_copies_stay(tmp_path: Path) -> None:
    """Rules in one line are for people to change."""
    text = 'rules = [{ lock = "both", match.writable = true }, { lock = "both", match.writable = true }]\n'
    assert better(tmp_path, text) == text


def test_line_ends(tmp_path: Path) -> None:
    """Line ends and a missing last one stay."""
    path = tmp_path / "lock-policy.toml"
    path.write_bytes(b"timout = 1\r\n# end")
    assert fixed(Source(PROJECT, str(path)))[1] == "timeout = 1\r\n# end"


def test_no_toml(tmp_path: Path) -> None:
    """What is no TOML is refused as ever."""
    with pytest.raises(ConfigError, match="not valid TOML"):
        better(tmp_path, "timout = \n")


def test_fixed_is_found_no_more(tmp_path: Path) -> None:
    """What was corrected is found no more, and nothing else is."""
    for text in (MISSPELLED, NAMES, COPIES):
        after = factories.source(tmp_path / "after.toml", better(tmp_path, text))
        assert check([after], together=False).findings == ()


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")
def test_write(tmp_path: Path) -> None:
    """A file is replaced whole with its mode, through a link, and a failure leaves it and nothing else."""
    path = factories.written(tmp_path / "real.toml", "a")
    path.chmod(0o640)
    (tmp_path / "link.toml").symlink_to("real.toml")
    write(str(tmp_path / "link.toml"), "b\r\n")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"b\r\n", 0o640)
    assert (tmp_path / "link.toml").is_symlink()
    with pytest.raises(OSError, match="No such file"):
        write(str(tmp_path / "missing.toml"), "x")
    assert sorted(os.listdir(tmp_path)) == ["link.toml", "real.toml"]


TESTED = """\
[[rules]]
name = "same"
lock = "local"
match.user = "a"

[[rules]]
name = "same"  # the second one
lock = "both"
match.user = "b"

[[tests]]
name = "of the first"
given.user = "a"
expect = { lock = "local", rule = "same" }

[[tests]]
name = "of the second"
given.user = "b"
expect = { lock = "both", rule = 'same' }  # kept

[[tests]]
name = "of a built-in one"
expect.lock = "local"
expect.rule = "enviroment"
"""


def test_names_in_tests(tmp_path: Path) -> None:
    """A misspelled name that a test expects is corrected, and a rule's new name stands in the tests that it decides."""
    expected = TESTED.replace('"same"  # the second one', '"same-2"  # the second one')
    expected = expected.replace("'same' }  # kept", '"same-2" }  # kept').replace("enviroment", "environment")
    assert better(tmp_path, TESTED) == expected
    file = factories.source(tmp_path / "tested.toml", expected)
    assert run(read_file(file)).failed == 0
