"""Lines of a log, each of which anybody may have written."""

from __future__ import annotations

import json
import os
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.checks.log_lines import UnreadableError, lines, parse
from policy.errors import UsageError
from policy.locks.journal import LONGEST

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

FACTS: dict[str, Any] = {
    "interpreter": ["/e/bin/python", "/real/bin/python"],
    "environment": ["/e", "/real"],
    "base_interpreter": [],
    "kind": "virtualenv",
    "writable": True,
    "project": [],
    "user": "\udcff",
    "home": "/home/a",
    "env": {"A": None, "B": [[True, "x*"], ["y"]]},
}
EFFECT = {"lock": {"gate": None}, "timeout": 1.5, "required": True, "shared": False, "unused": False}
DECIDED: dict[str, Any] = {
    "time": 1.5,
    "event": "decided",
    "pid": 1,
    "configuration": {"cwd": "/"},
    "rule": {"name": "a", "file": None, "line": None, "layer": "built-in", "lock": ["local"]},
    "effect": EFFECT,
    "facts": FACTS,
    "plan": [{"purpose": "gate", "kind": "file", "path": "/g"}],
    "excluded": ["uv (this environment)"],
}


def written(**more: Any) -> bytes:
    """A line with other values."""
    return json.dumps({**DECIDED, **more}).encode() + b"\n"


def test_a_decision() -> None:
    """A decision is read with all that it says."""
    logged = parse(written())
    assert logged is not None
    assert logged.rule == DECIDED["rule"]
    assert logged.effect == EFFECT
    assert logged.facts["environment"] == ("/e", "/real")
    assert logged.facts["base-interpreter"] == ()
    assert logged.facts["user"] == "\udcff"
    assert "home" not in logged.facts
    assert logged.home == "/home/a"
    assert logged.variables == {"A": None, "B": ((True, "x*"), ("y",))}
    assert logged.configuration == {"cwd": "/", "config_file": None, "project": None, "no_config": False}
    assert logged.plan == ({"purpose": "gate", "kind": "file", "path": "/g"},)
    assert logged.excluded == ("uv (this environment)",)


def test_without_a_plan() -> None:
    """A plan that a line had no room for is none."""
    logged = parse(json.dumps({key: value for key, value in DECIDED.items() if key != "plan"}).encode() + b"\n")
    assert logged is not None
    assert logged.plan == ()


def test_other_events() -> None:
    """What happens to locks is no decision."""
    assert parse(b'{"event": "acquired"}\n') is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\x00\xff\n", "not JSON"),
        (b"[" * 4000 + b"\n", "not JSON"),
        (b"1" * 4090 + b"\n", "not from lock-policy"),
        (b"\n", "not JSON"),
        (b"[]\n", "not from lock-policy"),
        (b'{"event": ["decided"]}\n', "not from lock-policy"),
        (b'{"msg": "started", "level": "info"}\n', "not from lock-policy"),
        (b'{"event": "decided"}\n', "a decision without facts"),
        (written()[:-5], "cut off"),
        (b"x" * (LONGEST + 1), "too long"),
        (written(effect={**EFFECT, "timeout": float("nan")}), "not JSON"),
        (written(effect={**EFFECT, "timeout": "5"}), "effect cannot be that"),
        (written(effect={**EFFECT, "timeout": 10**400}), "effect cannot be that"),
        (written(effect={**EFFECT, "shared": 1}), "effect cannot be that"),
        (written(effect={}), "a decision without lock"),
        (written(facts={**FACTS, "kind": ["system"]}), "kind cannot be that"),
        (written(facts={**FACTS, "writable": "true"}), "writable cannot be that"),
        (written(facts={**FACTS, "environment": []}), "environment cannot be that"),
        (written(facts={**FACTS, "environment": ["e"]}), "environment cannot be that"),
        (written(facts={**FACTS, "environment": ["/e/../f"]}), "environment cannot be that"),
        (written(facts={**FACTS, "environment": ["/e\0"]}), "environment cannot be that"),
        (written(facts={**FACTS, "environment": None}), "a decision without an environment"),
        (written(facts={**FACTS, "env": {"A": [["["], []]}}), "env holds something other than answers"),
        (written(facts={**FACTS, "env": {"A": "secret"}}), "env holds something other than answers"),
        (written(facts={**FACTS, "env": []}), "env is no table"),
        (written(facts={**FACTS, "home": 1}), "home is no text"),
        (written(configuration={"cwd": "x"}), "cwd is not an absolute path"),
        (written(plan=[1]), "plan holds something other than locks"),
        (written(plan={}), "plan is no list"),
    ],
)
def test_unreadable(line: bytes, why: str) -> None:
    """What is no decision of ours says why."""
    with pytest.raises(UnreadableError) as caught:
        parse(line)
    assert str(caught.value) == why


@given(st.binary(max_size=300))
def test_any_bytes(line: bytes) -> None:
    """Whatever the bytes, a line is read or refused."""
    try:
        parse(line + b"\n")
    except UnreadableError:
        pass


@pytest.mark.parametrize("seed", range(200))
def test_any_values(seed: int) -> None:
    """Whatever stands where, a line is read or refused."""
    rnd = random.Random(seed)  # noqa: S311  (a test that can be repeated)
    record = json.loads(json.dumps(DECIDED))
    inner, key = record, rnd.choice(list(record))
    while isinstance(inner[key], dict) and inner[key] and rnd.random() < 0.8:
        inner, key = inner[key], rnd.choice(list(inner[key]))
    inner[key] = rnd.choice([None, True, 0, -1.5, "", "x", [], [[]], [None], {}, {"x": [[], [], []]}, [{}], 10**400])
    try:
        logged = parse(json.dumps(record).encode() + b"\n")
    except UnreadableError:
        return
    assert logged is None or logged.facts["kind"] == "virtualenv"


def test_lines(tmp_path: Path) -> None:
    """Each line has its number; one without an end costs no memory, and the next one is read."""
    log = tmp_path / "log"
    log.write_bytes(written() + b'{"event": "wait"}\n' + b"x" * 5_000_000 + b"\n" + written() + b"cut")
    found = list(lines(str(log)))
    assert [number for number, _ in found] == [1, 2, 3, 4, 5]
    assert [type(one).__name__ for _, one in found] == [
        "Logged",
        "NoneType",
        "UnreadableError",
        "Logged",
        "UnreadableError",
    ]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("fifo", "is a named pipe, not a regular file; name a file that LOCK_POLICY_LOG named"),
        ("folder", "is a directory, not a regular file; name a file that LOCK_POLICY_LOG named"),
        ("missing", ": no such file or directory"),
        ("dangling", ": no such file or directory"),
        ("loop", ": too many levels of symbolic links"),
        ("nul\0", ": not the name of a file"),
    ],
)
def test_no_file(tmp_path: Path, kind: str, message: str) -> None:
    """What is no regular file is refused without waiting for it."""
    path = tmp_path / kind
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind in {"dangling", "loop"}:
        path.symlink_to("nowhere" if kind == "dangling" else path)
    with pytest.raises(UsageError) as caught:
        list(lines(str(path)))
    assert str(caught.value).endswith(message)


def test_a_link(tmp_path: Path) -> None:
    """A link to a log is a log."""
    (tmp_path / "log").write_bytes(written())
    (tmp_path / "link").symlink_to("log")
    assert len(list(lines(str(tmp_path / "link")))) == 1
