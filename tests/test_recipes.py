"""The recipes of CONTRIBUTING.md, followed in a copy of the checkout: what is added shows up everywhere by itself.

Each recipe changes one file of `policy/`, or adds one and a line. Schema, `--help`, completions and reference follow.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from tests import factories

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

ROOT = factories.CHECKOUT


@frozen
class Copy:
    """A copy of the checkout, and a directory to try it in.

    Args:
        folder: Where `policy/` and `docs/` are copied to.
        place: The working directory of what is run, with an environment and without any configuration.
    """

    folder: Path
    place: Path

    def edit(self, file: str, pattern: str, replacement: str) -> None:
        """Changes one place in a file of the package.

        Args:
            file: Below `policy/`.
            pattern: A regular expression that is found once.
            replacement: What stands there afterwards.
        """
        path = self.folder / "policy" / file
        text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert count == 1, f"{pattern} is found {count} times in {file}"
        path.write_text(text, encoding="utf-8")

    def add(self, file: str, text: str) -> None:
        """Writes a new file of the package."""
        path = self.folder / "policy" / file
        assert not path.exists()
        path.write_text(text, encoding="utf-8")

    def run(self, *words: str, code: int = 0, **environ: str) -> str:
        """What `policy` prints in the copy, on stdout and stderr.

        Args:
            words: Its arguments.
            code: The exit code that is expected.
            environ: More variables.
        """
        return self._run([sys.executable, "-m", "policy", *words], code, environ)

    def python(self, program: str, **environ: str) -> str:
        """What a program in Python prints that imports the copy."""
        return self._run([sys.executable, "-c", program], 0, environ)

    def reference(self) -> str:
        """The reference page of the copy."""
        self._run([sys.executable, str(self.folder / "docs" / "reference.py")], 0, {})
        return (self.folder / "docs" / "reference.md").read_text(encoding="utf-8")

    def completions(self) -> list[str]:
        """The completion script of each shell."""
        from policy.commands.shells import SHELLS

        return [self.run("completions", shell) for shell in SHELLS]

    def _run(self, words: list[str], code: int, environ: dict[str, str]) -> str:
        everything = {**factories.alone(self.place), "PYTHONPATH": str(self.folder), "COLUMNS": "200", **environ}
        done = subprocess.run(
            words,
            env=everything,
            cwd=self.place,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=factories.TIMEOUT,
        )
        assert done.returncode == code, done.stdout
        return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A new copy of the checkout."""
    for name in ("policy", "docs"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    place = tmp_path / "place"
    factories.virtualenv(place / ".venv")
    return Copy(tmp_path / "copy", place)


def rule(copy: Copy, text: str) -> None:
    """Writes the rules of the place."""
    factories.written(copy.place / "lock-policy.toml", text)


CONDITION = '''\\
class Shell(TextCondition):
    """The shell that the caller works in."""

    key = "shell"
    help = "The name of the login shell."
    examples = ("bash", ["zsh", "fish"])
    caller = True

    def observe(self, request: Request) -> str:
        """The file name of SHELL; empty where it is not set."""
        return request.caller.environ.get("SHELL", "").rpartition("/")[2]


CONDITIONS: dict[str, Condition] = {'''


@pytest.mark.slow
def test_condition(copy: Copy) -> None:
    """A condition is a class and a line in `rules/conditions.py`."""
    copy.edit("rules/conditions.py", r"^CONDITIONS: dict\[str, Condition\] = \{", CONDITION)
    copy.edit("rules/conditions.py", r"^        Operation\(\),$", "        Operation(),\n        Shell(),")
    rule(copy, '[[rules]]\nname = "fishy"\nmatch.shell = "fi*"\nlock = "global"\n')
    assert "fishy" in copy.run("explain", "--output-format", "json", SHELL="/usr/bin/fish")
    decided = json.loads(copy.run("explain", "--output-format", "json", SHELL="/bin/bash"))
    check = next(step for step in decided["steps"] if step["rule"]["name"] == "fishy")["checks"][0]
    assert (check["key"], check["seen"], check["passed"], check["caller"]) == ("shell", "bash", False, True)
    assert '"fishy"' in copy.run("explain", "--assume", "shell=fish", "--output-format", "json")
    for schema in ([], ["--pyproject"]):
        assert '"shell"' in copy.run("schema", *schema)
    assert '"match-shell"' in copy.reference()
    assert 'did you mean "shell"' in with_rule(copy, 'match.shel = "x"\nlock = "local"', code=2)


def with_rule(copy: Copy, text: str, code: int = 0) -> str:
    """What `policy check` says of a rule."""
    rule(copy, f"[[rules]]\n{text}\n")
    return copy.run("check", code=code)


FORMAT = '''"""One word, for scripts."""

from __future__ import annotations


def render(record: dict[str, object], *, color: bool) -> str:
    """The kind of the environment."""
    del color
    return str(record["environment"]["kind"])
'''


@pytest.mark.slow
def test_format(copy: Copy) -> None:
    """An output format of `explain` is a module in `render/` and its name there."""
    copy.add("render/word.py", FORMAT)
    copy.edit("render/__init__.py", r"^DECISION_FORMATS = \((.*)\)$", r'DECISION_FORMATS = (\1, "word")')
    assert copy.run("explain", "--output-format", "word") == "virtualenv\n"
    assert copy.run("explain").startswith("local lock")
    assert "word" in copy.run("explain", "--help")
    assert all(re.search(r"\bword\b", script) for script in copy.completions())
    assert re.search(r"output-format[^\n]*\bword\b", copy.reference())


COMMAND = '''"""`policy where`: where the environment is."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.commands.reading import Arguments, Parser


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("--short", action="store_true", help="only the last part of the path")


def main(arguments: Arguments) -> int:
    """Prints it."""
    sys.stdout.write(".venv\\n" if arguments.short else "here\\n")
    return 0
'''


@pytest.mark.slow
def test_command(copy: Copy) -> None:
    """A command is a module in `commands/` and its name there."""
    copy.add("commands/where.py", COMMAND)
    copy.edit("commands/__init__.py", r"^COMMANDS = \{", 'COMMANDS = {\n    "where": "print where the environment is",')
    assert copy.run("where", "--short") == ".venv\n"
    assert "print where the environment is" in copy.run("help")
    assert "--short" in copy.run("where", "--help")
    assert "did you mean" in copy.run("wher", code=2)
    assert all("where" in script and "short" in script for script in copy.completions())
    assert "policy where" in copy.reference()


LAYER = '''\\
def team_files(environ: Mapping[str, str]) -> list[str]:
    """Where the team's file may be."""
    return [os.path.join(environ.get("TEAM_HOME", "/nowhere"), FILE)]


TEAM = Layer("team", "the team's file", files=team_files, variables=["TEAM_HOME"])
LAYERS: tuple[Layer, ...] = (NAMED, PROJECT, TEAM, USER, SYSTEM)'''


REMEMBERS = """
import os
import policy

rules, found = policy.load(), os.environ["TEAM_HOME"]
for folder in (found, "/nowhere", found):
    print(policy.explain(".venv", rules=rules, environ={**os.environ, "TEAM_HOME": folder}).matched.name)
"""


@pytest.mark.slow
def test_layer(copy: Copy) -> None:
    """A layer is an object in `config/layers.py`, and may do little until it says more."""
    copy.edit("config/layers.py", r"^LAYERS: tuple\[Layer, \.\.\.\] = .*$", LAYER)
    team = factories.written(copy.place / "team" / "lock-policy.toml", '[[rules]]\nname = "teams"\nlock = "global"\n')
    decided = json.loads(copy.run("explain", "--output-format", "json", TEAM_HOME=str(team.parent)))
    assert (decided["rule"]["name"], decided["rule"]["layer"]) == ("teams", "team")
    assert copy.python(REMEMBERS, TEAM_HOME=str(team.parent)).split() == ["teams", "environment", "teams"]
    assert copy.run("check", "--layer", "team", str(team)).startswith("All good")
    factories.written(team, '[[rules]]\nlock = "global"\nmandatory = true\n')
    assert "mandatory" in copy.run("check", "--layer", "team", str(team), code=2)
    assert all(re.search(r"\bteam\b", script) for script in copy.completions())
    assert "the team's file" in copy.reference()


LOCATION = '''\\
def above(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """`<parent>/above.lock`."""
    del setting
    path = os.path.join(os.path.dirname(request.environment.root), "above.lock")
    return (FileLock("beside", path, words="above the environment"),)


LOCATIONS: \\1 = {
    "above": above,'''
REGISTRY = r"^LOCATIONS: (.*) = \{"


def test_location(copy: Copy) -> None:
    """A lock location is a function and a line in `rules/plan.py`."""
    copy.edit("rules/plan.py", REGISTRY, LOCATION)
    rule(copy, '[[rules]]\nlock = "above"\n')
    shown = json.loads(copy.run("explain", "--output-format", "json"))["plan"]
    expected = {"purpose": "beside", "kind": "file", "path": str(copy.place / "above.lock")}
    assert expected in shown
    assert "above the environment" in copy.run("explain")
    copy.run("run", "--", "test", "-e", "above.lock")
    assert '"above"' in copy.run("schema")
    assert '`"above"`' in copy.reference()
    assert '"above"' in with_rule(copy, 'lock = "abov"', code=2)


KIND = '''"""A lock file that counts how often it was taken."""

from __future__ import annotations

from policy.locks.file import FileLock


class CountedLock(FileLock):
    """A lock file, and beside it a file that grows by a byte each time the lock is taken."""

    kind = "counted"

    def attempt(self) -> bool:
        """Tries once, and counts where it succeeded."""
        taken = super().attempt()
        if taken:
            with open(self.name + ".count", "a", encoding="utf-8") as file:
                file.write("x")
        return taken
'''


def register(copy: Copy, location: str, kind: str) -> None:
    """Lets a location take a kind of lock, whose module has the location's name."""
    made = LOCATION.replace("FileLock(", f"{kind}(").replace('"above": above', f'"{location}": above')
    copy.edit("rules/plan.py", REGISTRY, made)
    copy.edit(
        "rules/plan.py",
        r"^from policy\.locks\.file import FileLock$",
        rf"\g<0>\nfrom policy.locks.{location} import {kind}",
    )


def test_kind_of_lock(copy: Copy) -> None:
    """A kind of lock is a module in `locks/`, and what a location in `rules/plan.py` makes of it."""
    copy.add("locks/counted.py", KIND)
    register(copy, "counted", "CountedLock")
    rule(copy, '[[rules]]\nlock = "counted"\n')
    expected = {"purpose": "beside", "kind": "counted", "path": str(copy.place / "above.lock")}
    assert expected in json.loads(copy.run("explain", "--output-format", "json"))["plan"]
    for _ in range(2):
        copy.run("run", "--", "true")
    assert (copy.place / "above.lock.count").read_text(encoding="utf-8") == "xx"
    held = copy.run("run", "--", sys.executable, "-m", "policy", "locks", ".venv")
    assert "above.lock" in held
    assert '"counted"' in copy.run("schema")


LASTING = '''"""A lock whose file is the lock."""

from __future__ import annotations

import os

from policy.locks.file import FileLock


class LastingLock(FileLock):
    """A lock that is held while a folder beside its file exists, whoever made that and whether or not they live."""

    kind = "lasting"
    outlives = True
    advice = "remove the folder"
    made = False

    def attempt(self) -> bool:
        """Makes the folder, once this process has the file."""
        if not super().attempt():
            return False
        try:
            os.mkdir(self.name + ".d")
        except FileExistsError:
            return False
        self.made = True
        return True

    def wait(self, deadline):
        """Waits for nobody."""
        yield from ()
        return False

    def release(self) -> None:
        """Removes the folder, too."""
        if self.made:
            os.rmdir(self.name + ".d")
            self.made = False
        super().release()
'''


def test_lock_that_outlives_its_holder(copy: Copy) -> None:
    """`policy run` stays to release a lock that says that nobody else does, and messages end with its advice."""
    copy.add("locks/lasting.py", LASTING)
    register(copy, "lasting", "LastingLock")
    rule(copy, '[[rules]]\nlock = "lasting"\n')
    folder = copy.place / "above.lock.d"
    copy.run("run", "--", "test", "-d", str(folder))
    assert not folder.exists()
    copy.run("run", "--", "sh", "-c", "kill -TERM $PPID; exec sleep 60", code=128 + 15)
    assert not folder.exists()
    folder.mkdir()
    said = copy.run("run", "--timeout", "0", "--", "true", code=124)
    assert " ".join(said.split()).endswith("; remove the folder")  # wherever the line was broken
    assert folder.exists()


CODE = r"""\g<0>
    Code(
        "no-reason",
        WARNING,
        "A rule does not say why it is there.",
        "Write a reason.",
        '[[rules]]\\nlock = "local"\\n',
        '[[rules]]\\nlock = "local"\\nreason = "uv takes it"\\n',
    ),"""
CHECK = r"""\g<0>    for index, rule in enumerate(file.rules):
        if not rule.reason:
            yield located(file, "no-reason", "this rule has no reason", "rules", index)
"""


def test_check(copy: Copy) -> None:
    """A check is a code in `checks/codes.py` and a finding in `checks/lint.py`."""
    copy.edit("checks/codes.py", r"^_CODES = \($", CODE)
    copy.edit("checks/lint.py", r"^def _tests\(.*\n    \"\"\".*\"\"\"\n", CHECK)
    assert "this rule has no reason" in with_rule(copy, 'lock = "local"')
    assert copy.run("check").startswith("lock-policy.toml:1:")
    assert with_rule(copy, 'lock = "local"\nreason = "uv takes it"').startswith("All good")
    assert "Write a reason." in copy.run("rule", "no-reason")
    assert 'id="code-no-reason"' in copy.reference()
    rule(copy, '[[rules]]\nlock = "local"\n')
    found = json.loads(copy.run("check", "--output-format", "json"))["findings"]
    assert [one["code"] for one in found] == ["no-reason"]
