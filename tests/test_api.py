from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import policy
from policy.locks.open_file import _opened
from tests import factories, processes, requirements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock, fork and users", allow_module_level=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A virtual environment."""
    return factories.virtualenv(tmp_path / "env")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables under which only the test's own files are read; global locks lie in a directory of the test."""
    (tmp_path / "locks").mkdir()
    return {**factories.alone(tmp_path), "LOCK_POLICY_GLOBAL_DIR": str(tmp_path / "locks")}


@pytest.fixture(autouse=True)
def _nothing_held() -> Iterator[None]:
    """No test leaves a lock file open."""
    yield
    assert not _opened


def is_free(path: str | Path) -> bool:
    """Whether another process could have the lock now."""
    return bool(processes.probe(str(path))["outcome"] == "held")


def names(held: policy.EnvironmentLock) -> list[str]:
    """How the locks that are held besides the gate are named, in the order in which they were taken."""
    if held.locks:
        assert held.locks[0].purpose == "gate"
    return [lock.name for lock in held.locks[1:]]


def configured(root: Path, **keys: str) -> None:
    """A project around an environment with one rule for it."""
    lines = "\n".join(f"{key} = {value}" for key, value in {"name": '"mine"', **keys}.items())
    factories.written(root.parent / "lock-policy.toml", f"[[rules]]\n{lines}\n")


# Holding


def test_with(root: Path, environ: dict[str, str]) -> None:
    """Inside `with` the plan is held and other processes are kept out; afterwards nothing is held."""
    with policy.lock(root, operation="sync", environ=environ) as held:
        assert held.decision.lock == ("local",)
        assert held.decision.request.caller.operation == "sync"
        assert names(held) == [f"{root}/.lock"]
        assert not is_free(root / ".lock")
    assert not held.locks
    assert is_free(root / ".lock")


