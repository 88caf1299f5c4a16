from __future__ import annotations

import errno
import os
import pwd
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.environment import writability
from policy.environment.discovery import Environment
from policy.errors import ConfigError
from policy.rules import conditions, trace
from policy.rules.condition import ENVIRONMENT_KINDS, FlagCondition, holds
from policy.rules.conditions import CONDITIONS, Combinator
from policy.rules.match import match_shape
from policy.rules.request import Caller, Request
from policy.toml.diagnostic import Location
from tests import factories, requirements

if TYPE_CHECKING:
    from pathlib import Path

    from policy.rules.condition import Match

if sys.platform == "win32":
    pytest.skip("needs POSIX paths, links and users", allow_module_level=True)

MATCH = match_shape()
HERE = Location("a.toml")


def match(**table: Any) -> Match:
    """A match table as a file has it, read; `_` stands for `-`, and a last one is dropped."""
    return tuple(MATCH.parse({key.rstrip("_").replace("_", "-"): value for key, value in table.items()}, HERE))


def diagnostics(table: object) -> list[tuple[tuple[str | int, ...], str]]:
    """Where and why a match table is refused."""
    with pytest.raises(ConfigError) as caught:
        MATCH.parse(table, HERE)
    return [(fault.location.keys, fault.message) for fault in caught.value.diagnostics]


def is_ours(key: str) -> bool:
    """Whether a condition asks one question, and combines no others."""
    return not isinstance(CONDITIONS[key], Combinator)


SIMPLE = [key for key in CONDITIONS if is_ours(key)]


# The table of the design, row by row.


def test_all_of_the_design() -> None:
    """Every key of the design's table is there, and no other."""
    assert set(CONDITIONS) == {
        "interpreter",
        "base-interpreter",
        "environment",
        "kind",
        "externally-managed",
        "pipx",
        "writable",
        "filesystem",
        "platform",
        "host",
        "project",
        "env",
        "user",
        "operation",
        "any",
        "all",
        "not",
    }


@pytest.mark.parametrize("key", SIMPLE)
def test_asks_about(key: str) -> None:
    """A condition asks about the environment or about the caller, as the design says."""
    assert CONDITIONS[key].caller is (key in {"pipx", "project", "env", "user", "operation"})


@pytest.mark.parametrize("key", CONDITIONS)
def test_documents_itself(key: str) -> None:
    """Every condition has a sentence, and each of its examples is one that it reads."""
    condition = CONDITIONS[key]
    assert condition.key == key
    assert condition.help.endswith(".")
    for example in getattr(condition, "examples", ()):
        condition.shape.parse(example, HERE)
        jsonschema.Draft7Validator(dict(condition.shape.schema)).validate(example)


PATH_OF = {
    "interpreter": lambda path: factories.request(interpreter=path),
    "base-interpreter": lambda path: factories.request(base=path),
    "environment": lambda path: factories.request(root=path),
    "project": lambda path: factories.request(project=path),
}


@pytest.mark.parametrize("key", PATH_OF)
@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/nix/store/*", "/nix/store/abc-env", True),
        ("/nix/store/*", "/nix/store/abc-env/bin/python3", True),
        ("/nix/store/*", "/nix/store", False),
        ("/nix/store/*", "/nix/stores/abc", False),
        ("/a/*/c", "/a/b/b/c", False),
        ("/a/**/c", "/a/b/b/c/d", True),
        ("**/.venv", "/home/x/.venv/bin/python", True),
        ("/a/b", "/a//x/../b", True),
        (["/x", "/a/b"], "/a/b", True),
        (["/x", "/y"], "/a/b", False),
    ],
)
def test_paths(key: str, pattern: str | list[str], path: str, expected: bool) -> None:
    """A path condition holds when one of its globs matches the path, or a folder above it."""
    assert holds(match(**{key: pattern}), PATH_OF[key](path)) is expected


@pytest.mark.parametrize("key", PATH_OF)
def test_home(key: str) -> None:
    """`~` is the caller's HOME, else the user database's, and so a fact of the caller."""
    wanted = match(**{key: "~/shared/*"})
    home = pwd.getpwuid(os.geteuid()).pw_dir
    for environ, inside in [({"HOME": "/h"}, "/h"), ({"HOME": ""}, home), ({}, home)]:
        asked = PATH_OF[key](f"{inside}/shared/env")
        asked.caller.environ = environ
        assert holds(wanted, asked)
    asked = PATH_OF[key](f"{home}/shared/env")
    asked.caller.environ = {"HOME": "elsewhere"}
    assert not holds(wanted, asked)
    assert conditions.asks_caller(wanted)
    assert conditions.asks_caller(match(**{key: "/shared/*"})) is (key == "project")


