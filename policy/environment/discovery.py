"""What is locked: from a path, or from nothing, to an environment.

Virtual environments are read from their pyvenv.cfg (PEP 405), in the order and with the tolerance of CPython's
`getpath.py` and `site.py`. Python is started only for what is no virtual environment, or where a launcher stands in the
interpreter's place, and only if the user named it: what was merely found is never executed.
"""

from __future__ import annotations

import os
import stat
import sys
import time

from policy import host
from policy.environment.identity import without_links
from policy.errors import EnvironmentNotFound, NoAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from policy.environment.identity import FolderIdentity
    from policy.environment.interpreter import Version

_WINDOWS = sys.platform == "win32"
_LARGEST_CONFIG = 64 * 1024  # as in pyvenv.py, which reads it
# Larger files are interpreters, or launchers that nobody makes: Nix's are 16 KiB.
_LARGEST_LAUNCHER = 256 * 1024
_MAY_BE_NEW = frozenset({"argument", "--python"})  # what found these says that it is meant, not that it was there
_WHAT_TO_NAME = "name an interpreter or the root of an environment"

JUST_NOW = 0.001  # seconds for which one look at a root is enough; then it may have changed


class Environment:
    """A Python environment: a value, which nothing changes.

    Where its links lead is looked at when a rule first asks, as is the interpreter that it was made from, and then kept
    with this object: deciding about it again costs no look. `lock` and `explain` look anew each time.

    A plain class: importing attrs costs three times as much as starting Python.

    Args:
        interpreter: Absolute path of the interpreter, as its user spelled it; where the interpreter had to be
            asked, its `sys.executable`, from which uv derives its lock.
        root: `sys.prefix` of that interpreter, or the directory of `--target` or `--prefix`.
        kind: `virtualenv`, `system`, `target` or `prefix`.
        base_interpreter: Real path of the interpreter that the environment was made from, or what finds it: few rules
            ask for it, and it takes as long to find as all the rest.
        found_by: How it was found: `argument`, `--python`, `UV_PYTHON`, ...
        stdlib: The interpreter's directory of the standard library, where it was asked; else "".
        again: Finds it anew, where its interpreter stands in a root that is not its own and that holds only what is put
            into a new environment first: between its link and its pyvenv.cfg, an environment looks like that.
    """

    __slots__ = (
        *("_base", "_base_found", "_seen", "_settled"),
        *("again", "found_by", "interpreter", "kind", "root", "stdlib"),
    )

    def __init__(
        self,
        interpreter: str,
        root: str,
        kind: str,
        base_interpreter: str | Callable[[], str],
        found_by: str = "argument",
        stdlib: str = "",
        *,
        again: Callable[[], Environment] | None = None,
    ) -> None:
        self.interpreter: str = interpreter
        self.root: str = root
        self.kind: str = kind
        self._base = base_interpreter
        self._base_found: str | None = None
        self._settled: tuple[str, str, str, str, str] | None = None
        self.found_by: str = found_by
        self.stdlib: str = stdlib
        self.again: Callable[[], Environment] | None = again

    @property
    def exists(self) -> bool:
        """Whether there is an interpreter or a directory to install into; a lock can be held before."""
        return os.path.isdir(self.root) if self.kind in {"target", "prefix"} else os.path.exists(self.interpreter)

    @property
    def base_interpreter(self) -> str:
        """Real path of the interpreter that the environment was made from."""
        if self._base_found is None:
            self._base_found = self._base if isinstance(self._base, str) else self._base()
        return self._base_found

    @property
    def settled(self) -> tuple[str, str, str, str, str]:
        """What rules can ask of it without another look: interpreter, root and kind, then both paths without links.

        Of the interpreter's path the last part stays as spelled: itself it leads to the base interpreter.
        """
        if self._settled is None:
            self._settled = self._look()
        return self._settled

    def _look(self) -> tuple[str, str, str, str, str]:
        now = time.monotonic()
        seen, interpreter, root = without_links(self.interpreter, self.root)
        self._seen = now, seen
        return self.interpreter, self.root, self.kind, interpreter, root

    @property
    def seen(self) -> FolderIdentity | None:
        """What `real_folder` said of the root for `settled` just now; None where a look is due."""
        if self._settled is None or time.monotonic() - self._seen[0] >= JUST_NOW:
            return None
        return self._seen[1]

    def now(self) -> Environment:
        """Itself where its links lead where they led before, else the same one with nothing remembered."""
        if self._base_found is None and (self._settled is None or self._settled == self._look()):
            return self
        return self.replace()

    def replace(self, root: str | None = None, kind: str | None = None, found_by: str | None = None) -> Environment:
        """The same environment with other fields, of which nothing has been looked at yet.

        Args:
            root: Another root; None: the same, as for what follows.
            kind: Another kind.
            found_by: What else led to it.
        """
        again = None if root else self.again
        root, kind, found_by = root or self.root, kind or self.kind, found_by or self.found_by
        return Environment(self.interpreter, root, kind, self._base, found_by, self.stdlib, again=again)

    def __repr__(self) -> str:
        names = ("interpreter", "root", "kind", "base_interpreter", "found_by")
        return f"Environment({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def find(
    named: str | None = None,
    *,
    python: str | None = None,
    target: str | None = None,
    prefix: str | None = None,
    environ: Mapping[str, str],
    cwd: str,
) -> Environment:
    """Finds the environment that is meant.

    Args:
        named: An interpreter or the root of an environment; a bare name is looked for on PATH if no such file exists.
        python: The same, by `--python`; what `named` says is stronger.
        target: The directory of `--target`.
        prefix: The directory of `--prefix`.
        environ: Environment variables.
        cwd: Working directory, absolute.

    Returns:
        The environment, with nothing executed but an interpreter that the user named.

    Raises:
        EnvironmentNotFound: What was named is no environment, or nothing was found.
    """
    found = _Search(environ, cwd).first(named, python)
    for directory, kind in ((target, "target"), (prefix, "prefix")):
        if directory is not None:
            root = _absolute(directory, cwd)
            if not directory or os.path.isfile(root):
                fault = f"{root} is a file" if directory else "an empty path"
                raise EnvironmentNotFound(f"--{kind}: {fault}; name a directory")
            return into(found, root, kind, f"--{kind}")
    return found


