"""Two callers of one environment never miss each other, whatever their rules, users, variables and spellings are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests import factories, processes, requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs flock, users and links", allow_module_level=True)


class Caller(NamedTuple):
    """One of two who want the same environment.

    Args:
        environment: As this one names it.
        options: Of `policy run`.
        environ: Variables besides the common ones.
        cwd: Where it works; absent: in the directory of the test.
        prefix: A command that starts the program, such as unshare with its options.
        user: Whose process it is; None: ours.
    """

    environment: str | Path
    options: tuple[str, ...] = ()
    environ: Mapping[str, str | None] = {}
    cwd: Path | None = None
    prefix: tuple[str, ...] = ()
    user: int | None = None


Pair = tuple[Caller, Caller]

# Becomes another user when all is imported, as the tests of locks do.
AS_USER = """
import importlib, os, pkgutil, sys
import attrs, tomllib, filelock, policy
for module in pkgutil.walk_packages(policy.__path__, "policy."):
    importlib.import_module(module.name)
import pwd, subprocess, selectors
user = int(sys.argv[1])
os.setgroups([user, int(sys.argv[2])]); os.setresgid(user, user, user); os.setresuid(user, user, user)
from policy.__main__ import main
sys.exit(main(sys.argv[3:]))
"""


class World:
    """A directory with an environment in it, as the callers of one test share it.

    Args:
        directory: Where all lies.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = factories.virtualenv(directory / "work" / "env")
        self.home = directory / "home"

    def rule(self, file: Path | str, text: str) -> Path:
        """Writes a configuration file."""
        return factories.written(self.directory / file, text)

    def words(self, caller: Caller, timeout: str, command: list[str]) -> dict[str, Any]:
        """What `subprocess` needs to start a caller."""
        program = factories.PROGRAM
        if caller.user is not None:
            program = [sys.executable, "-c", AS_USER, str(caller.user), str(GROUP)]
        environ: dict[str, str | None] = {
            **factories.alone(self.directory),
            "PYTHONPATH": str(factories.CHECKOUT),
            **caller.environ,
        }
        options = ("run", "--python", str(caller.environment), "--timeout", timeout, *caller.options)
        return {
            "args": [*caller.prefix, *program, *options, "--", *command],
            "env": {name: value for name, value in environ.items() if value is not None},
            "cwd": caller.cwd or self.directory,
            "text": True,
        }


GROUP = 65030


def another_user(world: World) -> Pair:
    """5: a rule in one user's own file."""
    world.rule("anna/.config/lock-policy/lock-policy.toml", '[[rules]]\nlock = "global"\n')
    return Caller(world.root), Caller(world.root, environ={"XDG_CONFIG_HOME": str(world.directory / "anna/.config")})


def another_directory(world: World) -> Pair:
    """5: a project's rule, seen from one working directory only."""
    world.rule("elsewhere/lock-policy.toml", '[[rules]]\nlock = "global"\n')
    return Caller(world.root), Caller(world.root, cwd=world.directory / "elsewhere")


def global_directory(world: World) -> Pair:
    """4: a project file that moves the locks, and a variable that does."""
    world.rule("work/lock-policy.toml", 'global-dir = "locks"\n[[rules]]\nlock = "global"\n')
    (world.directory / "work/locks").mkdir()
    (world.directory / "locks").mkdir()
    return Caller(world.root), Caller(world.root, environ={"LOCK_POLICY_GLOBAL_DIR": str(world.directory / "locks")})


def link(world: World) -> Pair:
    """6: rules about a path, and a link."""
    world.rule("lock-policy.toml", f'[[rules]]\nmatch.environment = "{world.directory}/link"\nlock = "global"\n')
    (world.directory / "link").symlink_to(world.root)
    return Caller(world.root), Caller(world.directory / "link")


def interpreters(world: World) -> Pair:
    """6: rules about an interpreter that has two names."""
    python = world.root / "bin" / "python"
    (world.root / "bin" / "python3").symlink_to("python")
    world.rule("lock-policy.toml", f'[[rules]]\nmatch.interpreter = "{python}3"\nlock = "global"\n')
    return Caller(python), Caller(f"{python}3")


def home(world: World) -> Pair:
    """7: `~` is the caller's home directory, or nothing."""
    world.rule("lock-policy.toml", '[[rules]]\nmatch.environment = "~/**"\nlock = "global"\n')
    return Caller(world.root, environ={"HOME": str(world.directory)}), Caller(world.root, environ={"HOME": None})


def no_configuration(world: World) -> Pair:
    """13: options and variables that read no file, or another one."""
    rule = world.rule("etc/lock-policy/lock-policy.toml", '[[rules]]\nlock = "global"\nmandatory = true\n')
    named = world.rule("mine.toml", '[[rules]]\nlock = "local"\n')
    assert rule.exists()
    return Caller(world.root, ("--no-config",)), Caller(world.root, ("--config-file", str(named)))


def variables(world: World) -> Pair:
    """UV_ONLY_GLOBAL_LOCKS in one shell only, and another TMPDIR."""
    (world.directory / "tmp").mkdir()
    environ = {"UV_ONLY_GLOBAL_LOCKS": "1", "TMPDIR": str(world.directory / "tmp")}
    return Caller(world.root), Caller(world.root, environ=environ)


