from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import jsonschema
import pytest

from policy import __version__
from policy.config import read
from policy.config.layers import LAYERS, SYSTEM, TABLE, Source
from policy.config.read import BUILT_IN
from policy.config.schema import file_schema
from policy.errors import ConfigError
from policy.rules.plain import Setting
from policy.toml.document import show
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from policy.rules.chain import Chain

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

NAMES = [layer.name for layer in LAYERS]


def told(error: ConfigError) -> list[str]:
    """Its faults as `LINE:COLUMN: MESSAGE`."""
    return [f"{diagnostic.line}:{diagnostic.column}: {diagnostic.message}" for diagnostic in error.diagnostics]


def diagnostics(tmp_path: Path, text: str, layer: str = "user", file: str = "lock-policy.toml") -> list[str]:
    """What is wrong with a file."""
    keys = TABLE if file == "pyproject.toml" else ()
    with pytest.raises(ConfigError) as caught:
        read.read_file(factories.source(tmp_path / file, text, layer, keys))
    return told(caught.value)


def fine(tmp_path: Path, text: str, layer: str = "user") -> read.Configuration:
    """What a file says."""
    return read.read_file(factories.source(tmp_path / "lock-policy.toml", text, layer))


EVERYTHING = """\
required-version = ">=0.1"
global-dir = "/var/lock/lock-policy"
timeout = 60

[[rules]]
name = "nix-store"
match.interpreter = "/nix/store/*"
lock = "global"
reason = "store paths are read-only"

[[rules]]
name = "ci"
match = { env = { CI = true }, any = [{ environment = "/builds/**" }, { filesystem = ["overlay", "tmpfs"] }] }
lock = "both"
timeout = 600

[[tests]]
name = "in the store"
given.interpreter = "/nix/store/x/bin/python"
expect.lock = "global"
"""


def test_design_example(tmp_path: Path) -> None:
    """The design's own example is read as it says, with the line of each rule and each setting."""
    got = fine(tmp_path, EVERYTHING)
    file = f"{tmp_path}/lock-policy.toml"
    assert [(rule.name, rule.lock, rule.timeout, rule.file, rule.line, rule.layer) for rule in got.rules] == [
        ("nix-store", ("global",), None, file, 5, "user"),
        ("ci", ("global", "local"), 600, file, 11, "user"),
    ]
    assert got.rules[0].match == (("interpreter", ("/nix/store/*",)),)
    assert got.rules[1].match == (
        ("env", (("CI", True),)),
        ("any", ((("environment", ("/builds/**",)),), (("filesystem", ("overlay", "tmpfs")),))),
    )
    stronger = NAMES[: NAMES.index("user")]
    assert got.settings == {
        "global-dir": Setting("/var/lock/lock-policy", file, 2, "user", (*stronger, "user", "built-in")),
        "timeout": Setting(60, file, 3, "user"),
    }
    assert [(test.name, test.line) for test in got.tests] == [("in the store", 17)]


def test_pyproject(tmp_path: Path) -> None:
    """In pyproject.toml the same keys stand under [tool.lock-policy], and lines are those of the file."""
    text = '[project]\nname = "x"\n\n[tool.lock-policy]\ntimeout = 5\n\n[[tool.lock-policy.rules]]\nlock = "local"\n'
    got = read.read_file(factories.source(tmp_path / "pyproject.toml", text, "project", TABLE))
    assert [(rule.lock, rule.line, rule.layer) for rule in got.rules] == [(("local",), 7, "project")]
    assert got.settings["timeout"] == Setting(5, f"{tmp_path}/pyproject.toml", 5, "project")


def test_pyproject_without_table(tmp_path: Path) -> None:
    """A pyproject.toml that was named and has no table of ours says nothing."""
    got = read.read_file(factories.source(tmp_path / "pyproject.toml", "[tool.other]\n", "file", TABLE))
    assert (got.rules, got.settings, got.tests) == ((), {}, ())


def test_lines_of_inline_rules(tmp_path: Path) -> None:
    """The line of a rule in an inline array is where the rule begins."""
    text = 'rules = [\n  { lock = "local" },\n\n  # a comment\n  { lock = "both" }, { lock = "global" },\n]\n'
    assert [rule.line for rule in fine(tmp_path, text).rules] == [2, 5, 5]


# Faults