def into(found: Environment | None, directory: str, kind: str, found_by: str) -> Environment:
    """The directory that an option names in place of an interpreter's own.

    Args:
        found: The environment of the interpreter that installs.
        directory: Absolute.
        kind: `target` or `prefix`.
        found_by: The option.
    """
    return (found or planned(directory, found_by)).replace(directory, kind, found_by)


def planned(root: str, found_by: str, base_interpreter: str | Callable[[], str] = "") -> Environment:
    """The virtual environment that a command is about to make.

    Args:
        root: Where it will be, absolute.
        found_by: What says so.
        base_interpreter: The interpreter that it will be made from, where that is known.

    Returns:
        An environment whose root need not exist.
    """
    return Environment(_seen_in(root)[0], root, "virtualenv", base_interpreter, found_by)


class _Search:
    """One search, with a caller's variables and absolute working directory."""

    __slots__ = ("cwd", "environ")

    def __init__(self, environ: Mapping[str, str], cwd: str) -> None:
        self.environ = environ
        self.cwd = cwd

    def first(self, named: str | None, python: str | None) -> Environment:
        """Takes the first that says anything, in the order of the design."""
        if named is not None:
            return self._named(named, "argument")
        if python is not None:
            return self._named(python, "--python")
        # uv takes an empty variable for one that is not set.
        if value := self.environ.get("UV_PYTHON"):
            return self._named(value, "UV_PYTHON")
        command = "python" if _WINDOWS else "python3"
        if found := self._found((command,)):
            return found
        raise EnvironmentNotFound(
            f"no Python environment found: none is active, there is no .venv in {self.cwd} or above it, and no "
            f"{command} on PATH; " + _WHAT_TO_NAME
        )

    def _found(self, commands: tuple[str, ...], wanted: Version | None = None) -> Environment | None:
        """What is active, near or on PATH."""
        if value := self.environ.get("VIRTUAL_ENV"):
            active = self._named(value, "VIRTUAL_ENV")
            if self._satisfies(active, wanted):
                return active
        # uv takes conda's base environment, which conda activates by itself, for a part of the system.
        by_itself = self.environ.get("CONDA_DEFAULT_ENV") in {"base", "root"}
        for look in (self._near, self._conda) if by_itself else (self._conda, self._near):
            if (found := look()) and self._satisfies(found, wanted):
                return found
        return self._command(commands, "PATH", wanted)

    def _command(self, commands: tuple[str, ...], found_by: str, wanted: Version | None = None) -> Environment | None:
        """The first of some commands on PATH that is an interpreter."""
        fault = None
        for command in commands:
            name = f"{command.removesuffix('.exe')}.exe" if _WINDOWS else command
            for path in host.programs(self.environ, name):
                try:
                    found = self._interpreter(path, path, found_by)
                    if self._satisfies(found, wanted):
                        return found
                except EnvironmentNotFound as error:
                    # As uv: a shim of pyenv may stand before the interpreter and have none to start.
                    fault = fault or error
        if fault and not wanted:
            raise fault
        return None

    def _near(self) -> Environment | None:
        """The virtual environment that the working directory lies in, or the nearest `.venv`; nothing is executed."""
        for folder in host.upward(self.cwd):
            # As uv: a working directory inside an environment means that environment.
            for root in (folder, os.path.join(folder, ".venv")):
                if _seems_virtual(root):
                    return _virtualenv(_seen_in(root)[0], root, ".venv")
        return None

    def _conda(self) -> Environment | None:
        """The active conda environment, if it holds Python: many do not."""
        value = self.environ.get("CONDA_PREFIX")
        if value and os.path.isfile(_seen_in(_absolute(value, self.cwd))[0]):
            return self._named(value, "CONDA_PREFIX")
        return None

    def _satisfies(self, found: Environment, wanted: Version | None) -> bool:
        """Whether an environment is of the version that is wanted; one that was merely found is not executed for it."""
        if wanted is None:
            return True
        from policy.environment import pyvenv

        if (config := pyvenv.settings(found.root)) is not None:
            return wanted.holds(pyvenv.version(config), config.get("implementation", ""))
        if found.found_by == ".venv":
            return False
        from policy.environment.interpreter import ask

        answer = ask(found.interpreter, self.environ, self.cwd)
        return wanted.holds(answer.version, answer.implementation)

    def _named(self, value: str, found_by: str) -> Environment:
        """What a user's argument, option or variable names."""
        try:
            try:
                return self._meant(value, found_by)
            except EnvironmentNotFound as error:
                if found_by not in _MAY_BE_NEW or isinstance(error, NoAnswer):
                    raise
                return self._meant(value, found_by)  # it may be being made or removed: what the next look says
        except EnvironmentNotFound as error:
            if found_by == "argument":
                raise
            unset = "" if found_by == "--python" else f", or unset {found_by}"
            raise EnvironmentNotFound(f"{found_by}: {error}{unset}") from None

    def _meant(self, value: str, found_by: str) -> Environment:
        """An interpreter, a root, a command on PATH, or a version."""
        if not value or "\0" in value:
            raise EnvironmentNotFound(f"{'a path with a NUL' if value else 'an empty path'}; {_WHAT_TO_NAME}")
        path = _absolute(value, self.cwd)
        folder = os.sep in value or (_WINDOWS and "/" in value)
        try:
            status = os.stat(path)
        except OSError as error:
            if folder or os.path.lexists(path) or found_by == "VIRTUAL_ENV" or value.startswith("."):
                return self._missing(path, found_by, error)
            return self._word(value, found_by)
        if stat.S_ISDIR(status.st_mode):
            return self._root(path, found_by)
        # Python makes sys.executable of the spelling, and its releases differ in what they do with `..`.
        return self._interpreter(path, value if folder else path, found_by)

    def _missing(self, path: str, found_by: str, error: OSError) -> Environment:
        """The environment that an argument or an option names although it is not there yet."""
        from policy.environment.planned import begun, root_of, unusable

        root = root_of(path)
        new = found_by in _MAY_BE_NEW and isinstance(error, FileNotFoundError) and not os.path.islink(path)
        if not new or (os.path.lexists(root) and not begun(root)):
            raise EnvironmentNotFound(f"{unusable(path, error)}; {_WHAT_TO_NAME}") from None
        return planned(root, found_by)

    def _word(self, value: str, found_by: str) -> Environment:
        """A name without a folder that is no file here: a command on PATH, or a version."""
        from policy.environment.interpreter import requested

        version = requested(value)
        if version and found_by == "UV_PYTHON":
            # As uv does with its own variable: what is active or near is preferred if it is of that version.
            found = self._found(version.commands(), version)
        else:
            found = self._command((value,), found_by)
            if version and not found:
                found = self._command(version.commands(), found_by, version)
        if found:
            return found
        fault = "no such Python is active, near or on PATH" if version else "no such file, and no such command on PATH"
        new = f" (./{value} for one that does not exist yet)" if found_by in _MAY_BE_NEW and not version else ""
        raise EnvironmentNotFound(f"{value}: {fault}; {_WHAT_TO_NAME}{new}")

    def _root(self, root: str, found_by: str) -> Environment:
        """The environment that a directory is the root of."""
        interpreter, seen = _seen_in(root)
        if _has_configuration(root) and not _is_launcher(interpreter, seen):
            return _virtualenv(interpreter, root, found_by)
        if seen is not None and stat.S_ISREG(seen.st_mode):
            if os.path.isdir(os.path.join(root, "conda-meta")) and not _is_launcher(interpreter, seen):
                # Conda's interpreters are not virtual to Python, nor to uv: both prefixes are the root.
                return Environment(interpreter, root, "system", lambda: os.path.realpath(interpreter), found_by)
            return self._interpreter(interpreter, interpreter, found_by)
        from policy.environment.planned import begun, dangling

        if os.path.islink(interpreter):
            raise EnvironmentNotFound(f"{dangling(interpreter)}; {_WHAT_TO_NAME}")
        if found_by in _MAY_BE_NEW and begun(root):
            return planned(root, found_by)
        inner = os.path.join(root, ".venv")
        instead = f"name {inner}" if _seems_virtual(inner) else _WHAT_TO_NAME
        raise EnvironmentNotFound(f"{root}: a directory without pyvenv.cfg and without an interpreter; {instead}")

    def _interpreter(self, path: str, spelled: str, found_by: str) -> Environment:
        """The environment that an interpreter belongs to."""
        try:
            seen = os.stat(path)
        except (OSError, ValueError):
            seen = None
        if seen is None or not stat.S_ISREG(seen.st_mode):
            raise EnvironmentNotFound(f"{path}: neither a file nor a directory; {_WHAT_TO_NAME}")
        if not os.access(path, os.X_OK):
            raise EnvironmentNotFound(f"{path}: not executable; {_WHAT_TO_NAME}")
        root = os.path.dirname(os.path.dirname(path))
        # A pyvenv.cfg beside the interpreter is left to Python: its releases differ in what the root is then.
        if _has_configuration(root) and not _is_launcher(path, seen):
            return _virtualenv(path, root, found_by)
        from policy.environment.interpreter import ask

        answer = ask(path, self.environ, self.cwd, spelled=spelled)
        return Environment(
            answer.executable,
            answer.prefix,
            # As uv's Interpreter::is_virtualenv; so Nix's python environments are virtual without a pyvenv.cfg.
            "system" if answer.prefix == answer.base_prefix else "virtualenv",
            lambda: os.path.realpath(answer.base_executable or answer.executable),
            found_by,
            answer.stdlib,
            again=(lambda: self._named(spelled, found_by)) if _seems_begun(answer.executable, answer.prefix) else None,
        )


