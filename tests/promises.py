"""What is promised and decided by tests, for the board of docs/board.md: each with the tests that show it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent


@frozen
class Promise:
    """Something that must hold.

    Args:
        what: The event.
        target: What must come of it.
        tests: Node ids below tests/, each with all of its cases.
    """

    what: str
    target: str
    tests: tuple[str, ...]


@frozen
class Seen:
    """How many cases of a promise's tests came to which end."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """All that were run."""
        return self.passed + self.failed + self.skipped

    def __str__(self) -> str:
        """For the board."""
        skipped = f", {self.skipped} could not be tried here" if self.skipped else ""
        return f"{self.passed} of {self.total} cases{skipped}"


def promise(what: str, target: str, *tests: str) -> Promise:
    """One of the lines below."""
    return Promise(what, target, tests)


END = "end_to_end/test_"
SERVER, CLUSTER = "locks/test_postgresql.py::test_", f"{END}cluster.py::test_"

PROMISES: Mapping[str, tuple[Promise, ...]] = {
    "The gate": (
        promise(
            "pairs of callers that could miss each other, both orders", "kept out: 124", f"{END}gate.py::test_meet"
        ),
        promise("the host's mandatory rule and gate, whatever a user sets", "no way around", f"{END}host_file.py"),
        promise(
            "4 callers, 8 rounds each of making an environment and of `uv venv --clear`",
            "0 inside twice",
            f"{END}born.py::test_nobody_is_inside_twice",
        ),
        promise("24 `policy once -- uv venv` at once", "24 exit 0, 1 creates it", f"{END}born.py::test_once"),
        promise(
            "a lone `policy run --close -- uv venv --clear`",
            "exit 0",
            f"{END}born.py::test_replacing_the_environment_loses_no_lock",
        ),
        promise(
            "two mount namespaces on one volume, `lock = […]`",
            "0 inside twice",
            f"{END}born.py::test_two_containers_on_one_volume",
        ),
        promise("interrupts at any moment, 300 and 20,000 of them", "0 held, 0 open", f"{END}interrupts.py"),
        promise("a cache file with any byte changed, cut or added", "never read", "test_cache.py::test_mutations"),
    ),
    "uv inside of a command": (
        promise(
            "34 ways to start uv in a command, on four releases",
            "none waits for its caller",
            f"{END}uv_inside.py::test_does_not_wait_for_its_caller",
        ),
        promise(
            "a third caller while uv works inside", "stays out", f"{END}uv_inside.py::test_a_third_party_stays_out"
        ),
        promise(
            "two `uv run` at once, and a writer",
            "side by side; it waits",
            f"{END}uv_inside.py::test_two_runs_side_by_side",
        ),
        promise("uv's lock files, predicted and seen by strace", "the same", f"{END}uv_traced.py"),
    ),
    "Readers, users, shims": (
        promise(
            "readers and writers, both orders, killed ones",
            "one writer or readers",
            f"{END}readers.py::test_readers_and_writers",
        ),
        promise("uv of three releases and pip, beside two readers", "wait for both", f"{END}readers.py::test_real_uv"),
        promise(
            "a writer behind readers without a gap",
            "inside within 10 s",
            f"{END}readers.py::test_writer_is_not_starved",
        ),
        promise("a reader that asks to write inside its own lock", "refused at once", f"{END}readers.py::test_nested"),
        promise("which processes run from an environment", "all, and no others", "locks/test_users.py"),
        promise("60 command lines through shims, two locales", "the same to the byte", f"{END}shims.py::test_same"),
        promise(
            "a shim in a shim, twice on PATH, no real program",
            "no loop; 127",
            *(f"{END}shims.py::test_{name}" for name in ("shim_in_a_shim", "twice_on_path", "no_real_tool")),
        ),
        promise(
            "five `pip install` at once through shims", "every RECORD in place", f"{END}shims_pip.py::test_five_at_once"
        ),
        promise(
            "a flock that excludes nobody, fails or hangs", "the doctor's code", "commands/test_doctor.py::test_fakes"
        ),
        promise("what the doctor leaves behind", "nothing", "commands/test_doctor.py::test_leaves_nothing"),
    ),
    "Several hosts, other events": (
        promise("holder and guard stopped for two leases", "0 overlaps", f"{CLUSTER}stopped_holder_and_guard"),
        promise("server restarts: fast, immediately, after `kill -9`", "0 overlaps", f"{CLUSTER}server_that_restarts"),
        promise("a synchronous standby is promoted", "0 overlaps", f"{CLUSTER}promotion_of_a_synchronous_standby"),
        promise(
            "two hosts with three each, beside three uv",
            "0 overlaps, no deadlock",
            f"{CLUSTER}two_hosts_beside_bare_uv",
        ),
        promise("readers of several hosts", "writers wait for all", f"{CLUSTER}readers_of_several_hosts"),
        promise(
            "wrong password, port, host, certificate, no extra",
            "125, one line, no secret",
            f"{CLUSTER}faults_are_one_line_without_a_secret",
        ),
        promise("8 waiters", "0 inversions", f"{SERVER}first_come_first_served"),
        promise("more waiters than connections", "an error for the last", f"{SERVER}as_many_waiters_as_connections"),
        promise(
            "a waiter killed, cancelled, timed out",
            "nothing left in the queue",
            f"{SERVER}giving_up_leaves_nothing_in_the_queue",
        ),
        promise(
            "PgBouncer: transaction and statement mode", "refused", f"{SERVER}pooler_that_shares_sessions_is_refused"
        ),
        promise("PgBouncer: session mode", "works", f"{SERVER}pooler_in_session_mode"),
        promise("one export over two mount points, bind mounts", "one key", "locks/test_cluster_key.py"),
    ),
    "Rules": (
        promise("random chains against brute force", "0 false, 0 missed", "checks/test_reach.py::test_brute_force"),
        promise(
            "2,000 random chains, 2,000 requests each",
            "0 false, 0 missed",
            "checks/test_reach.py::test_brute_force_for_long",
        ),
        promise(
            "the same: who is kept out, by caller",
            "a pair for each",
            "checks/test_reach.py::test_brute_force_by_caller_for_long",
        ),
        promise("random edits against brute force", "0 wrong, 0 missed", "checks/test_diff.py::test_brute_force"),
        promise(
            "2,000 random edits, 2,000 requests each",
            "0 wrong, 0 missed",
            "checks/test_diff.py::test_brute_force_for_long",
        ),
        promise(
            "schema and reader, 2,000 files", "agree", "config/test_schema.py::test_the_reader_and_the_schema_agree"
        ),
        promise(
            "schema and reader, 100,000 files",
            "agree",
            "config/test_schema.py::test_the_reader_and_the_schema_agree_for_long",
        ),
        promise("three evaluators, 10,000 requests", "one answer", "rules/test_decision.py::test_twins_decide_alike"),
    ),
    "The house": (
        promise("imports one way, no circle, typing included", "0 back", "test_rooms.py"),
        promise("a condition, a lock, a layer, … added to a copy", "appears everywhere", "test_recipes.py"),
        promise("codes, hints and exit codes", "each has an anchor", "test_manual.py"),
        promise("what commands print as JSON", "as its schema says", "test_outputs.py"),
        promise("commands and outputs on pages", "as printed", "test_pages.py"),
        promise("workflows, action, flake, recipes", "valid, complete", "test_packages.py"),
    ),
}


