"""The requests for which a rule decides: whether there are any, by cases over what the conditions ask.

A formula is true of some requests: conditions are taken apart into atoms, each of which asks whether one fact is in a
set of values (`policy.checks.languages` finds such values). Facts are taken as independent of each other, so nothing
is called dead that any request can reach; only a home directory is one for all patterns with `~`. Where a formula can
be true, the answer is the facts of such a request.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from policy.checks.languages import Effort, Language, TooMuchError, find, fits, homes, path_language, text_language
from policy.rules import supposition
from policy.rules.condition import (
    Environ,
    EnvironmentKind,
    FlagCondition,
    Interpreter,
    PathCondition,
    Root,
    TextCondition,
)
from policy.rules.conditions import CONDITIONS, BaseInterpreter, Combinator, flat
from policy.rules.decision_log import spelled
from policy.rules.supposition import FACTS, HOME, PLAIN_HOME
from policy.variables import FALSE, TRUE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from policy.rules.condition import Match
    from policy.rules.rule import AnyRules

LANGUAGE_STEPS = 200  # what making the language of a pattern costs
MOST_CHOICES = 100  # that depend on each other; each is one level deeper
OWN_HOME = "HOME"
MOST_UNSET = 20  # variables that an example unsets; where rules ask about more, few of those are set anywhere

# which fact: its key, the variable of `env`, and whose it is (0: the environment's, so that callers share it)
Variable = tuple[str, str, int]
Facts = dict[Variable, Any]
Sets = tuple[frozenset[Any], frozenset[Any]]  # the sets in which a value must be, and the values that it must not be
Homes = dict[int, str]


@frozen(slots=True)
class Atom:
    """One fact is in a set of values, or is not.

    Args:
        variable: Which fact.
        values: Patterns, names or booleans; a pattern with `~` with whose home directory that is.
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


def formula(match: Match, *, positive: bool = True, caller: int = 1) -> Formula:
    """A match table as a formula.

    Args:
        match: The table.
        positive: False: the formula that it does not hold.
        caller: Which caller's facts it asks about.
    """
    return Node(tuple(part for key, expected in match for part in _parts(key, expected, positive, caller)), positive)


def _parts(key: str, expected: Any, positive: bool, caller: int) -> Iterator[Formula]:  # noqa: FBT001  (as formula takes them)
    condition = CONDITIONS[key]
    whose = caller if condition.caller else 0
    if isinstance(condition, Combinator):
        inside = positive != condition.negates
        tables = tuple(formula(table, positive=inside, caller=caller) for table in condition.tables(expected))
        yield Node(tables, every=condition.one_suffices != inside)
    elif isinstance(condition, Environ):
        for name, wanted in expected:
            yield Atom((key, name, whose), (wanted,) if isinstance(wanted, bool) else wanted, positive)
    else:
        values = expected if isinstance(expected, tuple) else (expected,)
        if isinstance(condition, PathCondition):
            values = tuple((value, caller) if value[:1] == "~" else value for value in values)
        yield Atom((key, "", whose), values, positive)