def test_all_faults_of_a_file(tmp_path: Path) -> None:
    """All faults of a file are reported, in the order of its lines, each at the value or key that is wrong."""
    text = """\
timeout = "x"
tiemout = 5
[[rules]]
name = "a"
lock = "globl"
match.writeable = true
[[rules]]
lock = "local"
match = { any = [{ kind = "venv" }, { interpreter = "nix" }] }
mandatory = true
[[rules]]
name = "no lock"
"""
    assert diagnostics(tmp_path, text) == [
        '1:11: expected a number of seconds from 0 to 86400, found "x"',
        '2:1: unknown key "tiemout"; did you mean "timeout"?',
        (
            '5:8: expected "local", "global", "beside", "cluster", "strict" or "both", found "globl"; '
            'did you mean "global"?'
        ),
        '6:7: unknown key "writeable"; did you mean "writable"?',
        '9:27: expected "virtualenv", "system", "target" or "prefix", found "venv"',
        (
            "9:53: a path pattern must be absolute, or begin with '~' or '**': this one can never match; "
            "'**/nix' matches it in any folder"
        ),
        "10:1: only the system file may hold mandatory rules",
        '11:1: "lock" is missing',
    ]


def test_all_faults_of_all_files(tmp_path: Path) -> None:
    """The faults of all files are reported at once, in the order of the files."""
    files = [
        factories.source(tmp_path / "a.toml", "timeout = -1\nx = 1\n"),
        factories.source(tmp_path / "b.toml", "timeout = 5\n", "user"),
        factories.source(tmp_path / "c.toml", "rules = 5\n", "system"),
        factories.source(tmp_path / "d.toml", "= 5\n", "system"),
        Source(SYSTEM, f"{tmp_path}/missing.toml"),
    ]
    with pytest.raises(ConfigError) as caught:
        read.load_chain(files)
    known = "required-version, global-dir, gate-dir, cluster, timeout, rules, tests"
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/a.toml:1:11: error: expected a number of seconds from 0 to 86400, found -1",
        f'{tmp_path}/a.toml:2:1: error: unknown key "x"; known here: {known}',
        f"{tmp_path}/c.toml:1:9: error: expected an array, found 5",
        f"{tmp_path}/d.toml:1:1: error: not valid TOML: Invalid statement",
        f"{tmp_path}/missing.toml: error: no such file",
    ]


def test_very_many_faults(tmp_path: Path) -> None:
    """Of very many faults the first thousand are reported, and that there may be more."""
    told = diagnostics(tmp_path, "".join(f"key-{number} = 1\n" for number in range(5000)))
    assert len(told) == 1001
    assert told[0].startswith('1:1: unknown key "key-0"')
    assert told[-1] == "0:0: after 1000 faults the rest of the file was not checked"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules = {}", "1:9: expected an array, found a table; write [[rules]], with two brackets"),
        ("rules = [5]", "1:10: expected a table, found 5"),
        ("tests = 5", "1:9: expected an array, found 5"),
        ('timeout = "1"', '1:11: expected a number of seconds from 0 to 86400, found "1"'),
        ("timeout = inf", "1:11: expected a number of seconds from 0 to 86400, found inf"),
        ("timeout = nan", "1:11: expected a number of seconds from 0 to 86400, found nan"),
        ("timeout = 86400.5", "1:11: expected a number of seconds from 0 to 86400, found 86400.5"),
        ("timeout = true", "1:11: expected a number of seconds from 0 to 86400, found true"),
        ("global-dir = 5", "1:14: expected a string, found 5"),
        ('global-dir = ""', "1:14: must name a directory"),
        ('global-dir = "a\\u0000b"', "1:14: must name a directory"),
        ("[[rules]]\nlock = 'local'\n[rules.match]\n", "3:1: must not be empty; known here: "),
        ("[[rules]]\nlock = 'local'\nmatch.env = {}", "3:13: must not be empty"),
    ],
)
@pytest.mark.parametrize("layer", NAMES)
def test_fault(tmp_path: Path, text: str, message: str, layer: str) -> None:
    """Each fault is reported once, whichever layer the file is of."""
    (diagnostic,) = diagnostics(tmp_path, text, layer)
    assert diagnostic == message or (message.endswith(": ") and diagnostic.startswith(message))


def test_table_that_is_none(tmp_path: Path) -> None:
    """A [tool.lock-policy] that is no table is an error."""
    assert diagnostics(tmp_path, "tool.lock-policy = 5\n", "project", "pyproject.toml") == [
        "1:20: expected a table, found 5"
    ]


# What a layer may not say


def test_mandatory_in_system_file(tmp_path: Path) -> None:
    """The system's file may hold mandatory rules."""
    text = '[[rules]]\nlock = "both"\nmandatory = true\n'
    assert [rule.mandatory for rule in fine(tmp_path, text, "system").rules] == [True]


