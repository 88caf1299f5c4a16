"""Whatever stands in a configuration file or in a pattern: no crash, no hang, no traceback, little memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.config.read import KEYS
from policy.rules import paths
from policy.rules.conditions import CONDITIONS
from policy.rules.rule import KEYS as RULE_KEYS
from policy.toml.shapes import MOST
from tests import fuzzing
from tests.factories import UNMEASURED, policy
from tests.fuzzing import MEMORY, REPOSITORY, TARGETS, TIMEOUT, in_time

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

SIZE = 256 * 1024  # bytes that a file may have
INPUTS = 3_000  # of a short run, for each target; `nox -s fuzz` runs for minutes

thorough = settings(
    max_examples=400,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# Text that is nearly TOML, and nearly a configuration.

WORDS = [
    *KEYS,
    *RULE_KEYS,
    *CONDITIONS,
    "given",
    "expect",
    "rule",
    "CI",
    "tool",
    "lock-policy",
    "",
    "a b",
    "\0",
    "ключ",
]
PATTERNS = ["/nix/store/*", "~/a", "**/.venv", "a", "/../x", "[", "/[z-a]", "C:\\x", "*", "ci-[0-9]*", "/" * 2000]
VALUES = ["local", "global", "both", "virtualenv", "true", ">=0.1", "===x", "..", "~nobody", *PATTERNS]

texts = st.sampled_from(VALUES) | st.text(max_size=20)
quoted = st.builds("'{}'".format, texts) | st.builds('"{}"'.format, texts) | st.builds("'''{}'''".format, texts)
scalars = quoted | st.sampled_from(["true", "1", "-0", "1e999", "nan", "-inf", "0x" + "f" * 130, "2020-01-01 00:00:00"])
names = st.sampled_from(WORDS).map(lambda word: word if word.replace("-", "").isalnum() else f"'{word}'")
dotted = st.lists(names, min_size=1, max_size=4).map(".".join)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(dotted, inner), max_size=3).map(
            lambda pairs: f"{{{', '.join(f'{key} = {value}' for key, value in pairs)}}}"
        )
    ),
    max_leaves=12,
)
statements = (
    st.tuples(dotted, values).map(" = ".join)
    | st.sampled_from(["[[rules]]", "[[tests]]", "[[rules]]\nlock = 'local'", "[rules.match]", "# é", "\ufeff", "lock"])
    | dotted.map("[{}]".format)
)
near_toml = st.lists(statements, max_size=12).map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))

changed_examples = st.builds(
    lambda chance: fuzzing.changed(chance, fuzzing.seeds("read")), st.randoms(use_true_random=False)
)
files = st.binary(max_size=400) | near_toml | changed_examples

of_pattern = st.text(st.sampled_from("/*?[]!^-~.\\ab:é\0") | st.characters(codec="utf-8"), max_size=30)
of_text = st.text(st.sampled_from("/ab-.]é\n") | st.characters(codec="utf-8"), max_size=30)
patterns = st.tuples(st.sampled_from(PATTERNS) | of_pattern, of_text).map(lambda both: "\n".join(both).encode())


@thorough
@given(files)
def test_reading(data: bytes) -> None:
    """A file is refused with faults that can be shown, or it decides and can be explained."""
    with in_time():
        fuzzing.read_configuration(data)


@thorough
@given(files)
def test_checking(data: bytes) -> None:
    """`policy check` answers with one of its exit codes and in whole lines, whatever the format."""
    with in_time():
        fuzzing.check_configuration(data)


@thorough
@given(patterns)
def test_matching(data: bytes) -> None:
    """A pattern is refused by a sentence, or it matches the same way each time, with all below what it matches."""
    with in_time():
        fuzzing.match_globs(data)


@pytest.mark.parametrize("target", TARGETS)
def test_examples_are_inputs(target: str) -> None:
    """What the fuzzers begin with keeps the promises, and random changes of it are many inputs, not one."""
    seeds = fuzzing.seeds(target)
    for data in seeds:
        TARGETS[target](data)
    chance = random.Random(0)  # noqa: S311  (the same inputs each time)
    assert len({fuzzing.changed(chance, seeds) for _ in range(100)}) > 90


def filled(line: Callable[[int], str], begin: str = "", end: str = "") -> str:
    """As many different lines as a file may have."""
    lines = [begin]
    left = SIZE - len(begin) - len(end)
    number = 0
    while len(text := line(number)) <= left:
        lines.append(text)
        left -= len(text)
        number += 1
    return "".join((*lines, end))


RULE = "[[rules]]\nlock = 'local'\n"
PAIRS = ",".join(["{any=[{user='a*'},{host='b*'}]}"] * 1_500)
HALF = ",".join(f"'x{number:x}'" for number in range(15_000))

LARGE = {
    "digits": "required-version = '>=" + "9" * 5_000 + "'",
    "versions": "required-version = '" + ",".join([">=0"] * 60_000) + "'",
    "unknown keys": filled("a{:x}=1\n".format),
    "nearly known keys": filled("tests{:x}=1\n".format),
    "unknown keys in one line": filled("a{:x}=1,".format, "rules = [{", "b=1}]"),
    "rules without a lock": filled("[[rules]]#{:x}\n".format),
    "rules that match everything": filled((RULE + "#{:x}\n").format),
    "rules in one line": filled("{{lock='x{:x}'}},".format, "rules = [", "]"),
    "numbers as kinds": filled("{},".format, RULE + "match.kind = [", "]"),
    "faulty patterns": filled("'{:x}',".format, RULE + "match.interpreter = [", "]"),
    "patterns": filled("'/{:x}*',".format, RULE + "match.interpreter = [", "]"),
    "patterns that others cover": f"{RULE}match.user = [{HALF},'q*']\n{RULE}match.user = [{HALF.replace('x', 'q')}]",
    "rules about callers": filled((RULE + "match.user = '{:x}'\n").format),
    "one any of many": filled("{{user='{:x}'}},".format, RULE + "match.any = [", "]"),
    "anys in alls": f"{RULE}match.all = [{PAIRS}]\n{RULE}match.not.all = [{PAIRS}]\n",
    "variables": filled("a{:x}=true,".format, RULE + "match.env = {", "b=false}"),
    "tests": filled("[[tests]]\nname='{0:x}'\nexpect={{lock='local',rule='r{0:x}'}}\n".format),
    "one key": "a" * (SIZE - 10) + "=1",
    "one name": "rules.'" + "z" * (SIZE - 20) + "'=1",
    "brackets": "a=" + "[" * (SIZE - 10),
    "braces": "a=" + "{a=" * (SIZE // 3 - 10),
    "dots": ".".join("a" * (SIZE // 2 - 10)) + "=1",
    "headers": filled("[a{:x}]\n".format),
    "escapes": 'a="' + "\\u0041" * (SIZE // 6 - 10) + '"',
    "quotes": "a='''" + "''x" * (SIZE // 3 - 10),
}

MEASURED = """
import sys
from tests import fuzzing
for target in ("read", "check"):
    for data in fuzzing.seeds(target):
        fuzzing.TARGETS[target](data)
