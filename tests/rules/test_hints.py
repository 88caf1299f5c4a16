from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.rules import hints
from policy.rules.condition import holds
from policy.rules.conditions import CONDITIONS
from policy.rules.decision import PlainChain
from policy.rules.plain import BUILT_IN
from policy.rules.rule import Rule
from tests import factories, requirements

if TYPE_CHECKING:
    from pathlib import Path

    from policy.rules.request import Request

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def told(asked: Request, *rules: Rule) -> list[str]:
    """The hints for a request, without the places in the documentation that follow them."""
    decision = PlainChain([*rules, *BUILT_IN], {}).decide(asked)
    found = hints.hints(decision)
    assert all(" (policy rule " in hint for hint in found)
    return [hint.rpartition(" (")[0] for hint in found]


def plain(root: Path, environ: dict[str, str] | None = None, **more: Any) -> Request:
    """A question about an environment that can be written."""
    root.mkdir(exist_ok=True)
    return factories.request(environ, root=str(root), **more)


def test_none(tmp_path: Path) -> None:
    """A plain virtual environment gives no hint."""
    assert told(plain(tmp_path)) == []


def test_in_run(tmp_path: Path) -> None:
    """`policy run` tells what may keep its lock from excluding, not what is merely good to know."""
    assert set(hints.IN_RUN) == set(hints.HINTS) - {hints.unwritable, hints.nearest_miss, hints.confined}
    decision = PlainChain(BUILT_IN).decide(plain(tmp_path, {"UV_ONLY_GLOBAL_LOCKS": "maybe"}))
    assert hints.hints_in_run(decision) == ["UV_ONLY_GLOBAL_LOCKS is not a boolean and is ignored: use true or false"]


def test_local_file_systems(tmp_path: Path) -> None:
    """A file system without a disk whose locks are this host's own gives no hint."""
    requirements.need_root()
    mount = subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], capture_output=True, check=False)
    requirements.need(mount.returncode == 0, "needs mounts")
    try:
        assert told(plain(tmp_path / "env")) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_unwritable(tmp_path: Path) -> None:
    """On an environment that cannot be written, what each uv does is reported."""
    gone = str(tmp_path / "gone")
    (hint,) = told(factories.request(root=gone, facts={"writable": False}))
    assert hint.startswith(
        "uv cannot lock this environment itself: 0.7.12 to 0.7.18 fail (UV_PYTHON=/usr/bin/python3.11 "
    )
    assert hint.endswith("`policy run -- uv ...` holds this lock around uv")
    assert told(factories.request(root=gone, kind="target")) == []


def test_local_system(tmp_path: Path) -> None:
    """A local lock of a system interpreter is one that uv does not see."""
    asked = plain(tmp_path, kind="system", interpreter="/nowhere/python")
    assert told(asked, Rule("local", name="mine")) == [
        'uv locks a system interpreter outside of it, so it does not see this file; lock = "both" excludes it'
    ]
    assert told(asked, Rule("both", name="mine")) == []


@pytest.mark.parametrize("value", ["", "2", "maybe"])
def test_no_boolean(tmp_path: Path, value: str) -> None:
    """A UV_ONLY_GLOBAL_LOCKS that is no boolean is ignored, and a hint says so without its value."""
    assert told(plain(tmp_path, {"UV_ONLY_GLOBAL_LOCKS": value})) == [
        "UV_ONLY_GLOBAL_LOCKS is not a boolean and is ignored: use true or false"
    ]
    assert told(plain(tmp_path, {"UV_ONLY_GLOBAL_LOCKS": "off"})) == []


def test_private_temporary_directory(tmp_path: Path) -> None:
    """A TMPDIR of one's own keeps two uv apart on a system interpreter only."""
    system = {"kind": "system", "interpreter": "/nowhere/python"}
    (hint,) = told(plain(tmp_path, {"TMPDIR": "/own"}, **system))
    assert hint.startswith("TMPDIR is set, and uv locks a system interpreter there: ")
    assert told(plain(tmp_path, {"TMPDIR": "/tmp/"}, **system)) == []
    assert told(plain(tmp_path, {"TMPDIR": "/own"})) == []


def test_no_readers(tmp_path: Path) -> None:
    """A strict lock that is wanted for reading is exclusive, and a hint says so; where nobody reads there is none."""
    (hint,) = told(plain(tmp_path / "env"), Rule(("strict", "local"), shared=True))
    assert hint.startswith(f"{tmp_path}/.env.strict.lock: a strict lock has no readers")
    decision = PlainChain([Rule(("strict", "local")), *BUILT_IN], {}).decide(plain(tmp_path / "env"))
    assert hints.hints_in_run(decision) == []
    for lock in decision.plan:
        lock.shared = True  # as `policy run --shared` has it
    assert hints.hints_in_run(decision) == [hint]
    assert told(plain(tmp_path / "env"), Rule("local", shared=True)) == []


def test_nearest_miss(tmp_path: Path) -> None:
    """A rule of the user's that failed by one condition of several is named, and the condition."""
    one = Rule("both", (("kind", ("virtualenv",)), ("host", ("nowhere",))), "near", layer="project")
    two = Rule("both", (("kind", ("system",)), ("host", ("nowhere",))), "far", layer="project")
    single = Rule("both", (("kind", ("system",)),), "single", layer="project")
    assert told(plain(tmp_path), two, single, one) == ["rule near failed by one condition only: host"]
    assert told(plain(tmp_path), two, single) == []


QUESTIONS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["virtualenv", "system"]),
        "host": st.sampled_from(["*", "nowhere"]),
        "operation": st.sampled_from(["add", "sync"]),
        "env": st.dictionaries(st.sampled_from(["A", "B"]), st.booleans(), min_size=1),
    },
)


@given(matches=st.lists(QUESTIONS, min_size=1, max_size=6))
def test_nearest_of_all(matches: list[dict[str, Any]]) -> None:
    """Of the rules before the one that decides, that is named which failed by one of the most questions, the first."""
    rules = [Rule("local", match, f"r{number}", layer="project") for number, match in enumerate(matches)]
    asked = factories.request({"A": "1"}, operation="add")
    decision = PlainChain([*rules, *BUILT_IN], {}).decide(asked)
    failures = []
    for rule in rules[: decision.index]:
        questions = [(key, one) for key, value in rule.match for _, one in CONDITIONS[key].questions(value)]
        failed = [one for one in questions if not holds((one,), asked)]
        if len(failed) == 1 and len(questions) > 1:
            failures.append((len(questions), rule.name))
    nearest = max(failures, key=lambda pair: pair[0], default=None)
    told = hints.nearest_miss(decision)
    assert (told and told.split()[1]) == (nearest and nearest[1])


def test_every_hint_is_asked() -> None:
    """Hints are one line each, and each is a function of the module."""
    assert len(set(hints.HINTS)) == len(hints.HINTS) == 8
    assert all(hint.__doc__ for hint in hints.HINTS)


def test_confined(tmp_path: Path) -> None:
    """A rule of a checkout that would go on without a lock of an environment elsewhere is told to have no say there."""
    rule = Rule("local", name="lax", required=False, file=f"{tmp_path}/p/lock-policy.toml", line=1, confined=True)
    (tmp_path / "p").mkdir()
    assert told(plain(tmp_path / "p" / "env"), rule) == []
    (hint,) = told(plain(tmp_path / "elsewhere"), rule)
    assert hint.startswith(f"`required = false` of rule lax counts below {tmp_path}/p only")
