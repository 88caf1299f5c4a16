"""Writes docs/reliability.md from a real run: `nox -s reliability`, `nox -s reliability -- --full` for all of it."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import importlib.metadata
import importlib.util
import io
import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))  # a script finds what lies beside it, and the tests do not

from attrs import evolve  # noqa: E402  (after the path)

from tests import exclusion_cases, hostile_cases, processes, real_uv, servers  # noqa: E402  (the path is set above)
from tests.exclusion import violations  # noqa: E402  (the path is set above)
from tests.outcomes import Case, Effort, NotHere  # noqa: E402  (the path is set above)
from tests.subjects import CONTESTANTS, FILELOCK, FLOCK, UV, Contestant, Stage  # noqa: E402  (the path is set above)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = REPOSITORY / "docs" / "reliability.md"
NOT_HERE = "not run here"
SOAK, FULL_SOAK = (1000, 112), (8000, 900)  # acquisitions, signals: those that the tests promise, and an eighth
FULL = {"times": 10, "acquisitions": 2000, "starts": 50, "seconds": 30, "races": 500}

GROUPS: dict[str, tuple[str, Mapping[str, Case]]] = {
    "Exclusion and waiting": ("", exclusion_cases.CASES),
    "In place of the lock file": (
        "In a directory like `/tmp`, planted by a different user from the lock's; the hard link by root.",
        hostile_cases.HOSTILE_FILES,
    ),
    "Where no lock is possible": (
        "Two of a kind, one after the other, while the first is inside.",
        hostile_cases.NO_LOCK,
    ),
    "One system interpreter, two names": (
        "Each with its name. `flock(1)` and filelock are given one fixed file by hand; uv locks another.",
        hostile_cases.TWO_NAMES,
    ),
}

INTRODUCTION = """\
What is said here was seen in one run of `{command}` on {date}: {machine}. Times depend on the machine, so there are
counts and ratios only. {sysctl}

Each contestant starts the same program while it holds the lock of an environment: uv by `uv pip install --dry-run` of
a source tree whose build runs it, `flock(1)` as `flock FILE PROGRAM`, filelock as `with FileLock(FILE):
subprocess.run(PROGRAM)`, lock-policy as `policy run -- PROGRAM`, or `policy.lock()` where one process takes the lock
again and again or forks. FILE is the file that uv locks, as far as its name can be known. *Excludes*: a second one
waited until the first had left, and then got in. *Nothing ran*: the program was not started. *Silent*: nothing about
a lock on stderr. k of n: so often out of so many times."""

HOSTS = """\
Locks on a PostgreSQL server of the tests' own, with a lease of 3 s. Hosts are network namespaces on a bridge, and a
cut is the port that leaves it. The witness is an independent `flock -n` inside of the command.

The tests of each run hold more: a holder and its guard stopped for two leases, a server that restarts fast, immediately
or after `kill -9`, a backend that is killed, a synchronous standby that is promoted: the next one never enters beside
the first. What is not safe: an asynchronous standby that is promoted while the old primary lives;
`pg_terminate_backend`, as deleting a lock file; a virtual machine that is paused, since nobody can stop what it does
when it wakes. [Several hosts](how-to/cluster.md) has the whole list."""

PROSE = """\
## What is guaranteed

On one host, on a local file system, among all who go through lock-policy, and uv as far as the plan names uv's own
files (`policy explain` shows the plan):

- **One at a time.** Every plan begins with the gate, a file in `/tmp` whose name depends on nothing but which
  environment it is: no rule, user, variable, working directory, spelling, link or bind mount changes it. Rules decide
  what is held besides, and so who else is kept out; `policy explain` says who is and who is not.
- **The lock lasts as long as the command.** `policy run` becomes the command, which inherits the locked descriptor,
  so no wrapper is left whose death could free it; with `--close` a parent stays and releases after it has reaped the
  command.
- **A dead holder holds nothing.** The kernel releases a flock when the last descriptor is closed; a forked child of
  `policy.lock()` closes its copy at once.
- **Waiting is served.** A waiter queues in the kernel with a blocking flock, in a thread or a child that can be given
  up, and does not poll.