def test_inside_run(root: Path, environ: dict[str, str]) -> None:
    """A program that `policy run` started joins the lock of its ancestor instead of waiting for it."""
    code = "import sys, policy\nwith policy.lock(sys.argv[1], timeout=0) as held: print(held.locks[1].name)"
    done = subprocess.run(
        [*factories.PROGRAM, "run", "--python", root, "--", sys.executable, "-c", code, root],
        env={"PYTHONPATH": str(factories.CHECKOUT), "PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{root}/.lock\n", "")
    assert is_free(root / ".lock")


def test_async_with(root: Path, environ: dict[str, str]) -> None:
    """Inside `async with` the same, while the event loop goes on."""

    async def work() -> list[str]:
        async with policy.lock(root, environ=environ) as held:
            assert not await asyncio.to_thread(is_free, root / ".lock")
            return names(held)

    assert asyncio.run(work()) == [f"{root}/.lock"]
    assert is_free(root / ".lock")


def test_acquire_and_release(root: Path, environ: dict[str, str]) -> None:
    """`acquire` and `release` do what `with` does, and one lock can be taken again and again."""
    lock = policy.lock(root, environ=environ)
    for _ in range(3):
        assert lock.acquire() is lock
        assert names(lock) == [f"{root}/.lock"]
        lock.release()
        lock.release()
        assert not lock.locks


def test_decided_anew(root: Path, environ: dict[str, str]) -> None:
    """Rules are asked anew each time a lock is taken."""
    lock = policy.lock(root, environ=environ)
    with lock:
        assert lock.decision.lock == ("local",)
    configured(root, lock='"both"')
    with lock:
        assert list(lock.decision.lock) == ["global", "local"]
        assert [os.path.basename(name) for name in names(lock)][1:] == [".lock"]


def test_entered_twice(root: Path, environ: dict[str, str]) -> None:
    """A lock that is held is not taken again: it would wait for itself."""
    lock = policy.lock(root, environ=environ)
    message = r"^this lock is held already; make another one with policy\.lock\(\)$"
    with lock, pytest.raises(RuntimeError, match=message):
        lock.acquire()
    assert is_free(root / ".lock")


def test_explain_is_what_lock_does(root: Path, environ: dict[str, str]) -> None:
    """`explain` gives the decision that `lock` carries out."""
    for rule in ('"local"', '"global"', '"both"'):
        configured(root, lock=rule)
        decision = policy.explain(root, environ=environ)
        with policy.lock(root, environ=environ) as held:
            assert held.decision.plan == decision.plan
            assert held.locks == decision.plan


def test_body_fails(root: Path, environ: dict[str, str]) -> None:
    """An error in the body leaves nothing held."""
    with pytest.raises(ZeroDivisionError), policy.lock(root, environ=environ):
        _ = 1 / 0
    assert is_free(root / ".lock")


# What is locked


def test_spellings(root: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment is named by its root or its interpreter, as text, as a path, or as it was found."""
    monkeypatch.chdir(root.parent)
    found = policy.explain(root, environ=environ).environment
    assert isinstance(found, policy.Environment)
    for spelling in (root, str(root), f"{root}/", root / "bin" / "python", "env", "./env/bin/python", found):
        with policy.lock(spelling, environ=environ) as held:
            assert names(held) == [f"{root}/.lock"]


def test_environment_given(tmp_path: Path, environ: dict[str, str]) -> None:
    """An Environment is taken as it is: nothing is looked for."""
    given = factories.environment(str(tmp_path), "target", interpreter="/no/such/python")
    with policy.lock(given, environ=environ) as held:
        assert held.decision.environment is given
        assert names(held) == [f"{tmp_path}/.lock"]


def test_environment_kept(tmp_path: Path, environ: dict[str, str]) -> None:
    """An Environment keeps where its links led for decisions; a lock of it, and what explains that, look anew."""
    roots = [factories.virtualenv(tmp_path / name) for name in ("one", "two")]
    rules = factories.written(tmp_path / "r.toml", f'[[rules]]\nmatch.environment = "{roots[0]}"\nlock = "global"\n')
    asked = policy.load(config_file=rules)
    link = tmp_path / "link"
    link.symlink_to(roots[0])
    kept = policy.find_environment(link, environ=environ)
    caller = policy.Caller(environ, str(tmp_path))

    def decided() -> list[tuple[str, ...]]:
        with policy.lock(kept, rules=asked, environ=environ) as held:
            locked = held.decision.lock
        explained = policy.explain(kept, rules=asked, environ=environ).lock
        return [asked.decide(policy.Request(kept, caller)).lock, explained, locked]

    assert decided() == [("global",)] * 3
    link.unlink()
    link.symlink_to(roots[1])
    assert decided() == [("global",), ("local",), ("local",)]


@pytest.mark.parametrize("kind", ["target", "prefix"])
def test_target_and_prefix(root: Path, tmp_path: Path, environ: dict[str, str], kind: str) -> None:
    """A directory of `--target` or `--prefix` is locked in that directory."""
    (tmp_path / "there").mkdir()
    directories: dict[str, Any] = {kind: tmp_path / "there"}
    decision = policy.explain(root, environ=environ, **directories)
    assert (decision.environment.kind, decision.plan[1].name) == (kind, f"{tmp_path}/there/.lock")


def test_find_environment(root: Path, environ: dict[str, str]) -> None:
    """An environment is found once and asked about often."""
    found = policy.find_environment(root, environ=environ)
    assert (found.root, found.kind, found.found_by) == (str(root), "virtualenv", "argument")
    assert policy.explain(found, environ=environ).environment is found


def test_environ_given(root: Path, environ: dict[str, str]) -> None:
    """The variables that are given count, and this process's do not."""
    assert policy.explain(root, environ={**environ, "UV_ONLY_GLOBAL_LOCKS": "1"}).lock == ("global",)
    assert policy.explain(environ={**environ, "VIRTUAL_ENV": str(root)}).environment.root == str(root)


def test_own_environ(root: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without variables given, those of this process count."""
    for name, value in {**environ, "UV_ONLY_GLOBAL_LOCKS": "on"}.items():
        monkeypatch.setenv(name, value)
    with policy.lock(root) as held:
        assert held.decision.rule.name == "uv-only-global-locks"
        assert names(held)[0].startswith(f"{environ['LOCK_POLICY_GLOBAL_DIR']}/lock-policy-")


def test_no_environment(tmp_path: Path, environ: dict[str, str]) -> None:
    """What is no environment is an error when the lock is entered, and nothing is made."""
    file = factories.written(tmp_path / "file", "")
    lock = policy.lock(file / "nothing", environ=environ)
    with pytest.raises(policy.EnvironmentNotFound), lock:
        pass
    assert (file.is_file(), file.read_text()) == (True, "")


def test_rules(root: Path, environ: dict[str, str]) -> None:
    """Rules that were loaded once decide for `lock` and `explain`."""
    named = factories.written(root.parent / "named.toml", '[[rules]]\nlock = "both"\n')
    rules = policy.load(config_file=named)
    assert policy.explain(root, rules=rules, environ=environ).lock == ("global", "local")
    with policy.lock(root, rules=rules, environ=environ) as held:
        assert held.decision.lock == ("global", "local")
    assert policy.explain(root, rules=policy.load(no_config=True), environ=environ).lock == ("local",)
    (root.parent / "elsewhere").mkdir()
    project = policy.load(project=root.parent / "elsewhere", global_dir=root.parent, timeout=3)
    assert policy.explain(root, rules=project, environ={**environ, "UV_ONLY_GLOBAL_LOCKS": "1"}).timeout == 3


def test_broken_file(root: Path, environ: dict[str, str]) -> None:
    """A fault in a file is an error, and nothing is locked."""
    configured(root, lock='"everything"')
    with pytest.raises(policy.ConfigError) as caught, policy.lock(root, environ=environ):
        pass
    assert str(caught.value).startswith(f"{root.parent}/lock-policy.toml:3:8: error: expected ")
    assert not (root / ".lock").exists()


# Waiting


def test_timeout(root: Path, environ: dict[str, str]) -> None:
    """A lock held elsewhere until time is up: LockTimeout, a TimeoutError that says who holds it."""
    holder = processes.holder(str(root / ".lock"))
    try:
        start = time.monotonic()
        with pytest.raises(TimeoutError) as caught, policy.lock(root, timeout=0.3, environ=environ):
            pass
        took = time.monotonic() - start
    finally:
        processes.end(holder)
    error = caught.value
    assert isinstance(error, policy.LockTimeout)
    assert (error.path, error.timeout) == (f"{root}/.lock", 0.3)
    assert str(error).startswith(f"{root}/.lock: timed out after 0.3 s: held by pid {holder.pid} (")
    assert 0.3 <= took < 2


def test_timeout_in_async(root: Path, environ: dict[str, str]) -> None:
    """The same in `async with`."""

    async def work() -> None:
        async with policy.lock(root, timeout=0.2, environ=environ):
            pass

    holder = processes.holder(str(root / ".lock"))
    try:
        with pytest.raises(policy.LockTimeout):
            asyncio.run(work())
    finally:
        processes.end(holder)


def test_cancelled(root: Path, environ: dict[str, str]) -> None:
    """A task that is cancelled while it waits leaves nothing behind."""

    async def work() -> None:
        task = asyncio.ensure_future(policy.lock(root, environ=environ).__aenter__())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    holder = processes.holder(str(root / ".lock"))
    asyncio.run(work())
    processes.end(holder)
    assert is_free(root / ".lock")


def test_timeout_zero(root: Path, environ: dict[str, str]) -> None:
    """A timeout of 0 does not wait at all, and takes a lock that is free."""
    policy.lock(root, timeout=0, environ=environ).acquire().release()
    holder = processes.holder(str(root / ".lock"))
    try:
        with pytest.raises(policy.LockTimeout):
            policy.lock(root, timeout=0, environ=environ).acquire()
    finally:
        processes.end(holder)


def test_timeout_before_rules(root: Path, environ: dict[str, str]) -> None:
    """The caller's timeout stands before the rule's, and the rule's counts without it."""
    configured(root, lock='"local"', timeout="0.2")
    holder = processes.holder(str(root / ".lock"))
    try:
        for timeout, expected in [(0.1, 0.1), (None, 0.2)]:
            with pytest.raises(policy.LockTimeout) as caught:
                policy.lock(root, environ=environ, timeout=timeout).acquire()
            assert caught.value.timeout == expected
    finally:
        processes.end(holder)


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), 86_401, True, "soon"])
def test_bad_timeout(root: Path, timeout: Any) -> None:
    """A timeout is finite and within a day; it is judged before anything is looked at."""
    message = r"^timeout must be a number of seconds from 0 to 86400$"
    with pytest.raises(policy.UsageError, match=message):
        policy.lock(root, timeout=timeout)
    with pytest.raises(policy.UsageError, match=message):
        policy.load(timeout=timeout)