@pytest.mark.parametrize("layer", ["file", "project", "user"])
def test_mandatory_elsewhere(tmp_path: Path, layer: str) -> None:
    """No other file may hold one; `mandatory = false` says nothing."""
    text = '[[rules]]\nlock = "both"\nmandatory = false\n[[rules]]\nlock = "both"\nmandatory = true\n'
    assert diagnostics(tmp_path, text, layer) == ["6:1: only the system file may hold mandatory rules"]


OUTSIDE = "1:14: a project's file may only name a relative path that stays inside its own folder"


@pytest.mark.parametrize(
    "path", ["/var/locks", "~/locks", "~", "..", "../locks", "a/../../locks", "a/b/../../../x", "link"]
)
def test_project_keeps_inside(tmp_path: Path, path: str) -> None:
    """A project's global-dir is relative and stays inside the project, `..` and symlinks considered."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "link").symlink_to(tmp_path)
    assert diagnostics(project, f'global-dir = "{path}"\n', "project") == [OUTSIDE]


@pytest.mark.parametrize(
    ("path", "expected"), [("locks", "locks"), (".", ""), ("a/../b", "b"), ("./a//b", "a/b"), ("in", "in")]
)
def test_project_inside(tmp_path: Path, path: str, expected: str) -> None:
    """A path that stays inside is one of the project's own directory."""
    project = tmp_path / "project"
    (project / "real").mkdir(parents=True)
    (project / "in").symlink_to("real")
    got = fine(project, f'global-dir = "{path}"\n', "project").settings["global-dir"]
    assert got.value == os.path.join(project, expected).rstrip("/")


