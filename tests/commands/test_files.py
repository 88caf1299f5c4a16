from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from policy.commands import files, options
from policy.commands.reading import Arguments, Parser
from policy.errors import UsageError
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and a home without any configuration."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LOCK_POLICY_")]:
        monkeypatch.delenv(name)
    for name, value in factories.alone(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def parsed(*words: str) -> Arguments:
    """A command line that names files, as the commands read one."""
    parser = Parser("policy x")
    files.arguments(parser, "files")
    options.configuration(parser)
    return parser.read(words)


def layers_of(*words: str) -> list[tuple[str, str]]:
    """The layer and the path of each file that was chosen."""
    sources, _ = files.chosen(parsed(*words))
    return [(source.layer.name, source.path) for source in sources]


def test_named_files(here: Path) -> None:
    """A file that is named is a project's; one in the place of the user's or the system's file is that."""
    user = factories.written(here / "home" / ".config" / "lock-policy" / "lock-policy.toml", "")
    system = factories.written(here / "etc" / "lock-policy" / "lock-policy.toml", "")
    assert layers_of("a.toml", str(user), str(system)) == [
        ("project", str(here / "a.toml")),
        ("user", str(user)),
        ("system", str(system)),
    ]


def test_layer_is_chosen(here: Path) -> None:
    """`--layer` says what the file is judged as, wherever it stands."""
    assert layers_of("--layer", "system", "a.toml") == [("system", str(here / "a.toml"))]


def test_pyproject_has_its_table(here: Path) -> None:
    """In a pyproject.toml the configuration is a table."""
    factories.written(here / "pyproject.toml", "")
    (source,), _ = files.chosen(parsed("pyproject.toml"))
    assert source.keys == ("tool", "lock-policy")


def test_files_that_apply(here: Path) -> None:
    """Without a name the files of the working directory are meant, the strongest first."""
    user = factories.written(here / "home" / ".config" / "lock-policy" / "lock-policy.toml", "")
    project = factories.written(here / "lock-policy.toml", "")
    assert layers_of() == [("project", str(project)), ("user", str(user))]
    assert layers_of("--no-config") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layer", "user"], "--layer needs the name of a FILE"),
        (["a.toml", "--no-config"], "name FILE, or use --config-file or --no-config, not both"),
        (["a.toml", "--config-file", "b.toml"], "name FILE, or use --config-file or --no-config, not both"),
    ],
)
def test_contradictions(words: list[str], message: str) -> None:
    """Options that contradict each other are refused with what to do."""
    with pytest.raises(UsageError) as caught:
        files.chosen(parsed(*words))
    assert str(caught.value) == message
