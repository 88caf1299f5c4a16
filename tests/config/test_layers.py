from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from policy.__main__ import main
from policy.config import layers as sources
from policy.config.layers import TABLE, Query
from policy.errors import ConfigError, UsageError
from tests import factories, requirements

if sys.platform == "win32":
    pytest.skip("needs POSIX paths, owners and modes", allow_module_level=True)

OWN = "timeout = 1\n"
IN_PYPROJECT = '[project]\nname = "x"\n[tool.lock-policy]\ntimeout = 2\n'
OTHERS = '[project]\nname = "x"\ndependencies = ["lock-policy"]\n[tool.other]\nx = 1\n'


def found(asked: Query) -> list[tuple[str, str]]:
    """The files that are read: (layer, path)."""
    return [(one.layer.name, one.path) for one in sources.find(asked)]


def said(asked: Query) -> list[str]:
    """What was noticed."""
    return list(map(str, asked.notices))


def whole(asked: Query) -> list[tuple[str, str]]:
    """Those of which everything counts."""
    return [(one.layer.name, one.path) for one in sources.find(asked) if not one.partly]


@pytest.fixture
def layers(tmp_path: Path) -> dict[str, Path]:
    """A file in each layer."""
    return {
        "project": factories.written(tmp_path / "work" / "lock-policy.toml", OWN),
        "user": factories.written(tmp_path / "home" / ".config" / "lock-policy" / "lock-policy.toml", OWN),
        "system": factories.written(tmp_path / "etc" / "lock-policy" / "lock-policy.toml", OWN),
    }


def test_order(tmp_path: Path, layers: dict[str, Path]) -> None:
    """The project's file is the strongest, then the user's, then the system's."""
    asked = factories.query(tmp_path, root=f"{tmp_path}/work/.venv")
    assert found(asked) == [(layer, str(path)) for layer, path in layers.items()]
    assert said(asked) == []


def test_nothing(tmp_path: Path) -> None:
    """Without a file there is none."""
    assert found(factories.query(tmp_path)) == []


# --config-file and --no-config


@pytest.mark.usefixtures("layers")
def test_config_file(tmp_path: Path) -> None:
    """The file that is named is read alone, relative to the working directory, and wherever it lies."""
    named = factories.written(tmp_path / "cfg" / "mine.toml", OWN)
    expected = [("file", str(named))]
    assert whole(factories.query(tmp_path, config_file=str(named))) == expected
    assert whole(factories.query(tmp_path, config_file="cfg/mine.toml")) == expected
    assert whole(factories.query(tmp_path, {"LOCK_POLICY_CONFIG_FILE": "cfg/mine.toml"})) == expected


def test_option_before_variable(tmp_path: Path) -> None:
    """`--config-file` is stronger than LOCK_POLICY_CONFIG_FILE, and than LOCK_POLICY_NO_CONFIG."""
    named = factories.written(tmp_path / "mine.toml", OWN)
    environ = {"LOCK_POLICY_CONFIG_FILE": "/no/such/file", "LOCK_POLICY_NO_CONFIG": "1"}
    assert found(factories.query(tmp_path, environ, config_file=str(named))) == [("file", str(named))]


def test_pyproject_named(tmp_path: Path) -> None:
    """A pyproject.toml that is named is read for its table."""
    path = factories.written(tmp_path / "a" / "pyproject.toml", IN_PYPROJECT)
    (source,) = sources.find(factories.query(tmp_path, config_file=str(path)))
    assert source.keys == TABLE


@pytest.mark.parametrize("by", ["option", "variable"])
def test_config_file_missing(tmp_path: Path, by: str) -> None:
    """A file that is named and missing is an error that says so."""
    asked = (
        factories.query(tmp_path, config_file="no.toml")
        if by == "option"
        else factories.query(tmp_path, {"LOCK_POLICY_CONFIG_FILE": "no.toml"})
    )
    with pytest.raises(UsageError, match=r"^no\.toml: no such file; name an existing one with --config-file$"):
        sources.find(asked)