WORKER = """
import fcntl, policy
environ = dict(os.environ)
for turn in range(50):
    with policy.lock(sys.argv[1], environ=environ) as held:
        mark = os.open(sys.argv[2], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        count = int(open(sys.argv[3]).read())
        open(sys.argv[3], "w").write(str(count + 1))
        os.close(mark)
        os.unlink(sys.argv[2])
print("done")
"""


@pytest.mark.parametrize("location", ["local", "global", "both"])
def test_exclusion(root: Path, environ: dict[str, str], location: str) -> None:
    """Two processes and a thread with a spelling each are never inside at once."""
    configured(root, lock=f'"{location}"')
    (root.parent / "link").symlink_to(root)
    counter = factories.written(root.parent / "counter", "0")
    mark = root.parent / "inside"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", "import os, sys" + WORKER, str(spelling), str(mark), str(counter)],
            env={"PYTHONPATH": str(factories.CHECKOUT), **environ},
            stdout=subprocess.PIPE,
            text=True,
        )
        # configuration is looked for above the spelling, links unresolved, so both stand in one folder
        for spelling in (root, root.parent / "link" / "bin" / "python")
    ]

    def work() -> None:
        for _ in range(50):
            with policy.lock(root.parent / "link", environ=environ):
                mark.touch(exist_ok=False)
                counter.write_text(str(int(counter.read_text(encoding="utf-8")) + 1), encoding="utf-8")
                mark.unlink()

    thread = threading.Thread(target=work)
    thread.start()
    for worker in workers:
        assert worker.communicate(timeout=factories.TIMEOUT)[0] == "done\n"
    thread.join(factories.TIMEOUT)
    assert counter.read_text(encoding="utf-8") == "150"


