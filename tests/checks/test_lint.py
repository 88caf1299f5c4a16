"""What `check` says of rules without a request, and that it says nothing that is not so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.checks import implication
from policy.checks.implication import Effort, flat
from policy.checks.lint import ALL_STEPS, check
from policy.config.layers import PROJECT, SYSTEM, USER, Source
from policy.config.read import BUILT_IN
from policy.environment.discovery import Environment
from policy.rules import conditions, supposition
from policy.rules.request import Caller, Request
from policy.toml.diagnostic import Location

if TYPE_CHECKING:
    from pathlib import Path

    from policy.checks.finding import Finding, Report
    from policy.rules.condition import Match


def _report(tmp_path: Path, text: str) -> Report:
    file = tmp_path / "lock-policy.toml"
    file.write_text(text, encoding="utf-8")
    return check([Source(PROJECT, str(file))], together=False)


def _findings(tmp_path: Path, text: str) -> list[tuple[str, int]]:
    """The code and the line of each finding."""
    return [(finding.code, finding.diagnostic.line) for finding in _report(tmp_path, text).findings]


def _rules(*matches: str, lock: str = "both") -> str:
    """Rules with these matches, `match` on line 3 of three."""
    return "".join(f'[[rules]]\nlock = "{lock}"\nmatch = {{ {match} }}\n' for match in matches)


@pytest.mark.parametrize(
    "first",
    [
        "",
        'match.host = "*"\n',
        'match.environment = "**"\n',
        'match.kind = ["system", "virtualenv", "target", "prefix"]\n',
        'match.any = [{ host = "a" }, { host = "*" }]\n',
    ],
)
def test_unreachable(tmp_path: Path, first: str) -> None:
    """What stands after a rule that matches everything is never reached."""
    text = f'[[rules]]\nlock = "both"\n{first}[[rules]]\nlock = "local"\nmatch.user = "a"\n'
    assert _findings(tmp_path, text) == [("unreachable", text[: text.rindex("[[")].count("\n") + 1)]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ('host = "a"', 'host = "a"'),
        ('host = "a"', 'user = "x", host = "a"'),
        ('host = ["a", "b"]', 'host = "b"'),
        ('host = "node*"', 'host = ["node1", "node-[0-9]"]'),
        ('host = "n?de*"', 'host = "node"'),
        ('kind = ["system", "prefix"]', 'kind = "system"'),
        ("writable = true", "not = { writable = false }"),
        ('not = { kind = "system" }', 'kind = ["target", "prefix"]'),
        ('not = { host = "a*" }', 'not = { host = ["a1", "a*"] }'),
        ('not = { host = "a" }', 'host = "b"'),
        ('environment = "/srv/**"', 'environment = "/srv/app"'),
        ('environment = "/srv/**"', 'environment = "/srv/*/env"'),
        ('environment = "/srv"', 'environment = "/srv/**"'),
        ('environment = "/srv/*"', 'environment = "/srv/app/env?"'),
        ('environment = "~/work"', 'environment = "~/work/*"'),
        ("env = { CI = true }", 'env = { CI = "yes", X = "1" }'),
        ('env = { CI = "*" }', "env = { CI = true }"),
        ('any = [{ host = "a" }, { user = "x" }]', 'user = "x"'),
        ('any = [{ host = "a" }, { user = "x" }]', 'any = [{ user = "x", kind = "system" }, { host = "a" }]'),
        ('host = "a*"', 'any = [{ host = "ab" }, { host = "ac" }]'),
        ('all = [{ host = "a" }, { user = "x" }]', 'user = "x", host = "a"'),
        ("any = [{ writable = true }, { writable = false }]", "writable = true"),
    ],
)
def test_subsumed(tmp_path: Path, earlier: str, later: str) -> None:
    """A rule whose conditions imply those of an earlier one is never reached."""
    assert _findings(tmp_path, _rules(earlier, later)) == [("subsumed", 6)]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ('host = "a", user = "x"', 'host = "a"'),
        ('host = "b"', 'host = ["a", "b"]'),
        ('host = "node1"', 'host = "node*"'),
        ('environment = "/srv/**"', 'environment = "/srv"'),  # the folder itself is not below it
        ('environment = "/srv/**"', 'environment = "/srv*"'),
        ('environment = "/home/*"', 'environment = "~"'),  # it depends on whose home
        ('environment = "/srv/[ab]"', 'environment = "/srv/c"'),
        ('interpreter = "/srv"', 'environment = "/srv"'),
        ("env = { CI = true }", 'env = { CI = "*" }'),
        ('env = { CI = "*" }', "env = { CI = false }"),  # an unset one is false
        ("env = { CI = false }", 'env = { CI = "maybe" }'),
        ('not = { host = "a*" }', 'not = { host = "ab" }'),
        ('any = [{ host = "a", user = "x" }, { user = "y" }]', 'any = [{ user = "x" }, { user = "y" }]'),
    ],
)
def test_not_subsumed(tmp_path: Path, earlier: str, later: str) -> None:
    """A rule that can be reached is not called unreachable."""
    assert _findings(tmp_path, _rules(earlier, later)) == []


@pytest.mark.parametrize(
    "match",
    [
        "writable = true, not = { writable = true }",
        'kind = "system", all = [{ kind = "virtualenv" }]',
        'host = "a", all = [{ host = "b*" }]',
        'environment = "/srv/**", all = [{ environment = "/opt/*" }]',
        'env = { CI = true }, all = [{ env = { CI = "off" } }]',
        'any = [{ host = "a" }, { host = "b" }], not = { host = ["a", "b"] }',
        'not = { host = "*" }',
    ],
)
def test_impossible(tmp_path: Path, match: str) -> None:
    """Conditions that contradict each other never hold."""
    assert _findings(tmp_path, _rules(match)) == [("impossible", 3)]


def _disagreement(tmp_path: Path, text: str) -> list[Finding]:
    return [finding for finding in _report(tmp_path, text).findings if finding.code == "disagreement"]


@pytest.mark.parametrize(
    ("match", "lock", "keys"),
    [
        ("env = { CI = true }", "global", ("env", "CI")),
        ('user = "root"', "global", ("user",)),
        ('operation = "sync", kind = "system"', "local", ("operation",)),
        ('project = "/srv"', "global", ("project",)),
        ('any = [{ host = "a" }, { not = { env = { CI = true } } }]', "global", ("any", 1, "not", "env", "CI")),
        ("writable = true, env = { UV_ONLY_GLOBAL_LOCKS = true }", "global", ("env", "UV_ONLY_GLOBAL_LOCKS")),
    ],
)
def test_disagreement(tmp_path: Path, match: str, lock: str, keys: tuple[str | int, ...]) -> None:
    """A rule about the caller, where others fall to a rule whose lock does not exclude its own, is found."""
    found = _disagreement(tmp_path, _rules(match, lock=lock))
    assert [finding.diagnostic.location.keys for finding in found] == [("rules", 0, "match", *keys)]
    assert 'lock = "both"' in found[0].diagnostic.message


@pytest.mark.parametrize(
    ("match", "lock"),
    [
        ("env = { CI = true }", "both"),
        ('environment = "/srv/**"', "global"),
        ('env = { CI = true }, kind = "system"', "global"),  # others get the default's, which is global too
        ("env = { CI = true }, writable = false", "global"),
        ('user = "root", externally-managed = true', "global"),
        ('any = [{ env = { CI = true }, kind = "system" }, { environment = "/srv" }]', "global"),
    ],
)
def test_agreement(tmp_path: Path, match: str, lock: str) -> None:
    """A rule whose every alternative shares a file with it is fine."""
    assert _disagreement(tmp_path, _rules(match, lock=lock)) == []


def test_agreement_through_a_later_rule(tmp_path: Path) -> None:
    """What matters is the next rule that can decide, not those behind it."""
    text = _rules("env = { CI = true }, writable = true", "writable = true", lock="global")
    assert _disagreement(tmp_path, text) == []


def test_opposite_rules(tmp_path: Path) -> None:
    """Two rules that split the callers between them disagree, the first one with the second."""
    text = _rules("env = { CI = true }", lock="global") + _rules("env = { CI = false }", lock="local")
    assert _findings(tmp_path, text) == [("disagreement", 3), ("disagreement", 6)]


def test_the_message_says_which_rule(tmp_path: Path) -> None:
    """The rule that others fall to is named, with its line or as built in."""
    text = '[[rules]]\nlock = "global"\nmatch.user = "a"\n[[rules]]\nname = "rest"\nlock = "local"\n'
    (finding,) = _disagreement(tmp_path, text)
    assert finding.diagnostic.message == (
        'callers may disagree: where this does not hold, rule "rest" in line 4 can decide, and its local lock does not '
        'exclude this global one; lock = "both" here excludes either'
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[[rules]]\nname = "a"\nlock = "both"\n[[rules]]\nmatch.user = "x"\nname = "a"\nlock = "both"\n', 6),
        ('[[rules]]\nname = "default"\nlock = "both"\n', 2),
        ('[[tests]]\nname = "t"\nexpect.lock = "local"\n[[tests]]\nname = "t"\nexpect.lock = "local"\n', 5),
    ],
)
def test_duplicate_names(tmp_path: Path, text: str, line: int) -> None:
    """A name that something else of the kind has is found, where it stands the second time."""
    assert ("duplicate-name", line) in _findings(tmp_path, text)


def test_unknown_rule(tmp_path: Path) -> None:
    """A test that expects a rule which is not there is found, with the name that was meant."""
    report = _report(tmp_path, '[[tests]]\nname = "t"\nexpect = { lock = "global", rule = "defalt" }\n')
    assert [(finding.code, finding.diagnostic.column) for finding in report.findings] == [("unknown-rule", 36)]
    assert report.findings[0].diagnostic.message.endswith('did you mean "default"?')


def test_files_together(tmp_path: Path) -> None:
    """A stronger file may cover a weaker one on purpose; a mandatory rule that covers a project's is said."""
    project, system = tmp_path / "project.toml", tmp_path / "system.toml"
    project.write_text('[[rules]]\nlock = "both"\nmatch.host = "a"\n', encoding="utf-8")
    system.write_text('[[rules]]\nlock = "global"\nmatch.host = "a"\n', encoding="utf-8")
    sources = [Source(PROJECT, str(project)), Source(SYSTEM, str(system))]
    assert check(sources, together=True).findings == ()
    system.write_text('[[rules]]\nlock = "global"\nmatch.host = "*"\nmandatory = true\n', encoding="utf-8")
    (finding,) = check(sources, together=True).findings
    assert (finding.code, finding.diagnostic.location.file) == ("unreachable", str(project))
    assert f"{system}:1" in finding.diagnostic.message


