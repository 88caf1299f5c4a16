"""The longer suites of docs/reliability.md by the code of the tests themselves, with figures and targets."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from attrs import frozen

if sys.platform != "linux":
    raise ImportError("asks /proc/locks, strace and network namespaces")

from benchmarks.report import Row
from tests import processes, servers
from tests.exclusion import violations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

if sys.platform != "linux":
    raise ImportError("these suites use namespaces, strace and /proc")

_BEGIN = time.monotonic()


@frozen
class Size:
    """How much is done.

    Args:
        name: As an option.
        effort: What the cases of the first tables repeat, more than the least.
        soak: Acquisitions and kills, of one lock by threads.
        plans: The same, under other rules, layers, spellings and users.
        readers: The same, of readers and writers.
        kills: Of holders of a lock on a server.
        cuts: Of hosts from the server.
        thorough: Whether every failure and every limit is tried.
        marks: Which tests of the promises run, as pytest's `-m` takes it.
    """

    name: str
    effort: Mapping[str, Any]
    soak: tuple[int, int]
    plans: tuple[int, int]
    readers: tuple[int, int]
    kills: int
    cuts: int
    thorough: bool
    marks: str


SIZES = {
    size.name: size
    for size in (
        Size(
            "quick",
            {},
            (1_000, 112),
            (300, 20),
            (60, 6),
            12,
            1,
            thorough=False,
            marks="not slow and not soak and not browser and not tools",
        ),
        Size(
            "medium",
            {"times": 4, "acquisitions": 500, "starts": 20, "seconds": 10, "races": 100},
            *((2_000, 200), (1_500, 75), (300, 30), 40, 3),
            thorough=False,
            marks="not soak and not browser and not tools",
        ),
        Size(
            "full",
            {"times": 10, "acquisitions": 2_000, "starts": 50, "seconds": 30, "races": 500},
            *((8_000, 900), (20_000, 900), (1_000, 100), 400, 20),
            thorough=True,
            marks="not browser and not tools",
        ),
    )
}


def one_host(size: Size) -> list[Row]:
    """The suites about locks on one host."""
    steps: list[tuple[str, Callable[[Size], Row]]] = [
        ("soak", soak),
        ("soak of plans", plans),
        ("readers and writers", readers),
        ("failures injected into the system calls of the lock path", faults),
        ("3 to 40 descriptors, the lock free and held", few_descriptors),
        ("state machine", state_machine),
    ]
    return [tried(name, partial(step, size)) for name, step in steps]


def tried(name: str, step: Callable[[], Row]) -> Row:
    """A row, or one that says why there is none: what has failed must not take the page with it."""
    say(name)
    try:
        return step()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is shown)
        return Row(name, "", f"failed: {' '.join(str(error).split())[:200] or type(error).__name__}", met=False)


def soak(size: Size) -> Row:
    """Processes of several threads that are killed at random and started again."""
    acquisitions, kills = size.soak
    os.environ.update(LOCK_POLICY_SOAK_ACQUISITIONS=str(acquisitions), LOCK_POLICY_SOAK_SIGNALS=str(kills))
    from tests.end_to_end import test_soak  # reads the variables

    with tempfile.TemporaryDirectory() as directory:
        done, sent, hits = figures(test_soak.test_soak, Path(directory))
        overlaps = len(violations((Path(directory) / "log").read_text(encoding="ascii").splitlines()))
    return Row(
        f"soak: {test_soak.PROCESSES} processes of {len(test_soak.WAYS)} threads, killed at random and started again",
        f"0 overlaps of ≥ {acquisitions:,}, ≥ {kills // 15} of {kills} kills hit who is inside",
        f"{done:,} acquisitions, {sent} `kill -9`, {hits} of which hit who was inside; {overlaps} overlaps",
        overlaps == 0 and done >= acquisitions and sent >= kills and hits >= kills // 15,
    )


def plans(size: Size) -> Row:
    """The same with callers of other rules, layers, spellings and users."""
    from tests.end_to_end import test_soak

    acquisitions, kills = size.plans
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)  # noqa: S103  (other users work in it)
        done, by_run, sent, hits = figures(test_soak.test_plans, Path(directory), acquisitions, kills, 5, 3)
    return Row(
        "soak: callers under other rules, layers, spellings and users, killed at random",
        f"0 overlaps of ≥ {acquisitions:,}, ≥ {kills // 15} of {kills} kills hit who is inside",
        f"{done:,} acquisitions, {by_run:,} by `policy run`; {sent} `kill -9`, {hits} hit who was inside; 0 overlaps",
        done >= acquisitions and sent >= kills and hits >= kills // 15,  # an overlap would have failed it
    )


def readers(size: Size) -> Row:
    """Readers and writers that are killed."""
    from tests.end_to_end import test_readers_killed

    entries, kills = size.readers
    with tempfile.TemporaryDirectory() as directory, patch.multiple(test_readers_killed, ENTRIES=entries, KILLS=kills):
        reading, writing, _, sent, hits, overlaps = figures(test_readers_killed.test_thousand, Path(directory))
    return Row(
        "readers and writers, through `lock()` and `run`, under rules that share only the gate",
        f"0 overlaps of ≥ {entries:,} entries",
        f"{reading} times to read, {writing} to write; {sent} `kill -9`, {hits} inside; {overlaps} overlaps",
        overlaps == 0 and reading + writing >= entries,
    )


def figures(test: Callable[..., object], *arguments: Any) -> list[int]:
    """The numbers that a test prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        test(*arguments)
    return [int(number) for number in re.findall(r"\d+", said.getvalue())]


