"""Writes docs/reliability.md from a real run: `nox -s reliability`, `nox -s reliability -- --full` for all of it."""

# ruff: noqa: E402  (what stands above this folder is put on the path first)

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))  # a script finds what lies beside it, and the tests do not

from attrs import evolve

from benchmarks import board
from benchmarks.plot import Plot
from benchmarks.report import Family, Row, markdown
from tests import exclusion_cases, hostile_cases, promises, real_uv, servers, suites
from tests.outcomes import Case, Effort, NotHere
from tests.subjects import FILELOCK, FLOCK, SUBJECTS, UV, Stage, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = REPOSITORY / "docs" / "reliability.md"
NOT_HERE = "not run here"

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
What is said here was seen in one run of `{command}` on {date}, in {minutes}: {machine}. Times depend
on the machine, so there are counts and ratios only. {sysctl}

Each subject starts the same program while it holds the lock of an environment: uv by `uv pip install --dry-run` of
a source tree whose build runs it, `flock(1)` as `flock FILE PROGRAM`, filelock as `with FileLock(FILE):
subprocess.run(PROGRAM)`, lock-policy as `policy run -- PROGRAM`, or `policy.lock()` where one process takes the lock
again and again or forks. FILE is the file that uv locks, as far as its name can be known. *Excludes*: a second one
waited until the first had left, and then got in. *Nothing ran*: the program was not started. *Silent*: nothing about
a lock on stderr. k of n: so often out of so many times."""

HOSTS = """\
Locks on a PostgreSQL server of the tests' own, with a lease of 3 s. Hosts are network namespaces on a bridge, and a
cut is the port that leaves it. The witness is an independent `flock -n` inside of the command.

The tests of each run hold more: a holder and its guard stopped for two leases, a server that restarts fast,
immediately or after `kill -9`, a backend that is killed, a synchronous standby that is promoted while the old primary
lives, a waiter that is cut off before or when it is served: the next one never enters beside the first, and is
served. What is not safe: an asynchronous standby that is promoted while the old primary lives;
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
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--medium", action="store_const", dest="size", const="medium", help="a quarter of an hour")
    sizes.add_argument("--full", action="store_const", dest="size", const="full", help="all that is promised; an hour")
    parser.set_defaults(size="quick")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page; the board and its data go beside it")
    return parser.parse_args()


def cell(case: Case, subject: Subject, effort: Effort) -> str:
    """Lets a subject run on a stage of its own."""
    if subject is FLOCK and not shutil.which("flock"):
        return NOT_HERE
    with Stage() as stage:
        try:
            seen = case(subject, stage, effort)
        except NotHere:
            seen = NOT_HERE
        except Exception as error:  # noqa: BLE001  (whatever it is, it is shown, and the page has its other cells)
            seen = f"failed: {type(error).__name__}"
            suites.say(f"  {error!r}")
    suites.say(f"  {subject.name}: {seen}")
    return seen


def tables(effort: Effort) -> list[str]:
    """A table for each group of cases."""
    parts = []
    heads = [f"{one.name} {_release(one)}".strip() for one in SUBJECTS]
    for title, (note, cases) in GROUPS.items():
        rows = []
        for name, case in cases.items():
            suites.say(name)
            rows.append([name, *(cell(case, subject, effort) for subject in SUBJECTS)])
        parts += [f"## {title}", *([note] if note else []), markdown(["", *heads], rows, right=False)]
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


def _release(subject: Subject) -> str:
    if subject is UV:
        return subprocess.run(
            [real_uv.installed(), "--version"], check=True, capture_output=True, text=True
        ).stdout.split()[1]
    if subject is FILELOCK:
        return importlib.metadata.version("filelock")
    return ""


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


def promised(marks: str) -> tuple[list[Family], list[str]]:
    """What tests decide, a family for each subject; and what is too much for this size of a run."""
    try:
        seen = promises.run(marks)
    except RuntimeError as error:
        return [Family("Tests", [Row("the tests of the promises", "all end", str(error), met=False)])], []
    families, absent = [], []
    for title, several in promises.PROMISES.items():
        family = Family(title)
        for one in several:
            found = seen[one]
            if found.total:
                family.rows.append(Row(one.what, one.target, str(found), found.passed == found.total))
            else:
                absent.append(f"{one.what}: only at a larger size")
        families.append(family)
    return [family for family in families if family.rows], absent