@pytest.mark.usefixtures("layers")
def test_empty_variable(tmp_path: Path) -> None:
    """An empty LOCK_POLICY_CONFIG_FILE names nothing; an empty --config-file is no file."""
    asked = factories.query(tmp_path, {"LOCK_POLICY_CONFIG_FILE": ""}, root=f"{tmp_path}/work")
    assert [layer for layer, _ in found(asked)] == ["project", "user", "system"]
    source, _ = sources.find(factories.query(tmp_path, config_file=""))
    with pytest.raises(ConfigError, match="is a directory, not a regular file"):
        sources.has_table(source.path, source.identity, asked)


@pytest.mark.usefixtures("layers")
@pytest.mark.parametrize("word", ["y", "yes", "t", "true", "on", "1", "YES", "True", "oN"])
def test_no_config_variable(tmp_path: Path, word: str) -> None:
    """LOCK_POLICY_NO_CONFIG with any spelling of true means no file, not even the one that a variable names."""
    environ = {"LOCK_POLICY_NO_CONFIG": word, "LOCK_POLICY_CONFIG_FILE": f"{tmp_path}/work/lock-policy.toml"}
    assert whole(factories.query(tmp_path, environ)) == []


@pytest.mark.parametrize("word", ["n", "no", "f", "false", "off", "0", "NO", "False", "oFF"])
def test_config_variable(tmp_path: Path, layers: dict[str, Path], word: str) -> None:
    """LOCK_POLICY_NO_CONFIG with any spelling of false means nothing."""
    assert len(found(factories.query(tmp_path, {"LOCK_POLICY_NO_CONFIG": word}, root=f"{tmp_path}/work"))) == len(
        layers
    )


@pytest.mark.parametrize("word", ["", " ", "2", "maybe", "tru"])
def test_bad_no_config_variable(tmp_path: Path, word: str) -> None:
    """LOCK_POLICY_NO_CONFIG with anything else, empty too, is an error."""
    with pytest.raises(UsageError) as caught:
        factories.query(tmp_path, {"LOCK_POLICY_NO_CONFIG": word})
    assert str(caught.value) == "LOCK_POLICY_NO_CONFIG must be a boolean (true, false, yes, no, on, off, 1 or 0)"


@pytest.mark.usefixtures("layers")
def test_no_config_option(tmp_path: Path) -> None:
    """`--no-config` means no file at all, whatever the variables say."""
    assert whole(factories.query(tmp_path, {"LOCK_POLICY_NO_CONFIG": "0"}, no_config=True)) == []


def test_both_options(tmp_path: Path) -> None:
    """`--config-file` and `--no-config` together are an error, for one of them cannot be meant."""
    with pytest.raises(UsageError, match=r"^--config-file and --no-config cannot be used together$"):
        factories.query(tmp_path, config_file="a.toml", no_config=True)


def test_missing_project(tmp_path: Path) -> None:
    """A project directory that is named must be there: upward from nowhere might be somebody else's rules."""
    with pytest.raises(UsageError, match=r"^gone: no such directory; name the project's directory with --project$"):
        sources.find(factories.query(tmp_path, project="gone"))


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "x", "\u0661", "9" * 19])
def test_bad_size(tmp_path: Path, value: str) -> None:
    """LOCK_POLICY_MAX_SIZE is a number of bytes, or an error."""
    with pytest.raises(UsageError, match=r"^LOCK_POLICY_MAX_SIZE must be a number of bytes$"):
        factories.query(tmp_path, {"LOCK_POLICY_MAX_SIZE": value})


def test_size(tmp_path: Path) -> None:
    """LOCK_POLICY_MAX_SIZE goes with every source; without it 256 KiB are allowed."""
    factories.written(tmp_path / "lock-policy.toml", OWN)
    assert [one.limit for one in sources.find(factories.query(tmp_path, {"LOCK_POLICY_MAX_SIZE": "300000"}))] == [
        300_000
    ]
    assert [one.limit for one in sources.find(factories.query(tmp_path))] == [256 * 1024]


# Looking upward


@pytest.mark.parametrize("file", ["lock-policy.toml", "pyproject.toml"])
def test_upward(tmp_path: Path, file: str) -> None:
    """The nearest file is found from far below, and the ones above it do not count."""
    factories.written(tmp_path / "lock-policy.toml", OWN)
    near = factories.written(tmp_path / "a" / file, OWN if file == "lock-policy.toml" else IN_PYPROJECT)
    root = tmp_path / "a" / "b" / "c" / ".venv"
    root.mkdir(parents=True)
    assert found(factories.query(tmp_path, root=str(root))) == [("project", str(near))]


