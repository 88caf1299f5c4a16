"""What must not grow, counted: modules, calls of the system, rules looked at. Times are `benchmarks/`' matter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from policy.environment.discovery import Environment
from policy.render import MANY
from policy.render.record import record
from policy.rules.decision import PlainChain
from policy.rules.plain import BUILT_IN, PlainRule
from policy.rules.request import Caller, Request
from tests import requirements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from policy.rules.rule import AnyRule

ROOT = Path(__file__).parent.parent
RULES = 10_000

linux = pytest.mark.skipif(sys.platform != "linux", reason="macOS asks platformdirs for its directories")

# Without `site`, so that no .pth file of this environment adds to what is counted.
PATHS = f"import sys; sys.path[:0] = {[str(ROOT), *filter(None, sys.path)]!r}\n"
COMMAND = PATHS + "from policy.__main__ import main; sys.exit(main(sys.argv[1:]))"


class Project(NamedTuple):
    """A directory with a rule and an environment, and the variables under which nothing else is read."""

    directory: Path
    environ: Mapping[str, str]

    @property
    def root(self) -> str:
        """The environment's root."""
        return str(self.directory / ".venv")

    def python(self, *arguments: str, wrapper: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Runs this Python with arguments, without `site`."""
        command = [*wrapper, sys.executable, "-S", *arguments]
        return subprocess.run(
            command, env=self.environ, cwd=self.directory, capture_output=True, text=True, check=True, timeout=60
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    base = tmp_path.resolve()
    binaries = base / "project" / ".venv" / "bin"
    binaries.mkdir(parents=True)
    python = Path(sys.executable).resolve()
    (binaries / "python").symlink_to(python)
    (binaries.parent / "pyvenv.cfg").write_text(f"home = {python.parent}\n", encoding="utf-8")
    rule = f'[[rules]]\nname = "here"\nmatch.environment = "{base}/**"\nlock = "local"\n'
    (base / "project" / "lock-policy.toml").write_text(rule, encoding="utf-8")
    environ = {"HOME": str(base), "XDG_CONFIG_DIRS": str(base), "PATH": os.environ["PATH"]}
    return Project(base / "project", environ)


def imported(project: Project, *arguments: str, code: str = COMMAND) -> set[str]:
    """The modules that a warm command imports and that Python's own start does not."""
    true = shutil.which("true") or "/bin/true"
    line = [*arguments, "--", true] if arguments[0] == "run" else list(arguments)
    project.python("-c", code, *line)

    def modules(*command: str) -> set[str]:
        told = project.python("-X", "importtime", *command).stderr
        return set(re.findall(r"^import time:.*\| +([\w.]+)$", told, re.MULTILINE)) - {"package"}

    return modules("-c", code, *line) - modules("-c", "import os")


# A module that is new here costs every user of a command: import it in the function that needs it, or say here why not.
BOTH = frozenset(
    {
        "policy",
        "policy.__main__",
        "policy.cache",
        "policy.host",
        "policy.commands",
        "policy.commands.options",
        "policy.commands.reading",
        "policy.rules.condition",
        "policy.environment.command",
        "policy.rules.decision",
        "policy.environment.discovery",
        "policy.errors",
        "policy.rules.hints",
        "policy.rules.index",
        "policy.config.loading",
        "policy.rules.plain",
        "policy.locks",
        "policy.locks.file",
        "policy.locks.open_file",
        "policy.environment.identity",
        "policy.rules.gate",
        "policy.rules.paths",
        "policy.rules.plan",
        "policy.rules.request",
        "policy.subject",
        "policy.config.layers",
        "policy.config",
        "policy.environment",
        "policy.rules",
        "policy.variables",
        "policy.seahash",
        "__future__",
        "errno",
        "fcntl",
    }
)
RUN = BOTH | {
    "policy.commands.run",
    "policy.acquire",
    "policy.locks.hold",
    "policy.locks.owners",
    "policy.uv",
    "policy.uv.release",  # where a uv is on PATH
    "policy.wrap",
}
EXPLAIN = BOTH | {
    "policy.commands.explain",
    "policy.escape",
    "policy.rules.conditions",
    "policy.rules.excludes",
    "policy.rules.trace",
    "policy.environment.pyvenv",
    "policy.render",
    "policy.render.layout",
    "policy.render.record",
    "policy.render.style",
    "policy.render.text",
    "encodings.utf_8_sig",
}


MODULES = 41  # each costs a hundredth of Python's own start: one more must earn that


@linux
def test_run_imports(project: Project) -> None:
    """A warm `policy run` imports these modules and no others, nothing that was installed beside it among them."""
    assert imported(project, "run") <= RUN
    assert len(RUN) <= MODULES


@linux
def test_shim_imports(project: Project) -> None:
    """A warm shim of pip imports what `policy run -- pip` does, three modules of its own, and no others."""
    true = shutil.which("true") or "/bin/true"
    (project.directory / "bin").mkdir()
    (project.directory / "bin" / "pip").symlink_to(true)
    shimmed = Project(project.directory, {**project.environ, "PATH": str(project.directory / "bin")})
    code = PATHS + "from policy.shim import main; main('pip')"
    own = {"policy.shim", "policy.commands.tools", "policy.uv.names"}  # the last for a system interpreter's locks
    # of which environment `pip install x` is about
    which = {"change", "externally_managed", "interpreter", "pip", "wrappers"}
    assert imported(shimmed, "install", "x", code=code) <= RUN | own | {f"policy.environment.{name}" for name in which}
    few = {"policy", "policy.commands", "policy.errors", "policy.variables", "__future__", "errno"}
    assert imported(shimmed, "list", code=code) <= own | few


@linux
def test_explain_imports(project: Project) -> None:
    """A warm `policy explain` imports these modules and no others, nothing that was installed beside it among them."""
    assert imported(project, "explain") <= EXPLAIN


@pytest.mark.parametrize(("command", "least"), [("run", RUN), ("explain", EXPLAIN)])
def test_server_that_is_not_asked(project: Project, command: str, least: frozenset[str]) -> None:
    """A server that the user's file names costs no import where the rule that matches wants no lock on it."""
    named = Path(project.environ["HOME"]) / ".config" / "lock-policy" / "lock-policy.toml"
    named.parent.mkdir(parents=True)
    named.write_text('[cluster]\nengine = "postgresql"\nservice = "nowhere"\n', encoding="utf-8")
    assert imported(project, command) <= least
    rule = project.directory / "lock-policy.toml"
    asked = rule.read_text(encoding="utf-8").replace('"local"', '"cluster"')
    rule.write_text(f'{asked}cluster-key = {{ name = "t", root = "/" }}\n', encoding="utf-8")
    assert "policy.locks.postgresql" in imported(project, "explain")


def test_package_imports() -> None:
    """`import policy` imports nothing of it: a program pays for what it uses."""
    code = PATHS + "import policy; print(*(name for name in sys.modules if 'policy' in name))"
    command = [sys.executable, "-S", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["policy"]


# Counts what Python does for a program that takes the same lock again and again.
LOCK = """
import policy
rules = policy.load()
root = sys.argv[1]
for _ in range(3):
    with policy.lock(root, rules=rules):
        pass
"""


def test_warm_lock_audited(project: Project) -> None:
    """A warm `lock()` opens the gate, its lock file and what /proc says of the root, locks and unlocks each once."""
    code = """
import os
counted = []
named = getattr(os, "O_PATH", 0)  # of a folder, to see what the kernel calls it; nothing is read
def count(name, arguments):
    if counting and not (name == "open" and arguments[2] & named):
        counted.append(name)
sys.addaudithook(count)
counting = True
with policy.lock(root, rules=rules):
    pass
counting = False
print(*(name for name in counted if name.split(".")[0] in {"open", "os", "fcntl", "import", "subprocess", "shutil"}))
"""
    requirements.need(sys.platform != "win32", "fcntl's audit events")
    done = project.python("-c", PATHS + LOCK + "counting = False" + code, project.root)
    events = done.stdout.split()
    assert sorted(events) == ["fcntl.flock"] * 4 + ["open"] * 3


def traced(project: Project, *arguments: str) -> list[str]:
    """The system calls of a Python, one for each line."""
    requirements.need(bool(shutil.which("strace")), "needs strace")
    output = project.directory / "trace"
    strace = ["strace", "-qq", "-s", "200", "-o", str(output)]
    requirements.need(
        not subprocess.run([*strace, "true"], check=False, capture_output=True).returncode, "ptrace is forbidden"
    )
    project.python(*arguments, wrapper=strace)
    return output.read_text("utf-8", "replace").splitlines()


BEGIN, END = "/the-count-begins", "/the-count-ends"


@linux
def test_warm_lock_traced(project: Project) -> None:
    """A warm `lock()` and its release make a bounded number of system calls, none of which writes."""
    code = f"""
import os
from policy.environment import discovery
discovery.JUST_NOW = 60.0  # strace makes each call slow, and a look that is not shared any more would be counted twice
os.access({BEGIN!r}, os.F_OK)
with policy.lock(root, rules=rules):
    pass
os.access({END!r}, os.F_OK)
"""
    lines = traced(project, "-c", PATHS + LOCK + code, project.root)
    begin, end = (next(at for at, line in enumerate(lines) if name in line) for name in (BEGIN, END))
    made = lines[begin + 1 : end]
    assert len(made) <= 43, "\n".join(made)
    assert not [line for line in made if re.match(r"(write|mkdir|link|rename|unlink|utime)", line) or "O_CREAT" in line]


DECIDE = """
import os
import policy
environment = policy.find_environment(sys.argv[1])
caller = policy.Caller()
decide = {decide}
decide(policy.Request(environment, caller))
os.access({begin!r}, os.F_OK)
decide(policy.Request(environment, caller))
os.access({end!r}, os.F_OK)
"""


@linux
@pytest.mark.parametrize("decide", ["policy.load().chain.decide", "policy.load().decide"])
def test_warm_decision_traced(project: Project, decide: str) -> None:
    """A warm decision about an environment that is kept makes no system call; `Rules` looks whether files changed."""
    code = DECIDE.format(begin=BEGIN, end=END, decide=decide)
    lines = traced(project, "-c", PATHS + code, project.root)
    begin, end = (next(at for at, line in enumerate(lines) if name in line) for name in (BEGIN, END))
    made = [line for line in lines[begin + 1 : end] if not re.search(r'(\.toml"|geteuid)', line)]
    assert not made
    assert (decide == "policy.load().chain.decide") == (end - begin == 1)


@linux
def test_run_traced(project: Project) -> None:
    """A warm `policy run` makes a bounded number of system calls beyond Python's own, and creates no file."""
    true = shutil.which("true") or "/bin/true"
    command = ["-c", COMMAND, "run", "--", true]
    project.python(*command)
    lines = traced(project, *command)
    reached = next(at for at, line in enumerate(lines) if line.startswith(f'execve("{true}"'))
    own = len(traced(project, "-c", "import os"))
    above = len(project.directory.parts)

    assert reached - own <= 615 + 4 * above
    assert not [line for line in lines if "O_CREAT" in line or re.match(r"(mkdir|link|rename|unlink)", line)]


class Counted:
    """Rules that note which of them were looked at."""

    def __init__(self, rows: Sequence[AnyRule]) -> None:
        self.rows = rows
        self.seen: list[int] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[AnyRule]:
        return map(self.__getitem__, range(len(self.rows)))

    def __getitem__(self, number: int) -> AnyRule:
        self.seen.append(number)
        return self.rows[number]


def rows(pattern: str) -> list[AnyRule]:
    """Many rules about the interpreter, then the built-in ones."""
    many = [
        PlainRule(("global",), (("interpreter", (pattern.format(at),)),), f"r{at}", file="f", line=at + 1)
        for at in range(RULES)
    ]
    return [*many, *BUILT_IN]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["/srv/app-{}/**", "/srv/app-{}/*/bin/python?", "**/app-{}/**", "/*/app-{}/**"])
def test_rules_looked_at(pattern: str) -> None:
    """Of ten thousand rules with a folder or a name in their patterns, a decision looks at no more than it must."""
    counted = Counted(rows(pattern))
    program = PlainChain(counted, {})
    caller = Caller({}, "/")
    for number in (0, RULES // 2, RULES - 1):
        root = f"/srv/app-{number}/env"
        request = Request(Environment(f"{root}/bin/python3", root, "virtualenv", "/usr/bin/python3"), caller)
        program.decide(request)  # the first builds the index
        counted.seen.clear()
        again = Request(request.environment, caller)
        assert program.decide(again).index == number
        assert counted.seen in ([], [number])


@pytest.mark.slow
def test_rules_explained() -> None:
    """What `policy explain` shows of ten thousand rules takes a look at those it shows, and at no others."""
    counted = Counted(rows("/srv/app-{}/**"))
    environment = Environment("/srv/app-9999/bin/python", "/srv/app-9999", "virtualenv", "/usr/bin/python3")
    decision = PlainChain(counted, {}).decide(Request(environment, Caller({}, "/")))
    counted.seen.clear()
    shown = record(decision, (), MANY)["steps"]
    assert len(set(counted.seen)) == len(shown) <= 2 * MANY


def test_no_regex_for_a_decision(project: Project) -> None:
    """Ten thousand rules are decided without a regular expression: `re` is not even imported."""
    code = """
from policy.rules.decision import PlainChain
from policy.environment.discovery import Environment
from policy.rules.request import Caller, Request
from policy.rules.plain import BUILT_IN, PlainRule
rows = [PlainRule(("global",), (("interpreter", (f"/srv/app-{at}/**",)),)) for at in range(10_000)]
program = PlainChain([*rows, *BUILT_IN], {})
for at in range(0, 10_000, 100):
    root = f"/srv/app-{at}/env"
    environment = Environment(f"{root}/bin/python", root, "virtualenv", "/usr/bin/python3")
    program.decide(Request(environment, Caller({}, "/")))
print("re" in sys.modules)
"""
    assert project.python("-c", PATHS + code).stdout == "False\n"


def test_few_regexes_for_many_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often one environment is asked about, of ten thousand patterns only its own becomes an expression."""
    compiled: list[str] = []
    compile_ = re.compile

    def counting(pattern: str, flags: int = 0) -> re.Pattern[str]:
        compiled.append(pattern)
        return compile_(pattern, flags)

    monkeypatch.setattr(re, "compile", counting)
    program = PlainChain(rows("/srv/app-{}/*[a-z]*/**"), {})
    environment = Environment("/srv/app-17/env/bin/python", "/srv/app-17/env", "virtualenv", "/usr/bin/python3")
    for _ in range(500):
        assert program.decide(Request(environment, Caller({}, "/"))).index == 17
    assert len(compiled) <= 1
