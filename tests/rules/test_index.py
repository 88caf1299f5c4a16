from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.rules import condition, index
from policy.rules.decision import PlainChain
from policy.rules.index import Search
from policy.rules.plain import PlainRule
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.rules.condition import Match
    from policy.rules.request import Request
    from policy.rules.rule import AnyRule

SEGMENTS = ["a", "bb", "x.y", "~", ".venv", "*", "**", "?", "[ab]*", "[!a]", "a*", "*b", "b**", "[[]", ""]
HOMES = ["/", "/a", "/a/bb", "/h", "relative", ""]
NAMES = ["a", "bb", "x.y", "~", ".venv", "[", "b", "abc"]

ROOTED = st.tuples(st.sampled_from(["", "~", "**"]), st.lists(st.sampled_from(SEGMENTS), max_size=4)).map(
    lambda pair: "/".join((pair[0], *pair[1])) or "/"
)
PATTERNS = st.lists(ROOTED, min_size=1, max_size=3).map(tuple)
PATHS = st.lists(st.sampled_from(NAMES), max_size=4).map(lambda names: "/" + "/".join(names))
LEAVES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["interpreter", "environment", "base-interpreter"]), PATTERNS),
        st.tuples(st.just("kind"), st.sampled_from([("virtualenv",), ("system", "target")])),
        st.tuples(st.just("operation"), st.sampled_from([("add",), ("*",)])),
    ),
    max_size=3,
    unique_by=lambda pair: pair[0],
).map(tuple)
MATCHES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(
        LEAVES,
        st.lists(
            st.one_of(
                st.tuples(st.just("any"), st.lists(inner, min_size=1, max_size=2).map(tuple)),
                st.tuples(st.just("all"), st.lists(inner, min_size=1, max_size=2).map(tuple)),
                st.tuples(st.just("not"), inner),
            ),
            max_size=2,
            unique_by=lambda pair: pair[0],
        ).map(tuple),
    ).map(lambda pair: (*pair[1], *pair[0])),
    max_leaves=4,
)


def chain(matches: Sequence[Match]) -> list[AnyRule]:
    """Rules with these conditions, and one that matches everything."""
    return [PlainRule(("global",), match, f"r{number}") for number, match in enumerate((*matches, ()))]


def first(rows: Sequence[AnyRule], request: Request) -> int:
    """The first rule that matches, without an index."""
    return next(number for number, row in enumerate(rows) if condition.holds(row.match, request))


@given(matches=st.lists(MATCHES, max_size=6), interpreter=PATHS, root=PATHS, base=PATHS, home=st.sampled_from(HOMES))
def test_the_first_match_stays_the_first(
    matches: list[Match], interpreter: str, root: str, base: str, home: str
) -> None:
    """Whatever the patterns, the paths and the home directory: the index passes over nothing that could match."""
    rows = chain(matches)
    options: dict[str, Any] = {"root": root, "interpreter": interpreter, "base": base}

    def asked() -> Request:
        return factories.request({"HOME": home}, operation="add", **options)

    expected = first(rows, asked())
    program = PlainChain(rows)
    assert program.decide(asked()).index == expected
    # the second time the candidates of the environment are remembered
    assert program.decide(asked()).index == expected
    assert PlainChain(rows, {}, Search(rows, index.build(rows))).decide(asked()).index == expected


@pytest.mark.slow
@given(matches=st.lists(MATCHES, max_size=6), fact=PATHS, other=PATHS)
def test_facts_that_are_given_count(matches: list[Match], fact: str, other: str) -> None:
    """A fact that is given beforehand is looked up, not what the environment says; one answer is not the other's."""
    rows = chain(matches)
    program = PlainChain(rows, {})
    for given_fact in (fact, other, fact):
        facts: dict[str, object] = {"interpreter": given_fact}
        expected = first(rows, factories.request(facts=facts))
        assert program.decide(factories.request(facts=facts)).index == expected
    expected = first(rows, factories.request())
    assert program.decide(factories.request()).index == expected


@pytest.mark.parametrize("pattern", ["~", "~/", "~/*", "~/**", "~/**/python"])
def test_home_at_the_root(pattern: str) -> None:
    """`~` in a pattern is no name to look for, not even where the home directory is `/`, as in many containers."""
    rows = chain([(("interpreter", (pattern,)),)])
    assert PlainChain(rows).decide(factories.request({"HOME": "/"})).index == 0


