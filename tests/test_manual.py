"""Every code, hint and exit code has its place on the reference page, and what names a place names one that exists."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

import policy
from policy import __main__ as command_line
from policy import errors
from policy.checks.codes import CODES
from policy.commands import check, cluster
from policy.commands.health.finding import CODES as ILLS
from policy.manual import EXIT_CODES, RUN_EXIT_CODES, anchor, command
from policy.rules.hints import HINTS
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

DOCS = factories.CHECKOUT / "docs"
PLACE = re.compile(r"docs/([\w/-]+\.md)#([\w.-]+)")
EXITS = {
    *(error.exit_code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "exit_code")),
    *(0, command_line.USAGE, command_line.FAILED, command_line.INTERRUPTED, check.FINDING, check.INVALID),
    *(126, 127),  # env(1)'s
}


def anchors(page: str) -> set[str]:
    """The places of a page of the documentation, by which its HTML is linked to as well."""
    text = (DOCS / page).read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    return slugs | set(re.findall(r'<a id="([^"]+)"></a>', text))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("code", CODES),
        ("doctor", ILLS),
        ("status", cluster.CODES),
        ("hint", [hint.__name__ for hint in HINTS]),
        ("exit", sorted(map(str, EXITS))),
    ],
)
def test_each_has_its_place(kind: str, names: list[str]) -> None:
    """What a message may name as its place is on the page."""
    missing = [name for name in names if not exists(anchor(kind, name))]
    assert missing == []


@pytest.mark.parametrize("name", sorted({*CODES, *ILLS, *cluster.CODES, *(hint.__name__ for hint in HINTS)}))
def test_each_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that a message names prints what the code or the hint means, with no checkout at hand."""
    assert command_line.main(command(name).split()[1:]) == 0
    title = capsys.readouterr().out.partition("\n")[0]
    assert title.startswith(f"# {name.replace('_', '-')} (")


def exists(place: str) -> bool:
    """Whether a place is on the page that it names."""
    found = PLACE.fullmatch(place)
    return found is not None and found[2] in anchors(found[1])


def test_places_in_the_program_exist() -> None:
    """Whatever place of the documentation stands in a string of the program, or on a page of it, is there."""
    files = [*(factories.CHECKOUT / "policy").rglob("*.py"), *factories.CHECKOUT.glob("*.md")]
    named = {match[0] for file in files for match in PLACE.finditer(file.read_text(encoding="utf-8"))}
    assert [place for place in named if not exists(place)] == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An environment below a folder with a faulty rule."""
    return factories.virtualenv(tmp_path / "env")


def said(tmp_path: Path, *words: object, **more: str) -> tuple[int, str]:
    """How a command ends, and all that it prints."""
    environ = {**factories.alone(tmp_path), "PYTHONPATH": str(factories.CHECKOUT), "COLUMNS": "200", **more}
    done = factories.policy(*map(str, words), environ=environ, cwd=tmp_path)
    return done.returncode, done.stdout + done.stderr


def test_hints_name_theirs(tmp_path: Path, root: Path) -> None:
    """A hint of explain ends with the command that explains it."""
    _, text = said(tmp_path, "explain", root, UV_ONLY_GLOBAL_LOCKS="perhaps")
    assert "use true or false (policy rule no-boolean)" in text


def test_findings_name_theirs(tmp_path: Path) -> None:
    """`policy check -v` names the command that explains a finding; its JSON always has the place on the page."""
    factories.written(tmp_path / "lock-policy.toml", "tiemout = 1\n")
    place = "docs/reference.md#code-unknown-key"
    code, text = said(tmp_path, "check", "-v", "lock-policy.toml")
    assert (code, "    = policy rule unknown-key\n" in text) == (2, True)
    assert "policy rule" not in said(tmp_path, "check", "lock-policy.toml")[1]
    (finding,) = json.loads(said(tmp_path, "check", "--output-format", "json", "lock-policy.toml")[1])["findings"]
    assert finding["anchor"] == place


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "-v", "--timeout", "x", "--", "true"), 125),
        (("run", "-v", "--python", "env", "--timeout", "0", "--", "true"), 124),
        (("explain", "-v", "--timeout", "x"), 2),
    ],
)
def test_failures_name_theirs(tmp_path: Path, root: Path, words: tuple[str, ...], code: int) -> None:
    """With -v a failure says what its exit code means, without it only what is wrong."""
    with policy.lock(root, environ={}):
        ended, text = said(tmp_path, *words)
        quiet = said(tmp_path, *(word for word in words if word != "-v"))
    assert ended == code
    assert text.endswith(f"policy: exit code {code}: {(EXIT_CODES | RUN_EXIT_CODES)[str(code)]}\n")
    assert (quiet[0], "exit code" in quiet[1]) == (code, False)
