"""The `[[tests]]` of a configuration file: facts that are given, and the decision that is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from policy.rules.rule import LOCK
from policy.rules.shapes import PATH
from policy.rules.supposition import CWD, FACTS, HOME
from policy.toml.shapes import TEXT, Shape, array, keyed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policy.toml.diagnostic import Location


@frozen
class Case:
    """A case.

    Args:
        name: What people call it.
        given: Facts by the key of their condition; `env` is a tuple of (name, value).
        lock: The expected lock.
        rule: The name of the rule that is expected to decide; None: any.
        file: Where it is written.
        line: Counted from 1.
    """

    name: str
    given: Mapping[str, Any]
    lock: tuple[str, ...]
    rule: str | None = None
    file: str = ""
    line: int = 0


GIVEN = keyed(
    {
        **{key: condition.fact.described(condition.help) for key, condition in FACTS.items()},
        HOME: PATH.described("The caller's home directory, which `~` stands for."),
        CWD: PATH.described("The caller's working directory."),
    }
)

EXPECT = keyed(
    {
        "lock": LOCK.described("The lock that the rules should choose."),
        "rule": TEXT.described("The name of the rule that should decide."),
    },
    ["lock"],
)

_SHAPE = keyed(
    {
        "name": TEXT.described("The name of the test, shown in results."),
        "given": GIVEN.described("Facts; one that is not given has the value that a plain virtual environment has."),
        "expect": EXPECT.described("What the rules should answer."),
    },
    ["name", "expect"],
)


def _read(value: object, location: Location) -> tuple[Case, Location]:
    content = _SHAPE.parse(value, location)
    expect = content["expect"]
    return Case(content["name"], content.get("given", {}), expect["lock"], expect.get("rule")), location


CASES = array(Shape(_read, _SHAPE.schema))