def test_project_reached_by_link(tmp_path: Path) -> None:
    """A project that is reached through a symlink may name a directory in itself."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert (
        fine(tmp_path / "link", 'global-dir = "locks"\n', "project").settings["global-dir"].value
        == f"{tmp_path}/link/locks"
    )


@pytest.mark.parametrize("layer", ["user", "system"])
@pytest.mark.parametrize("path", ["locks", "./locks", "../locks", "~nobody-has-this-name/locks"])
def test_absolute_elsewhere(tmp_path: Path, layer: str, path: str) -> None:
    """The user's and the system's file name an absolute path, or one in a home directory that exists."""
    assert diagnostics(tmp_path, f'global-dir = "{path}"\n', layer) == [
        "1:14: must be an absolute path, or begin with ~/"
    ]


@pytest.mark.parametrize(
    ("layer", "path", "expected"),
    [
        ("user", "/var/lock//x/", "/var/lock/x"),
        ("user", "~/locks", os.path.expanduser("~/locks")),
        ("system", "~", os.path.expanduser("~")),
        ("file", "/var/lock", "/var/lock"),
        ("file", "~/locks", os.path.expanduser("~/locks")),
        ("file", "locks", "HERE/locks"),
        ("file", "../locks", "HERE/../locks"),
    ],
)
def test_directory(tmp_path: Path, layer: str, path: str, expected: str) -> None:
    """A directory is kept absolute and normal; a file that someone named may say one relative to itself."""
    got = fine(tmp_path, f'global-dir = "{path}"\n', layer).settings["global-dir"].value
    assert got == os.path.normpath(expected.replace("HERE", str(tmp_path)))


def test_unknown_home(tmp_path: Path) -> None:
    """A home directory that does not exist is an error in a file that someone named, too."""
    assert diagnostics(tmp_path, 'global-dir = "~nobody-has-this-name"\n', "file") == [
        "1:14: must be an absolute path, or begin with ~/"
    ]


# required-version


@pytest.mark.parametrize("wanted", [">=0.1", f"=={__version__}", "<99", "~=0.1", "", ">=0.1.dev0"])
def test_version(tmp_path: Path, wanted: str) -> None:
    """A file that this version can read is read."""
    assert fine(tmp_path, f'required-version = "{wanted}"\ntimeout = 5\n').settings["timeout"].value == 5


def test_other_version(tmp_path: Path) -> None:
    """A file that wants another version is refused for that alone, before anything else in it is judged."""
    assert diagnostics(tmp_path, 'new-key = 1\nrequired-version = ">=99"\n[[rules]]\nlock = "quantum"\n') == [
        f"2:20: this file requires lock-policy >=99, but {__version__} is running; install a version that it allows"
    ]


def test_bad_specifier(tmp_path: Path) -> None:
    """What is no specifier is refused, for that alone too."""
    assert diagnostics(tmp_path, 'required-version = "0.1 or so"\nx = 1\n') == [
        '1:20: "0.1 or so" is not a version specifier (PEP 440), such as ">=0.1, <1"'
    ]


def test_version_of_wrong_type(tmp_path: Path) -> None:
    """A version that is no string is a fault among the others."""
    assert diagnostics(tmp_path, "required-version = 0.1\ntimeout = -1\n") == [
        "1:20: expected a string, found 0.1",
        "2:11: expected a number of seconds from 0 to 86400, found -1",
    ]


# One chain of several files


def chain(tmp_path: Path, *texts: tuple[str, str]) -> Chain:
    """The chain of (layer, text), the strongest first."""
    return read.load_chain(
        factories.source(tmp_path / layer / "lock-policy.toml", text, layer) for layer, text in texts
    )


def rule(name: str, *, mandatory: bool = False) -> str:
    """A rule that matches everything."""
    return f'[[rules]]\nname = "{name}"\nlock = "both"\n' + ("mandatory = true\n" if mandatory else "")


def names(chain: Chain) -> Sequence[str]:
    """The names of its rules, in order."""
    return [rule.name for rule in chain.rules]


BUILT_IN_NAMES = ["uv-only-global-locks", "externally-managed", "read-only", "pipx", "environment", "default"]


def test_built_in() -> None:
    """Without a file there are the built-in rules of the design, in its order."""
    got = read.load_chain([])
    assert names(got) == BUILT_IN_NAMES
    assert got.settings == {}
    assert [rule.lock for rule in BUILT_IN] == [("global",)] * 3 + [("beside", "local"), ("local",), ("global",)]
    assert [dict(rule.match) for rule in BUILT_IN] == [
        {"env": (("UV_ONLY_GLOBAL_LOCKS", True),)},
        {"externally-managed": True},
        {"writable": False},
        {"pipx": True},
        {"kind": ("virtualenv", "target", "prefix")},
        {},
    ]
    assert all((rule.layer, rule.line, rule.required) == ("built-in", 0, True) for rule in BUILT_IN)


def test_rules_in_order(tmp_path: Path) -> None:
    """Rules follow each other in the order of the files, then come the built-in ones."""
    got = chain(tmp_path, ("project", rule("p1") + rule("p2")), ("user", rule("u")), ("system", rule("s")))
    assert names(got) == ["p1", "p2", "u", "s", *BUILT_IN_NAMES]
    assert [rule.layer for rule in got.rules[:4]] == ["project", "project", "user", "system"]


def test_mandatory_first(tmp_path: Path) -> None:
    """A mandatory rule stands before every other layer, and several keep their order."""
    system = rule("s1") + rule("m1", mandatory=True) + rule("s2") + rule("m2", mandatory=True)
    got = chain(tmp_path, ("project", rule("p")), ("user", rule("u")), ("system", system))
    assert names(got) == ["m1", "m2", "p", "u", "s1", "s2", *BUILT_IN_NAMES]


def test_first_setting_wins(tmp_path: Path) -> None:
    """Of a single setting the first file's counts, each by itself."""
    got = chain(
        tmp_path,
        ("project", 'global-dir = "locks"\n'),
        ("user", 'global-dir = "/u"\ntimeout = 1\n'),
        ("system", 'global-dir = "/s"\ntimeout = 2\n'),
    )
    first = got.settings["global-dir"]
    assert (first.value, first.file, first.line) == (
        f"{tmp_path}/project/locks",
        f"{tmp_path}/project/lock-policy.toml",
        1,
    )
    assert got.settings["timeout"] == Setting(1, f"{tmp_path}/user/lock-policy.toml", 2, "user")


def test_directory_moves_no_stronger_lock(tmp_path: Path) -> None:
    """Of the directories for locks each counts for the rules of its own layer and of stronger ones only."""
    files = [
        ("project", 'global-dir = "locks"\n' + rule("p")),
        ("user", 'global-dir = "/u"\n' + rule("u")),
        ("system", 'global-dir = "/s"\n' + rule("s") + rule("m", mandatory=True)),
    ]

    def directories(*files: tuple[str, str]) -> dict[str, object]:
        got = chain(tmp_path, *files)
        setting = got.settings["global-dir"]
        found = {one.name: setting.for_rule(one) for one in got.rules}
        return {
            name: one.value if (one := found[name]) else None
            for name in ("p", "u", "s", "m", "default")
            if name in found
        }

    assert directories(*files) == {"p": f"{tmp_path}/project/locks", "u": "/u", "s": "/s", "m": "/s", "default": "/u"}
    assert directories(files[0], ("system", files[2][1].partition("\n")[2])) == {
        "p": f"{tmp_path}/project/locks",
        "s": None,
        "m": None,
        "default": None,
    }
    assert directories(("project", rule("p")), *files[1:])["p"] == "/u"


