"""Pairs of callers of one environment whose rules, users, variables, spellings or commands differ, by what differs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from policy.uv import names
from tests import factories, processes, real_uv, requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

GROUP = 65030
INSIDE = ("sh", "-c", "echo inside; cat")
"""A command that says that it runs, and goes on until its standard input ends."""

_INSIDE = "import sys; print('inside', flush=True); sys.stdin.read()\n"


class Caller(NamedTuple):
    """One of two who want the same environment.

    Args:
        environment: As this one names it with `--python`; None: its command says it.
        options: Of `policy run`.
        environ: Variables besides the common ones.
        cwd: Where it works; absent: in the directory of the test.
        prefix: A command that starts the program, such as unshare with its options.
        user: Whose process it is; None: ours.
        command: What it runs; says `inside`, and ends with its standard input.
        build: The build that its command waits for, instead of saying `inside`.
        program: What it runs instead of `policy run`; exits with 124 where it is kept out.
        refused: Whether it never gets inside, and so excludes nobody.
    """

    environment: str | Path | None
    options: tuple[str, ...] = ()
    environ: Mapping[str, str | None] = {}
    cwd: Path | None = None
    prefix: tuple[str, ...] = ()
    user: int | None = None
    command: tuple[str | Path, ...] = INSIDE
    build: real_uv.Slow | None = None
    program: tuple[str | Path, ...] = ()
    refused: bool = False


Pair = tuple[Caller, Caller]

# Becomes another user when all is imported, as the tests of locks do.
_AS_USER = """
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

    def near(self) -> Path:
        """Makes the environment that is nearest to the working directory, and that nobody means."""
        return factories.virtualenv(self.directory / ".venv")

    def program(self, path: Path, first: str) -> Path:
        """Writes a program of Python that says that it runs, and ends with its standard input."""
        factories.written(path, f"#!{first}\n{_INSIDE}").chmod(0o755)
        return path

    def words(self, caller: Caller, timeout: str) -> dict[str, Any]:
        """What `subprocess` needs to start a caller."""
        program: Sequence[str | Path] = factories.PROGRAM
        if caller.user is not None:
            program = [sys.executable, "-c", _AS_USER, str(caller.user), str(GROUP)]
        environ: dict[str, str | None] = {
            **factories.alone(self.directory),
            "PYTHONPATH": str(factories.CHECKOUT),
            **caller.environ,
        }
        named = () if caller.environment is None else ("--python", str(caller.environment))
        words = [*program, "run", *named, "--timeout", timeout, *caller.options, "--", *caller.command]
        if caller.program:
            words = [word if word != "TIMEOUT" else timeout for word in caller.program]
        return {
            "args": [*caller.prefix, *words],
            "env": {name: value for name, value in environ.items() if value is not None},
            "cwd": caller.cwd or self.directory,
        }


def made_anew(world: World) -> Pair:
    """A script that deletes the environment and makes it again, with the lock file that lies in it."""
    uv = real_uv.installed()
    environ = real_uv.clean_environ(world.home)
    script = f'"{uv}" venv -q --clear "{world.root}" && echo inside; cat'
    return (
        Caller(world.root, environ=environ, command=("sh", "-c", script)),
        Caller(world.root),
    )


def not_there_yet(world: World) -> Pair:
    """An environment before it and the folders above it exist, and one who makes them."""
    new = world.directory / "new" / "folder" / "env"
    make = f'mkdir -p "{new.parent}" && cp -a "{world.root}" "{new}"; echo inside; cat'
    return Caller(new, command=("sh", "-c", make)), Caller(new)


def half_made(world: World) -> Pair:
    """An environment whose interpreter is linked, and whose pyvenv.cfg is not written yet: so uv and virtualenv do."""
    new = world.directory / "new" / "env"
    make = f'mkdir -p "{new}/bin" && ln -s "{os.path.realpath(sys.executable)}" "{new}/bin/python"; echo inside; cat'
    return Caller(new, command=("sh", "-c", make)), Caller(new)


def half_made_interpreter(world: World) -> Pair:
    """The same, whose interpreter is named."""
    maker, other = half_made(world)
    return maker, other._replace(environment=world.directory / "new" / "env" / "bin" / "python")


def finished(world: World) -> Pair:
    """An environment of which a crash left half, and one who makes the rest of it."""
    half = world.directory / "half" / "env"
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").symlink_to(os.path.realpath(sys.executable))
    finish = f'cp "{world.root}/pyvenv.cfg" "{half}"; echo inside; cat'
    return Caller(half, command=("sh", "-c", finish)), Caller(half)


def pip_of_another(world: World) -> Pair:
    """`other/bin/pip install` in the directory of a near environment."""
    world.near()
    pip = world.program(world.root / "bin" / "pip", f"{world.root}/bin/python")
    return Caller(world.root), Caller(None, command=(pip, "install", "x"))