- **A wait that is over says why.** The holder is read from `/proc/locks` by device and inode: pid, user, command,
  since when.
- **No lock, no work.** Any error on the way to the lock ends in exit 125 (`LockUnavailable`), and nothing falls back
  to another kind of lock; only a rule with `required = false` goes on, and says so.
- **Nobody's file is touched.** The path is looked at, opened without following links and without `O_CREAT`, judged
  again through the descriptor, and never written to, truncated or chmod'ed.
- **No half-made file.** A new lock file gets its mode while it has no name, and is then linked into place without
  replacing.
- **A lost lock is reported.** The file at the path is compared with the locked file after locking (a waiter retries on
  the new file) and at release (`LockLost`, exit 125 with `--close`).

## What is not

- **Holding forever.** A directory that several users share cannot stop one of them from holding a lock. What is left
  is a timeout, and a name.
- **NFS mounted with `nolock` or `local_lock`.** There flock succeeds on every host at once; a lock is then one of
  this host.
- **What an ancestor holds.** A `policy run` inside another one joins the lock of its ancestor instead of waiting for
  itself; two that an outer one starts side by side exclude each other by a lock one level deeper.
- **A daemon keeps the lock.** What a command leaves behind has inherited the descriptor, as with `flock(1)`;
  `--close` prevents it, and then the parent that stays is a wrapper that can be killed.
- **`policy run` cannot tell of a file that was lost while its command ran**, since by then it is the command;
  `--close` and `policy.lock()` can.
- **A uv that a command starts by itself** does not wait for its own caller: since 0.9.16 it gets `UV_LOCK_TIMEOUT=0`,
  and to an older one `.lock` is left, so that a plain uv may come in between ([uv](uv.md)).
- **`pip` alone takes no lock**; `policy run -- pip …` does.
- **uv's own timeout.** uv since 0.9.16 continues without its lock when `UV_LOCK_TIMEOUT` (300 s by default) is over.
  `policy run -- uv …` sets it to 136 years where uv waits for a file of its own; one that you set stays, and a uv
  that is started without `policy run` goes on after its 300 s, regardless of who holds the file.
- **`uv venv` over an environment deletes a held `.lock`.** Callers of lock-policy meet at the gate all the same; a
  plain uv that comes meanwhile locks a new file.
"""


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="as much as the soak promises; a quarter of an hour")
    parser.add_argument("--acquisitions", type=int, help="of the soak")
    parser.add_argument("--signals", type=int, help="of the soak")
    parser.add_argument("--times", type=int, help="how often what happens once is repeated")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page")
    return parser.parse_args()


def cell(case: Case, contestant: Contestant, effort: Effort) -> str:
    """Lets a contestant run on a stage of its own."""
    if contestant is FLOCK and not shutil.which("flock"):
        return NOT_HERE
    with Stage() as stage:
        try:
            seen = case(contestant, stage, effort)
        except NotHere:
            seen = NOT_HERE
    say(f"  {contestant.name}: {seen}")
    return seen


def tables(effort: Effort) -> list[str]:
    """A table for each group of cases."""
    parts = []
    heads = [f"{one.name} {_release(one)}".strip() for one in CONTESTANTS]
    for title, (note, cases) in GROUPS.items():
        rows = []
        for name, case in cases.items():
            say(name)
            rows.append([name, *(cell(case, contestant, effort) for contestant in CONTESTANTS)])
        parts += [f"## {title}", *([note] if note else []), table(["", *heads], rows)]
    return parts


def control(effort: Effort) -> str:
    """The same count of overlaps, and nobody locks."""
    with Stage() as stage:
        seen = exclusion_cases.nothing_locked(stage, effort)
    return textwrap.fill(
        f"The first row counts over {effort.processes} processes, each with a spelling of its own; where nobody locks, "
        f"the same check counts {seen}. The others that a waiter was behind are counted from the start of its process. "
        f"The share is that of {effort.seconds:g} s, in which each holds the lock for 0.1 s, uv for a build that does.",
        118,
    )


def _release(contestant: Contestant) -> str:
    if contestant is UV:
        return subprocess.run(
            [real_uv.installed(), "--version"], check=True, capture_output=True, text=True
        ).stdout.split()[1]
    if contestant is FILELOCK:
        return importlib.metadata.version("filelock")
    return ""


def soak(acquisitions: int, signals: int) -> tuple[str, str]:
    """The soak of the tests, by the tests' own code."""
    os.environ.update(LOCK_POLICY_SOAK_ACQUISITIONS=str(acquisitions), LOCK_POLICY_SOAK_SIGNALS=str(signals))
    from tests.end_to_end import test_soak  # reads the variables

    say("soak")
    told = io.StringIO()
    with tempfile.TemporaryDirectory() as directory:
        with contextlib.redirect_stdout(told):
            test_soak.test_soak(Path(directory))
        overlaps = len(violations((Path(directory) / "log").read_text(encoding="ascii").splitlines()))
    done, sent, hits = re.findall(r"\d+", told.getvalue())
    return (
        f"soak: {test_soak.PROCESSES} processes of {len(test_soak.WAYS)} threads, killed at random and started again",
        f"{int(done):,} acquisitions, {sent} `kill -9`, {hits} of which hit who was inside; {overlaps} overlaps",
    )