def test_project_before_root_before_cwd(tmp_path: Path) -> None:
    """`--project` is looked at first, then the environment's root; only where that finds none the working directory."""
    for name in ("project", "env", "cwd"):
        factories.written(tmp_path / name / "lock-policy.toml", OWN)

    def first(**options: str) -> str:
        directories: dict[str, Any] = {key: f"{tmp_path}/{name}" for key, name in options.items()}
        ((_, path),) = found(factories.query(tmp_path, **directories))
        return Path(path).parent.name

    assert first(project="project", root="env", cwd="cwd") == "project"
    assert first(root="env", cwd="cwd") == "env"
    assert first(root="nowhere", cwd="cwd") == "cwd"
    (tmp_path / "bare").mkdir()
    assert (
        found(factories.query(tmp_path, project=f"{tmp_path}/bare", root=f"{tmp_path}/env", cwd=f"{tmp_path}/cwd"))
        == []
    )


def test_project_is_relative(tmp_path: Path) -> None:
    """A relative `--project` is one of the caller's working directory."""
    factories.written(tmp_path / "a" / "lock-policy.toml", OWN)
    (tmp_path / "b").mkdir()
    assert found(factories.query(tmp_path, project="b/../a/./")) == [("project", f"{tmp_path}/a/lock-policy.toml")]


def test_both_in_one_directory(tmp_path: Path) -> None:
    """In one directory lock-policy.toml wins over pyproject.toml, with a warning when both are ours."""
    own = factories.written(tmp_path / "lock-policy.toml", OWN)
    pyproject = factories.written(tmp_path / "pyproject.toml", IN_PYPROJECT)
    asked = factories.query(tmp_path)
    assert found(asked) == [("project", str(own))]
    assert said(asked) == [f"{pyproject} is ignored: {own} in the same folder is used"]
    pyproject.write_text(OTHERS, encoding="utf-8")
    asked = factories.query(tmp_path)
    assert found(asked) == [("project", str(own))]
    assert said(asked) == []


@pytest.mark.parametrize(
    "text", ["", OTHERS, "[tool]\nlock-policies = 1\n", "[tool.uv]\n", "this is no TOML", "[project]\nx = '\\\\u'"]
)
def test_pyproject_without_table(tmp_path: Path, text: str) -> None:
    """A pyproject.toml without our table is passed over, and one that does not mention us is not even parsed."""
    above = factories.written(tmp_path / "lock-policy.toml", OWN)
    factories.written(tmp_path / "a" / "pyproject.toml", text)
    assert found(factories.query(tmp_path, root=f"{tmp_path}/a")) == [("project", str(above))]


@pytest.mark.parametrize(
    "text",
    [
        IN_PYPROJECT,
        "[tool]\nlock-policy.timeout = 2\n",
        'tool."lock-policy".timeout = 2\n',
        '[tool."lock\\u002dpolicy"]\ntimeout = 2\n',
        '[tool."lock\\U0000002dpolicy"]\ntimeout = 2\n',
        "tool = { lock-policy = { timeout = 2 } }\n",
        "[tool.lock-policy]\n",
        "tool.lock-policy = 5\n",
    ],
)
def test_pyproject_with_table(tmp_path: Path, text: str) -> None:
    """Our table is found however TOML lets it be spelled."""
    path = factories.written(tmp_path / "pyproject.toml", text)
    (source,) = sources.find(factories.query(tmp_path))
    assert (source.layer.name, source.path, source.keys) == ("project", str(path), TABLE)


def test_broken_pyproject(tmp_path: Path) -> None:
    """A pyproject.toml that mentions us and is no TOML is an error, not passed over."""
    factories.written(tmp_path / "pyproject.toml", "[tool.lock-policy]\ntimeout = \n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml:2:11: error: not valid TOML: Invalid value"):
        sources.find(factories.query(tmp_path))


