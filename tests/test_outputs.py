"""The schemas of what commands print as JSON: fresh, and true of real outputs."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

import policy
from tests import factories, servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

FOLDER = factories.CHECKOUT / "schemas" / "outputs"
RULES = """
timeout = 7
[[rules]]
name = "deploy"
match = { user = "deploy", any = [{ kind = "virtualenv" }, { env = { CI = true } }] }
lock = "both"
timeout = 3

[[rules]]
name = "never"
match = { user = "deploy", kind = "virtualenv" }
lock = "global"

[[tests]]
name = "right"
given = { user = "deploy" }
expect = { lock = "both" }

[[tests]]
name = "wrong"
given = { user = "deploy" }
expect = { lock = "local", rule = "never" }
"""


def script() -> ModuleType:
    """docs/outputs.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("outputs", factories.CHECKOUT / "docs" / "outputs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NAMES = tuple(script().OUTPUTS)


def schema(name: str) -> dict[str, Any]:
    """The schema of an output."""
    read: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("name", NAMES)
def test_fresh(name: str) -> None:
    """The files are what the script makes, and are schemas."""
    fresh = script().written(name) == (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")
    assert fresh, "stale: python docs/outputs.py"
    Draft7Validator.check_schema(schema(name))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with rules, other rules, an environment and a program that runs from it."""
    factories.written(tmp_path / "lock-policy.toml", RULES)
    factories.written(tmp_path / "old.toml", '[[rules]]\nname = "old"\nlock = "global"\n')
    factories.written(tmp_path / "strict.toml", '[[rules]]\nlock = ["strict", "local"]\n')
    factories.written(tmp_path / "bad.toml", "tiemout = 1\n")
    factories.virtualenv(tmp_path / "env")
    return tmp_path


def printed(here: Path, *words: str, **more: str) -> Any:
    """What a command prints as JSON."""
    environ = {**factories.alone(here), "PYTHONPATH": str(factories.CHECKOUT), **more}
    command, *rest = words
    done = factories.policy(command, "--output-format", "json", *rest, environ=environ, cwd=here)
    assert done.returncode in {0, 1, 2}, done.stderr
    return json.loads(done.stdout)


def undescribed(value: Any, described: Any, path: str = "") -> Iterator[str]:
    """The keys of an output of which its schema says nothing."""
    for one in described.get("anyOf", ()):
        if one.get("type") == "object":
            described = one
    if isinstance(value, list):
        for item in value:
            yield from undescribed(item, described.get("items", {}), f"{path}[]")
    elif isinstance(value, dict) and "properties" in described:
        for key, inner in value.items():
            if key not in described["properties"]:
                yield f"{path}.{key}"
            else:
                yield from undescribed(inner, described["properties"][key], f"{path}.{key}")


def judged(name: str, value: Any) -> None:
    """Asserts that an output is what its schema says, all of it."""
    described = schema(name)
    Draft7Validator(described).validate(value)
    assert list(undescribed(value, described)) == []


OUTPUTS = [
    ("explain", ("explain", "env")),
    ("explain", ("explain", "/usr/bin/python3", "--assume", "user=deploy")),
    ("explain", ("explain", "--python", "env", "--", "uv", "sync")),
    ("explain", ("explain", "--", "ls")),
    ("explain", ("explain", "--config-file", "strict.toml", "env")),
    ("locks", ("locks", "--config-file", "strict.toml", "--all", "env")),
    ("explain", ("explain", "./new")),
    ("locks", ("locks", "--all", "env")),
    ("doctor", ("doctor", "env")),
    ("check", ("check",)),
    ("check", ("check", "bad.toml", "missing.toml")),
    ("diff", ("diff", "old.toml", "lock-policy.toml")),
    ("show", ("show",)),
    ("show", ("show", "--timeout", "3")),
    ("test", ("test",)),
    ("rule", ("rule",)),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"), OUTPUTS, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_outputs(here: Path, name: str, words: tuple[str, ...]) -> None:
    """What a command prints is what its schema says, and the schema describes each key of it."""
    judged(name, printed(here, *words, UV_ONLY_GLOBAL_LOCKS="perhaps"))


def test_replay(here: Path) -> None:
    """The same of a log in which decisions would change, may, and cannot be read."""
    factories.written(here / "lock-policy.toml", RULES)
    log, new = here / "log", here / "new.toml"
    rule = '[[rules]]\nlock = "beside"\ntimeout = 3\nmatch.{}\n'
    for operation in ("sync", "add"):
        words = ["run", "--python", "env", "--operation", operation, "--no-config", "--", "true"]
        environ = {**factories.alone(here), "PYTHONPATH": str(factories.CHECKOUT), "LOCK_POLICY_LOG": str(log)}
        assert factories.policy(*words, environ=environ, cwd=here).returncode == 0
    log.write_bytes(log.read_bytes() + b"nothing\n")
    factories.written(new, rule.format('operation = "sync"') + rule.format("env.NEW = true"))
    found = printed(here, "replay", str(log), "--config-file", str(new))
    assert [len(found[key]) for key in ("changes", "not_known", "unreadable")] == [1, 1, 1]
    judged("replay", found)


def test_held(here: Path) -> None:
    """The same of a lock that is held, and of an environment that is in use."""
    with policy.lock(here / "env", environ={}, shared=True):
        found = printed(here, "locks", "env")
    assert [one["state"] for one in found["locks"]] == ["locked", "locked"]
    judged("locks", found)
    program = [str(here / "env" / "bin" / "python"), "-c", "input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, cwd=here) as running:
        try:
            if sys.platform == "linux":
                found = printed(here, "users", "env")
                assert [one["pid"] for one in found["users"]] == [running.pid]
                judged("users", found)
        finally:
            running.kill()


@pytest.mark.slow
def test_server(here: Path) -> None:
    """The same of a lock on a server, and of what is said of the server."""
    if sys.platform == "win32":
        pytest.skip("needs a server")
    servers.need_server()
    with servers.cluster() as server:
        rule = f'[[rules]]\nlock = ["cluster", "local"]\ncluster-key = {{ name = "team", root = "{here}" }}\n'
        factories.written(here / "home" / ".config" / "lock-policy" / "lock-policy.toml", rule + server.table())
        (here / "lock-policy.toml").unlink()
        environ = server.passfile(here)
        explained = printed(here, "explain", "env", **environ)
        assert [lock["purpose"] for lock in explained["plan"]] == ["gate", "cluster", "local"]
        judged("explain", explained)
        judged("cluster", printed(here, "cluster", "status", **environ))


def test_notices_what_is_not_described() -> None:
    """A key that the schema does not have is found, and a wrong value is refused."""
    described = schema("users")
    value = {"version": 1, "environment": "/e", "users": [{"pid": 1, "more": 2}]}
    assert list(undescribed(value, described)) == [".users[].more"]
    assert not Draft7Validator(described).is_valid(value)