def readers() -> tuple[str, str]:
    """Readers and writers that are killed, by the tests' own code."""
    from tests.end_to_end import test_readers_killed

    say("readers")
    told = io.StringIO()
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(told):
        test_readers_killed.test_thousand(Path(directory))
    reading, writing, _, kills, hits, overlaps = re.findall(r"\d+", told.getvalue())
    return (
        "readers and writers, through `lock()` and `run`, under rules that share only the gate",
        f"inside {reading} times to read, {writing} to write; {kills} `kill -9`, {hits} inside; {overlaps} overlaps",
    )


def faults(*, full: bool) -> tuple[str, str]:
    """Failures injected into the system calls of the lock path, by the tests' own code."""
    from tests.end_to_end import test_faults

    what = "failures injected into the system calls of the lock path"
    if not shutil.which("strace"):
        return what, NOT_HERE
    say("faults")
    answers: list[dict[str, Any]] = []

    def recorded(path: str, **how: Any) -> dict[str, Any]:
        answer = processes.probe(path, **how)
        if "wrapper" in how:
            answers.append(answer)
        return answer

    injected = broken = 0
    with patch.object(test_faults, "probe", recorded):
        for case, there in itertools.product(test_faults.cases(), ("missing", "there")):
            if case.marks and not full:
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
    return what, (
        f"{len(answers)} runs with {injected:,} failures: {count['held']} held the lock nevertheless, "
        f"{count['LockUnavailable']} refused, {count['lost']} said at release that it was lost; "
        f"failed open: {count['not locked']}{others}"
    )


def few_descriptors(*, full: bool) -> tuple[str, str]:
    """Descriptors that run out, by the tests' own code."""
    from tests.end_to_end import test_faults

    say("descriptors")
    limits = range(3, 41) if full else range(3, 41, 4)
    broken = 0
    for limit in limits:
        with tempfile.TemporaryDirectory() as directory:
            broken += not holds(test_faults.test_few_descriptors, directory, limit)
    return (
        f"{limits[0]} to {limits[-1]} descriptors, the lock free and held",
        f"{len(limits)} limits: held, waited for, or refused with EMFILE at {len(limits) - broken}; other: {broken}",
    )


def state_machine(*, full: bool) -> tuple[str, str]:
    """The state machine of the tests, with a counter."""
    from hypothesis import settings
    from hypothesis.stateful import invariant, run_state_machine_as_test

    from tests.end_to_end import test_state_machine as machine

    say("state machine")
    count: Counter[str] = Counter()

    class Counted(machine.Environment):
        def __init__(self) -> None:
            super().__init__()
            count["histories"] += 1

        @invariant()
        def one_more(self) -> None:
            count["states"] += 1

    bounds = machine.bounded if full else settings(machine.bounded, max_examples=10)

    def run() -> None:
        run_state_machine_as_test(Counted, settings=bounds)

    broken = "**a promise**" if not holds(run) else "no promise"
    return (
        f"state machine: whatever can happen to {machine.WORKERS} processes and to the file, in any order",
        f"{count['histories']} histories, {count['states']:,} states: {broken} broken",
    )


