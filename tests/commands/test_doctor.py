"""`policy doctor`: on a healthy machine, and where flock lies, fails or never returns."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from policy.commands.health.child import SECONDS
from policy.commands.health.finding import CODES
from tests import factories, real_uv, requirements
from tests.own_tmp import own_tmp
from tests.running import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

if sys.platform != "linux":
    pytest.skip("needs LD_PRELOAD and /proc", allow_module_level=True)

FAKES = {
    "no-op": "return 0;",
    "missing": "errno = ENOSYS; return -1;",
    "unsupported": "errno = EOPNOTSUPP; return -1;",
    "hangs": "for (;;) pause();",
    "hangs-deaf": "sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0); for (;;) pause();",
    "no-readers": "return syscall(SYS_flock, fd, (op & LOCK_SH) ? (op & ~LOCK_SH) | LOCK_EX : op);",
    "needs-writing": "if (!(fcntl(fd, F_GETFL) & O_RDWR) && (op & LOCK_EX)) { errno = EBADF; return -1; }"
    " return syscall(SYS_flock, fd, op);",
}
SOURCE = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>
int flock(int fd, int op) { %s }
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A directory with an environment."""
    return Place(tmp_path)


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libraries whose flock does something else."""
    requirements.need(bool(shutil.which("gcc")), "needs gcc")
    folder = tmp_path_factory.mktemp("fakes")
    for name, body in FAKES.items():
        source = folder / f"{name}.c"
        source.write_text(SOURCE % body, encoding="utf-8")
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / f"{name}.so", source], check=True)
    return folder


def doctor(place: Place, *words: str | Path, **environ: str) -> subprocess.CompletedProcess[Any]:
    """What it says of the environment."""
    variables = {**place.environ, "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environ}
    # The library of a test is for the doctor alone.
    library = variables.pop("LD_PRELOAD", "")
    loaded = [f"LD_PRELOAD={library}"] if library else []
    kept = [Path(library).parent] if library else []
    line = ["/usr/bin/env", *loaded, *factories.PROGRAM, "doctor", *map(str, words)]
    return place.call([*own_tmp(place.directory, *kept), *line], env=variables)


def findings(done: subprocess.CompletedProcess[Any]) -> list[dict[str, str]]:
    """All that was found, from the JSON."""
    return [finding for check in json.loads(done.stdout)["checks"] for finding in check["findings"]]


def codes(place: Place, *words: str | Path, **environ: str) -> set[str]:
    """The codes of what is wrong."""
    done = doctor(place, place.root, "--output-format", "json", *words, **environ)
    found = [finding for finding in findings(done) if finding["severity"] == "wrong"]
    assert (done.returncode, done.stderr) == (1 if found else 0, "")
    return {finding["code"] for finding in found}


def test_healthy(place: Place) -> None:
    """On a healthy machine nothing is wrong, each check says so, and the exit code is 0."""
    done = doctor(place, place.root)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert lines[-1].startswith("nothing is wrong")
    assert sum(line.startswith("ok     ") for line in lines) >= 10
    assert not [line for line in lines if line.startswith("wrong")]
    quiet = doctor(place, place.root, "-q").stdout
    assert quiet.splitlines()[-1] == lines[-1]
    assert "ok     " not in quiet


def test_notes(place: Place) -> None:
    """What is so on healthy machines, too, is a note: it is shown with its code and command, and the exit code is 0."""
    uv = factories.written(place.directory / "bin" / "uv", "#!/bin/sh\necho 'uv 0.13.9 (x 2026)'\n")
    uv.chmod(0o755)
    path = f"{uv.parent}:/usr/bin:/bin"
    done = doctor(place, place.root, PATH=path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    message = f"{uv} (0.13.9) waits 300 s for its lock (UV_LOCK_TIMEOUT is not set), then works without it"
    at = lines.index(f"note   {message}")
    assert lines[at + 1] == "       policy rule uv-gives-up"
    assert lines[at + 2] == "       export UV_LOCK_TIMEOUT=86400"
    assert re.fullmatch(r"nothing is wrong, [12] notes?", lines[-1])
    wrong = doctor(place, place.root, PATH=path, UV_LOCK_TIMEOUT="5")
    assert wrong.returncode == 1
    assert re.fullmatch(r"1 finding(, 1 note)?", wrong.stdout.splitlines()[-1])


def test_without_an_environment(place: Place) -> None:
    """Without an environment anywhere the host is examined."""
    assert doctor(place, VIRTUAL_ENV="", PATH="/usr/sbin:/bin").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        ("no-op", {"flock-does-not-exclude"}),
        ("missing", {"flock-unavailable"}),
        ("unsupported", {"flock-unavailable"}),
        ("hangs", {"flock-hangs"}),
        ("hangs-deaf", {"flock-hangs"}),
        ("no-readers", {"flock-not-shared"}),
        ("needs-writing", {"flock-needs-writing"}),
    ],
)
def test_fakes(place: Place, fakes: Path, fake: str, expected: set[str]) -> None:
    """A flock that keeps nobody out, fails, or never returns is found out, and no check is left running."""
    assert SECONDS + 1 < 10  # after these it gives up
    assert codes(place, LD_PRELOAD=str(fakes / f"{fake}.so")) == expected
    assert running(fakes / f"{fake}.so") == []


def running(library: Path) -> list[str]:
    """The processes that have a library loaded."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if str(library) in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace"):
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_leaves_nothing(place: Place, tmp_path: Path, fakes: Path) -> None:
    """No file or folder is newer than before, wherever it looked, whether checks came to their end or not."""
    factories.written(tmp_path / "lock-policy.toml", "timeout = 5\n")
    own_tmp(tmp_path, fakes)
    reference = tmp_path / "reference"
    reference.touch()
    time.sleep(0.05)
    for library in ("", "hangs.so", "no-op.so"):
        doctor(place, place.root, LD_PRELOAD=str(fakes / library) if library else "")
    newer = subprocess.run(
        ["find", tmp_path, "-newer", reference], capture_output=True, text=True, check=True
    ).stdout.split()
    assert newer == []
    own = tmp_path / "own-tmp"
    assert not [name for name in os.listdir(own if own.exists() else "/tmp") if name.startswith(".lock-policy-doctor")]