def _absolute(path: str, cwd: str) -> str:
    """A path made absolute and normal, unless `..` behind a symlink leads elsewhere than its spelling."""
    path = os.path.join(cwd, path)
    normal = os.path.normpath(path)
    # POSIX lets two slashes at the beginning mean something else, and normpath keeps them; Linux and macOS do not.
    if normal.startswith("//") and not _WINDOWS:
        normal = normal[1:]
    if ".." in path:
        try:
            if not os.path.samefile(path, normal):
                return path
        except OSError:
            return path if os.path.lexists(path) else normal
    return normal


def _seen_in(root: str) -> tuple[str, os.stat_result | None]:
    """The interpreter of a root, where uv looks for it, and what stands there, if anything does.

    As uv 0.13 has it. Older uv prefers `python3` in bin: the same lock for a virtual environment, and a global plan
    for a system interpreter holds both.
    """
    windows = (("Scripts", "python.exe"), ("bin", "python.exe"), ("python.exe",))
    paths = [os.path.join(root, *place) for place in (windows if _WINDOWS else (("bin", "python"), ("bin", "python3")))]
    for path in paths:
        try:
            return path, os.stat(path)
        except (OSError, ValueError):
            continue
    return paths[0], None


def _is_launcher(path: str, status: os.stat_result | None) -> bool:
    """Whether a file is a script, or a small binary that executes another program, as Nix's makeBinaryWrapper makes it.

    Such a file decides by itself which interpreter it starts, so pyvenv.cfg does not say what that one's root is.
    """
    # venv's own python.exe is a launcher on Windows, and honours pyvenv.cfg
    if _WINDOWS or status is None or not stat.S_ISREG(status.st_mode):
        return False
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if identity not in _judged:
        data = host.of_others(path, status.st_size if status.st_size <= _LARGEST_LAUNCHER else 2)
        # A real one of this size calls into libpython (Py_BytesMain) or libpypy (pypy_main_startup).
        _judged[identity] = data[:2] == b"#!" or (b"execv" in data and b"Py_" not in data and b"pypy" not in data)
    return _judged[identity]