READ = """
from policy.config import read
from policy.__main__ import main
from policy.config import layers as sources
query = sources.Query(dict(os.environ), sys.argv[1], sys.argv[1])
try:
    print(read.load_chain(sources.find(query)))
except Exception as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("file", ["lock-policy.toml", "pyproject.toml"])
@pytest.mark.parametrize("kind", ["loop", "dangling", "fifo", "directory"])
def test_no_regular_file(tmp_path: Path, file: str, kind: str) -> None:
    """A link in a circle, a broken link, a FIFO and a directory in a file's place are errors; nothing hangs."""
    path = tmp_path / file
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "loop" else tmp_path / "nowhere")
    message = {
        "loop": "cannot be read: its symbolic links lead in a circle",
        "dangling": "no such file",
        "fifo": "is a named pipe, not a regular file",
        "directory": "is a directory, not a regular file",
    }[kind]
    program = [sys.executable, "-c", f"import os, sys\n{READ}"]
    seen = factories.policy(tmp_path, environ=factories.alone(tmp_path), cwd=tmp_path, program=program, timeout=20)
    assert seen.stdout == f"{path}: error: {message}\n", seen.stderr


# Files that others may have put there


@pytest.mark.parametrize("file", ["lock-policy.toml", "pyproject.toml"])
def test_writable_by_all(tmp_path: Path, file: str) -> None:
    """A file that everyone can write is skipped with a warning, and the next one upward counts."""
    above = factories.written(tmp_path / "lock-policy.toml", OWN)
    path = factories.written(tmp_path / "a" / file, OWN if file == "lock-policy.toml" else IN_PYPROJECT)
    path.chmod(0o666)
    asked = factories.query(tmp_path, root=f"{tmp_path}/a")
    assert found(asked) == [("project", str(above))]
    assert said(asked) == [f"{path} is ignored: everyone can write it; use `chmod o-w` on it"]


def test_writable_by_group(tmp_path: Path) -> None:
    """A file that merely its group can write is used."""
    path = factories.written(tmp_path / "lock-policy.toml", OWN)
    path.chmod(0o664)
    asked = factories.query(tmp_path)
    assert found(asked) == [("project", str(path))]
    assert said(asked) == []


def test_own_file_beats_untrusted_pyproject(tmp_path: Path) -> None:
    """What stands beside our own file and is not trusted is not read."""
    own = factories.written(tmp_path / "lock-policy.toml", OWN)
    factories.written(tmp_path / "pyproject.toml", "[tool.lock-policy").chmod(0o666)
    asked = factories.query(tmp_path)
    assert found(asked) == [("project", str(own))]
    assert said(asked) == [f"{tmp_path}/pyproject.toml is ignored: everyone can write it; use `chmod o-w` on it"]


PLANTED = "is ignored: it belongs to someone else, in a directory that everyone can write"


@pytest.mark.parametrize("file", ["lock-policy.toml", "pyproject.toml"])
@pytest.mark.parametrize("kind", ["file", "link", "fifo", "dangling"])
def test_planted(tmp_path: Path, file: str, kind: str) -> None:
    """What somebody else put into a directory like /tmp is skipped with a warning, a link to a file of ours too."""
    requirements.need_root()
    directory = tmp_path / "tmp"
    directory.mkdir()
    directory.chmod(0o1777)
    path = directory / file
    content = OWN if file == "lock-policy.toml" else IN_PYPROJECT
    if kind == "file":
        factories.written(path, content)
    elif kind == "link":
        path.symlink_to(factories.written(tmp_path / "mine" / "own.toml", content))
    elif kind == "dangling":
        path.symlink_to("nowhere")
    else:
        os.mkfifo(path)
    os.chown(path, 65011, 65011, follow_symlinks=False)
    asked = factories.query(tmp_path, root=f"{directory}/env")
    assert found(asked) == []
    assert said(asked)[0] == f"{path} {PLANTED}"


