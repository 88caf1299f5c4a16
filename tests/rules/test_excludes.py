from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import pytest

from policy.environment import mounts
from policy.rules import excludes, hints
from policy.rules.decision import Decision, PlainChain
from policy.rules.rule import Rule
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

    from policy.locks.backend import Lock

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


class Entry:
    """An entry of a plan, as far as its neighbours ask."""

    def __init__(self, purpose: str, name: str = "/x/.lock", kind: str = "file") -> None:
        self.purpose = purpose
        self.name = name
        self.kind = kind


def answers(
    *entries: Entry, lock: Any = "local", facts: dict[str, object] | None = None, **of_request: Any
) -> dict[str, Any]:
    """Who is kept out by a plan: by who and where."""
    asked = factories.request(of_request.pop("environ", {}), facts, **of_request)
    decision = PlainChain((Rule(lock),)).decide(asked)
    decision._plan = cast("tuple[Lock, ...]", entries)  # as far as it is asked
    return {f"{one['who']}, {one['where']}": one for one in excludes.excludes(decision)}


def test_design() -> None:
    """The gate keeps out every lock-policy of the host, `.lock` keeps out uv, and nothing of it other hosts."""
    assert list(answers(Entry("gate"), Entry("local")).values()) == [
        {"who": "lock-policy", "where": "this host", "excluded": True, "because": "gate"},
        {"who": "uv", "where": "this environment", "excluded": True, "because": "local"},
        {
            "who": "lock-policy",
            "where": "other hosts",
            "excluded": False,
            "because": "no lock of this plan reaches them",
            "remedy": 'lock = ["cluster", "local"]',
        },
        {"who": "lock-policy", "where": "other mount namespaces", "excluded": True, "because": "local"},
    ]


def test_without_gate() -> None:
    """Where nobody can have a gate, lock-policy on this host is not kept out."""
    assert answers(Entry("local"))["lock-policy, this host"]["excluded"] is False


@pytest.mark.parametrize(
    ("purpose", "kind", "facts", "excluded", "remedy"),
    [
        ("local", "virtualenv", {}, True, None),
        ("global", "virtualenv", {}, False, 'lock = ["global", "local"]'),
        ("global", "virtualenv", {"writable": False}, False, "start uv with `policy run -- uv ...`"),
        ("local", "target", {}, True, None),
        ("uv", "system", {}, True, None),
        ("local", "system", {}, False, 'lock = ["global", "local"]'),
    ],
)
def test_uv(purpose: str, kind: str, facts: dict[str, object], excluded: bool, remedy: str | None) -> None:
    """Uv is kept out by the file that it locks itself; else the answer says which, and what to write."""
    lock = "local" if purpose == "local" else "global"
    answer = answers(Entry(purpose), lock=lock, facts=facts, kind=kind)["uv, this environment"]
    assert (answer["excluded"], answer.get("remedy")) == (excluded, remedy)


@pytest.mark.parametrize("purpose", ["cluster", "strict"])
def test_other_hosts(purpose: str) -> None:
    """A lock on a server, and one that needs no flock, reach other hosts and containers."""
    found = answers(Entry("gate"), Entry(purpose, kind=purpose))
    assert found["lock-policy, other hosts"]["because"] == purpose
    assert found["lock-policy, other mount namespaces"]["because"] == purpose


@pytest.mark.parametrize(
    ("options", "excluded", "because"),
    [
        ((), True, "flock on nfs4 reaches them: /n/.lock"),
        (
            ("local_lock=all",),
            False,
            "/n (nfs4): locks stay on this host",
        ),
    ],
)
def test_network_file_system(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], excluded: bool, because: str
) -> None:
    """A file whose flock goes to the server keeps out other hosts, unless the mount keeps it here."""
    monkeypatch.setattr(excludes, "may_be_remote", lambda _: True)
    monkeypatch.setattr(mounts, "mount_of", lambda _: mounts.Mount("nfs4", "server:/n", "/n", options))
    answer = answers(Entry("local", "/n/.lock"))["lock-policy, other hosts"]
    assert (answer["excluded"], answer["because"].partition(": mounted")[0]) == (excluded, because)


def test_pipx() -> None:
    """Pipx is named where the environment is one of its own, or where its file is held."""
    home = {"PIPX_HOME": "/p"}
    assert "pipx, this environment" not in answers(Entry("local"), environ=home)
    answer = answers(Entry("local"), environ=home, root="/p/venvs/black")["pipx, this environment"]
    assert (answer["excluded"], answer["remedy"]) == (False, 'lock = ["beside", "local"]')
    assert answers(Entry("beside"))["pipx, this environment"]["excluded"]
    assert not answers(Entry("local"), root="/opt/pipx/venvs/x")["pipx, this environment"]["excluded"]


def test_real_plan(tmp_path: Path) -> None:
    """A real decision is answered without a look at what its plan does not ask for."""
    decision: Decision = PlainChain((Rule("local"),)).decide(factories.request(root=str(tmp_path)))
    found = {one["who"]: one["excluded"] for one in excludes.excludes(decision) if one["where"] == "this environment"}
    assert found == {"uv": True}
    assert hints.may_be_remote("/no/such/folder/.lock") is (sys.platform != "linux")
