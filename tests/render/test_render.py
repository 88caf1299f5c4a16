from __future__ import annotations

import io
import json
import os
import re
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.render import DECISION_FORMATS, MANY, record, render
from policy.render.style import BOLD, RED, paint, wanted
from policy.rules.decision import PlainChain
from policy.rules.plain import BUILT_IN, PlainRule
from policy.rules.rule import RULES, Rule
from policy.subject import Subject
from policy.toml.diagnostic import Location
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

FACTS = {"writable": True, "externally-managed": False}
GATE = factories.gate("/srv/app/.venv")


def plain() -> dict[str, Any]:
    """A virtual environment without any configuration."""
    return record.record(PlainChain(BUILT_IN).decide(factories.request(facts=FACTS)))


def rule(value: dict[str, Any], line: int, file: str = "/p/lock-policy.toml") -> Rule:
    """A rule as it stands in a file of a project."""
    (((fields, _),)) = RULES.parse([value], Location(file))
    return Rule(**fields, file=file, line=line, layer="project")


def rich() -> dict[str, Any]:
    """A rule of a project with everything, for a caller whom another one would not meet."""
    tried = {"lock": "local", "match": {"interpreter": "/nix/store/*", "env": {"TOKEN": ["abc*", "x"], "CI": False}}}
    ours = {
        "name": "ci",
        "lock": ["global"],
        "reason": "builds share it",
        "timeout": 90,
        "match": {
            "env": {"CI": True},
            "any": [{"environment": "/builds/**"}, {"not": {"kind": ["system", "target"]}, "operation": "sync"}],
            "writable": True,
        },
    }
    program = PlainChain([rule(tried, 3), rule(ours, 8), *BUILT_IN], {})
    asked = factories.request({"CI": "yes", "TOKEN": "secret"}, FACTS, operation="sync")
    decision = program.decide(asked)
    decision.corrected = "/srv/app/.venv/.lock seemed writable, but could not be created: Permission denied"
    return record.record(decision, ["/p/x.toml is ignored: everyone can write it"])


PLAIN = f"""\
local lock, held in this order:
  {GATE}  the gate: lock-policy takes it first
  /srv/app/.venv/.lock                    in the environment; uv takes the same file

decided by environment (built in)
  because uv locks these in the environment itself
  waits as long as another process holds it

environment
  root         /srv/app/.venv (does not exist yet)
  kind         virtualenv
  interpreter  /srv/app/.venv/bin/python
  base         /usr/bin/python3.11
  found by     argument

kept out while the lock is held
  yes  lock-policy, this host               gate
  yes  uv, this environment                 local
  no   lock-policy, other hosts             no lock of this plan reaches them; lock = ["cluster", "local"]
  yes  lock-policy, other mount namespaces  local

rules, in the order in which they were asked; the first whose conditions all hold decides
  no   uv-only-global-locks (built in): global
       x env.UV_ONLY_GLOBAL_LOCKS  wants true  saw unset
  no   externally-managed (built in): global
       x externally-managed  wants true  saw false
  no   read-only (built in): global
       x writable  wants false  saw true
  no   pipx (built in): beside and local
       x pipx  wants true  saw false
  yes  environment (built in): local
       + kind  wants virtualenv or target or prefix  saw virtualenv
  not asked: default (built in)"""

