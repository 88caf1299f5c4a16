"""Decisions, taken again under the same rules and under others."""

from __future__ import annotations

import json
import os
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest

from policy.checks import replay as replaying
from policy.checks.log_lines import parse
from policy.checks.replay import Decider, Files, UnknownError, replay
from policy.config.read import BUILT_IN
from policy.errors import ConfigError, UsageError
from policy.rules.chain import Chain
from policy.rules.condition import matches_text
from policy.rules.decision_log import entry
from policy.rules.rule import Rule
from policy.rules.supposition import request
from policy.variables import boolean
from tests.checks.test_reach import GLOBS, VALUES, facts, table

if TYPE_CHECKING:
    from pathlib import Path

    from policy.checks.log_lines import Logged
    from policy.rules.decision import BaseChain, PlainChain

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def line(chain: BaseChain, given: dict[str, Any], **configuration: Any) -> bytes:
    """What is written about a decision."""
    record = {"configuration": {"cwd": "/", **configuration}, **entry(chain.decide(request(given)))}
    return json.dumps({"time": 0, "event": "decided", "pid": 1, **record}).encode() + b"\n"


def logged(chain: BaseChain, given: dict[str, Any]) -> Logged:
    """The same, read."""
    found = parse(line(chain, given))
    assert found is not None
    return found


def chain(*rules: Rule) -> Any:
    """Rules, and the built-in ones."""
    return Chain((*rules, *BUILT_IN))