class Solver:
    """Looks for facts of which formulas are true.

    Args:
        effort: What may be spent; None: as much as one question may.
        tied: Whether rules ask about the variable HOME, so that it must be what `~` stands for.
    """

    def __init__(self, effort: Effort | None = None, *, tied: bool = False) -> None:
        self.effort: Effort = effort or Effort()
        self.tied: bool = tied
        self._open = False  # whether a case was left open
        self._known: dict[tuple[Variable, Sets], tuple[Any] | None] = {}

    def solve(self, formulas: Iterable[Formula]) -> Facts | None:
        """Facts of which all formulas are true, None where there are none.

        Args:
            formulas: They.

        Raises:
            TooMuchError: When that cannot be found out with a bounded effort.
        """
        self._open = False
        facts = self._cases(formulas, {})
        if facts is None and self._open:
            raise TooMuchError
        return facts

    def _cases(self, formulas: Iterable[Formula], so_far: Mapping[Variable, Sets]) -> Facts | None:
        wanted, pending, choices = dict(so_far), list(formulas), []
        while pending:
            one = pending.pop()
            if isinstance(one, Atom):
                if not self._add(wanted, one):
                    return None
            elif one.every or len(one.parts) == 1:
                pending += one.parts
            else:
                choices.append(one)
        left: list[Node] = []
        for one in choices:
            parts = [part for part in one.parts if not isinstance(part, Atom) or self._add(dict(wanted), part)]
            if not parts:
                return None
            left.append(Node(tuple(parts), every=False))
        if not left:
            return self._facts(wanted)
        if len(left) > MOST_CHOICES:
            raise TooMuchError
        first, *rest = sorted(left, key=lambda one: len(one.parts))
        found = (self._cases([*rest, part], wanted) for part in first.parts)
        return next((facts for facts in found if facts is not None), None)

    def _add(self, wanted: dict[Variable, Sets], atom: Atom) -> bool:
        inside, outside = wanted.get(atom.variable, (frozenset(), frozenset()))
        if atom.positive:
            inside |= {atom.values}
        else:
            outside |= set(atom.values)
        wanted[atom.variable] = inside, outside
        return self._value(atom.variable, (inside, outside)) is not None

    def _value(self, variable: Variable, sets: Sets) -> tuple[Any] | None:
        """A value that is in each set of one kind and in none of the other, alone in a tuple."""
        if (variable, sets) not in self._known:
            self.effort.spend(LANGUAGE_STEPS * len(_spelled(sets)))
            self._known[variable, sets] = self._find(variable, sets)
        return self._known[variable, sets]

    def _find(self, variable: Variable, sets: Sets) -> tuple[Any] | None:
        condition, (inside, outside) = FACTS[variable[0]], sets
        if isinstance(condition, PathCondition):
            return self._path(condition, sets, {})
        if isinstance(condition, Environ):
            return value_of_variable(inside, outside, self.effort)
        if isinstance(condition, TextCondition):
            return _text(inside, outside, self.effort, condition.plain)
        known = (True, False) if isinstance(condition, FlagCondition) else condition.fact.schema["enum"]
        left = [one for one in known if one not in outside and all(one in values for values in inside)]
        return (condition.plain if condition.plain in left else left[0],) if left else None

    def _path(self, condition: PathCondition, sets: Sets, known: Homes) -> tuple[Any] | None:
        """No spelling where there may be none; else one, or one as spelled and one without links.

        Home directories that are not known lie where they must, for each spelling anew.
        """
        if not sets[0] and condition.absent:
            return ((),)
        groups = [[_language(pattern, known) for pattern in patterns] for patterns in _ordered(sets[0])]
        refused = [_language(pattern, known) for pattern in _ordered(sets[1])]
        one = find(groups, refused, self.effort, path=True, plain=[condition.plain] if condition.plain else [])
        if one is not None:
            return ((one,),)
        for some in range(1, 1 << max(0, len(groups) - 1)) if condition.spellings > 1 else ():
            sides = [[group for at, group in enumerate(groups) if some >> at & 1 == side] for side in (0, 1)]
            spelled, real = (find(side, refused, self.effort, path=True) for side in sides)
            if spelled is not None and real is not None:
                return ((spelled, real),)
        return None

    def _facts(self, wanted: Mapping[Variable, Sets]) -> Facts | None:
        """Values of all facts, with one home directory for all that a caller's patterns ask."""
        facts = {variable: self._value(variable, sets)[0] for variable, sets in wanted.items()}  # type: ignore[index]  # each was found when it was added
        at_home = {
            variable: sets
            for variable, sets in wanted.items()
            if isinstance(FACTS[variable[0]], PathCondition) and any(map(_caller, _spelled(sets)))
        }
        patterns = _ordered({pattern for sets in at_home.values() for pattern in _spelled(sets)})
        callers = {_caller(pattern) for pattern in patterns} - {0}
        if self.tied:
            callers |= {1, *(whose for _, _, whose in wanted if whose)}
        for known in self._homes(patterns, sorted(callers), wanted, {}):
            paths = {key: self._path(FACTS[key[0]], sets, known) for key, sets in at_home.items()}  # type: ignore[arg-type]  # as above
            if None not in paths.values():
                found = {key: path[0] for key, path in paths.items() if path is not None}
                name = (Environ.key, OWN_HOME) if self.tied else (HOME, "")
                return {**facts, **found, **{(*name, caller): home for caller, home in known.items()}}
        # where HOME is unset or no path, others say where the home directory lies; of two, not all pairs are tried
        self._open |= self.tied or len(callers) > 1
        return None

    def _homes(
        self, patterns: Iterable[Any], callers: Sequence[int], wanted: Mapping[Variable, Sets], known: Homes
    ) -> Iterator[Homes]:
        """Home directories of callers, so that what none of them allows none does."""
        if not callers:
            yield known
            return
        first, *rest = callers
        languages = [_language(one, known) for one in patterns if _caller(one) in {0, *known}]
        languages += [path_language("~", home) for home in known.values()]
        inside, outside = wanted.get((Environ.key, OWN_HOME, first), ((), ()))
        groups, refused = list(map(_languages, _ordered(inside))), _languages(_ordered(outside))
        of_home = [*(one for group in groups for one in group), *refused]
        for home in homes([*languages, *of_home], self.effort):
            if fits({one for one in of_home if one.matches(home)}, groups, refused):
                yield from self._homes(patterns, rest, wanted, {**known, first: home})


def _spelled(sets: Sets) -> list[Any]:
    return [*(value for values in sets[0] for value in values), *sets[1]]


