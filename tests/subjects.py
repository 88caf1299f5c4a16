"""uv, flock(1), filelock and lock-policy on one stage: each starts a program while it holds the lock of a place.

The program is the same for all. It writes down that it is inside, stays until it is released, and writes down that it
leaves. For uv, which starts nothing by itself, the build of a source tree runs it: uv holds its lock meanwhile.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from policy.uv import names
from tests import real_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

TIMEOUT = 10.0  # seconds in which who is going to be inside is, on a busy machine too; later it hangs
FAREWELL = 60.0  # seconds in which a program ends that was told to go

_INSIDE = """\
echo "E $STAGE_NAME.$$" >> "$STAGE_LOG"
echo $$ > "$STAGE_FILES/in.$STAGE_NAME"
if [ -n "$STAGE_SECONDS" ]; then sleep "$STAGE_SECONDS"; else
  until [ -e "$STAGE_FILES/go.$STAGE_NAME" ]; do sleep 0.02; done
fi
echo "L $STAGE_NAME.$$" >> "$STAGE_LOG"
"""

_BACKEND = """\
import os, subprocess, zipfile

def prepare_metadata_for_build_wheel(directory, settings=None):
    subprocess.check_call(["sh", os.environ["STAGE_PROGRAM"]])
    os.mkdir(os.path.join(directory, "staged-1.0.dist-info"))
    with open(os.path.join(directory, "staged-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: staged\\nVersion: 1.0\\n")
    return "staged-1.0.dist-info"

def build_wheel(directory, settings=None, metadata=None):
    raise NotImplementedError("a dry run builds no wheel")
"""

_PROJECT = """\
[build-system]
requires = []
build-backend = "staged_backend"
backend-path = ["."]
[project]
name = "staged"
dynamic = ["version"]
"""


@frozen
class Place:
    """What is locked.

    Args:
        interpreter: As given to uv and lock-policy.
        file: As given to flock(1) and filelock: uv's own file where there is one that anybody can name.
        root: Of the environment.
    """

    interpreter: str
    file: str
    root: str


class Stage:
    """A folder of its own for one subject in one case, where every user can get; use it in a `with`.

    Attributes:
        directory: The folder.
        shared: A folder like /tmp, sticky and for everybody. uv's and lock-policy's global locks are there.
        log: What was written down by who was inside, for `exclusion.violations`.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="stage-"))
        self.directory.chmod(0o755)
        self.shared = self._folder("shared", 0o1777)
        self.log = self.directory / "log"
        self.log.touch()
        self.log.chmod(0o666)
        self._files = self._folder("files", 0o777)
        self._home = self._folder("home", 0o777)
        self._program = self.directory / "program"
        self._program.write_text(_INSIDE, encoding="ascii")
        self._global = {"LOCK_POLICY_GLOBAL_DIR": str(self.shared)}
        self._elsewhere: list[str] = []
        self._started: list[Running] = []
        self._undo: list[Sequence[str]] = []

    def _folder(self, name: str, mode: int) -> Path:
        made = self.directory / name
        made.mkdir()
        made.chmod(mode)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._started:
            running.kill()
        for command in reversed(self._undo):
            subprocess.run(command, check=True)
        for path in self._elsewhere:
            Path(path).unlink(missing_ok=True)
        shutil.rmtree(self.directory)

    def remove_later(self, path: str) -> None:
        """Removes a file that may lie elsewhere when the stage is left.

        Args:
            path: The file.
        """
        self._elsewhere.append(path)

    def mount(self, place: Path, *options: str) -> bool:
        """Mounts something until the stage is left; answers whether that can be done here.

        Args:
            place: Made if it is missing.
            *options: Of mount(8), before the place.
        """
        place.mkdir(exist_ok=True)
        mounted = (
            shutil.which("mount")
            and not subprocess.run(["mount", *options, place], check=False, stderr=subprocess.DEVNULL).returncode
        )
        if mounted:
            self._undo.append(["umount", "--lazy", str(place)])
        return bool(mounted)

    def virtualenv(self, root: Path | None = None) -> Place:
        """A new virtual environment, which all subjects lock by its own `.lock`."""
        root = root or self.directory / "env"
        interpreter = real_uv.virtualenv(root)
        return Place(str(interpreter), str(root / ".lock"), str(root))

    def system(self) -> Place:
        """An interpreter outside of any virtual environment with two names in its folder, `python3` and `python3.N`.

        Nobody but uv and lock-policy knows where uv locks it, so the others are given a file with a name of its own.
        """
        real = Path(real_uv.public_python()).resolve()
        code = "import sys, sysconfig; print(sysconfig.get_path('stdlib')); print('python%d.%d' % sys.version_info[:2])"
        library, name = subprocess.run([real, "-Ic", code], check=True, capture_output=True, text=True).stdout.split()
        prefix = self.directory / "usr"
        own = prefix / "lib" / name
        own.mkdir(parents=True)
        (prefix / "bin").mkdir()
        shutil.copy(real, prefix / "bin" / name)
        (prefix / "bin" / "python3").symlink_to(name)
        for entry in Path(library).iterdir():
            if entry.name not in {"site-packages", "dist-packages", "EXTERNALLY-MANAGED"}:
                (own / entry.name).symlink_to(entry)
        (own / "site-packages").mkdir()
        return Place(str(prefix / "bin" / "python3"), str(self.shared / "chosen-by-hand.lock"), str(prefix))

    def environ(self, **more: str) -> dict[str, str]:
        """Variables for whatever runs here, with all that is temporary or global in `shared`."""
        variables = real_uv.clean_environ(self._home, PYTHONPATH=real_uv.public_path(), TMPDIR=str(self.shared))
        return {**variables, **self._global, **more}

    def with_default_directory(self, place: Place) -> None:
        """From now on lock-policy's global locks are in their default place; that of a place is removed at the end."""
        self._global = {}
        files = POLICY.files(place, self.environ())
        self._elsewhere += [path for path in files if os.path.basename(path).startswith("lock-policy-")]

    def command(self, subject: Subject, place: Place, timeout: float | None = None) -> list[str]:
        """The command line with which a subject runs the stage's program; each has a source tree of its own."""
        source = self._folder(f"source{len(list(self.directory.glob('source*')))}", 0o777)
        (source / "pyproject.toml").write_text(_PROJECT, encoding="ascii")
        (source / "staged_backend.py").write_text(_BACKEND, encoding="ascii")
        # A shell starts the program, so that a program is left where the wrapper, or what it became, is killed.
        program = ["sh", "-c", 'sh "$0"; exit $?', str(self._program)]
        return subject.command(place, program, str(source), timeout)

    def variables(self, name: str, seconds: float | None = None) -> dict[str, str]:
        """Variables for a run of the stage's program.

        Args:
            name: Under which it is written down.
            seconds: How long it stays inside; None: until it is released.
        """
        return self.environ(
            STAGE_NAME=name,
            STAGE_LOG=str(self.log),
            STAGE_FILES=str(self._files),
            STAGE_PROGRAM=str(self._program),
            STAGE_SECONDS="" if seconds is None else str(seconds),
        )

    def start(
        self,
        subject: Subject,
        place: Place,
        *,
        timeout: float | None = None,
        user: int | None = None,
        wrapper: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Running:
        """Lets a subject lock a place and run the stage's program.

        Args:
            subject: Which.
            place: What it locks.
            timeout: Its timeout in seconds; None: what it does by itself.
            user: Whose process; None: ours.
            wrapper: A command that runs the subject, such as strace with its options.
            environ: Variables on top.
        """
        name = f"run{len(self._started)}"
        variables = {**self.variables(name), **(environ or {})}
        if timeout is not None:
            variables["UV_LOCK_TIMEOUT"] = f"{timeout:.0f}"
        command = [*wrapper, *self.command(subject, place, timeout)]
        running = Running(self._files, name, command, variables, user)
        self._started.append(running)
        return running


class Running:
    """A subject at work.

    Args:
        files: The folder by which the stage's program is spoken with.
        name: Of this run.
        command: What is started.
        environ: All of its variables.
        user: Whose process; None: ours.
    """

    def __init__(
        self, files: Path, name: str, command: Sequence[str], environ: Mapping[str, str], user: int | None
    ) -> None:
        self._entered = files / f"in.{name}"
        self._go = files / f"go.{name}"
        self._errors = files / f"errors.{name}"
        self._since = time.monotonic()
        self.seconds = 0.0
        identity: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                env=environ,
                cwd=files,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                **identity,
            )

    @property
    def inside(self) -> bool:
        """Whether the program has been reached."""
        return self._entered.exists() and self._entered.stat().st_size > 0

    @property
    def program(self) -> int:
        """The process id of the program that is inside."""
        return int(self._entered.read_text(encoding="ascii"))

    def enters(self, seconds: float) -> bool:
        """Waits until the program is inside, at most so many seconds; False too when the process has ended before."""
        end = time.monotonic() + seconds
        while not self.inside:
            if self.process.poll() is not None or time.monotonic() > end:
                return self.inside
            time.sleep(0.005)
        self.seconds = self.seconds or time.monotonic() - self._since
        return True

    @property
    def long(self) -> float:
        """Seconds in which another one of its kind would be inside, if nothing kept it out."""
        return max(1.0, 3 * self.seconds)

    def go(self) -> None:
        """Tells the program to leave."""
        self._go.touch()

    def end(self) -> int:
        """Tells the program to leave, and waits; answers the exit code."""
        self.go()
        return self.process.wait(FAREWELL)

    @property
    def said(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """Ends it and all that it has started."""
        if sys.platform == "win32":
            raise NotImplementedError
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


@frozen
class Subject:
    """A way to lock an environment.

    Args:
        name: As the page heads its column.
        command: From a place, a program, a source tree for uv and seconds to wait to what runs the program.
        files: From a place and the variables to the lock files.
        take: Python that makes of `path` (the place's file, or its root) something for `with`; "" for programs.
        asks_root: Whether `take` wants the root.
    """

    name: str
    command: Callable[[Place, list[str], str, float | None], list[str]]
    files: Callable[[Place, Mapping[str, str]], list[str]]
    take: str = ""
    asks_root: bool = field(default=False, kw_only=True)

    def path(self, place: Place) -> str:
        """What `take` is given."""
        return place.root if self.asks_root else place.file


def _uv(place: Place, program: list[str], source: str, timeout: float | None) -> list[str]:
    del program, timeout  # the build runs it; UV_LOCK_TIMEOUT is a variable
    options = ["--dry-run", "--no-cache", "--break-system-packages", "--python", place.interpreter]
    return [str(real_uv.installed()), "pip", "install", *options, source]


def _uv_files(place: Place, environ: Mapping[str, str]) -> list[str]:
    if os.path.exists(os.path.join(place.root, "pyvenv.cfg")):
        return [place.file]
    return [names.path_lock(place.interpreter, environ)]


def _flock(place: Place, program: list[str], source: str, timeout: float | None) -> list[str]:
    del source
    return ["flock", *([] if timeout is None else ["--timeout", str(timeout)]), place.file, *program]


def _its_file(place: Place, environ: Mapping[str, str]) -> list[str]:
    del environ
    return [place.file]


_FILELOCK_RUN = """
import subprocess, sys
from filelock import FileLock
with FileLock(sys.argv[1], timeout=float(sys.argv[2])):
    code = subprocess.run(sys.argv[3:]).returncode
sys.exit(code)
"""


def _filelock(place: Place, program: list[str], source: str, timeout: float | None) -> list[str]:
    del source
    seconds = "-1" if timeout is None else str(timeout)  # FileLock's own default
    return [real_uv.public_python(), "-c", _FILELOCK_RUN, place.file, seconds, *program]


def _policy(place: Place, program: list[str], source: str, timeout: float | None) -> list[str]:
    del source
    options = ["--python", place.interpreter, *([] if timeout is None else ["--timeout", str(timeout)])]
    return [real_uv.public_python(), "-m", "policy", "run", *options, "--", *program]


def _policy_files(place: Place, environ: Mapping[str, str]) -> list[str]:
    command = [real_uv.public_python(), "-m", "policy", "explain", place.interpreter, "--output-format", "path"]
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.splitlines()


def closing(command: list[str]) -> list[str]:
    """lock-policy's command line with `--close`: a parent stays beside the program."""
    end = command.index("--")
    return [*command[:end], "--close", *command[end:]]


UV = Subject("uv", _uv, _uv_files)
FLOCK = Subject("`flock(1)`", _flock, _its_file)
FILELOCK = Subject("filelock", _filelock, _its_file, "from filelock import FileLock as take")
POLICY = Subject("lock-policy", _policy, _policy_files, "from policy import lock as take", asks_root=True)
NOTHING = Subject("nothing", lambda place, program, source, timeout: program, _its_file)  # noqa: ARG005  (shows that overlaps are seen)
SUBJECTS = (UV, FLOCK, FILELOCK, POLICY)