def python_of_another(world: World) -> Pair:
    """`other/bin/python script`."""
    world.near()
    script = world.program(world.directory / "script.py", "python")
    return Caller(world.root), Caller(None, command=(world.root / "bin" / "python", script))


def pip_python(world: World) -> Pair:
    """`pip --python other install`, of a pip that stands in the near environment."""
    near = world.near()
    pip = world.program(near / "bin" / "pip", f"{near}/bin/python")
    return Caller(world.root), Caller(None, command=(pip, "--python", world.root, "install", "x"))


def pip_target(world: World) -> Pair:
    """`pip install --target D`."""
    near = world.near()
    pip = world.program(near / "bin" / "pip", f"{near}/bin/python")
    target = ("--target", "packages")
    return Caller(None, options=target), Caller(None, command=(pip, "install", *target, "x"))


def pip_on_path(world: World) -> Pair:
    """The pip of another environment first on PATH."""
    world.near()
    world.program(world.root / "bin" / "pip", f"{world.root}/bin/python")
    environ = {"PATH": f"{world.root}/bin:{os.environ['PATH']}"}
    return Caller(world.root), Caller(None, environ=environ, command=("pip", "install", "x"))


def global_directory(world: World) -> Pair:
    """A project file that moves the locks, and a variable that does."""
    world.rule("work/lock-policy.toml", 'global-dir = "locks"\n[[rules]]\nlock = "global"\n')
    (world.directory / "work/locks").mkdir()
    (world.directory / "locks").mkdir()
    return Caller(world.root), Caller(world.root, environ={"LOCK_POLICY_GLOBAL_DIR": str(world.directory / "locks")})


def another_user(world: World) -> Pair:
    """A rule in one user's own file."""
    world.rule("anna/.config/lock-policy/lock-policy.toml", '[[rules]]\nlock = "global"\n')
    return Caller(world.root), Caller(world.root, environ={"XDG_CONFIG_HOME": str(world.directory / "anna/.config")})


def another_directory(world: World) -> Pair:
    """A project's rule, seen from one working directory only."""
    world.rule("elsewhere/lock-policy.toml", '[[rules]]\nlock = "global"\n')
    return Caller(world.root), Caller(world.root, cwd=world.directory / "elsewhere")


def variables(world: World) -> Pair:
    """UV_ONLY_GLOBAL_LOCKS in one shell only, and another TMPDIR."""
    (world.directory / "tmp").mkdir()
    environ = {"UV_ONLY_GLOBAL_LOCKS": "1", "TMPDIR": str(world.directory / "tmp")}
    return Caller(world.root), Caller(world.root, environ=environ)


def link(world: World) -> Pair:
    """Rules about a path, and a link."""
    world.rule("lock-policy.toml", f'[[rules]]\nmatch.environment = "{world.directory}/link"\nlock = "global"\n')
    (world.directory / "link").symlink_to(world.root)
    return Caller(world.root), Caller(world.directory / "link")


def interpreters(world: World) -> Pair:
    """Rules about an interpreter that has two names."""
    python = world.root / "bin" / "python"
    (world.root / "bin" / "python3").symlink_to("python")
    world.rule("lock-policy.toml", f'[[rules]]\nmatch.interpreter = "{python}3"\nlock = "global"\n')
    return Caller(python), Caller(f"{python}3")


def _mounted(source: Path, place: Path) -> tuple[str, ...]:
    """Starts a command in a mount namespace of its own, where a folder is mounted a second time."""
    requirements.need_root()
    place.mkdir()
    prefix = ("unshare", "-m", "sh", "-c", f'mount --bind {source} {place} && exec "$@"', "sh")
    requirements.need(subprocess.run([*prefix, "true"], check=False).returncode == 0, "needs mount namespaces")
    return prefix


def bind_mount(world: World) -> Pair:
    """The environment's folder, mounted a second time in a mount namespace of its own; two rules."""
    place = world.directory / "place"
    world.rule("lock-policy.toml", f'[[rules]]\nmatch.environment = "{place}/*"\nlock = "global"\n')
    return Caller(world.root), Caller(place / "env", prefix=_mounted(world.root.parent, place))


def two_bind_mounts(world: World) -> Pair:
    """Two mounts of one folder, before the environment exists in it."""
    source = world.directory / "source"
    source.mkdir()
    one, two = (world.directory / name for name in ("one", "two"))
    return (
        Caller(one / "deep" / "env", prefix=_mounted(source, one)),
        Caller(two / "deep" / "env", prefix=_mounted(source, two)),
    )


def home(world: World) -> Pair:
    """`~` is the caller's home directory, or nothing."""
    world.rule("lock-policy.toml", '[[rules]]\nmatch.environment = "~/**"\nlock = "global"\n')
    return Caller(world.root, environ={"HOME": str(world.directory)}), Caller(world.root, environ={"HOME": None})