def test_faults_of_all_files(tmp_path: Path) -> None:
    """A fault in one file does not hide those of another, and nothing is said of rules that stand around it."""
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("timout = 1\n", encoding="utf-8")
    other.write_text('[[rules]]\nlock = "both"\n[[rules]]\nlock = "x"\n', encoding="utf-8")
    report = check([Source(PROJECT, str(one)), Source(USER, str(other))], together=True)
    assert [(finding.code, finding.diagnostic.line) for finding in report.findings] == [
        ("unknown-key", 1),
        ("wrong-value", 4),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "match",
    [
        'match.host = "a{0}-*"',
        "match.env.A{0} = true",
        'match.environment = "/a/{0}/**"',
        'match.any = [{{ env.A{0} = "x" }}, {{ host = "{0}" }}, {{ not.host = "b" }}]',
        'match.all = [{{any = [{{host = "a{0}"}}, {{user = "b"}}]}}, {{any = [{{user = "c"}}, {{host = "d"}}]}}]',
    ],
)
def test_no_file_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, match: str) -> None:
    """The largest file that is read is checked in a bounded number of steps, and that not all was compared is said."""
    spent = 0
    spend = Effort.spend

    def counted(self: Effort, steps: int = 1) -> None:
        nonlocal spent
        spend(self, steps)
        spent += steps

    monkeypatch.setattr(Effort, "spend", counted)
    rules = [f'[[rules]]\nlock = "global"\n{match.format(number)}\n' for number in range(4000)]
    text = "".join(rules)[: 250 * 1024]
    report = _report(tmp_path, text[: text.rindex("[[rules]]")])
    assert not report.complete
    assert 0 < spent <= ALL_STEPS