TEN_THOUSAND = 10_000
SHAPES = {
    "folders": "/srv/app-{}/**",
    "folders of home": "~/work/app-{}/*",
    "names anywhere": "**/app-{}/bin/*",
    "names below stars": "/*/app-{}",
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_few_rules_are_tried(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten thousand rules about paths a decision tries one or two, wherever the matching rule stands."""
    pattern = SHAPES[shape]
    rows = chain([(("interpreter", (pattern.format(number),)),) for number in range(TEN_THOUSAND)])
    program = PlainChain(rows, {}, Search(rows, index.build(rows)))
    tried = itertools.count()
    holds = condition.holds

    def counting(match: Match, request: Request) -> bool:
        next(tried)
        return holds(match, request)

    monkeypatch.setattr(index, "holds", counting)
    folder = "/srv/work" if "home" in shape else "/srv"
    for number in (0, 17, TEN_THOUSAND - 1, TEN_THOUSAND):  # the last one is no rule's
        root = f"{folder}/app-{number}"
        assert program.decide(factories.request({"HOME": "/srv"}, root=root)).index == number
    assert next(tried) <= 8


def test_few_rules_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern is compiled when a path is compared with it, not because a file holds it."""
    kept: dict[Any, Any] = {}
    monkeypatch.setattr(condition, "_paths", kept)
    rows = chain([(("environment", (f"/srv/app-{number}/*/[ab]*",)),) for number in range(1000)])
    built = index.build(rows)
    PlainChain(rows, {}, Search(rows, built)).decide(factories.request(root="/srv/app-7/x/b"))
    assert list(kept) == ["/srv/app-7/*/[ab]*"]


def test_what_cannot_be_looked_up_is_tried() -> None:
    """Rules without a path at their top, or with one pattern that may match anywhere, are tried for every request."""
    rows = chain(
        [
            (("kind", ("virtualenv",)),),
            (("environment", ("/srv/*", "**")),),
            (("any", ((("environment", ("/srv/*",)),),)),),
            (("not", (("environment", ("/srv/*",)),)),),
            (("environment", ("/srv/*",)),),
        ]
    )
    always, *_ = index.build(rows)
    assert always == (0, 1, 2, 3, 5)


def test_the_rarest_name_is_looked_up() -> None:
    """A rule is looked up by what the fewest rules share: a folder, a name, how a name begins, a part of a name."""
    rows = chain(
        [
            (("interpreter", ("**/env/one/*",)),),
            (("interpreter", ("**/env/two/*",)),),
            (("interpreter", ("/srv/env/app-3-*",)),),
            (("interpreter", ("/srv/env/app-4-*",)),),
            (("interpreter", ("**/*-five-*",)),),
        ]
    )
    _, folders, names, stems, inside, _ = index.build(rows)
    assert folders == {}
    assert names == {"interpreter": {"one": [0], "two": [1]}}
    assert stems == {"interpreter": {6: {"app-3-": [2], "app-4-": [3]}}}
    assert inside == {"interpreter": {"-five-": [4]}}


def test_those_that_ask_several_questions() -> None:
    """Rules that ask more than one question are found without a look at the others, those that ask the most first."""
    path, kind, host = ("environment", ("/srv/*",)), ("kind", ("system",)), ("host", ("x",))
    variables = ("env", (("A", True), ("B", True), ("C", True), ("D", True)))
    rows = chain([(path,), (path, kind), (), (kind, path, host), (kind, host), (variables,), (host, path, kind)])
    assert Search(rows).several == (5, 3, 6, 1, 4)


def test_plain_enough_for_a_cache_file() -> None:
    """The index is tuples, strings, numbers and dictionaries, so that marshal keeps it as it is."""
    import marshal

    rows = chain([(("environment", ("/srv/*", "**/x")),), (("interpreter", ("~/a",)),)])
    built = index.build(rows)
    assert marshal.loads(marshal.dumps(built)) == built  # noqa: S302  (made here)


def test_nothing_is_observed() -> None:
    """Looking rules up asks about nothing but the paths that are known from the beginning."""
    rows = chain([((key, ("/nowhere/*",)),) for key in ("interpreter", "environment", "base-interpreter", "project")])
    asked = factories.request()
    index.candidates(index.build(rows), asked)
    assert set(asked.facts) <= {"interpreter", "environment"}
    assert not os.path.exists(asked.environment.root)
