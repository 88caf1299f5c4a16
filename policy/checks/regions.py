"""The requests for which a rule decides: whether there are any, by cases over what the conditions ask.

A formula is true of some requests: conditions are taken apart into atoms, each of which asks whether one fact is in a
set of values (`policy.checks.languages` finds such values). Facts are taken as independent of each other, so nothing
is called dead that any request can reach. Where a formula can be true, the answer is the facts of such a request.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from policy.checks.languages import Effort, Language, TooMuchError, find, path_language, text_language
from policy.rules import supposition
from policy.rules.condition import Environ, FlagCondition, PathCondition, TextCondition
from policy.rules.conditions import CONDITIONS, Combinator, asked
from policy.rules.decision_log import spelled
from policy.rules.supposition import FACTS, HOME, PLAIN_HOME
from policy.variables import FALSE, TRUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from policy.rules.condition import Match
    from policy.rules.rule import AnyRules

STEPS = 4_000  # of one question; the hardest that people write takes some dozens
LANGUAGE_STEPS = 200  # what making the language of a pattern costs
MOST_CHOICES = 100  # that depend on each other; each is one level deeper
MOST_UNSET = 20  # variables that an example unsets; where rules ask about more, few of those are set anywhere
BELOW_HOME = "~"
HOMES = (PLAIN_HOME, "/x", "/x/y/z", "/")  # a few shapes

# which fact: its key, the variable of `env`, and whose it is (0: the environment's, so that callers share it)
Variable = tuple[str, str, int]
Facts = dict[Variable, Any]


@frozen(slots=True)
class Atom:
    """One fact is in a set of values, or is not.

    Args:
        variable: Which fact.
        values: Patterns, names or booleans.
        positive: Whether it is in the set.
    """

    variable: Variable
    values: tuple[Any, ...]
    positive: bool = True


@frozen(slots=True)
class Node:
    """Formulas of which all must be true, or one.

    Args:
        parts: The formulas.
        every: Whether all must.
    """

    parts: tuple[Atom | Node, ...]
    every: bool


Formula = Atom | Node


def formula(match: Match, *, positive: bool = True, caller: int = 1, apart: bool = False) -> Formula:
    """A match table as a formula.

    Args:
        match: The table.
        positive: False: the formula that it does not hold.
        caller: Which caller's facts it asks about.
        apart: Take where a path lies below the home directory as a fact of its own, so that what is impossible then is
            impossible wherever the home directory lies.
    """
    parts = [part for key, expected in match for part in _parts(key, expected, positive, caller, apart)]
    return Node(tuple(parts), every=positive)


def _parts(key: str, expected: Any, positive: bool, caller: int, apart: bool) -> Iterator[Formula]:  # noqa: FBT001  (as formula takes them)
    condition = CONDITIONS[key]
    if isinstance(condition, Combinator):
        inside = positive != condition.negates
        tables = tuple(
            formula(table, positive=inside, caller=caller, apart=apart) for table in condition.tables(expected)
        )
        yield Node(tables, every=condition.one_suffices != inside)
        return
    whose = caller if condition.caller else 0
    if isinstance(condition, Environ):
        for name, wanted in expected:
            values = (("flag", wanted),) if isinstance(wanted, bool) else wanted
            yield Atom((key, name, whose), values, positive)
    elif isinstance(condition, PathCondition):  # a pattern with ~ asks about the caller's home, too
        plain = tuple(pattern for pattern in expected if pattern[:1] != "~")
        at_home = tuple((pattern, caller) for pattern in expected if pattern[:1] == "~")
        if apart:
            atoms = (Atom((key, "", whose), plain, positive), Atom((key, BELOW_HOME, caller), at_home, positive))
            yield Node(tuple(atom for atom in atoms if atom.values), every=not positive)
        else:
            yield Atom((key, "", whose), plain + at_home, positive)
    else:
        yield Atom((key, "", whose), expected if isinstance(expected, tuple) else (expected,), positive)


class Solver:
    """Looks for facts of which formulas are true.

    Args:
        homes: The home directory of each caller, from the first.
        effort: What may be spent; None: as much as one question may.
    """

    def __init__(self, homes: Sequence[str] = (PLAIN_HOME, PLAIN_HOME), effort: Effort | None = None) -> None:
        self._homes = homes
        self._effort = effort or Effort()
        self._effort.begin()
        self._left = STEPS
        self._known: dict[tuple[Variable, frozenset[Any], frozenset[Any]], tuple[Any] | None] = {}

    def solve(self, formulas: Iterable[Formula], facts: Mapping[Variable, Any] | None = None) -> Facts | None:
        """Facts of which all formulas are true, None where there are none.

        Args:
            formulas: They.
            facts: For internal use: what is wanted so far.

        Raises:
            TooMuchError: When that cannot be found out with a bounded effort.
        """
        wanted: dict[Variable, tuple[frozenset[Any], frozenset[Any]]] = dict(facts or {})
        choices = self._choices(formulas, wanted)
        if choices is None:
            return None
        open_: list[tuple[Formula, ...]] = []
        for choice in choices:
            options = tuple(
                part for part in choice.parts if not isinstance(part, Atom) or self._add(dict(wanted), part)
            )
            if not options:
                return None
            open_.append(options)
        if not open_:
            return {variable: self._value(variable, *sets)[0] for variable, sets in wanted.items()}  # type: ignore[index]  # each was found when it was added
        if len(open_) > MOST_CHOICES:
            raise TooMuchError
        open_.sort(key=len)
        first, *rest = open_
        others = [Node(options, every=False) for options in rest]
        for option in first:
            found = self.solve([*others, option], wanted)
            if found is not None:
                return found
        return None

    def _choices(
        self, formulas: Iterable[Formula], wanted: dict[Variable, tuple[frozenset[Any], frozenset[Any]]]
    ) -> list[Node] | None:
        """What is left to choose when all that must be true is wanted; None where that cannot be."""
        pending, choices = list(formulas), []
        while pending:
            one = pending.pop()
            if isinstance(one, Atom):
                if not self._add(wanted, one):
                    return None
            elif one.every or len(one.parts) == 1:
                pending += one.parts
            else:
                choices.append(one)
        return choices

    def _add(self, wanted: dict[Variable, tuple[frozenset[Any], frozenset[Any]]], atom: Atom) -> bool:
        inside, outside = wanted.get(atom.variable, (frozenset(), frozenset()))
        if atom.positive:
            inside |= {atom.values}
        else:
            outside |= set(atom.values)
        wanted[atom.variable] = inside, outside
        return self._value(atom.variable, inside, outside) is not None

    def _value(self, variable: Variable, inside: frozenset[Any], outside: frozenset[Any]) -> tuple[Any] | None:
        """A value that is in each set of one kind and in none of the other, alone in a tuple."""
        key = variable, inside, outside
        if key not in self._known:
            self._effort.spend(LANGUAGE_STEPS * (len(outside) + sum(map(len, inside))))
            self._left -= 1
            if self._left < 0:
                raise TooMuchError
            self._known[key] = self._find(variable, inside, outside)
        return self._known[key]

    def _find(self, variable: Variable, inside: frozenset[Any], outside: frozenset[Any]) -> tuple[Any] | None:
        condition = FACTS[variable[0]]
        if isinstance(condition, Environ):
            return value_of_variable(inside, outside, self._effort)
        if isinstance(condition, PathCondition):
            return self._path(inside, outside, condition.spellings, absent=condition.absent or bool(variable[1]))
        if isinstance(condition, TextCondition):
            groups = [[text_language(pattern) for pattern in patterns] for patterns in inside]
            text = find(groups, [text_language(pattern) for pattern in outside], path=False, effort=self._effort)
            return None if text is None else (text,)
        known = (True, False) if isinstance(condition, FlagCondition) else condition.fact.schema["enum"]
        fits = [one for one in known if one not in outside and all(one in values for values in inside)]
        return (condition.plain if condition.plain in fits else fits[0],) if fits else None

    def _language(self, pattern: Any) -> Language:
        if isinstance(pattern, tuple):
            return path_language(pattern[0], self._homes[pattern[1] - 1])
        return path_language(pattern, PLAIN_HOME)

    def _path(
        self, inside: frozenset[Any], outside: frozenset[Any], spellings: int, *, absent: bool
    ) -> tuple[Any] | None:
        """No spelling where there may be none; else one, or one as spelled and one without links."""
        if not inside and absent:
            return ((),)
        groups = [[self._language(pattern) for pattern in patterns] for patterns in inside]
        refused = [self._language(pattern) for pattern in outside]
        one = find(groups, refused, path=True, effort=self._effort)
        if one is not None:
            return ((one,),)
        if spellings == 1:
            return None
        for some in range(1, 1 << max(0, len(groups) - 1)):
            sides = [[group for at, group in enumerate(groups) if some >> at & 1 == side] for side in (0, 1)]
            spelled, real = (find(side, refused, path=True, effort=self._effort) for side in sides)
            if spelled is not None and real is not None:
                return ((spelled, real),)
        return None


def value_of_variable(inside: frozenset[Any], outside: frozenset[Any], effort: Effort) -> tuple[Any] | None:
    """A value of an environment variable, alone in a tuple; None in it where the variable is unset.

    Args:
        inside: Sets of globs, or of `flag` and a boolean: of each set one holds.
        outside: Such ones that do not hold.
        effort: What may be spent.

    Raises:
        TooMuchError: When that cannot be found out with a bounded effort.
    """
    unset = ("flag", False)
    if all(unset in values for values in inside) and unset not in outside:
        return (None,)
    groups = [[language for value in values for language in _languages(value)] for values in inside]
    text = find(groups, [language for value in outside for language in _languages(value)], path=False, effort=effort)
    return None if text is None else (text,)


def _languages(value: Any) -> Iterator[Language]:
    """The texts of a pattern; those of true or false in any case."""
    if isinstance(value, str):
        yield text_language(value)
    else:
        for word in sorted(TRUE if value[1] else FALSE):
            yield text_language("".join(f"[{one}{one.upper()}]" if one.isalpha() else one for one in word))


@frozen
class Example:
    """A request, by the facts that matter.

    Args:
        facts: By the key of their condition, `home` and `env` among them; the rest is as in a test of the rules.
        unset: Variables that must not be set.
    """

    facts: Mapping[str, Any] = field(factory=dict)
    unset: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: Facts, homes: Sequence[str], caller: int = 1) -> Example:
        """The request of one caller.

        Args:
            facts: What a solver found.
            homes: The home directory of each caller.
            caller: Which.
        """
        given: dict[str, Any] = {}
        variables: dict[str, str] = {}
        for (key, name, whose), value in facts.items():
            if whose not in (0, caller):
                continue
            if name:
                if value is not None:
                    variables[name] = value
            else:
                given[key] = value
        if variables:
            given["env"] = tuple(sorted(variables.items()))
        if homes[caller - 1] != PLAIN_HOME:
            given[HOME] = homes[caller - 1]
        return cls(given)

    def anybody(self) -> Example:
        """The same request without what it says of its caller."""
        return Example({key: value for key, value in self.facts.items() if key in FACTS and not FACTS[key].caller})

    def whole(self, *asked: tuple[Asked, int]) -> Example:
        """The same request with all that is asked, so that `policy explain` looks at nothing of its machine.

        Args:
            *asked: A chain, and which of its rules is the last one to be asked.
        """
        names = frozenset[str]().union(*(one.until(number) for one, number in asked))
        known = supposition.complete(self.facts)
        facts = {key: known[key] for key in (*FACTS, HOME) if key in names and (key == HOME or FACTS[key].assumable)}
        unset = {name[1:] for name in names if name[:1] == "$"} - dict(known["env"]).keys()
        return Example({**facts, **self.facts}, tuple(sorted(unset)) if len(unset) <= MOST_UNSET else ())

    def options(self) -> list[str]:
        """The options with which `policy explain` answers for it."""
        options: list[str] = []
        for key, value in self.facts.items():
            if key == "env":
                options += [word for name, text in value for word in ("--env", f"{name}={text}")]
            elif key == HOME:
                options += ["--env", f"HOME={value}"]
            else:
                spelled = value if isinstance(value, tuple) else (value,)
                texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in spelled or ("",)]
                options += [word for text in texts for word in ("--assume", f"{key}={text}")]
        return options + [word for name in self.unset for word in ("--unset", name)]

    def command(self, file: str = "") -> str:
        """The command line with which `policy explain` answers for it.

        Args:
            file: The configuration file that is to be read alone; "": those that apply.
        """
        import shlex

        return shlex.join(["policy", "explain", *(("--config-file", file) if file else ()), *self.options()])

    def __str__(self) -> str:
        return self.command()


class Asked:
    """What the rules of a chain ask: keys of conditions, `home`, and variables behind a `$`.

    Args:
        rules: The strongest first.
    """

    def __init__(self, rules: AnyRules) -> None:
        self._numbers: list[int] = []  # of the rules that ask for more than those before them
        self._names: list[frozenset[str]] = []
        known: frozenset[str] = frozenset()
        for number, rule in enumerate(rules):
            more = {*asked(rule.match), *(f"${name}" if name else HOME for name in spelled([rule]))} - known
            if more or not number:
                known |= more
                self._numbers.append(number)
                self._names.append(known)

    def until(self, number: int) -> frozenset[str]:
        """What is asked until a rule has answered.

        Args:
            number: Which rule.
        """
        return self._names[bisect_right(self._numbers, number) - 1]


def sample(match: Match) -> Example | None:
    """A request for which a match table may hold, made without a search: each pattern, written out."""
    given: dict[str, Any] = {}
    for key, expected in match:
        condition = CONDITIONS[key]
        if condition.tables(expected) or key in given:
            return None
        if isinstance(condition, Environ):
            given[key] = tuple((name, "1" if wanted is True else _plain(wanted)) for name, wanted in expected if wanted)
        elif isinstance(condition, (PathCondition, TextCondition)):
            if expected[0][:1] == "~":
                return None
            given[key] = _plain(expected).replace("//", "/x/")
        else:
            given[key] = expected[0] if isinstance(expected, tuple) else expected
    return Example(given)


def _plain(patterns: Sequence[str]) -> str:
    return patterns[0].replace("**", "*").replace("*", "x").replace("?", "x")
