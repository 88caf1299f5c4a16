"""What `check` says of rules without a request, and that it says nothing that is not so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from policy.checks import languages
from policy.checks.languages import Effort
from policy.checks.lint import check
from policy.checks.regions import Solver
from policy.config.layers import PROJECT, SYSTEM, USER, Source
from policy.rules import condition
from policy.toml.diagnostic import Location

if TYPE_CHECKING:
    from pathlib import Path

    from policy.checks.finding import Finding, Report


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
        'base-interpreter = "/srv/**", all = [{ base-interpreter = "/opt/*" }]',
        'env = { CI = true }, all = [{ env = { CI = "off" } }]',
        'any = [{ host = "a" }, { host = "b" }], not = { host = ["a", "b"] }',
        'not = { host = "*" }',
    ],
)
def test_impossible(tmp_path: Path, match: str) -> None:
    """Conditions that contradict each other never hold."""
    assert _findings(tmp_path, _rules(match)) == [("impossible", 3)]


def _by_caller(tmp_path: Path, text: str) -> list[Finding]:
    return [finding for finding in _report(tmp_path, text).findings if finding.code == "kept-out-by-caller"]


@pytest.mark.parametrize(
    ("match", "lock", "keys"),
    [
        ("env = { CI = true }", "global", ("env", "CI")),
        ('user = "root"', "global", ("user",)),
        ('operation = "sync", kind = "system"', "local", ("operation",)),
        ('project = "/srv"', "global", ("project",)),
        ('environment = "~/work"', "global", ("environment",)),
        ('any = [{ host = "a" }, { not = { env = { CI = true } } }]', "global", ("any", 1, "not", "env", "CI")),
        ("writable = true, env = { UV_ONLY_GLOBAL_LOCKS = true }", "global", ("env", "UV_ONLY_GLOBAL_LOCKS")),
    ],
)
def test_by_caller(tmp_path: Path, match: str, lock: str, keys: tuple[str | int, ...]) -> None:
    """A rule that changes who is kept out by who asks is found, with a request of each caller."""
    (found,) = _by_caller(tmp_path, _rules(match, lock=lock))
    assert found.diagnostic.location.keys == ("rules", 0, "match", *keys)
    assert len(found.examples) == 2
    assert all(example.startswith("policy explain") for example in found.examples)


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
def test_same_for_all_callers(tmp_path: Path, match: str, lock: str) -> None:
    """A rule about the caller is fine where the others keep out the same."""
    assert _by_caller(tmp_path, _rules(match, lock=lock)) == []


def test_earlier_rules_are_premises(tmp_path: Path) -> None:
    """What matters is the rule that others can reach, not those behind it that never decide there."""
    text = _rules("env = { CI = true }, writable = true", "writable = true", lock="global")
    assert _by_caller(tmp_path, text) == []
    managed = _rules("externally-managed = false", lock="local") + _rules('operation = "sync"', lock="global")
    assert _findings(tmp_path, managed) == []


def test_opposite_rules(tmp_path: Path) -> None:
    """Two rules that split the callers between them are both said: others keep out uv in some kinds."""
    text = _rules("env = { CI = true }", lock="global") + _rules("env = { CI = false }", lock="local")
    assert _findings(tmp_path, text) == [("kept-out-by-caller", 3), ("kept-out-by-caller", 6)]


def test_the_message_says_which_rule(tmp_path: Path) -> None:
    """The rule that others fall to is named, and who is kept out by which."""
    text = '[[rules]]\nlock = "global"\nmatch.user = "a"\n[[rules]]\nname = "rest"\nlock = "local"\n'
    (finding,) = _by_caller(tmp_path, text)
    assert finding.diagnostic.message == (
        'who is kept out depends on the caller: for others, rule "rest" in line 4 can decide, '
        "and keeps out uv; this rule does not"
    )
    begin = f"policy explain --config-file {finding.diagnostic.location.file} --assume user="
    assert finding.examples == (f"{begin}a", f"{begin}user")


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (("writable = true", "writable = false", 'host = "a"'), "covered"),
        (('kind = ["system", "target"]', 'kind = ["virtualenv", "prefix"]', 'host = "a"'), "covered"),
        (('host = "a*"', 'host = ["b", "ab"]', 'host = ["ab", "b"]'), "subsumed"),
        (('host = "a*"', 'host = "b"', 'host = ["ab", "b"]'), "covered"),
    ],
)
def test_together(tmp_path: Path, rules: tuple[str, ...], code: str) -> None:
    """A rule that several cover together never decides either, and the request that shows it is given."""
    (finding,) = _report(tmp_path, _rules(*rules)).findings[:1]
    assert (finding.code, finding.diagnostic.line) == (code, 9)
    assert finding.examples


def test_no_project_is_no_match(tmp_path: Path) -> None:
    """A rule about any project leaves those without one to the next rule."""
    assert _findings(tmp_path, _rules('project = "**"', 'host = "a"')) == []


def test_not_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule about which too much is open is said, and the report is not complete."""
    monkeypatch.setattr(languages, "MOST_STEPS", 0)
    report = _report(tmp_path, _rules('any = [{ host = "a" }]'))
    assert [finding.code for finding in report.findings] == ["not-proven"]
    assert not report.complete


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
    """A stronger file may cover a weaker one on purpose; the same rule with another lock is a contradiction."""
    project, system = tmp_path / "project.toml", tmp_path / "system.toml"
    project.write_text('[[rules]]\nlock = "both"\nmatch.host = "a"\n', encoding="utf-8")
    system.write_text('[[rules]]\nlock = "global"\nmatch.host = "a"\n', encoding="utf-8")
    sources = [Source(PROJECT, str(project)), Source(SYSTEM, str(system))]
    (finding,) = check(sources, together=True).findings
    assert (finding.code, finding.diagnostic.location.file) == ("contradiction", str(system))
    system.write_text('[[rules]]\nlock = "global"\nmatch.host = ["a", "b"]\n', encoding="utf-8")
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
    """Many rules are checked with few questions for each of them."""
    asked = 0
    find = Solver._find

    def counted(self: Solver, *question: Any) -> Any:
        nonlocal asked
        asked += 1
        return find(self, *question)

    monkeypatch.setattr(Solver, "_find", counted)
    rules = [f'[[rules]]\nlock = "global"\n{match.format(number)}\n' for number in range(200)]
    report = _report(tmp_path, "".join(rules))
    assert asked < 100 * len(rules)
    assert report.rules == 200