_judged: dict[tuple[int, ...], bool] = {}


def _has_configuration(root: str) -> bool:
    """Whether a root has a pyvenv.cfg, which makes it a virtual environment to uv and to PEP 405.

    Raises:
        EnvironmentNotFound: Something else stands there, on which Python itself would hang or fail.
    """
    path = os.path.join(root, "pyvenv.cfg")
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise EnvironmentNotFound(f"{path}: {(error.strerror or str(error)).lower()}; {_WHAT_TO_NAME}") from None
    # A link is fine: Nix's buildEnv makes them.
    if not stat.S_ISREG(status.st_mode):
        raise EnvironmentNotFound(f"{path}: not a regular file; {_WHAT_TO_NAME}")
    if status.st_size > _LARGEST_CONFIG:
        raise EnvironmentNotFound(f"{path}: larger than {_LARGEST_CONFIG // 1024} KiB; {_WHAT_TO_NAME}")
    return True


def _seems_virtual(root: str) -> bool:
    """Whether a root that nobody named has a pyvenv.cfg; what is wrong with it is not this user's concern."""
    try:
        return _has_configuration(root)
    except EnvironmentNotFound:
        return False


def _seems_begun(interpreter: str, prefix: str) -> bool:
    """Whether an environment may be being made around an interpreter: uv and virtualenv link it before pyvenv.cfg."""
    root, name = os.path.split(os.path.dirname(interpreter))
    if name not in {"bin", "Scripts"} or root == prefix or os.path.realpath(root) == os.path.realpath(prefix):
        return False
    from policy.environment.planned import begun

    return begun(root)


def _virtualenv(interpreter: str, root: str, found_by: str) -> Environment:
    """The virtual environment that an interpreter and a root with a pyvenv.cfg make."""

    def base() -> str:
        from policy.environment.pyvenv import base_interpreter

        return base_interpreter(interpreter, root)

    return Environment(interpreter, root, "virtualenv", base, found_by)