def test_roots_file_in_tmp(tmp_path: Path) -> None:
    """A file of this user's in a directory that everyone can write is used."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    directory.chmod(0o1777)
    path = factories.written(directory / "lock-policy.toml", OWN)
    assert found(factories.query(tmp_path, root=str(directory))) == [("project", str(path))]


def test_anothers_checkout(tmp_path: Path) -> None:
    """A file of another owner in a directory that not everyone can write is fine: containers run as root."""
    requirements.need_root()
    path = factories.written(tmp_path / "app" / "lock-policy.toml", OWN)
    for one in (path, path.parent):
        os.chown(one, 65011, 65011)
    asked = factories.query(tmp_path, root=f"{tmp_path}/app/.venv")
    assert found(asked) == [("project", str(path))]
    assert said(asked) == []


@pytest.mark.slow
@pytest.mark.parametrize("file", ["lock-policy.toml", "pyproject.toml"])
def test_unreadable(tmp_path: Path, file: str) -> None:
    """A file that this user may not read is an error: another rule than the one written must not decide."""
    factories.open_to_all(tmp_path)
    path = factories.written(tmp_path / file, OWN)
    path.chmod(0)
    seen = factories.as_nobody(READ, tmp_path, environ=factories.alone(tmp_path), cwd=tmp_path)
    assert seen.stdout == f"{path}: error: cannot be read: Permission denied\n", seen.stderr


# The user's and the system's file


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/a"}, "/home/a/.config"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "/cfg"}, "/cfg"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "cfg"}, "/home/a/.config"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "./cfg"}, "/home/a/.config"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": ""}, "/home/a/.config"),
    ],
)
def test_user_file(environ: dict[str, str], expected: str) -> None:
    """The user's file lies where uv's does: XDG_CONFIG_HOME, a relative one ignored, else ~/.config."""
    assert sources.user_files(environ)[0] == f"{expected}/lock-policy/lock-policy.toml"


def test_user_file_without_home() -> None:
    """Without HOME the user database knows the home directory."""
    code = (
        "import os\nfor name in ('HOME', 'XDG_CONFIG_HOME'): os.environ.pop(name, None)\nprint(os.path.expanduser('~'))"
    )
    home = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert sources.user_files({})[0] == f"{home}/.config/lock-policy/lock-policy.toml"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ["/etc/xdg", "/etc"]),
        ({"XDG_CONFIG_DIRS": ""}, ["/etc/xdg", "/etc"]),
        ({"XDG_CONFIG_DIRS": "/a:/b"}, ["/a", "/b", "/etc"]),
        ({"XDG_CONFIG_DIRS": "a:/b:./c:"}, ["/b", "/etc"]),
        ({"XDG_CONFIG_DIRS": "a"}, ["/etc"]),
    ],
)
def test_system_files(environ: dict[str, str], expected: list[str]) -> None:
    """The system's file is the first of XDG_CONFIG_DIRS, relative ones ignored, then that in /etc."""
    assert sources.system_files(environ) == [f"{base}/lock-policy/lock-policy.toml" for base in expected]


def test_first_system_file(tmp_path: Path) -> None:
    """Of several system files the first one counts alone."""
    factories.written(tmp_path / "b" / "lock-policy" / "lock-policy.toml", OWN)
    factories.written(tmp_path / "c" / "lock-policy" / "lock-policy.toml", OWN)
    environ = {"XDG_CONFIG_DIRS": ":".join(f"{tmp_path}/{name}" for name in "abc")}
    assert found(factories.query(tmp_path, environ)) == [("system", f"{tmp_path}/b/lock-policy/lock-policy.toml")]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the host's own system file stands in a test."""
    path = tmp_path / "host" / "lock-policy.toml"
    monkeypatch.setattr(sources, "host_file", lambda: str(path))
    monkeypatch.setattr(sources, "_paths_known", {})
    return path


def taking_part(asked: Query) -> list[tuple[str, bool]]:
    """The files that are read: (the name of their folder, whether only what outlives --no-config counts)."""
    return [(Path(one.path).parent.name, one.partly) for one in sources.find(asked)]


def test_hidden_host_file(tmp_path: Path, host: Path) -> None:
    """What is mandatory in the host's own system file counts even where a variable puts another one before it."""
    factories.written(host, OWN)
    assert taking_part(factories.query(tmp_path)) == [("host", False)]
    factories.written(tmp_path / "etc" / "lock-policy" / "lock-policy.toml", OWN)
    assert taking_part(factories.query(tmp_path)) == [("lock-policy", False), ("host", True)]