def colleagues(world: World) -> Pair:
    """9: two members of a group that owns the environment, and one of them owns the lock file."""
    requirements.need_root()
    factories.open_to_all(world.directory)
    for path in (world.directory, world.directory / "work"):
        path.chmod(0o755)
    os.chown(world.root, processes.ANNA, GROUP)
    world.root.chmod(0o2775)
    (world.root / ".lock").touch(0o644)
    os.chown(world.root / ".lock", processes.ANNA, GROUP)
    # Python would otherwise look at how it was started, which a process that changed its user may not
    environ = {"XDG_CACHE_HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    return (
        Caller(world.root, environ=environ, user=processes.ANNA),
        Caller(world.root, environ=environ, user=processes.BEN),
    )


def not_there_yet(world: World) -> Pair:
    """2: before the environment and the folders above it exist, and afterwards."""
    new = world.directory / "new" / "folder" / "env"
    return Caller(new), Caller(new, ("--operation", "after"))


def bind_mount(world: World) -> Pair:
    """6: the environment's folder, mounted a second time in a mount namespace of its own."""
    requirements.need_root()
    place = world.directory / "place"
    place.mkdir()
    mount = f'mount --bind {world.root.parent} {place} && exec "$@"'
    prefix = ("unshare", "-m", "sh", "-c", mount, "sh")
    requirements.need(subprocess.run([*prefix, "true"], check=False).returncode == 0, "needs mount namespaces")
    return Caller(world.root), Caller(place / "env", prefix=prefix)


def two_bind_mounts(world: World) -> Pair:
    """6: two mounts of one folder, before the environment exists in it."""
    requirements.need_root()
    (world.directory / "source").mkdir()
    callers = []
    for name in ("one", "two"):
        place = world.directory / name
        place.mkdir()
        mount = f'mount --bind {world.directory / "source"} {place} && exec "$@"'
        prefix = ("unshare", "-m", "sh", "-c", mount, "sh")
        requirements.need(subprocess.run([*prefix, "true"], check=False).returncode == 0, "needs mount namespaces")
        callers.append(Caller(place / "deep" / "env", prefix=prefix))
    return callers[0], callers[1]


CASES: tuple[Callable[[World], Pair], ...] = (
    another_user,
    another_directory,
    global_directory,
    link,
    interpreters,
    home,
    no_configuration,
    variables,
    colleagues,
    not_there_yet,
    bind_mount,
    two_bind_mounts,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An environment of its own."""
    return World(tmp_path.resolve())


@pytest.fixture
def inside(world: World) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a caller whose command runs by now and goes on until the test ends."""
    started: list[subprocess.Popen[str]] = []

    def start(caller: Caller, command: str = "echo inside; cat") -> subprocess.Popen[str]:
        options = world.words(caller, "30", ["sh", "-c", command])
        process = subprocess.Popen(**options, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "inside\n", process.stderr.read()
        return process

    yield start
    for process in started:
        process.communicate(timeout=processes.PATIENCE)


def contender(world: World, caller: Caller) -> int:
    """What comes of a caller that does not wait: 124 where somebody is inside."""
    done = subprocess.run(
        **world.words(caller, "0", ["true"]), capture_output=True, check=False, timeout=processes.PATIENCE
    )
    assert done.returncode in (0, 124), done.stderr
    return done.returncode


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_meet(
    world: World, inside: Callable[..., subprocess.Popen[str]], case: Callable[[World], Pair], order: str
) -> None:
    """While one is inside the other is kept out, whoever came first; afterwards it gets in."""
    pair = case(world)
    holder, other = pair if order == "first" else reversed(pair)
    process = inside(holder)
    if case is not_there_yet:
        factories.virtualenv(world.directory / "new" / "folder" / "env")
    assert contender(world, other) == 124
    process.communicate(timeout=processes.PATIENCE)
    assert contender(world, other) == 0


@pytest.mark.parametrize("error", ["EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE", "EAGAIN", "EACCES", "EROFS"])
def test_error_while_looking(world: World, inside: Callable[..., subprocess.Popen[str]], error: str) -> None:
    """8: a look at `.lock` that fails changes nothing about the gate: who meets the error is kept out."""
    requirements.need(shutil.which("strace") is not None, "needs strace")
    inside(Caller(world.root))
    look = f"inject=?openat,?open,?access,?faccessat,?faccessat2:error={error}"
    prefix = ("strace", "-f", "-o", "/dev/null", "-P", str(world.root / ".lock"), "-e", look)
    requirements.need(subprocess.run([*prefix, "true"], check=False).returncode == 0, "ptrace is forbidden")
    assert contender(world, Caller(world.root, prefix=prefix)) == 124


def test_made_again(world: World, inside: Callable[..., subprocess.Popen[str]]) -> None:
    """1: while the environment is deleted and made again by the one inside, nobody gets in."""
    again = f'rm -r "{world.root}" && cp -a "{world.root}.copy" "{world.root}" && echo inside; cat'
    subprocess.run(["cp", "-a", world.root, f"{world.root}.copy"], check=True)
    inside(Caller(world.root), again)
    assert contender(world, Caller(world.root)) == 124


def test_what_if_is_forgotten(world: World, inside: Callable[..., subprocess.Popen[str]]) -> None:
    """10: what was assumed for one question does not decide which lock the environment gets afterwards."""
    code = f"""
import policy
rules = policy.load(no_config=True)
request = policy.Request(policy.find_environment({str(world.root)!r}), policy.Caller({{}}), {{"writable": False}})
assert rules.decide(request).lock == ("global",)
with policy.lock({str(world.root)!r}, rules=rules, environ={{}}) as held:
    print("inside", *held.decision.lock, flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**factories.alone(world.directory), "PYTHONPATH": str(factories.CHECKOUT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "inside local\n"
    assert contender(world, Caller(world.root)) == 124
    process.communicate("\n", timeout=processes.PATIENCE)
    del inside