MIX = (
    'match.project = "~/team-{1}/app-{0}/**"',
    'match = {{ project = "~/work/{0}", env = {{ TEAM_{0} = "t{1}*" }} }}',
    "match.env.DEPLOY_{0} = true",
    'match.environment = "/srv/app-{0}/**"',
    'match.any = [{{ env.A{0} = "x" }}, {{ project = "~/proj-{0}" }}]',
    'match = {{ user = "u{0}", project = ["~/x/{0}/**", "/build/{0}/*"] }}',
    'match = {{ environment = "~/envs/{0}", operation = ["sync", "pip*"] }}',
    'match = {{ project = "**/svc-{0}/**", env = {{ REGION_{1} = ["eu*", "us*"] }} }}',
)


@pytest.mark.slow
def test_many_homes_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules about home directories and variables are all proven, and each costs as little among many as among few."""
    steps = tried = 0
    spend, holds = Effort.spend, condition.holds

    def spent(self: Effort, number: int) -> None:
        nonlocal steps
        steps += number
        spend(self, number)

    def held(*asked: Any) -> bool:
        nonlocal tried
        tried += 1
        return holds(*asked)

    monkeypatch.setattr(Effort, "spend", spent)
    monkeypatch.setattr("policy.checks.reach.holds", held)
    for number in (400, 1200):
        steps = tried = 0
        rules = [
            f'[[rules]]\nlock = "{("global", "local")[at // 8 % 2]}"\n{MIX[at % 8].format(at, at % 100)}\n'
            for at in range(number)
        ]
        codes = Counter(finding.code for finding in _report(tmp_path, "".join(rules)).findings)
        assert codes == {"kept-out-by-caller": number * 7 // 8}
        assert steps < 3_000 * number
        assert tried < 40 * number


@pytest.mark.slow
@pytest.mark.parametrize("last", ['{{ not.host = "b" }}', '{{ kind = "target", writable = false }}'])
def test_nothing_anchors_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    """Many rules that share a question which has no text to look up are not tried one by one for each other."""
    tried = 0
    holds = condition.holds

    def held(*asked: Any) -> bool:
        nonlocal tried
        tried += 1
        return holds(*asked)

    monkeypatch.setattr("policy.checks.reach.holds", held)
    match = f'match.any = [{{{{ env.A{{0}} = "x" }}}}, {{{{ host = "h{{0}}" }}}}, {last}]'
    rules = [f'[[rules]]\nlock = "global"\n{match.format(number)}\n' for number in range(400)]
    assert _report(tmp_path, "".join(rules)).rules == 400
    assert tried < 40 * len(rules)


def test_places_lie_in_the_table(tmp_path: Path) -> None:
    """In pyproject.toml a warning points into our table."""
    file = tmp_path / "pyproject.toml"
    file.write_text('[[tool.lock-policy.rules]]\nlock = "global"\nmatch.user = "a"\n', encoding="utf-8")
    (finding,) = check([Source(PROJECT, str(file), ("tool", "lock-policy"))], together=False).findings
    assert finding.diagnostic.location == Location(str(file), ("tool", "lock-policy", "rules", 0, "match", "user"))
    assert (finding.diagnostic.line, finding.diagnostic.column) == (3, 7)