def faults(size: Size) -> Row:
    """Failures injected into the system calls of the lock path."""
    from tests.end_to_end import test_faults

    what, target = "failures injected into the system calls of the lock path", "0 failed open"
    if not shutil.which("strace"):
        return Row(what, target, "not run here: it needs strace")
    answers: list[dict[str, Any]] = []

    def recorded(path: str, **how: Any) -> dict[str, Any]:
        answer = processes.probe(path, **how)
        if "wrapper" in how:
            answers.append(answer)
        return answer

    injected = broken = 0
    with patch.object(test_faults, "probe", recorded):
        for case, there in itertools.product(test_faults.cases(), ("missing", "there")):
            if case.marks and not size.thorough:
                continue
            with tempfile.TemporaryDirectory() as directory:
                folder = Path(directory) / "locks"
                folder.mkdir(mode=0o700)
                broken += not holds(test_faults.test_system_call_fails, str(folder), *case.values, there)
                hits = (Path(directory) / "strace").read_text(encoding="utf-8").count("(INJECTED)")
            injected += hits
            if not hits:
                answers.pop()  # it makes fewer such calls
    count = Counter(answer["outcome"] for answer in answers)
    others = f", {broken} broke another promise of the test" if broken else ""
    return Row(
        what,
        target,
        f"{len(answers)} runs with {injected:,} failures: {count['held']} held the lock nevertheless, "
        f"{count['LockUnavailable']} refused, {count['lost']} said at release that it was lost; "
        f"failed open: {count['not locked']}{others}",
        bool(answers) and not broken and not count["not locked"],
    )


def few_descriptors(size: Size) -> Row:
    """Descriptors that run out."""
    from tests.end_to_end import test_faults

    limits = range(3, 41) if size.thorough else range(3, 41, 4)
    broken = 0
    for limit in limits:
        with tempfile.TemporaryDirectory() as directory:
            broken += not holds(test_faults.test_few_descriptors, directory, limit)
    return Row(
        f"{limits[0]} to {limits[-1]} descriptors, the lock free and held",
        "held, waited for, or refused with EMFILE",
        f"{len(limits) - broken} of {len(limits)} limits",
        not broken,
    )


def state_machine(size: Size) -> Row:
    """The state machine of the tests, with a counter."""
    from hypothesis import settings
    from hypothesis.stateful import invariant, run_state_machine_as_test

    from tests.end_to_end import test_state_machine as machine

    count: Counter[str] = Counter()

    class Counted(machine.Environment):
        def __init__(self) -> None:
            super().__init__()
            count["histories"] += 1

        @invariant()
        def one_more(self) -> None:
            count["states"] += 1

    examples = machine.bounded.max_examples if size.thorough else 10
    bounds = settings(machine.bounded, max_examples=examples, deadline=None)
    good = holds(lambda: run_state_machine_as_test(Counted, settings=bounds))
    return Row(
        f"randomised event sequences for {machine.WORKERS} processes and the file",
        "no invariant violated",
        f"{count['histories']} sequences, {count['states']:,} states: {'none' if good else '**one**'} violated",
        good,
    )


def hosts(size: Size) -> list[Row]:
    """Locks on a PostgreSQL server: killed holders, and hosts that are cut off."""
    from tests.end_to_end import test_cluster

    good = f"≥ {size.kills} kills, 0 overlaps"
    rows = []
    for how, target, options, encrypted in (
        ("", good, (), False),
        (" under TLS (verify-full)", good, (), True),
        (" without the socket (`--close`)", "the witness sees overlaps", ("--close",), False),
    ):
        kills = size.kills if not options else max(size.kills // 10, 6)

        def killed(how: str = how, target: str = target, options: tuple[str, ...] = options) -> Row:
            with server(encrypted) as (team, _):  # noqa: B023  (called at once)
                done, overlaps = test_cluster.kill_holders(team, kills, options)  # noqa: B023  (the same)
            fine = overlaps > 0 if options else done >= kills and overlaps == 0  # noqa: B023  (the same)
            return Row(f"the holding `policy run` is killed{how}", target, f"{done} kills, {overlaps} overlaps", fine)

        rows.append(tried(f"killed holders{how}", killed))
    for what, test in (
        ("a host is cut off: its command is stopped before the next enters", test_cluster.test_holder_that_is_cut_off),
        ("a host is cut off for half of the lease: its command goes on", test_cluster.test_short_cut),
    ):
        say(what)
        with tempfile.TemporaryDirectory() as directory:
            fine = holds(test, Path(directory), size.cuts)
        seen = f"{size.cuts} of {size.cuts}" if fine else f"**not each of {size.cuts} times**"
        rows.append(Row(what, f"{size.cuts} of {size.cuts}", seen, fine))
    return rows


@contextlib.contextmanager
def server(encrypted: bool) -> Iterator[tuple[Any, Any]]:
    """A server of the tests' own, and those who work under its locks."""
    from tests.end_to_end import test_cluster

    with contextlib.ExitStack() as stack:
        certificates = stack.enter_context(servers.certificates()) if encrypted else None
        made = stack.enter_context(
            servers.cluster(settings=certificates.settings) if certificates else servers.cluster()
        )
        servers.wait_until(made.is_old, "the server stays young")
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        team = test_cluster.Team(made, Path(directory), certificates)
        stack.callback(team.end)
        yield team, made


def holds(test: Callable[..., object], *arguments: Any) -> bool:
    """Whether a test passes; what else goes wrong in it is no pass either."""
    try:
        test(*arguments)
    except Exception as error:  # noqa: BLE001  (shown, and counted as a failure)
        say(f"  {getattr(test, '__name__', 'it')}{arguments[1:]}: {error!r}")
        return False
    return True


def say(line: str) -> None:
    """Progress, for who waits."""
    sys.stderr.write(f"# {time.monotonic() - _BEGIN:4.0f} s: {line}\n")
    sys.stderr.flush()