def _failing(world: World, error: str) -> Pair:
    """One for whom every look at `.lock` fails with an error; only some of them say that it is read-only."""
    requirements.need(shutil.which("strace") is not None, "needs strace")
    look = f"inject=?openat,?open,?access,?faccessat,?faccessat2:error={error}"
    prefix = ("strace", "-f", "-o", "/dev/null", "-P", str(world.root / ".lock"), "-e", look)
    requirements.need(subprocess.run([*prefix, "true"], check=False).returncode == 0, "ptrace is forbidden")
    refused = error not in {"EACCES", "EROFS", "EPERM"}
    return Caller(world.root), Caller(world.root, prefix=prefix, refused=refused)


ERRORS = ("EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE", "EAGAIN", "EACCES", "EPERM", "EROFS")


def _case_of(error: str) -> Callable[[World], Pair]:
    def case(world: World) -> Pair:
        return _failing(world, error)

    case.__name__ = error
    return case


def colleagues(world: World) -> Pair:
    """Two members of a group that owns the environment, and one of them owns the lock file."""
    if sys.platform == "win32":
        raise NotImplementedError
    requirements.need_root()
    assert sys.platform != "win32"  # where nobody is root
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


_WHAT_IF = """
import sys
import policy

root, timeout = sys.argv[1:]
rules = policy.load(no_config=True)
assumed = policy.Request(policy.find_environment(root), policy.Caller({}), {"writable": False})
assert rules.decide(assumed).lock == ("global",)
try:
    with policy.lock(root, rules=rules, environ={}, timeout=float(timeout)) as held:
        assert held.decision.lock == ("local",)
        print("inside", flush=True)
        sys.stdin.read()
except policy.LockTimeout:
    sys.exit(124)
"""


def what_if(world: World) -> Pair:
    """What was assumed for one question, and then the real environment is locked; the other holds the gate alone."""
    world.rule("global.toml", '[[rules]]\nlock = "global"\n')
    program = (sys.executable, "-c", _WHAT_IF, world.root, "TIMEOUT")
    return Caller(world.root, ("--config-file", "global.toml")), Caller(None, program=program)


def no_configuration(world: World) -> Pair:
    """Options that read no file, or another one, than the system's with its mandatory rule."""
    world.rule("etc/lock-policy/lock-policy.toml", '[[rules]]\nlock = "global"\nmandatory = true\n')
    named = world.rule("mine.toml", '[[rules]]\nlock = "local"\n')
    return Caller(world.root, ("--no-config",)), Caller(world.root, ("--config-file", str(named)))


def no_configuration_by_variable(world: World) -> Pair:
    """A variable that lets no file be read, and a user's rule that another reads."""
    world.rule("home/.config/lock-policy/lock-policy.toml", '[[rules]]\nlock = "global"\n')
    return Caller(world.root, environ={"LOCK_POLICY_NO_CONFIG": "1"}), Caller(world.root)


def _spelled(world: World, other: Callable[[Path], Path]) -> Pair:
    """A system interpreter and another spelling of it, for two callers."""
    python = factories.system_python(world.directory / "usr")
    environ = {"TMPDIR": str(world.directory)}
    return Caller(python, environ=environ), Caller(other(python), environ=environ)


def another_name(world: World) -> Pair:
    """`bin/python3` and `bin/python3.11`."""
    return _spelled(world, lambda python: python.parent / "python3")


def upward(world: World) -> Pair:
    """`../usr/bin/python3`."""
    return _spelled(world, lambda python: python.parent / ".." / ".." / "usr" / "bin" / python.name)


def linked_folder(world: World) -> Pair:
    """A folder of interpreters that is a link, as `/bin` is one to `/usr/bin`."""

    def linked(python: Path) -> Path:
        (world.directory / "bin").symlink_to(python.parent)
        return world.directory / "bin" / python.name

    return _spelled(world, linked)


def plain_uv(world: World) -> Pair:
    """A plain uv that installs by another spelling of a system interpreter: it locks a file of its own name."""
    python = factories.system_python(world.directory / "usr")
    environ = {"TMPDIR": str(world.directory), "LOCK_POLICY_NO_CONFIG": "1"}
    name = names.path_lock(str(python.parent / "python3"), environ, str(world.directory))
    locked = ("flock", "--nonblock", "--conflict-exit-code", "124", name, *INSIDE)
    return Caller(python, environ=environ), Caller(None, program=locked)


LINES: dict[str, tuple[Callable[[World], Pair], ...]] = {
    "1": (made_anew,),
    "2": (not_there_yet, half_made, half_made_interpreter, finished),
    "3": (pip_of_another, python_of_another, pip_python, pip_target, pip_on_path),
    "4": (global_directory,),
    "5": (another_user, another_directory, variables),
    "6": (link, interpreters, bind_mount, two_bind_mounts),
    "7": (home,),
    "8": tuple(map(_case_of, ERRORS)),
    "9": (colleagues,),
    "10": (what_if,),
    "12": (another_name, upward, linked_folder, plain_uv),
    "13": (no_configuration, no_configuration_by_variable),
}
"""The ways in which two callers missed each other before there was a gate, numbered as they were found."""