baseline = fuzzing.megabytes()
data = sys.stdin.buffer.read()
for target in ("read", "check"):
    fuzzing.attempt(target, data, baseline)
print(round(fuzzing.megabytes() - baseline))
"""


@pytest.mark.parametrize("name", LARGE)
def test_largest(name: str) -> None:
    """The worst files of the largest size that is allowed take less than 100 MB, and no longer than others."""
    if sys.platform == "win32":
        pytest.skip("nothing counts the memory")
    data = LARGE[name].encode()
    assert len(data) <= SIZE
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        input=data,
        capture_output=True,
        cwd=REPOSITORY,
        env={**os.environ, **UNMEASURED},  # coverage would count as its memory and as its time
        timeout=10 * TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert 0 <= int(done.stdout) <= MEMORY


def test_faults_are_counted(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of a file that is all wrong the first thousand faults are reported, and that there may be more."""
    file = tmp_path_factory.mktemp("large") / "lock-policy.toml"
    file.write_text(LARGE["numbers as kinds"], encoding="utf-8")
    done = policy("check", file, environ=os.environ | {"COLUMNS": ""}, cwd=REPOSITORY)  # a narrow message is broken
    assert done.returncode == 2
    assert done.stderr.count(": error: expected ") == MOST
    assert " ".join(done.stderr.split()).count("after 1000 faults the rest of the file was not checked") == 1


def test_longest_pattern() -> None:
    """The longest patterns of every shape match long texts in as many steps as their lengths allow, not more."""
    count = paths.MAX_PATTERN
    for shape in ("/*a", "/**/a", "/a**", "/?*", "/[!b]*", "*a", "/**/*a*", "**/a/"):
        pattern = (shape * count)[: count // len(shape) * len(shape)]
        pattern = pattern if pattern[0] == "/" or pattern[:2] == "**" else "/" + pattern[:-1]
        for text in ("a" * 4_000, "a/" * 2_000 + "b", "/a" * 2_000):
            with in_time():
                fuzzing.match_globs(f"{pattern}\n{text}".encode())


@pytest.mark.parametrize("target", TARGETS)
def test_short_run(target: str) -> None:
    """A fuzzer finds nothing in a short run: atheris where it is installed, else random changes of the examples."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", target, "--inputs", str(INPUTS), "--seconds", "600"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(f"{target}: {INPUTS} inputs by ")


BREAK = """
import sys
from tests import fuzzing
seeds = fuzzing.seeds("read")
def broken(data):
    if data not in seeds:
        {fault}
fuzzing.TARGETS["read"] = broken
sys.exit(fuzzing.main(["read", "--engine", "random", "--inputs", "500"]))
"""


HANG = "signal = __import__('signal'); signal.setitimer(signal.ITIMER_PROF, 0.01)\n        while True: pass"


@pytest.mark.parametrize(
    ("fault", "told"),
    [("raise KeyError(data)", "KeyError"), ("fuzzing.kept = bytearray(120 * 1024 * 1024)", "MB"), (HANG, "hung")],
    ids=["crash", "memory", "hang"],
)
def test_fuzzer_notices(fault: str, told: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The fuzzer sees a crash, memory that is taken and a hang, and leaves the input in a file to try again."""
    if sys.platform == "win32":
        pytest.skip("needs an alarm and a count of memory")
    folder = tmp_path_factory.mktemp("broken")
    done = subprocess.run(
        [sys.executable, "-c", BREAK.format(fault=fault)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(folder)},
        timeout=4 * TIMEOUT,
        check=False,
    )
    assert done.returncode != 0
    assert told in done.stderr
    assert (folder / "lock-policy-broken-read").read_bytes() not in fuzzing.seeds("read")