# The proofs, against deciding itself: small worlds in which everything can happen.

ENVIRONMENT = Environment("/e/bin/python", "/e", "virtualenv", "/b", "test")
PATHS = ["/a", "/a/b", "/a/b/c", "/b", "/a*", "/a/*", "/a/**", "**/b", "/*/b", "/a/b*", "**"]
NAMES = ["a", "ab", "b", "a*", "*", "?b", "[ab]", "1", "0", "yes"]


def _some(items: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(items), min_size=1, max_size=2).map(tuple)


LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "environment": _some(PATHS),
    "host": _some(NAMES),
    "user": _some(NAMES),
    "writable": st.booleans(),
    "kind": _some(["virtualenv", "system", "target", "prefix"]),
    "env": st.lists(st.tuples(st.just("V"), st.booleans() | _some(NAMES)), min_size=1, max_size=1).map(tuple),
}


def _tables(inner: st.SearchStrategy[Match]) -> st.SearchStrategy[Match]:
    some = st.lists(inner, min_size=1, max_size=2).map(tuple)
    keys = {"any": some, "all": some, "not": inner}
    pairs = [st.tuples(st.just(key), value) for key, value in {**keys, **LEAVES}.items()]
    return st.lists(st.one_of(pairs), min_size=1, max_size=3, unique_by=lambda pair: pair[0]).map(tuple)