# Failing closed


def test_unavailable(root: Path, environ: dict[str, str]) -> None:
    """A lock that cannot be taken is LockUnavailable, an OSError that names the file, the rule, why, and what to do."""
    configured(root, lock='"local"')
    os.mkfifo(root / ".lock")
    with pytest.raises(OSError, match="FIFO") as caught, policy.lock(root, environ=environ):
        pass
    assert isinstance(caught.value, policy.LockUnavailable)
    assert str(caught.value) == (
        f"{root}/.lock: cannot be locked (rule mine): it is a FIFO, not a regular file; find out who put it there"
    )


def test_missing_global_directory(root: Path, environ: dict[str, str]) -> None:
    """A directory that was named is not made: the error says so."""
    missing = f"{environ['LOCK_POLICY_GLOBAL_DIR']}/missing"
    with pytest.raises(policy.LockUnavailable) as caught:
        policy.lock(root, environ={**environ, "LOCK_POLICY_GLOBAL_DIR": missing, "UV_ONLY_GLOBAL_LOCKS": "1"}).acquire()
    assert caught.value.errno == errno.ENOENT
    assert str(caught.value).endswith(
        f"cannot be locked (rule uv-only-global-locks): its directory {missing} does not exist; "
        "create the directory; directories named in configuration are not created"
    )
    assert not os.path.exists(missing)