def run(marks: str) -> dict[Promise, Seen]:
    """Runs the tests of all promises, in one process.

    Args:
        marks: Which of them, as pytest's `-m` takes it; "" for all.

    Returns:
        What was seen of each promise, with nothing where no test of it was among them.

    Raises:
        RuntimeError: When they did not come to their end.
    """
    everything = [one for several in PROMISES.values() for one in several]
    names = sorted({f"tests/{test}" for one in everything for test in one.tests})
    with tempfile.TemporaryDirectory(prefix="lock-policy-promises-") as folder:
        report = Path(folder) / "report.xml"
        words = ["-q", "--tb=short", f"--junit-xml={report}", f"--basetemp={folder}/base", "-m", marks]
        ended = subprocess.run([sys.executable, "-m", "pytest", *words, *names], cwd=ROOT, check=False)
        if ended.returncode not in {0, 1, 5} or not report.exists():  # passed, failed, or none was selected
            raise RuntimeError(f"pytest ended with {ended.returncode} before all tests had run")
        count = Counter(outcomes(report))
    found = {}
    for one in everything:
        ends: Counter[str] = Counter()
        for (test, outcome), number in count.items():
            if belongs(test, one):
                ends[outcome] += number
        found[one] = Seen(**ends)
    return found


def belongs(test: str, one: Promise) -> bool:
    """Whether a test, as a node id, is one of a promise's."""
    function = test.partition("[")[0].removeprefix("tests/")
    return any(function == name or function.startswith(f"{name}::") for name in one.tests)


def outcomes(report: Path) -> Iterator[tuple[str, str]]:
    """Each test of a JUnit report, as a node id, with its end."""
    if not report.exists():
        return
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  (pytest has written it)
        test = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        ended = {child.tag for child in case}
        yield test, "failed" if ended & {"failure", "error"} else "skipped" if "skipped" in ended else "passed"