def test_another_user(place: Place, tmp_path: Path) -> None:
    """Without root it works as well; an environment that cannot be written is no finding of its own."""
    factories.open_to_all(tmp_path)
    place.root.chmod(0o555)
    words = [real_uv.public_python(), "-m", "policy", "doctor", str(place.root), "--no-config"]
    environ = {**place.environ, "PYTHONPATH": real_uv.public_path(), "PATH": "/usr/bin:/bin"}
    own = own_tmp(place.directory)
    if own:
        user = str(real_uv.NOBODY)
        words = [*own, "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *words]
        done = place.call(words, env=environ)
    else:
        done = real_uv.as_user(words, environ=environ, cwd=place.directory)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def remedies(found: Sequence[dict[str, str]]) -> list[str]:
    """The commands that mend it."""
    return [finding["remedy"] for finding in found]


def test_text(place: Place, fakes: Path) -> None:
    """Each finding is a sentence, a code with its place in the documentation, and a command."""
    done = doctor(place, place.root, LD_PRELOAD=str(fakes / "no-op.so"))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    at = lines.index("wrong  /tmp: two processes hold the same lock at once")
    assert lines[at + 1] == "       policy rule flock-does-not-exclude"
    assert lines[at + 2] == "       findmnt -T /tmp"
    assert lines[-1].startswith("2 findings")


def test_remedy_runs(place: Place, fakes: Path) -> None:
    """The rule that a remedy writes is one that can be read."""
    done = doctor(place, place.root, "--output-format", "json", LD_PRELOAD=str(fakes / "no-op.so"))
    found = findings(done)
    (remedy,) = {text for text in remedies(found) if str(place.root) in text}
    subprocess.run(["/bin/sh", "-c", remedy], cwd=place.directory, check=True)
    text = (place.directory / "lock-policy.toml").read_text(encoding="utf-8")
    assert place.call([*factories.PROGRAM, "check"]).returncode == 0
    assert text == f'[[rules]]\nmatch.environment = "{place.root}/**"\nlock = "cluster"\n'


def test_configuration(place: Place) -> None:
    """A fault of the configuration is a finding, with the command that shows all of them."""
    factories.written(place.directory / "lock-policy.toml", "tiemout = 1\n")
    done = doctor(place, place.root, "--output-format", "json")
    (finding,) = [one for one in findings(done) if one["severity"] == "wrong"]
    assert finding["code"] == "configuration"
    assert 'unknown key "tiemout"' in finding["message"]
    assert finding["remedy"] == "policy check"


def test_codes_are_documented() -> None:
    """Each code has a sentence, and its anchor on the reference page."""
    page = (factories.CHECKOUT / "docs" / "reference.md").read_text(encoding="utf-8")
    for code, sentence in CODES.items():
        assert f'<a id="doctor-{code}"></a>' in page
        assert sentence.endswith(".")