def hosts(*, full: bool) -> list[tuple[str, str]]:
    """Locks on a PostgreSQL server, by the tests' own code: killed holders, and hosts that are cut off."""
    from tests.end_to_end import test_cluster

    kills, cuts = (400, 20) if full else (40, 5)
    found = []
    with servers.cluster() as server:
        servers.wait_until(server.is_old, "the server stays young")
        for what, options in (("", ()), (" which did not inherit the socket (`--close`)", ("--close",))):
            say(f"killed holders{what}")
            with tempfile.TemporaryDirectory() as directory:
                team = test_cluster.Team(server, Path(directory))
                try:
                    killed, overlaps = test_cluster.kill_holders(team, kills, options)
                finally:
                    team.end()
            found.append(
                (f"`policy run` killed while its command{what} runs", f"{killed} kills; {overlaps} overlaps seen")
            )
    for what, test in (
        (
            "holder cut off: its command is stopped before the next host enters",
            test_cluster.test_holder_that_is_cut_off,
        ),
        ("holder cut off for half of the lease: its command goes on", test_cluster.test_short_cut),
    ):
        say(what)
        with tempfile.TemporaryDirectory() as directory:
            good = holds(test, Path(directory), cuts)
        found.append((what, f"{cuts} of {cuts}" if good else f"**not each of {cuts} times**"))
    return found


def holds(test: Any, *arguments: Any) -> bool:
    """Whether a test passes."""
    try:
        test(*arguments)
    except AssertionError as error:
        say(f"  {test.__name__}{arguments[1:]}: {error}")
        return False
    return True


def machine() -> str:
    """The machine's class, without a name or a path."""
    release = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {release}, "
        f"{platform.python_implementation()} {platform.python_version()}{', as root' if os.geteuid() == 0 else ''}"
    )


def sysctl() -> str:
    """What the kernel keeps from hostile files by itself."""
    said = []
    for name in ("symlinks", "hardlinks", "fifos", "regular"):
        try:
            said.append(
                f"`fs.protected_{name}` = {Path(f'/proc/sys/fs/protected_{name}').read_text(encoding='ascii').strip()}"
            )
        except OSError:
            continue
    return f"The kernel's own protection: {', '.join(said)}." if said else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))


def say(line: str) -> None:
    """Progress, for who waits."""
    sys.stderr.write(line + "\n")


def main() -> None:
    """Runs all, and writes the page only when all has run."""
    wanted = options()
    effort = evolve(Effort(), **(FULL if wanted.full else {}))
    effort = evolve(effort, times=wanted.times or effort.times)
    acquisitions, signals = FULL_SOAK if wanted.full else SOAK
    parts = tables(effort)
    parts.insert(2, control(effort))
    suites = [
        soak(wanted.acquisitions or acquisitions, wanted.signals or signals),
        readers(),
        faults(full=wanted.full),
        few_descriptors(full=wanted.full),
        state_machine(full=wanted.full),
    ]
    able = os.geteuid() == 0 and servers.binaries() and importlib.util.find_spec("psycopg")
    several = hosts(full=wanted.full) if able else []
    intro = INTRODUCTION.format(
        command=f"python docs/reliability.py{' --full' if wanted.full else ''}",
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        machine=machine(),
        sysctl=sysctl(),
    )
    parts = [
        "# Reliability",
        "<!-- written by `python docs/reliability.py`; what is changed by hand is lost -->",
        *(textwrap.fill(paragraph, 118, break_on_hyphens=False) for paragraph in intro.split("\n\n")),
        *parts,
        "## The suites",
        "By the code of the tests themselves, at the size of this run.",
        table(("suite", "seen"), suites),
        "## Several hosts",
        HOSTS,
        *([table(("event", "seen"), several)] if several else [f"{NOT_HERE}: it needs root, PostgreSQL and psycopg"]),
        PROSE,
    ]
    wanted.output.write_text("\n\n".join(parts), encoding="utf-8")
    say(f"{wanted.output.name} written")


if __name__ == "__main__":
    main()