def share(parts: Sequence[str]) -> list[Plot]:
    """A plot of what lock-policy and its peers get beside three real uv, read from the table."""
    row = re.search(r"^\| three beside three real uv.*$", "\n".join(parts), re.MULTILINE)
    found = re.findall(r"\((\d+) %\)", row[0]) if row else []
    if len(found) != len(SUBJECTS):
        return []
    values = {one.name: float(number) for one, number in zip(SUBJECTS, found, strict=True)}
    title = "Beside three real uv: three others' share of the lock"
    return [Plot("share", title, "% of acquisitions", values, ours=["lock-policy"], better="50 is fair")]


def overlapping(rows: Sequence[Row]) -> list[Plot]:
    """A plot of what happens when holders are killed, with the socket in the command and without."""
    values = {}
    for row in rows:
        if found := re.fullmatch(r"(\d+) kills, (\d+) overlaps", row.measured):
            values[row.what] = 100 * int(found[2]) / int(found[1])
    ours = [what for what in values if "without" not in what]
    title = "Two at once after a holder was killed"
    return [Plot("overlaps", title, "overlaps for 100 kills", values, ours=ours)] if values else []


def judged(rows: Sequence[Row]) -> str:
    """A table of what was promised and what was seen."""
    return markdown(("event", "promised", "seen", "met"), [(*cells(row), row.verdict) for row in rows], right=False)


def cells(row: Row) -> tuple[str, str, str]:
    """Promise and outcome."""
    return row.what, row.target, row.measured


def main() -> None:
    """Runs all, and writes the pages when all has run."""
    wanted = options()
    size = suites.SIZES[wanted.size]
    begin, machine = time.monotonic(), board.machine()
    effort = evolve(Effort(), **size.effort)
    parts = tables(effort)
    parts.insert(2, control(effort))
    one_host = Family("One host", suites.one_host(size), plots=share(parts))
    able = os.geteuid() == 0 and servers.binaries() and importlib.util.find_spec("psycopg")
    several = Family("Several hosts", suites.hosts(size) if able else [])
    several.plots = overlapping(several.rows)
    others, absent = promised(size.marks)
    if not able:
        absent.append("locks on a server: they need root, PostgreSQL and psycopg")
    families = [family for family in (one_host, several, *others) if family.rows]
    run = board.Run("reliability", families, absent, time.monotonic() - begin, size.name, machine=machine)
    board.write(run, str(wanted.output.parent))
    wanted.output.write_text(page(run, parts, one_host, several, others), encoding="utf-8")
    suites.say(f"{wanted.output.name} and the board written in {run.minutes}")


def page(run: board.Run, parts: list[str], one_host: Family, several: Family, others: list[Family]) -> str:
    """docs/reliability.md."""
    option = "" if run.size == "quick" else f" --{run.size}"
    root = ", as root" if run.machine["root"] else ""
    intro = INTRODUCTION.format(
        command=f"python docs/reliability.py{option}",
        date=run.date,
        minutes=run.minutes,
        machine=run.described + root,
        sysctl=sysctl(),
    )
    return "\n\n".join(
        [
            "# Reliability",
            "<!-- written by `python docs/reliability.py`; what is changed by hand is lost -->",
            *(textwrap.fill(paragraph, 118, break_on_hyphens=False) for paragraph in intro.split("\n\n")),
            *parts,
            "## The suites",
            "By the code of the tests themselves, at the size of this run.",
            judged(one_host.rows),
            "## Several hosts",
            HOSTS,
            judged(several.rows) if several.rows else f"{NOT_HERE}: it needs root, PostgreSQL and psycopg",
            "## What tests decide",
            "Each case of the tests that show it, in the same run.",
            *(text for family in others for text in (f"### {family.title}", judged(family.rows))),
            PROSE,
        ]
    )


if __name__ == "__main__":
    main()