def test_links(tmp_path: Path) -> None:
    """A path is compared as spelled and with the links of its folder resolved; its own link is not followed."""
    root = factories.virtualenv(tmp_path / "env")
    (tmp_path / "link").symlink_to(root)
    found = Environment(
        f"{tmp_path}/link/bin/python", f"{tmp_path}/link", "virtualenv", os.path.realpath(sys.executable)
    )
    asked = Request(found, Caller({}, "/"))
    assert holds(match(environment=f"{tmp_path}/link", interpreter=f"{tmp_path}/link/bin/*"), asked)
    assert holds(match(environment=f"{tmp_path}/env", interpreter=f"{tmp_path}/env/bin/*"), asked)
    assert not holds(match(environment=f"{tmp_path}/other"), asked)
    assert not holds(match(interpreter=os.path.realpath(sys.executable)), asked)
    assert CONDITIONS["environment"].display((), asked.facts["environment"]) == f"{tmp_path}/link"
    assert holds(match(base_interpreter=os.path.realpath(sys.executable)), asked)


@pytest.mark.parametrize("key", PATH_OF)
@pytest.mark.parametrize("pattern", ["nix/store", "./env", ""])
def test_useless_path(key: str, pattern: str) -> None:
    """A path pattern that can never match is an error where it stands."""
    ((keys, message),) = diagnostics({key: ["/fine", pattern]})
    assert keys == (key, 1)
    assert "can never match" in message


@pytest.mark.parametrize("kind", ENVIRONMENT_KINDS)
def test_kind(kind: str) -> None:
    """`kind` holds when the kind is one of those named."""
    asked = factories.request(kind=kind)
    assert holds(match(kind=kind), asked)
    assert holds(match(kind=list(ENVIRONMENT_KINDS)), asked)
    assert not holds(match(kind=[other for other in ENVIRONMENT_KINDS if other != kind]), asked)


def test_kind_misspelled() -> None:
    """An unknown kind is an error with the nearest one."""
    assert diagnostics({"kind": "virtualenvs"}) == [
        (
            ("kind",),
            'expected "virtualenv", "system", "target" or "prefix", found "virtualenvs"; did you mean "virtualenv"?',
        )
    ]


def test_externally_managed(tmp_path: Path) -> None:
    """A PEP 668 marker in the interpreter's standard library makes a system environment externally managed."""
    (tmp_path / "lib").mkdir()
    found = Environment(f"{tmp_path}/bin/python", str(tmp_path), "system", "/nowhere", stdlib=str(tmp_path / "lib"))
    assert holds(match(externally_managed=False), Request(found, Caller({}, "/")))
    marker = factories.written(tmp_path / "lib" / "EXTERNALLY-MANAGED", "[externally-managed]\n")
    asked = Request(found, Caller({}, "/"))
    assert holds(match(externally_managed=True), asked)
    assert asked.details == {"externally-managed": str(marker)}


def test_externally_managed_virtualenv(tmp_path: Path) -> None:
    """A virtual environment is externally managed by its own marker only."""
    root = factories.virtualenv(tmp_path / "env")
    library = root / "lib" / "python3.11"
    library.mkdir(parents=True)
    found = Environment(f"{root}/bin/python", str(root), "virtualenv", "/usr/bin/python3")
    assert not holds(match(externally_managed=True), Request(found, Caller({}, "/")))
    factories.written(library / "EXTERNALLY-MANAGED", "")
    assert holds(match(externally_managed=True), Request(found, Caller({}, "/")))


@pytest.mark.parametrize(
    ("root", "environ", "expected"),
    [
        ("/h/.local/share/pipx/venvs/black", {"HOME": "/h"}, True),
        ("/h/.local/pipx/venvs/black", {"HOME": "/h"}, True),
        ("/h/.local/pipx/venvs/black", {"HOME": "/g"}, False),
        ("/h/data/pipx/venvs/black", {"HOME": "/h", "XDG_DATA_HOME": "/h/data"}, True),
        ("/opt/pipx/venvs/black", {}, True),
        ("/g/venvs/black", {"PIPX_GLOBAL_HOME": "/g"}, True),
        ("/h/apps/venvs/black", {"PIPX_HOME": "~/apps", "HOME": "/h"}, True),
        ("/w/apps/venvs/black", {"PIPX_HOME": "apps"}, True),
        ("/apps/venvs/black", {}, False),
        ("/apps/venvs/black", {"PIPX_HOME": ""}, False),
        ("/apps/shared", {"PIPX_HOME": "/apps"}, False),
        ("/apps/venvs/black/deeper", {"PIPX_HOME": "/apps"}, False),
    ],
)
def test_pipx(root: str, environ: dict[str, str], *, expected: bool) -> None:
    """Before it exists an application of pipx is told by where this caller's pipx would make it."""
    assert holds(match(pipx=expected), factories.request(environ, root=root, cwd="/w"))