@pytest.mark.usefixtures("layers")
def test_outliving(tmp_path: Path, host: Path) -> None:
    """What is mandatory in a system file outlives --no-config, --config-file and their variables."""
    factories.written(host, OWN)
    named = factories.written(tmp_path / "named" / "mine.toml", OWN)
    system = [("lock-policy", True), ("host", True)]
    assert taking_part(factories.query(tmp_path, no_config=True)) == system
    assert taking_part(factories.query(tmp_path, {"LOCK_POLICY_NO_CONFIG": "1"})) == system
    assert taking_part(factories.query(tmp_path, config_file=str(named))) == [("named", False), *system]
    assert taking_part(factories.query(tmp_path, {"LOCK_POLICY_CONFIG_FILE": str(named)})) == [
        ("named", False),
        *system,
    ]


def test_a_new_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A new layer is one object: options, reference, messages and the order of rules follow, with the least rights."""
    from docs import reference

    file = factories.written(tmp_path / "team" / "lock-policy.toml", '[[rules]]\nname = "t"\nlock = "both"\n')
    team = sources.Layer("team", "the team's file", files=lambda _: [str(file)])
    monkeypatch.setattr(sources, "LAYERS", (*sources.LAYERS[:2], team, *sources.LAYERS[2:]))
    monkeypatch.setattr(reference, "LAYERS", sources.LAYERS)
    monkeypatch.setattr(sources, "_paths_known", {})
    assert found(factories.query(tmp_path)) == [("team", str(file))]
    assert main(["check", "--layer", "team", str(file)]) == 0
    for name, value in factories.alone(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["show", "--show-origin"]) == 0
    assert "# team: team/lock-policy.toml:1\n" in capsys.readouterr().out
    assert "`team` | the team's file | a relative path that stays inside its own folder | nothing |" in reference.page()

    file.write_text(
        'global-dir = "/x"\ngate-dir = "/x"\n[[rules]]\nlock = "both"\nmandatory = true\n', encoding="utf-8"
    )
    assert main(["check", str(file)]) == 2
    messages = capsys.readouterr().err
    assert "the team's file may only name a relative path that stays inside its own folder" in messages
    assert "only the system file may hold gate-dir" in messages
    assert "only the system file may hold mandatory rules" in messages
    assert main(["check", "--help"]) == 0
    assert "|".join(one.name for one in sources.LAYERS) in capsys.readouterr().out


@pytest.mark.parametrize("variables", [{}, {"XDG_CONFIG_HOME": "/cfg", "XDG_CONFIG_DIRS": "/a:/b"}])
def test_as_platformdirs(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """On Linux the user's and the first system directory are platformdirs' own, found without importing it."""
    requirements.need(sys.platform == "linux", "needs Linux")
    for name in ("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert os.path.dirname(sources.user_files(os.environ)[0]) == platformdirs.user_config_dir("lock-policy")
    assert os.path.dirname(sources.system_files(os.environ)[0]) == platformdirs.site_config_dir("lock-policy")


# Fingerprints


def test_fingerprint(tmp_path: Path) -> None:
    """Another content, another mode and another file have another fingerprint; the same file has the same."""
    path = factories.written(tmp_path / "lock-policy.toml", OWN)

    def fingerprint() -> tuple[object, ...]:
        (source,) = sources.find(factories.query(tmp_path))
        return source.fingerprint

    seen = [fingerprint(), fingerprint()]
    assert seen[0] == seen[1]
    path.write_text("timeout = 22\n", encoding="utf-8")
    seen.append(fingerprint())
    path.chmod(0o600)
    seen.append(fingerprint())
    os.replace(factories.written(tmp_path / "new", "timeout = 33\n"), path)
    seen.append(fingerprint())
    assert len(set(seen)) == 4


def test_table() -> None:
    """A table at a path of keys is found, or it is not there."""
    data: dict[str, Any] = {"tool": {"lock-policy": {"x": 1}, "other": 5}}
    assert sources.table(data, TABLE) == {"x": 1}
    assert sources.table(data, ("tool", "other", "x")) is None
    assert sources.table(data, ("a", "b")) is None
    assert sources.table(data, ()) == data