def test_decides(tmp_path: Path) -> None:
    """The chain of files decides: the strongest file's first match."""
    got = chain(
        tmp_path,
        ("project", '[[rules]]\nname = "p"\nlock = "global"\nmatch.kind = "target"\n'),
        ("user", '[[rules]]\nname = "u"\nlock = "both"\nmatch.kind = ["target", "prefix"]\n'),
    )
    decided = {
        kind: got.decide(factories.request(root="/e", kind=kind)).rule.name for kind in ("target", "prefix", "system")
    }
    assert decided["target"] == "p"
    assert decided["prefix"] == "u"
    assert decided["system"] in BUILT_IN_NAMES


def test_schema_of_the_design_example() -> None:
    """The schema that is made of the same values allows the design's example."""
    import tomllib

    jsonschema.Draft7Validator(file_schema()).validate(tomllib.loads(EVERYTHING))


# The server of locks


def test_cluster_is_the_administrator_s_for_mandatory_rules(tmp_path: Path) -> None:
    """The user's server is where the user's rules and the built-in ones lock; the system's rules keep their own."""
    got = chain(
        tmp_path,
        ("user", '[cluster]\nengine = "postgresql"\nservice = "u"\n'),
        ("system", '[cluster]\nengine = "postgresql"\nhost = "s"\n' + rule("m", mandatory=True)),
    )
    setting = got.settings["cluster"]
    assert setting.value == (("engine", "postgresql"), ("service", "u"))
    found = setting.for_rule(got.rules[0])
    assert found is not None
    assert found.value == (("engine", "postgresql"), ("host", "s"))


@pytest.mark.parametrize("layer", ["project", "file"])
def test_cluster_elsewhere(tmp_path: Path, layer: str) -> None:
    """A checkout, or a file in one, must not lead a password to a server of its own."""
    text = '[cluster]\nengine = "postgresql"\nservice = "x"\n'
    assert diagnostics(tmp_path, text, layer) == ["1:2: only the user's file or the system file may hold [cluster]"]


@pytest.mark.parametrize(
    "text",
    [
        '[cluster]\nservice = "x"\npassword = "geheim"\n',
        'cluster = { service = "x", password = "geheim", lease = -1 }\n',
        'cluster = { service = "x", "password" = "geheim"\n',
    ],
)
def test_no_secret_is_shown(tmp_path: Path, text: str) -> None:
    """A password that somebody wrote into the table is refused, and stands in no message."""
    file = factories.source(tmp_path / "lock-policy.toml", text, "user")
    with pytest.raises(ConfigError) as caught:
        read.read_file(file)
    shown = "".join(show(diagnostic) for diagnostic in caught.value.diagnostics)
    assert "geheim" not in shown + str(caught.value)


# The gate


def test_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system file may move the gate, for everybody: not where a variable leads to the file."""
    text = 'gate-dir = "/run/lock/../lock"\n'
    assert fine(tmp_path, text, "system").settings["gate-dir"].value == "/run/lock"
    monkeypatch.setattr(read, "host_file", lambda: "/etc/lock-policy/lock-policy.toml")
    source = factories.source(tmp_path / "lock-policy.toml", text, "system")
    source.movable = True
    with pytest.raises(
        ConfigError, match=r"only /etc/lock-policy/lock-policy\.toml may hold gate-dir: a variable leads"
    ):
        read.read_file(source)


@pytest.mark.parametrize("path", ["locks", "~/locks", "", "a\\u0000b"])
def test_gate_is_absolute(tmp_path: Path, path: str) -> None:
    """The gate is one for all users, so no home directory and no working directory says where it is."""
    assert diagnostics(tmp_path, f'gate-dir = "{path}"\n', "system") == ["1:12: must be an absolute path"]


def test_what_outlives(tmp_path: Path) -> None:
    """Of a file that is not to be read, the mandatory rules count, where they lock, and the gate; nothing else."""
    text = 'gate-dir = "/run/lock"\nglobal-dir = "/s"\ntimeout = 5\n' + rule("s") + rule("m", mandatory=True)
    source = factories.source(tmp_path / "lock-policy.toml", text, "system")
    source.partly = True
    got = read.load_chain([source])
    assert names(got) == ["m", *BUILT_IN_NAMES]
    assert set(got.settings) == {"gate-dir", "global-dir"}
    assert got.settings["global-dir"].for_rule(got.rules[0])
    assert got.settings["global-dir"].for_rule(got.rules[-1]) is None