def test_pipx_made(tmp_path: Path) -> None:
    """What pipx made is told by the file that it leaves there, to callers without PIPX_HOME too, and through a link."""
    root = factories.virtualenv(tmp_path / "apps" / "venvs" / "black")
    link = tmp_path / "black"
    link.symlink_to(root)
    for spelling in (root, link):
        assert holds(match(pipx=False), factories.request(root=str(spelling)))
    factories.written(root / "pipx_metadata.json", "{}")
    for spelling in (root, link):
        assert holds(match(pipx=True), factories.request(root=str(spelling)))


def test_writable(tmp_path: Path) -> None:
    """An environment is writable when `.lock` could be made or opened for writing; looking makes nothing."""
    asked = factories.request(root=str(tmp_path))
    assert holds(match(writable=True), asked)
    assert os.listdir(tmp_path) == []
    (tmp_path / ".lock").touch()
    assert writability.lock_errno(str(tmp_path)) == 0
    assert asked.details == {}


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("missing", 0),
        ("folder", 0),
        ("link", 0),
        ("fifo", 0),
    ],
)
def test_not_writable(tmp_path: Path, kind: str, number: int) -> None:
    """The errno says why no lock file can be opened; what is no file is left to the locking, which refuses it."""
    root = tmp_path / "env"
    if kind != "missing":
        root.mkdir()
    if kind == "folder":
        (root / ".lock").mkdir()
    elif kind == "link":
        (root / ".lock").symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(root / ".lock")
    asked = factories.request(root=str(root))
    assert writability.lock_errno(str(root)) == number
    assert holds(match(writable=number == 0), asked)
    assert asked.details == ({"writable": os.strerror(number)} if number else {})


LOOK = """
from policy.environment.writability import lock_errno
print(lock_errno(sys.argv[1]))
"""


@pytest.mark.parametrize("existing", [True, False], ids=["file", "folder"])
def test_no_permission(tmp_path: Path, existing: bool) -> None:
    """Another user's environment is not writable: EACCES."""
    root = factories.open_to_all(tmp_path) / "env"
    root.mkdir()
    if existing:
        (root / ".lock").touch()
        (root / ".lock").chmod(0o444)
    root.chmod(0o555)
    seen = factories.as_nobody(LOOK, root, environ=factories.alone(tmp_path), cwd=tmp_path)
    assert (seen.stdout, seen.stderr) == (f"{errno.EACCES}\n", "")


def mounted(*arguments: str | Path) -> bool:
    """Whether a mount succeeded."""
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("existing", [True, False], ids=["file", "folder"])
def test_read_only_mount(tmp_path: Path, existing: bool) -> None:
    """On a read-only mount the errno is EROFS, for root too."""
    requirements.need_root()
    root = tmp_path / "env"
    root.mkdir()
    if existing:
        (root / ".lock").touch()
    requirements.need(mounted("--bind", root, root), "needs bind mounts")
    try:
        assert mounted("-o", "remount,bind,ro", root)
        assert writability.lock_errno(str(root)) == errno.EROFS
    finally:
        subprocess.run(["umount", root], check=True)


def test_filesystem(tmp_path: Path) -> None:
    """`filesystem` holds for the type of the file system that holds the root."""
    requirements.need_root()
    requirements.need(mounted("-t", "tmpfs", "none", tmp_path), "needs mounts")
    try:
        root = tmp_path / "not" / "made" / "yet"
        assert holds(match(filesystem=["nfs*", "tmp*"]), factories.request(root=str(root)))
        assert not holds(match(filesystem="tmp"), factories.request(root=str(root)))
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_filesystem_of_proc() -> None:
    """`filesystem` is asked of the kernel, where it tells."""
    requirements.need(os.path.exists("/proc/self/mountinfo"), "needs Linux")
    assert CONDITIONS["filesystem"].observe(factories.request(root="/proc/self")) == "proc"