RICH = f"""\
global lock:
  {GATE}  the gate: lock-policy takes it first

decided by ci (/p/lock-policy.toml:8), project configuration
  because builds share it
  asked again, because /srv/app/.venv/.lock seemed writable, but could not be created: Permission denied
  waits at most 90 s

environment
  root         /srv/app/.venv (does not exist yet)
  kind         virtualenv
  interpreter  /srv/app/.venv/bin/python
  base         /usr/bin/python3.11
  found by     argument

kept out while the lock is held
  yes  lock-policy, this host               gate
  no   uv, this environment                 uv locks /srv/app/.venv/.lock, which this plan does not hold; lock = ["global", "local"]
  no   lock-policy, other hosts             no lock of this plan reaches them; lock = ["cluster", "global"]
  no   lock-policy, other mount namespaces  no lock of this plan lies beside the environment, where containers that share its volume look; lock = ["beside", "global"]

rules, in the order in which they were asked; the first whose conditions all hold decides
  no   /p/lock-policy.toml:3: local
       x interpreter  wants /nix/store/*  saw /srv/app/.venv/bin/python
       x env.TOKEN    wants abc* or x     saw set, does not match
       x env.CI       wants false         saw true
  yes  ci (/p/lock-policy.toml:8): global
       + env.CI         wants true                  saw true
       + any            wants one of these to hold
       x - environment  wants /builds/**            saw /srv/app/.venv
       + - not          wants this not to hold
       x     kind       wants system or target      saw virtualenv
       +   operation    wants sync                  saw sync
       + writable       wants true                  saw true
  not asked: uv-only-global-locks (built in), externally-managed (built in), read-only (built in), pipx (built in), environment (built in), default (built in)

warning: /p/x.toml is ignored: everyone can write it"""  # noqa: E501  (as it is printed)


def test_formats() -> None:
    """The formats of the design."""
    assert DECISION_FORMATS == ("text", "json", "toml", "path", "html")


@pytest.mark.parametrize(("make", "expected"), [(plain, PLAIN), (rich, RICH)], ids=["plain", "rich"])
def test_text(make: Callable[[], dict[str, Any]], expected: str) -> None:
    """Text leads with the decision and the files, then says who decided and why, the environment, every condition."""
    assert render("text", make()) == expected


def test_text_without_conditions() -> None:
    """A rule without conditions says so."""
    shown = record.record(PlainChain([Rule("local", name="all")], {}).decide(factories.request()))
    assert "  yes  all (built in): local\n         no conditions: always matches" in render("text", shown)


def test_text_of_many() -> None:
    """Of a long chain text shows the rules around the decision and counts the others; the other formats show all."""
    rows = [Rule("local", (("kind", ("system",)),), f"r{number}") for number in range(100)]
    decision = PlainChain([*rows, *BUILT_IN], {}).decide(factories.request(facts=FACTS))
    shown = render("text", record.record(decision, most=MANY))
    assert "  no   r0 (built in): local\n" in shown
    assert "  no   r50 (built in): local\n" not in shown
    assert "  no   93 more rules (-v lists them)\n" in shown
    assert "  yes  environment (built in): local\n" in shown
    assert "r50 (built in)" in render("text", record.record(decision))


def test_long_rest() -> None:
    """Rules that were not asked are named as far as a line allows."""
    rows = [Rule("local", name=f"r{number}") for number in range(100)]
    decision = PlainChain(rows, {}).decide(factories.request())
    assert render("text", record.record(decision, most=MANY)).endswith("r12 (built in), 87 more")


def test_system_text() -> None:
    """Each file of a plan says what it is for."""
    asked = factories.request(facts=FACTS, kind="system", root="/usr", interpreter="/no/such/python", base="")
    lines = render("text", record.record(PlainChain(BUILT_IN).decide(asked))).splitlines()
    assert lines[0] == "global lock, held in this order:"
    assert [line.split("  ")[-1].strip() for line in lines[1:3]] == [
        "the gate: lock-policy takes it first",
        "uv's own, for one spelling of this interpreter",
    ]
    assert "  base         unknown" in lines


# JSON

RULE = {"name", "file", "line", "layer", "lock", "reason"}