LEAF_TABLES = st.lists(
    st.one_of([st.tuples(st.just(key), value) for key, value in LEAVES.items()]),
    min_size=1,
    max_size=2,
    unique_by=lambda pair: pair[0],
).map(tuple)
MATCHES = st.recursive(LEAF_TABLES, _tables, max_leaves=5)

REQUESTS = [
    Request(
        ENVIRONMENT,
        Caller({"V": value} if value is not None else {}, "/"),
        {**supposition.DEFAULTS, "environment": path, "host": host, "user": user, "writable": writable, "kind": kind},
    )
    for path in ("/", "/a", "/a/b/c", "/a/bc", "/ab", "/c/b")
    for host in ("", "a", "ab", "c")
    for user, value in (("a", None), ("b", "1"), ("x", "0"), ("cb", "a"), ("b", "yes"))
    for writable in (True, False)
    for kind in ("virtualenv", "system")
]


@given(MATCHES, MATCHES)
@settings(max_examples=500, deadline=None)
def test_what_is_proven_is_so(one: Match, other: Match) -> None:
    """No request contradicts an implication, an impossibility or a certainty that was proven."""
    effort = Effort(5_000, 5_000)
    try:
        implied = implication.implies(flat(one), flat(other), effort)
        impossible = implication.impossible(flat(one), effort)
    except implication.TooMuchError:
        return
    for request in REQUESTS:
        holds = conditions.holds(one, request)
        assert conditions.holds(flat(one), request) is holds
        assert not (implied and holds) or conditions.holds(other, request)
        assert not (impossible and holds)
        assert holds or not implication.certain(one)


@given(MATCHES)
@settings(max_examples=300, deadline=None)
def test_what_divides_callers(match: Match) -> None:
    """An environment in which a match table holds for some callers only is one that `divided` tells of."""
    answers: dict[object, set[bool]] = {}
    told: dict[object, bool] = {}
    for request in REQUESTS:
        facts = tuple(request.facts[key] for key in ("environment", "host", "writable", "kind"))
        answers.setdefault(facts, set()).add(conditions.holds(match, request))
        told[facts] = conditions.holds(implication.divided(match), request)
    assert all(told[facts] for facts, seen in answers.items() if len(seen) > 1)


@given(MATCHES, st.sampled_from(["local", "global"]))
@settings(max_examples=300, deadline=None)
def test_what_is_passed_over_agrees(match: Match, lock: str) -> None:
    """A rule of which nothing is said excludes, in each environment, the callers for whom it does not hold."""
    from policy.checks.lint import Chain, Entry, _disagreement
    from policy.rules.rule import Rule

    chain = Chain((Entry(Rule(lock, match), configuration=_Anything()), *map(Entry, BUILT_IN)))  # type: ignore[arg-type]  # stands for any configuration
    said = list(_disagreement(chain, chain.entries[0]))
    if said or chain.proven(implication.impossible, chain.entries[0].conditions) is None:
        return
    rows = [entry.rule for entry in chain.entries]
    by_environment: dict[object, set[int]] = {}
    for request in REQUESTS:
        decided = next(number for number, row in enumerate(rows) if conditions.holds(row.match, request))
        facts = tuple(request.facts[key] for key in ("environment", "host", "writable", "kind"))
        by_environment.setdefault(facts, set()).add(decided)
    for decided_by in by_environment.values():
        locks = {rows[number].lock for number in decided_by}
        assert 0 not in decided_by or locks == {(lock,)}


class _Anything:
    """Stands for a file whose text does not matter."""

    def __init__(self) -> None:
        self.source = self
        self.keys = ()
        self.document = self
        self.file = ""
        self.positions = self

    def key(self, keys: object) -> None:
        """Nothing has a place."""
        del keys


def test_places_lie_in_the_table(tmp_path: Path) -> None:
    """In pyproject.toml a warning points into our table."""
    file = tmp_path / "pyproject.toml"
    file.write_text('[[tool.lock-policy.rules]]\nlock = "global"\nmatch.user = "a"\n', encoding="utf-8")
    (finding,) = check([Source(PROJECT, str(file), ("tool", "lock-policy"))], together=False).findings
    assert finding.diagnostic.location == Location(str(file), ("tool", "lock-policy", "rules", 0, "match", "user"))
    assert (finding.diagnostic.line, finding.diagnostic.column) == (3, 7)