def test_platform() -> None:
    """`platform` is `sys.platform`."""
    assert holds(match(platform=sys.platform), factories.request())
    assert holds(match(platform=["cp/m", f"{sys.platform[:2]}*"]), factories.request())
    assert not holds(match(platform="cp/m"), factories.request())


def test_host() -> None:
    """`host` is this host's name."""
    assert CONDITIONS["host"].observe(factories.request()) == socket.gethostname()
    assert not holds(match(host="no-such-host-*"), factories.request())


def test_user() -> None:
    """`user` is the effective user's name."""
    assert CONDITIONS["user"].observe(factories.request()) == pwd.getpwuid(os.geteuid()).pw_name


def test_user_without_name(tmp_path: Path) -> None:
    """A user without an entry in the user database goes by number."""
    requirements.need_root()
    code = "os.setuid(65011)\nfrom policy.rules.conditions import User\nprint(User().observe(None))"
    prelude = "import os, pwd, sys\nfrom policy.rules import conditions\n"
    seen = factories.policy(
        environ=factories.alone(tmp_path), cwd=tmp_path, program=[sys.executable, "-c", prelude + code]
    )
    assert seen.stdout == "65011\n", seen.stderr


def test_project_named() -> None:
    """`project` is the directory that the caller named, and empty where there is none."""
    assert CONDITIONS["project"].observe(factories.request(project="/work/app/")) == ("/work/app",)
    assert CONDITIONS["project"].observe(factories.request()) == ()
    assert not holds(match(project="**"), factories.request())


def test_operation() -> None:
    """`operation` is what the caller said, and empty where it said nothing."""
    wanted = match(operation=["add", "pip *"])
    assert holds(wanted, factories.request(operation="pip install"))
    assert not holds(wanted, factories.request(operation="sync"))
    assert not holds(wanted, factories.request())


# env


@pytest.mark.parametrize(
    ("wanted", "value", "expected", "told"),
    [
        (True, "1", True, "true"),
        (True, "Yes", True, "true"),
        (True, "off", False, "false"),
        (True, None, False, "unset"),
        (True, "maybe", False, "set, but not a boolean"),
        (True, "", False, "set, but not a boolean"),
        (False, "0", True, "false"),
        (False, "N", True, "false"),
        (False, None, True, "unset"),
        (False, "true", False, "true"),
        (False, "maybe", False, "set, but not a boolean"),
        ("stag*", "staging", True, "set, matches"),
        (["prod", "stag*"], "staging", True, "set, matches"),
        ("stag", "staging", False, "set, does not match"),
        ("a/*", "a/b/c", True, "set, matches"),
        ("*", "", True, "set, matches"),
        ("*", None, False, "unset"),
    ],
)
def test_env(wanted: Any, value: str | None, expected: bool, told: str) -> None:
    """A variable holds as a boolean as uv reads one, or by a glob over all of it; a value is never told."""
    asked = factories.request({} if value is None else {"SECRET": value})
    read = match(env={"SECRET": wanted})
    assert holds(read, asked) is expected
    (record,) = trace.checks(read, asked)
    assert record["seen"] == {"SECRET": told}
    assert record["expected"] == {"SECRET": wanted}


def test_env_all() -> None:
    """Every variable that is named must hold."""
    wanted = match(env={"CI": True, "DEPLOY": "prod"})
    assert holds(wanted, factories.request({"CI": "1", "DEPLOY": "prod"}))
    assert not holds(wanted, factories.request({"CI": "1"}))


@given(name=st.sampled_from("AB"), value=st.text(min_size=12), flag=st.booleans() | st.sampled_from(["x*", "*", "y"]))
def test_env_keeps_secrets(name: str, value: str, flag: Any) -> None:
    """Whatever a variable holds, no word of it is shown."""
    (record,) = trace.checks(match(env={name: flag}), factories.request({"A": value}))
    assert record["seen"][name] in {
        "unset",
        "true",
        "false",
        "set, but not a boolean",
        "set, matches",
        "set, does not match",
    }


@pytest.mark.parametrize(
    ("table", "keys", "message"),
    [
        ({"env": {}}, ("env",), "must not be empty"),
        ({"env": {"CI": 1}}, ("env", "CI"), "expected true, false or globs, found 1"),
        ({"env": {"CI": []}}, ("env", "CI"), "must not be empty"),
        ({"env": {"CI": [True]}}, ("env", "CI", 0), "expected a string, found true"),
        ({"env": {"A=B": True}}, ("env", "A=B"), "is not the name of an environment variable"),
        ({"env": "CI"}, ("env",), 'expected a table, found "CI"'),
    ],
)
def test_env_faults(table: object, keys: tuple[str | int, ...], message: str) -> None:
    """What no variable can be is an error where it stands."""
    assert diagnostics(table) == [(keys, message)]