def test_json_shape() -> None:
    """JSON has the design's keys, and the version first."""
    shown = json.loads(render("json", rich()))
    keys = [
        "version",
        "lock",
        "plan",
        "excludes",
        "rule",
        "timeout",
        "environment",
        "steps",
        "hints",
        "warnings",
        "corrected",
    ]
    assert list(shown) == keys
    assert (shown["version"], shown["lock"], shown["timeout"]) == (2, ["global"], 90)
    assert shown["plan"] == [{"purpose": "gate", "kind": "file", "path": GATE}]
    assert shown["rule"] == {
        "name": "ci",
        "file": "/p/lock-policy.toml",
        "line": 8,
        "layer": "project",
        "lock": ["global"],
        "reason": "builds share it",
    }
    assert shown["environment"] == {
        "interpreter": "/srv/app/.venv/bin/python",
        "root": "/srv/app/.venv",
        "exists": False,
        "kind": "virtualenv",
        "base_interpreter": "/usr/bin/python3.11",
        "found_by": "argument",
    }
    assert [step["outcome"] for step in shown["steps"]] == ["no", "matched"] + ["not-reached"] * 6
    assert all(set(step) == {"rule", "outcome", "checks"} and set(step["rule"]) == RULE for step in shown["steps"])
    assert shown["steps"][0]["checks"][0] == {
        "key": "interpreter",
        "expected": "/nix/store/*",
        "seen": "/srv/app/.venv/bin/python",
        "passed": False,
        "caller": False,
    }
    assert (shown["steps"][-1]["rule"]["file"], shown["steps"][-1]["rule"]["line"]) == (None, None)
    assert shown["warnings"] == ["/p/x.toml is ignored: everyone can write it"]


def test_json_of_combinators() -> None:
    """A combinator tells the answers of its tables, one list for each."""
    check = json.loads(render("json", rich()))["steps"][1]["checks"][1]
    assert (check["key"], check["passed"], check["seen"]) == ("any", True, None)
    assert check["expected"] == [
        {"environment": "/builds/**"},
        {"not": {"kind": ["system", "target"]}, "operation": "sync"},
    ]
    assert [[inner["key"] for inner in table] for table in check["checks"]] == [["environment"], ["not", "operation"]]


def test_json_has_no_secrets() -> None:
    """No format shows what a variable holds."""
    for format in DECISION_FORMATS:
        assert "secret" not in render(format, rich())


# TOML and paths