def test_not_required(root: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """With `required = false` the work continues without the lock, and stderr says so in one line."""
    configured(root, lock='"local"', required="false")
    os.mkfifo(root / ".lock")
    with policy.lock(root, environ=environ) as held:
        assert (held.locks, held.decision.required) == ((), False)
    assert capsys.readouterr().err == (
        f"lock-policy: continuing without a lock, as rule mine allows: {root}/.lock: cannot be locked (rule mine): "
        "it is a FIFO, not a regular file; find out who put it there\n"
    )


def test_nothing_of_a_plan_is_left(root: Path, environ: dict[str, str]) -> None:
    """Where the second file of a plan cannot be locked, the first one is free again."""
    configured(root, lock='"both"')
    os.mkfifo(root / ".lock")
    with pytest.raises(policy.LockUnavailable):
        policy.lock(root, environ=environ).acquire()
    for lock in policy.explain(root, environ=environ).plan[:-1]:
        assert is_free(lock.name)


def test_lost(root: Path, environ: dict[str, str]) -> None:
    """A lock that was lost while held is reported when it is released, and everything is released."""
    with pytest.raises(policy.LockLost) as caught, policy.lock(root, environ=environ):
        (root / ".lock").unlink()
    assert caught.value.paths == (f"{root}/.lock",)


def test_lost_and_failed(root: Path, environ: dict[str, str]) -> None:
    """An error of the body matters more: the loss is a note on it."""

    def work() -> None:
        with policy.lock(root, environ=environ):
            (root / ".lock").unlink()
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        work()
    assert caught.value.__notes__ == [
        f"{root}/.lock: deleted or replaced while locked; another process may have been inside"
    ]


# `writable` is corrected


MEANWHILE = """
class Meanwhile(policy.load().__class__):
    def decide(self, request):
        decision = super().decide(request)
        if not decision.request.facts.get("changed"):
            request.facts["changed"] = True
            os.chmod(decision.environment.root, 0o555)
        return decision

with policy.lock(sys.argv[1], rules=Meanwhile()) as held:
    print(*held.decision.lock, held.decision.rule.name, held.locks == held.decision.plan)
    print(held.decision.corrected)
"""


def test_permission_taken_meanwhile(root: Path, environ: dict[str, str]) -> None:
    """An environment that becomes unwritable between deciding and locking gets the lock of one that is."""
    factories.open_to_all(root.parent)
    if os.geteuid() == 0:
        for path in (root, root.parent / "locks"):
            os.chown(path, factories.NOBODY, factories.NOBODY)
    seen = factories.as_nobody(MEANWHILE, root, environ=environ, cwd=root.parent)
    root.chmod(0o755)
    assert seen.stdout.splitlines() == [
        "global read-only True",
        f"{root}/.lock seemed writable, but could not be created: Permission denied",
    ], seen.stderr


class Remounting(policy.Rules):
    """Rules whose environment is mounted read-only once they have decided."""

    def decide(self, request: policy.Request) -> policy.Decision:
        """Decides, then remounts."""
        decision = super().decide(request)
        subprocess.run(["mount", "-o", "remount,bind,ro", decision.environment.root], check=True)
        return decision


def test_remounted_meanwhile(root: Path, environ: dict[str, str]) -> None:
    """An environment that is mounted read-only between deciding and locking, too; the trace shows it."""
    requirements.need_root()
    mount = subprocess.run(["mount", "--bind", root, root], capture_output=True, check=False)
    requirements.need(mount.returncode == 0, "needs bind mounts")
    try:
        with policy.lock(root, rules=Remounting(), environ=environ) as held:
            assert (held.decision.lock, held.decision.rule.name) == (("global",), "read-only")
            assert names(held)[0].startswith(f"{environ['LOCK_POLICY_GLOBAL_DIR']}/lock-policy-")
            assert (
                held.decision.corrected
                == f"{root}/.lock seemed writable, but could not be created: Read-only file system"
            )
            (check,) = next(step for step in held.decision.steps if step.outcome == "matched").checks
            assert (check.seen, check.detail) == (False, "Read-only file system")
    finally:
        subprocess.run(["umount", root], check=True)


# The package


def test_public_names() -> None:
    """Every public name is there, and no other is promised."""
    for name in policy.__all__:
        assert getattr(policy, name) is not None
    assert set(policy.__all__) <= set(dir(policy))
    with pytest.raises(AttributeError, match=r"^module 'policy' has no attribute 'nothing'$"):
        _ = policy.nothing