def _ordered(values: Collection[Any]) -> list[Any]:
    """Values of a set in an order of their own, so that the same rules give the same example each time."""
    return sorted(values, key=repr)


def _caller(pattern: Any) -> int:
    """Whose home directory a pattern asks about, 0 for nobody's."""
    return pattern[1] if isinstance(pattern, tuple) else 0


def _language(pattern: Any, known: Homes) -> Language:
    if not isinstance(pattern, tuple):
        return path_language(pattern)
    text, caller = pattern
    return path_language(text, known[caller]) if caller in known else path_language(text, caller=caller)


def value_of_variable(inside: frozenset[Any], outside: frozenset[Any], effort: Effort) -> tuple[Any] | None:
    """A value of an environment variable, alone in a tuple; None in it where the variable is unset.

    Args:
        inside: Sets of globs, or of a boolean: of each set one holds.
        outside: Such ones that do not hold.
        effort: What may be spent.

    Raises:
        TooMuchError: When that cannot be found out with a bounded effort.
    """
    if all(False in values for values in inside) and False not in outside:
        return (None,)
    return _text(inside, outside, effort)


def _text(inside: Collection[Any], outside: Collection[Any], effort: Effort, *plain: str) -> tuple[str] | None:
    """A text that is in each set of one kind and in none of the other, alone in a tuple."""
    groups, refused = list(map(_languages, _ordered(inside))), _languages(_ordered(outside))
    text = find(groups, refused, effort, path=False, plain=plain)
    return None if text is None else (text,)


def _languages(values: Collection[Any]) -> list[Language]:
    """The texts of patterns; those of true or false in any case."""
    patterns = [[value] if isinstance(value, str) else _BOOLEANS[value] for value in values]
    return [text_language(one) for several in patterns for one in several]


_BOOLEANS = {
    flag: ["".join(f"[{one}{one.upper()}]" if one.isalpha() else one for one in word) for word in sorted(words)]
    for flag, words in ((True, TRUE), (False, FALSE))
}


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
    def of(cls, facts: Facts, caller: int = 1) -> Example:
        """The request of one caller.

        Args:
            facts: What a solver found.
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
            elif (key, value) != (HOME, PLAIN_HOME):
                given[key] = value
        if variables:
            given["env"] = tuple(sorted(variables.items()))
        return cls(given)

    @property
    def kind(self) -> str:
        """The kind of its environment."""
        return str(self.facts.get(EnvironmentKind.key, EnvironmentKind.plain))

    def anybody(self) -> Example:
        """The same request without what it says of its caller."""
        return Example({key: value for key, value in self.facts.items() if key in FACTS and not FACTS[key].caller})

    def turned(self) -> Example:
        """The same request, where the environment's path as spelled is the real one and the other way round."""
        root, known = self.facts.get(Root.key, ""), supposition.complete(self.facts)
        follow = {key: known[key] for key in (Interpreter.key, BaseInterpreter.key)}  # from where it was spelled
        return Example({**self.facts, **follow, Root.key: root[::-1]}) if isinstance(root, tuple) else self

    def whole(self, *asked: tuple[Asked, int]) -> Example:
        """The same request with all that is asked, so that `policy explain` looks at nothing of its machine.

        Args:
            *asked: A chain, and which of its rules is the last one to be asked.
        """
        names = frozenset[str]().union(*(one.until(number) for one, number in asked))
        known = supposition.complete(self.facts)
        facts = {key: known[key] for key, one in FACTS.items() if key in names and one.assumable}
        variables, given = [one.variables(number) for one, number in asked], dict(known[Environ.key])
        if HOME in names and OWN_HOME not in given:
            facts[HOME] = known[HOME]
        many = max(map(len, variables)) > MOST_UNSET + len(given)
        unset = () if many else sorted({name for several in variables for name in several} - given.keys())
        return Example({**facts, **self.facts}, tuple(unset) if len(unset) <= MOST_UNSET else ())

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
    """What the rules of a chain ask.

    Args:
        rules: The strongest first.
    """

    def __init__(self, rules: AnyRules) -> None:
        self._facts: dict[str, int] = {}  # each with the first rule that asks about it
        variables: dict[str, int] = {}
        for number, rule in enumerate(rules):
            for _, condition, _ in flat(rule.match):
                self._facts.setdefault(condition.key, number)
            for name in spelled([rule]):
                (variables if name else self._facts).setdefault(name or HOME, number)
        self._variables, self._first = list(variables), list(variables.values())

    def until(self, number: int) -> frozenset[str]:
        """The facts that are asked about until a rule has answered: keys of conditions, and `home`.

        Args:
            number: Which rule.
        """
        return frozenset(key for key, first in self._facts.items() if first <= number)

    def variables(self, number: int) -> list[str]:
        """The environment variables that are asked about until then.

        Args:
            number: Which rule.
        """
        return self._variables[: bisect_right(self._first, number)]
