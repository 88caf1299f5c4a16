from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from policy.__main__ import main
from policy.commands import locks
from policy.commands.run import ENVIRONMENT
from policy.locks import holders, proc
from policy.uv import names
from tests import factories, processes, real_uv, requirements
from tests.running import PYTHON, Place, ended, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock", allow_module_level=True)

KEYS = {"kind", "path", "state", "environment", "holders", "waiters"}
HOLDER_KEYS = {"pid", "user", "command", "since", "host", "shared"}


class Host:
    """A machine of its own: its directories for locks are a test's, and so are its environments.

    Args:
        directory: Where it is made.
        monkeypatch: Hides the real machine's directories.
        capsys: Catches what is printed.
    """

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.place = Place(directory)
        self.directory = directory / "locks"
        self.directory.mkdir()
        self.capsys = capsys
        for name, value in {**self.place.environ, "TMPDIR": str(self.directory)}.items():
            monkeypatch.setenv(name, value)
        for name in ("VIRTUAL_ENV", "UV_PYTHON", "CONDA_PREFIX"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(directory)
        monkeypatch.setattr(locks, "default_directory", lambda _: str(self.directory))

    def file(self, name: str = "lock-policy-0123456789abcdef.lock") -> str:
        """A lock file as it is left behind when it is released."""
        path = str(self.directory / name)
        processes.end(processes.holder(path))
        return path

    def text(self, *words: str) -> str:
        """What is printed."""
        assert main(["locks", *words]) == 0
        return self.capsys.readouterr().out

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """What is printed as JSON about files of this host."""
        record = json.loads(self.text("--output-format", "json", *words))
        assert record.keys() == {"version", "complete", "locks"}
        assert record["version"] == 1
        return [row for row in record["locks"] if row["path"].startswith(str(self.place.directory))]

    def states(self, *words: str) -> dict[str, str]:
        """The state of each file of this host."""
        return {row["path"]: row["state"] for row in self.rows(*words)}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Host:
    """A machine."""
    return Host(tmp_path, monkeypatch, capsys)


@pytest.fixture
def running(host: Host) -> Iterator[subprocess.Popen[str]]:
    """A command that runs under the lock of the environment."""
    process = host.place.start(host.place.words("sleep", "60"))
    try:
        wait_until(lambda: os.path.exists(host.place.lock) and not host.place.is_free(), "the lock is not held")
        yield process
    finally:
        ended(process)


def need_proc() -> None:
    """Skips where the kernel does not say who holds what."""
    requirements.need(proc.has_locks(), "needs /proc/locks")


def test_nothing_is_locked(host: Host) -> None:
    """Where nobody holds a lock of these directories nothing of them is listed."""
    host.file()
    assert host.rows() == []


def test_held_local_lock(host: Host, running: subprocess.Popen[str]) -> None:
    """A lock inside an environment is listed wherever it lies: the environment, the process, its user, since when."""
    need_proc()
    (row,) = host.rows()
    assert row.keys() == KEYS
    assert (row["path"], row["state"], row["environment"]) == (host.place.lock, "locked", str(host.place.root))
    (holder,) = row["holders"]
    assert holder.keys() == HOLDER_KEYS
    assert (holder["pid"], holder["command"]) == (running.pid, "sleep 60")
    assert abs(holder["since"] - time.time()) < factories.TIMEOUT


def test_held_global_lock(host: Host) -> None:
    """The environment behind a global lock is found by its digest, from what the holder says it works on."""
    need_proc()
    factories.written(host.place.directory / "rules.toml", '[[rules]]\nlock = "global"\n')
    options = ("--config-file", "rules.toml", "--global-dir", host.directory)
    process = host.place.start(host.place.words("sleep", "60", options=options))
    try:
        digest = names.digest(os.path.realpath(host.place.root))
        path = str(host.directory / f"lock-policy-{digest}.lock")
        # A process has no arguments for an instant of its exec.
        wait_until(lambda: [row["environment"] for row in host.rows()] == [str(host.place.root)], "it is not listed")
        (row,) = host.rows("--all")
        assert (row["path"], row["state"], row["holders"][0]["pid"]) == (path, "locked", process.pid)
    finally:
        ended(process)


def test_a_claim_without_the_digest_is_not_believed(host: Host) -> None:
    """A holder that names another environment than the file's digest does not make it that environment's lock."""
    need_proc()
    path = str(host.directory / "lock-policy-0123456789abcdef.lock")
    process = subprocess.Popen(
        processes.command(processes.HOLDER, path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**processes.environment(), ENVIRONMENT: str(host.place.root)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        (row,) = host.rows()
        assert (row["path"], row["state"], row["environment"]) == (path, "locked", None)
    finally:
        processes.end(process)


def test_all(host: Host, running: subprocess.Popen[str]) -> None:
    """--all lists what is free, too, uv's files among it; other files are nobody's business."""
    need_proc()
    ours, of_uv = host.file(), host.file("uv-0123456789abcdef.lock")
    (host.directory / "other.lock").touch()
    assert running.poll() is None
    assert host.states("--all") == {host.place.lock: "locked", ours: "free", of_uv: "free"}
    assert host.states() == {host.place.lock: "locked"}


def test_one_environment(host: Host, running: subprocess.Popen[str]) -> None:
    """With ENV only its own locks are listed, free ones too, however it is named."""
    need_proc()
    assert running.poll() is None
    root, other = str(host.place.root), str(host.place.other)
    for words in ([root], [f"{root}/bin/python"], ["--python", root]):
        assert host.states(*words) == {host.place.lock: "locked"}
    (row,) = host.rows(other)
    assert row == {
        "kind": "file",
        "path": f"{other}/.lock",
        "state": "free",
        "environment": other,
        "holders": [],
        "waiters": [],
    }
    assert not os.path.exists(f"{other}/.lock")


def test_target(host: Host) -> None:
    """A directory of --target is an environment like others."""
    (host.place.directory / "site").mkdir()
    assert host.states("--target", "site") == {str(host.place.directory / "site" / ".lock"): "free"}


def test_unknown_where_the_kernel_does_not_say(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc nobody can say whether a file is locked: it is listed as unknown, and nothing is pruned."""
    path = host.file()
    monkeypatch.setattr(proc, "identity", lambda *_: None)
    monkeypatch.setattr(proc, "flocks", dict)
    monkeypatch.setattr(proc, "has_locks", lambda: False)
    assert host.states() == {path: "unknown"}
    assert host.states("--prune") == {path: "unknown"}
    assert os.path.exists(path)
    assert "unknown  " in host.text()


def test_text(host: Host, running: subprocess.Popen[str]) -> None:
    """For people: a line for each lock with its state, its file and its environment, and one for each holder."""
    need_proc()
    lines = host.text(str(host.place.root)).splitlines()
    for lock in (factories.gate(host.place.root), host.place.lock):
        assert lines.pop(0) == f"locked   {lock}  {host.place.root}"
        held = lines.pop(0)
        assert held.startswith(f"         pid {running.pid} (")
        assert ", sleep 60, since " in held
    assert not lines
    assert "\x1b[" in host.text("--color", "always", str(host.place.root))


def test_text_without_locks(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is nothing to list, that is said."""
    monkeypatch.setattr(holders, "locked", lambda _: ())
    monkeypatch.setattr(proc, "sees_all", lambda: True)
    assert host.text() == "no environment is locked\n"
    assert json.loads(host.text("--output-format", "json")) == {"version": 1, "complete": True, "locks": []}


def test_readers(host: Host) -> None:
    """Holders and waiters say whether they read; of a writer it is said neither."""
    need_proc()
    root = str(host.place.root)
    reader = host.place.start(host.place.words("sleep", "60", options=("--shared",)))
    running = [reader]
    try:
        wait_until(lambda: "locked" in host.states(root).values(), "the lock is not held")
        (row,) = host.rows(root)
        assert [(one["pid"], one["shared"]) for one in row["holders"]] == [(reader.pid, True)]
        # It holds the lock already before it becomes its command.
        wait_until(lambda: ", sleep 60, reading, since " in host.text(root), "the command is not listed as a reader")
        ended(reader)
        writer = processes.holder(host.place.lock)
        running = [writer]
        (row,) = host.rows(root)
        assert [(one["pid"], one["shared"]) for one in row["holders"]] == [(writer.pid, False)]
        waiter = processes.start("locks.hold(sys.argv[1:], shared=True); sys.stdin.read()", host.place.lock)
        running.append(waiter)
        wait_until(lambda: host.rows(root)[0]["waiters"], "nobody waits")
        (row,) = host.rows(root)
        assert [one["shared"] for one in row["waiters"]] == [True]
        assert [one["shared"] for one in row["holders"]] == [False]
    finally:
        ended(*running)


def test_queue(host: Host, running: subprocess.Popen[str]) -> None:
    """Each of those who wait for an environment is listed, in the order in which they will be inside."""
    need_proc()
    waiting: list[subprocess.Popen[str]] = []
    try:
        for options in ((), ("--shared",), ("--timeout", "50"), ("-q",)):
            waiting.append(host.place.start(host.place.words("true", options=options)))
            last = waiting[-1].pid, options == ("--shared",)
            wait_until(lambda: queue(host)[len(waiting) - 1 :] == [last], "it is not listed as the last one")  # noqa: B023  (called at once)
        ended(running)
        for process in waiting:
            assert process.wait(factories.TIMEOUT) == 0
    finally:
        ended(*waiting)


def queue(host: Host) -> list[tuple[int, bool]]:
    """Who waits for the gate of the environment, and whether to read."""
    listed = json.loads(host.text("--output-format", "json", str(host.place.root)))["locks"]
    (gate,) = [row for row in listed if row["path"] == factories.gate(host.place.root)]
    return [(one["pid"], one["shared"]) for one in gate["waiters"]]


NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")


@pytest.mark.parametrize("shared", [False, True])
def test_from_another_pid_namespace(host: Host, shared: bool) -> None:
    """A PID namespace does not show who holds a lock outside of it: it is tried, given back, and listed as locked."""
    need_proc()
    requirements.need_root()
    gate = factories.gate(host.place.root)
    words = [*NAMESPACE, PYTHON, "-m", "policy", "locks", "--output-format", "json", str(host.place.root)]

    def states() -> set[str]:
        done = host.place.call(words)
        assert done.returncode == 0, done.stderr
        listed = json.loads(done.stdout)
        assert listed["complete"] is False
        return {row["state"] for row in listed["locks"]}

    options = ("--shared",) if shared else ()
    process = host.place.start(host.place.words("sleep", "60", options=options))
    try:
        wait_until(lambda: os.path.exists(host.place.lock) and not host.place.is_free(), "the lock is not held")
        assert states() == {"locked"}
    finally:
        ended(process)
    assert states() == {"free"}
    assert proc.identity(gate) not in proc.flocks()


def test_another_pid_namespace_says_what_it_cannot_see(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is seen from another PID namespace, it is not said that nothing is locked."""
    need_proc()
    requirements.need_root()
    code = "from policy.locks import proc; print(proc.sees_all())"
    assert host.place.call([*NAMESPACE, PYTHON, "-c", code]).stdout == "False\n"
    monkeypatch.setattr(holders, "locked", lambda _: ())
    monkeypatch.setattr(proc, "sees_all", lambda: False)
    (host.directory / "lock-policy-link.lock").symlink_to("nowhere")
    (host.directory / "lock-policy-folder.lock").mkdir()
    text = host.text()
    assert "no environment is locked" not in text
    assert "`policy locks ENV`" in text


def test_into_another_pid_namespace(host: Host) -> None:
    """What a process of a PID namespace below holds is listed with the process."""
    need_proc()
    requirements.need_root()
    words = host.place.words("sleep", "60")
    process = host.place.start([*NAMESPACE, *words])
    try:
        wait_until(lambda: os.path.exists(host.place.lock) and not host.place.is_free(), "the lock is not held")
        (row,) = host.rows(str(host.place.root))[-1:]
        assert (row["state"], [one["command"] for one in row["holders"]]) == ("locked", ["sleep 60"])
    finally:
        for holder in holders.holders(host.place.lock):
            os.kill(holder.pid, 9)
        ended(process)


def test_held_by_somebody_who_cannot_be_seen(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock of a process that this user cannot see is listed, and it is said that its holder cannot be seen."""
    need_proc()
    path = str(host.directory / "lock-policy-0123456789abcdef.lock")
    holder = processes.holder(path)
    try:
        monkeypatch.setattr(holders.Look, "holders", lambda *_: ())
        lines = host.text().splitlines()
        assert f"locked   {path}" in lines
        assert lines[lines.index(f"locked   {path}") + 1] == "         held by a process that is not visible from here"
    finally:
        processes.end(holder)


def test_control_characters(host: Host) -> None:
    """Whatever names and command lines hold, a terminal is shown nothing but text."""
    need_proc()
    strange = "\x1b]0;title\x07\u202e\r\n"
    path = str(host.directory / f"lock-policy-{strange}.lock")
    process = subprocess.Popen(
        [*processes.command(processes.HOLDER, path), strange],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=processes.environment(),
        cwd=host.directory,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        text = host.text("--all")
        assert "\\x1b]0;title" in text
        assert not set(text) & set("\x1b\x07\r\u202e")
        assert sum("lock-policy-\\x1b" in line for line in text.splitlines()) == 1
        # JSON escapes them by itself, and keeps the path as it is
        assert [row["path"] for row in host.rows()] == [path]
    finally:
        processes.end(process)


def test_paths_that_are_no_text(host: Host) -> None:
    """A file name that is no UTF-8 is listed, in both formats."""
    path = host.file(os.fsdecode(b"lock-policy-\xff.lock"))
    assert host.states("--all") == {path: "free"}
    assert "lock-policy-" in host.text("--all")


def test_prune(host: Host) -> None:
    """--prune removes our files that nobody holds, and says so; a held one, uv's and what is named otherwise stay."""
    need_proc()
    free, of_uv = host.file(), host.file("uv-0123456789abcdef.lock")
    (host.directory / "lock-policy-notes.txt").touch()
    taken = str(host.directory / "lock-policy-taken.lock")
    holder = processes.holder(taken)
    try:
        assert host.states("--prune") == {free: "removed", of_uv: "free", taken: "locked"}
    finally:
        processes.end(holder)
    assert sorted(os.listdir(host.directory)) == [
        "lock-policy-notes.txt",
        "lock-policy-taken.lock",
        "uv-0123456789abcdef.lock",
    ]
    assert host.states("--prune")[taken] == "removed"


def left_while_held(host: Host) -> str:
    """The environment's `.lock`, which nobody holds any more; while somebody did, --prune left it."""
    need_proc()
    lock = host.place.lock
    holder = processes.holder(lock)
    try:
        assert host.states("--prune", str(host.place.root))[lock] == "locked"
    finally:
        processes.end(holder)
    return lock


def test_prune_of_an_environment(host: Host) -> None:
    """With ENV --prune takes uv's own `.lock` away, too, unless somebody holds it; without ENV it stays."""
    lock = left_while_held(host)
    host.states("--prune")
    assert os.path.exists(lock)
    assert host.states("--prune", str(host.place.root))[lock] == "removed"
    assert not os.path.exists(lock)


@pytest.mark.parametrize("option", ["--target", "--prefix"])
def test_prune_of_a_directory(host: Host, option: str) -> None:
    """A directory that packages were installed into is an environment too: uv's `.lock` in it goes."""
    lock = factories.written(host.place.directory / "packages" / ".lock", "")
    assert host.states("--prune", option, str(lock.parent))[str(lock)] == "removed"
    assert not lock.exists()


def test_prune_of_an_environment_that_is_locked_elsewhere(host: Host) -> None:
    """What uv left behind goes, too, where the rule locks only outside of the environment, as in an image."""
    factories.written(host.place.directory / "lock-policy.toml", '[[rules]]\nlock = "global"\n')
    lock = left_while_held(host)
    assert lock not in host.states(str(host.place.root))
    assert host.states("--prune", str(host.place.root))[lock] == "removed"
    assert not os.path.exists(lock)


def test_nothing_is_removed_without_prune(host: Host) -> None:
    """Listing removes nothing."""
    path = host.file()
    host.text("--all")
    assert os.path.exists(path)


def test_prune_leaves_what_is_no_lock_file_of_ours(host: Host) -> None:
    """A link, a directory, a hard link, a file with something in it: --prune leaves each, and what they lead to."""
    need_proc()
    victim = factories.written(host.place.directory / "victim", "precious")
    (host.directory / "lock-policy-link.lock").symlink_to(victim)
    (host.directory / "lock-policy-dangling.lock").symlink_to("nowhere")
    (host.directory / "lock-policy-folder.lock").mkdir()
    (host.directory / "lock-policy-hard.lock").hardlink_to(victim)
    factories.written(host.directory / "lock-policy-full.lock", "text")
    before = sorted(os.listdir(host.directory))
    assert set(host.states("--prune").values()) == {"free"}
    assert sorted(os.listdir(host.directory)) == before
    assert victim.read_text() == "precious"


def test_prune_leaves_another_user_s_files(host: Host) -> None:
    """Even root removes only its own: a file of another user stays."""
    requirements.need_root()
    path = host.file()
    os.chown(path, factories.NOBODY, factories.NOBODY)
    assert host.states("--prune") == {path: "free"}
    assert os.path.exists(path)


def test_prune_of_one_environment(host: Host) -> None:
    """With ENV only its files are removed."""
    need_proc()
    factories.written(host.place.root / "lock-policy.toml", '[[rules]]\nlock = "both"\n')
    os.environ["LOCK_POLICY_GLOBAL_DIR"] = str(host.directory)
    try:
        host.place.run("true", env={**host.place.environ, "LOCK_POLICY_GLOBAL_DIR": str(host.directory)})
        other = host.file()
        states = host.states(str(host.place.root), "--prune")
    finally:
        del os.environ["LOCK_POLICY_GLOBAL_DIR"]
    assert sorted(states.values()) == ["removed", "removed"]
    assert os.path.exists(other)


WAITING = """
really = open_file.attempt
def late(descriptor, **options):
    print("open", flush=True)
    sys.stdin.readline()
    return really(descriptor, **options)
open_file.attempt = late
with locks.hold([sys.argv[1]]) as held:
    print(os.path.exists(sys.argv[1]), held.lost, flush=True)
    sys.stdin.readline()
"""


def test_a_waiter_gets_a_new_file(host: Host) -> None:
    """Who had opened a file that was pruned before it could lock it takes a new one, which the next one meets."""
    path = host.file()
    process = processes.start(WAITING, path)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "open\n"
        assert host.states("--prune") == {path: "removed"}
        process.stdin.write("\n")
        process.stdin.flush()
        # the file that it had locked is not at its path any more: once again, on the new one
        assert process.stdout.readline() == "open\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "True ()\n"
        assert processes.probe(path)["outcome"] == "LockTimeout"
        assert host.states("--prune") == {path: "locked"}
    finally:
        ended(process)


def test_other_user_lists(host: Host) -> None:
    """A user without privileges sees that a file of another is locked, and by which process, as `ps` shows it."""
    need_proc()
    factories.open_to_all(host.directory)
    path = str(host.directory / "lock-policy-0123456789abcdef.lock")
    holder = processes.holder(path)
    environ = {
        **host.place.environ,
        "LOCK_POLICY_GLOBAL_DIR": str(host.directory),
        "TMPDIR": str(host.directory),
        "PYTHONPATH": real_uv.public_path(),
    }
    words = [real_uv.public_python(), "-m", "policy", "locks", "--no-config", "--output-format", "json"]
    try:
        done = real_uv.as_user(words, environ=environ, cwd=host.directory)
        assert done.returncode == 0, done.stderr
        (row,) = (row for row in json.loads(done.stdout)["locks"] if row["path"] == path)
        assert (row["state"], row["holders"][0]["pid"]) == ("locked", holder.pid)
    finally:
        processes.end(holder)


def test_bad_input(host: Host) -> None:
    """What is no environment, and what cannot be read, is one line and exit code 2."""
    for words in (["/dev/null/at/all"], ["--config-file", "/nowhere/at/all.toml"]):
        done = factories.policy("locks", *words, environ=host.place.environ, cwd=host.place.directory)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize("words", [("",), ("--python", ""), ("--target", ""), ("--prefix", "")])
def test_an_empty_name(host: Host, words: tuple[str, ...]) -> None:
    """An empty name, as that of a variable that is not set, is refused: it does not list or prune the whole host."""
    file = host.file()
    for more in ((), ("--all",), ("--prune",), ("--break", "--yes")):
        done = factories.policy("locks", *more, *words, environ=host.place.environ, cwd=host.place.directory)
        assert (done.returncode, done.stdout) == (2, "")
        assert "an empty path; name " in done.stderr
    assert os.path.exists(file)


def test_a_reader_who_leaves(host: Host) -> None:
    """`policy locks | head -n 0` is no failure, and no traceback."""
    words = [PYTHON, "-m", "policy", "locks", "--all"]
    done = host.place.call(["sh", "-c", '{ "$@"; echo $? >code; } | true', "sh", *words])
    assert done.stderr == ""
    assert (host.place.directory / "code").read_text() == "0\n"