def _rules(rnd: random.Random) -> list[Rule]:
    return [
        Rule(
            rnd.choice(["local", "global", "both", "beside"]),
            table(rnd),
            timeout=rnd.choice([None, 5]),
            required=rnd.random() < 0.9,
            confined=rnd.random() < 0.5,
            layer="project",
            file="/srv/app/lock-policy.toml",
        )
        for _ in range(rnd.randint(1, 5))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_brute_force(seed: int) -> None:
    """Under the same rules nothing changes; under others what is said is so, whatever the variables were."""
    rnd = random.Random(seed)  # noqa: S311  (a test that can be repeated)
    said = {"known": 0, "changed": 0, "unknown": 0}
    for _ in range(40):
        rules = _rules(rnd)
        old, new = chain(*rules), chain(*rnd.sample([*rules, *_rules(rnd)], len(rules)))
        same, other, plain = Decider(old), Decider(new), Decider(new)
        for _ in range(20):
            given = facts(rnd)
            taken = logged(old, given)
            assert same.decide(taken).effect == taken.effect
            expected = logged(new, given).effect
            try:
                outcome = other.decide(taken)
            except UnknownError:
                said["unknown"] += 1
                continue
            assert outcome.effect == expected == plain.decide(logged(new, given)).effect
            said["known"] += 1
            said["changed"] += outcome.effect != taken.effect
    assert said["changed"] > 50
    assert said["known"] > said["unknown"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_values(seed: int) -> None:
    """Among the values that a variable may have is one that answers as the real one does, each way but once."""
    rnd = random.Random(seed)  # noqa: S311  (a test that can be repeated)
    for _ in range(100):
        asks: list[bool | str] = rnd.sample([*GLOBS, True, False], 4)
        value = rnd.choice(VALUES)

        def answers(one: str | None, wanted: list[bool | str] = asks) -> list[bool]:
            if one is None:
                return [ask is False for ask in wanted]
            return [boolean(one) is ask if isinstance(ask, bool) else matches_text((ask,), one) for ask in wanted]

        known = asks[:2]
        told = None
        if value is not None:
            pairs = list(zip(known, answers(value, known), strict=True))
            told = tuple(ask for ask, yes in pairs if yes), tuple(ask for ask, yes in pairs if not yes)
        found = replaying._values(told, tuple(asks))
        ways = [(one is None, *answers(one)) for one in found]
        assert (value is None, *answers(value)) in ways
        assert len(set(ways)) == len(ways)
        assert all(answers(one, known) == answers(value, known) for one in found)
        assert len(replaying._values((), tuple(asks))) >= len(found)


def test_what_the_log_does_not_say() -> None:
    """A variable that nobody asked about then may be either; where that matters it is named, else it is not."""
    old = chain(Rule("local", {"env": {"A": "x*"}}))
    new = chain(Rule("beside", {"env": {"B": True}}), Rule("local", {"env": {"A": "x*"}}))
    taken = logged(old, {"env": (("A", "xyz"), ("B", "1"))})
    with pytest.raises(UnknownError, match=r"^the log does not say enough of \$B$"):
        Decider(new).decide(taken)
    either = chain(Rule("local", {"env": {"B": True}}), Rule("local", {"env": {"A": "x*"}}))
    assert Decider(either).decide(taken).effect == taken.effect
    longer = chain(Rule("local", {"env": {"A": "*"}}))  # follows from what the log says
    assert Decider(longer).decide(taken).effect == taken.effect


def test_facts_that_are_missing() -> None:
    """Facts that the log does not have, such as one that could not be observed, are named where rules ask for them."""
    record = json.loads(line(chain(), {}))
    del record["facts"]["user"]
    taken = parse(json.dumps(record).encode() + b"\n")
    assert taken is not None
    assert Decider(chain()).decide(taken).effect == taken.effect
    del record["facts"]["home"]
    taken = parse(json.dumps(record).encode() + b"\n")
    assert taken is not None
    with pytest.raises(UnknownError, match=r"^the log does not say user, home$"):
        Decider(chain(Rule("local", {"user": "a", "environment": "~/x"}))).decide(taken)


def test_too_many_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """More variables than can be tried are not known."""
    monkeypatch.setattr(replaying, "MOST_OPEN", 3)
    rules = [Rule("beside", {"env": {f"V{number}": True}}) for number in range(3)]
    with pytest.raises(UnknownError, match=r"\$V0"):
        Decider(chain(*rules)).decide(logged(chain(), {}))


def _log(folder: Path, *written: bytes) -> str:
    (folder / "log").write_bytes(b"".join(written))
    return str(folder / "log")


def test_replay(tmp_path: Path) -> None:
    """Lines that change in one way stand together, in order; lines that are no decisions are counted."""
    (tmp_path / "new.toml").write_text('[[rules]]\nlock = "beside"\nmatch.user = "b"\n', encoding="utf-8")
    old = chain()
    written = [line(old, {"user": user}) for user in "abbab"]
    log = _log(tmp_path, *written[:2], b"nothing\n", *written[2:], b'{"event": "wait"}\n')
    found = replay(log, Files({}, str(tmp_path / "new.toml")))
    assert [change.lines for change in found.changes] == [[2, 4, 6]]
    assert (found.same, found.changed, found.open, found.decisions, found.differs) == (2, 3, 0, 5, True)
    assert found.unreadable == [(3, "not JSON")]
    change = found.changes[0]
    assert change.before.rule["name"] == "environment"
    assert change.after.rule.lock == ("beside",)
    assert {entry["purpose"] for entry in change.after.plan} == {"gate", "beside"}
    assert "pipx (this environment)" in change.after.excluded
    assert not replay(log, Files({}, no_config=True)).differs


def test_the_files_of_then(tmp_path: Path) -> None:
    """Without a file that counts instead, each decision is taken by the files that lead to its environment, as now."""
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock-policy.toml").write_text('[[rules]]\nlock = "local"\n', encoding="utf-8")
    other = tmp_path / "other.toml"
    other.write_text('[[rules]]\nlock = "local"\n', encoding="utf-8")
    old = chain(Rule("local"))
    written = [line(old, {"environment": str(tmp_path / name / ".venv")}) for name in ("one", "two")]
    named = line(old, {"environment": "/e"}, config_file=str(other))
    without = line(old, {"environment": str(tmp_path / "two" / ".venv")}, no_config=True)
    log = _log(tmp_path, *written, named, without)
    assert not replay(log, Files(environ)).differs
    (tmp_path / "two" / "lock-policy.toml").write_text('[[rules]]\nlock = "beside"\n', encoding="utf-8")
    other.unlink()
    found = replay(log, Files(environ))
    assert [change.lines for change in found.changes] == [[2]]
    assert found.unknown == {f"{other}: no such file; name an existing one with --config-file": [3]}
    found = replay(log, Files({**environ, "LOCK_POLICY_TIMEOUT": "5"}, project=str(tmp_path / "two")))
    assert [change.lines for change in found.changes] == [[1, 2]]
    (tmp_path / "two" / "lock-policy.toml").write_text("[[rules]]\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        replay(log, Files(environ))
    with pytest.raises(UsageError, match="no such file"):
        replay(log, Files(environ, str(other)))


@pytest.mark.slow
def test_many_lines(tmp_path: Path) -> None:
    """100,000 lines about 100 environments look for configuration files once for each, and are all counted."""
    written = [line(chain(), {"environment": f"/srv/{number}/.venv"}) for number in range(100)]
    log = _log(tmp_path, *written * 1_000)
    looked: list[str] = []

    class Counted(Files):
        def _find(self, logged: Logged, root: str) -> PlainChain:
            looked.append(root)
            return super()._find(logged, root)

    assert replay(log, Counted({"XDG_CONFIG_DIRS": os.devnull, "XDG_CONFIG_HOME": os.devnull})).same == 100_000
    assert len(looked) == 100