def without_nulls(value: Any) -> Any:
    """What TOML can say of JSON."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("make", [plain, rich])
def test_toml_is_json(make: Callable[[], dict[str, Any]]) -> None:
    """TOML says what JSON says, without the nulls."""
    assert tomllib.loads(render("toml", make())) == without_nulls(json.loads(render("json", make())))


def test_path() -> None:
    """`path` is one path a line, in the order in which they are taken, and nothing else."""
    asked = factories.request(facts=FACTS)
    shown = record.record(PlainChain([Rule("both")], {}).decide(asked))
    assert render("path", shown) == f"{GATE}\n/srv/app/.venv/.lock"


def test_path_with_line_end() -> None:
    """A line end in a path does not make two lines of it."""
    shown = record.record(PlainChain([Rule("local")], {}).decide(factories.request(root="/a\n/etc")))
    assert render("path", shown) == factories.gate("/a\n/etc") + "\n/a\\n/etc/.lock"


# What comes from outside

HOSTILE = st.text(
    st.sampled_from("ab/ \n\r\t\x1b\x07\x7f\x85\x9b\u200b\u2028\u202e\u2066\ufeff\udc80\udcff\U000e0041é中\"'\\"),
    min_size=1,
)


def hostile(text: str) -> dict[str, Any]:
    """A decision with a text in every place that is not ours."""
    match = (("env", ((text, (text,)), ("B", True))), ("not", (("operation", (text,)),)), ("project", (f"/{text}",)))
    first = PlainRule(("local",), match, reason=text, file=f"/{text}", line=1, layer="project")
    last = PlainRule(("global", "local"), (), reason=text, name=text, file=f"/{text}", line=1, layer="project")
    environ = {text: "x"} if "=" not in text else {}
    asked = factories.request(environ, {"project": f"/{text}"}, operation=text, root=f"/{text}", base=f"/{text}")
    decision = PlainChain([first, last, last], {}).decide(asked)
    asked.details["project"] = decision.corrected = text
    return record.record(decision, [text])


@given(HOSTILE)
def test_escaped(text: str) -> None:
    """Control and bidi characters, whatever is not seen, and bytes that are no UTF-8 are escaped in every format."""
    shown = hostile(text)
    for format in ("text", "json", "toml"):
        output = render(format, shown)
        output.encode()
        assert output.replace("\n", "").isprintable(), format
    assert json.loads(render("json", shown)) == record.contract(shown)
    assert len(render("text", shown).splitlines()) == len(render("text", hostile("a")).splitlines())


@given(HOSTILE)
def test_toml_round_trip(text: str) -> None:
    """Whatever the text, TOML says what JSON says; bytes that are no UTF-8 are shown as escapes."""
    shown = hostile(text)
    if re.search("[\udc80-\udcff]", text):
        tomllib.loads(render("toml", shown))
    else:
        assert tomllib.loads(render("toml", shown)) == without_nulls(record.contract(shown))


# Colours


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


@pytest.mark.parametrize(
    ("choice", "terminal", "environ", "expected"),
    [
        ("auto", True, {}, True),
        ("auto", False, {}, False),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", False, {"FORCE_COLOR": "1"}, True),
        ("auto", False, {"FORCE_COLOR": "0"}, False),
        ("auto", False, {"FORCE_COLOR": ""}, False),
        ("auto", True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("always", False, {}, True),
        ("never", True, {"FORCE_COLOR": "1"}, False),
        ("never", True, {}, False),
    ],
)
def test_wanted(choice: str, terminal: bool, environ: dict[str, str], expected: bool) -> None:
    """The option decides, then NO_COLOR, then FORCE_COLOR, then whether a terminal reads."""
    assert wanted(choice, Terminal() if terminal else io.StringIO(), environ) is expected


def test_wanted_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without variables given, those of this process count."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert wanted("auto", Terminal()) is False


def test_paint() -> None:
    """Colours stand around a text, or not at all."""
    assert paint("x", BOLD, RED, color=True) == "\033[1;31mx\033[0m"
    assert paint("x", BOLD, RED, color=False) == "x"


@pytest.mark.parametrize("make", [plain, rich])
def test_colours_change_nothing(make: Callable[[], dict[str, Any]]) -> None:
    """With its colours taken away, the text is the one without; the other formats have none."""
    colored = render("text", make(), color=True)
    assert colored != render("text", make())
    assert re.sub(r"\033\[[0-9;]*m", "", colored) == render("text", make())
    for format in ("json", "toml", "path"):
        assert render(format, make(), color=True) == render(format, make())


# Names of files


def test_shorten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file below the working directory is named from there, any other one in full."""
    monkeypatch.chdir(tmp_path)
    here = os.path.realpath(tmp_path)
    assert record.shorten(f"{here}/a/b.toml") == "a/b.toml"
    assert record.shorten(f"{here}x/b.toml") == f"{here}x/b.toml"
    assert record.shorten("/etc/x") == "/etc/x"


def test_shorten_nowhere(tmp_path: Path) -> None:
    """In a working directory that was deleted all names are full."""
    (tmp_path / "gone").mkdir()
    code = "import os\nfrom policy.render.record import shorten\nos.rmdir('../gone')\nprint(shorten('/a/b'))"
    seen = factories.policy(environ={}, cwd=tmp_path / "gone", program=[sys.executable, "-c", code])
    assert seen.stdout == "/a/b\n", seen.stderr


def test_label() -> None:
    """A rule goes by its name and place, one without a name by its place, a built-in one by its name."""
    names = [record.label(step["rule"]) for step in rich()["steps"][:3]]
    assert names == ["/p/lock-policy.toml:3", "ci (/p/lock-policy.toml:8)", "uv-only-global-locks (built in)"]


def test_text_of_a_command() -> None:
    """What is left to uv, what is set for it and what is uncertain stands behind the environment."""
    told = plain()
    told["command"] = {"left_to_uv": ["/e/.lock"], "environ": {"A": "1"}, "notes": ["so"], "uncertain": "which one"}
    shown = render("text", told)
    assert "command\n  left to uv: /e/.lock\n  set for it: A=1\n  note: so\n  uncertain: which one\n" in shown
    assert render("text", record.apart(Subject(None, apart="nox works elsewhere"))) == "no lock: nox works elsewhere"