# Combinators


TRUE, FALSE = {"kind": "virtualenv"}, {"kind": "system"}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"any": [FALSE, TRUE]}, True),
        ({"any": [FALSE, FALSE]}, False),
        ({"all": [TRUE, TRUE]}, True),
        ({"all": [TRUE, FALSE]}, False),
        ({"not": FALSE}, True),
        ({"not": TRUE}, False),
        ({"not": {"not": TRUE}}, True),
        ({"not": {"any": [{"all": [TRUE, FALSE]}, {"not": TRUE}]}}, True),
        ({"any": [TRUE], "kind": "system"}, False),
        ({"any": [TRUE], "all": [TRUE], "not": FALSE, "kind": "virtualenv"}, True),
    ],
)
def test_combinators(table: object, expected: bool) -> None:
    """`any`, `all` and `not` combine match tables, nested at will, and all keys of one table must hold."""
    assert holds(MATCH.parse(table, HERE), factories.request()) is expected


@pytest.mark.parametrize(
    ("table", "keys", "message"),
    [
        ({}, (), f"must not be empty; known here: {', '.join(CONDITIONS)}"),
        ({"not": {}}, ("not",), f"must not be empty; known here: {', '.join(CONDITIONS)}"),
        ({"any": []}, ("any",), "must not be empty"),
        ({"all": [{}]}, ("all", 0), f"must not be empty; known here: {', '.join(CONDITIONS)}"),
        ({"any": TRUE}, ("any",), "expected an array, found a table"),
        ({"not": [TRUE]}, ("not",), "expected a table, found an array"),
        ({"all": [TRUE, {"knid": "system"}]}, ("all", 1, "knid"), 'unknown key "knid"; did you mean "kind"?'),
        ("x", (), 'expected a table, found "x"'),
    ],
)
def test_faults(table: object, keys: tuple[str | int, ...], message: str) -> None:
    """An empty match, an empty list and an unknown key are errors, at any depth."""
    assert diagnostics(table) == [(keys, message)]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (TRUE, False),
        ({"env": {"CI": True}}, True),
        ({"not": {"user": "root"}}, True),
        ({"any": [TRUE, {"all": [{"operation": "add"}]}]}, True),
        ({"any": [TRUE, {"not": {"writable": True}}]}, False),
    ],
)
def test_asks_caller(table: object, expected: bool) -> None:
    """A table asks about the caller when one of its conditions does, at any depth."""
    assert conditions.asks_caller(MATCH.parse(table, HERE)) is expected


# Facts


@pytest.mark.parametrize("key", [key for key in SIMPLE if key != "env"])
def test_assumed(key: str) -> None:
    """Any fact can be assumed; nothing is observed then."""
    spelled, expected = {"kind": ("target", "target"), "writable": ("off", False)}.get(key, ("/some/where",) * 2)
    if isinstance(CONDITIONS[key], FlagCondition) and key != "writable":
        spelled, expected = "yes", True
    fact = CONDITIONS[key].assumed(spelled)
    assert fact == expected
    asked = Request(factories.environment(), Caller({}, "/"), {key: fact})
    assert CONDITIONS[key].display((), CONDITIONS[key].get(asked)) == fact


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("kind", "venv", "must be one of virtualenv, system, target, prefix"),
        ("writable", "maybe", "must be true or false"),
        ("externally-managed", "", "must be true or false"),
    ],
)
def test_not_assumed(key: str, value: str, message: str) -> None:
    """A fact that cannot be is not assumed."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        CONDITIONS[key].assumed(value)


def test_observed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fact is observed when it is first asked for, then kept for that request."""
    looked: list[str] = []
    for key in SIMPLE:
        condition = CONDITIONS[key]
        observe = condition.observe

        def counting(request: Request, key: str = key, observe: Any = observe) -> object:
            looked.append(key)
            return observe(request)

        if key != "env":
            monkeypatch.setattr(condition, "observe", counting)
    asked = factories.request(root=str(tmp_path))
    for _ in range(3):
        assert holds(match(kind="virtualenv", writable=True, host="*", user="*"), asked)
    assert looked == ["kind", "writable", "host", "user"]
