"""The programs and files involved: uv, the package itself, the configuration, the server of a cluster."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from policy.commands.health.finding import NOTE, WRONG, Finding
from policy.environment.writability import lock_errno
from policy.wrap import FAIL_UNWRITABLE, TIMES_OUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.commands.health.finding import Surroundings

_DEFAULT = 300  # seconds
_LONG = 24 * 60 * 60  # seconds: somebody chose a wait that long


def uv(surroundings: Surroundings) -> Iterator[Finding]:
    """The uv on PATH, and what its release does to this environment."""
    import shutil

    from policy.uv.release import version

    path = shutil.which("uv", path=surroundings.environ.get("PATH"))
    if path is None:
        return
    release = version(path, surroundings.environ)
    if release is None:
        yield Finding("uv-does-not-answer", f"{path}: does not say its version", f"{shlex.quote(path)} --version")
        return
    name = f"{path} ({'.'.join(map(str, release))})"
    environment = surroundings.environment
    root = environment.root if environment and environment.kind == "virtualenv" else ""
    if root and os.path.isdir(root) and lock_errno(root):
        if FAIL_UNWRITABLE[0] <= release <= FAIL_UNWRITABLE[1]:
            message = f"{name} fails on {root}, which cannot be written"
            yield Finding("uv-fails-read-only", message, "uv self update")
        elif release > FAIL_UNWRITABLE[1]:
            message = f"{name} takes no lock on {root}, which cannot be written"
            yield Finding(
                "uv-unlocked-read-only", message, f'policy shims && eval "$(policy hook {_shell(surroundings)})"'
            )
    if release >= TIMES_OUT:
        yield from _gives_up(name, surroundings.environ.get("UV_LOCK_TIMEOUT", ""))


def _gives_up(name: str, own: str) -> Iterator[Finding]:
    """When a uv works without the lock that it waited for."""
    seconds = int(own) if own.isdecimal() else _DEFAULT
    if seconds >= _LONG:
        return
    source = f"UV_LOCK_TIMEOUT={own}" if own else "UV_LOCK_TIMEOUT is not set"
    message = f"{name} waits {seconds} s for its lock ({source}), then works without it"
    severity = WRONG if seconds < _DEFAULT else NOTE
    yield Finding("uv-gives-up", message, f"export UV_LOCK_TIMEOUT={_LONG}", severity)


def _shell(surroundings: Surroundings) -> str:
    name = os.path.basename(surroundings.environ.get("SHELL", ""))
    return name if name in {"bash", "zsh", "fish"} else "bash"


def foreign(surroundings: Surroundings) -> Iterator[Finding]:
    """Whether the unrelated distribution `policy` of PyPI stands in the same environment: each overwrites the other."""
    del surroundings
    from importlib.metadata import distributions

    for distribution in distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if name == "policy":
            place = distribution.locate_file("policy")
            pip = f"{shlex.quote(sys.executable)} -m pip"
            yield Finding(
                "foreign-policy",
                f"{place}: the distribution policy {distribution.version} installs the same package as lock-policy",
                f"{pip} uninstall -y policy && {pip} install --force-reinstall --no-deps lock-policy",
            )


def configuration(surroundings: Surroundings) -> Iterator[Finding]:
    """Whether the configuration can be read."""
    done = _policy("check", "-q", surroundings=surroundings)
    if done.returncode > 1:
        first = (done.stderr.strip().splitlines() or ["it cannot be read"])[0].removeprefix("policy: error: ")
        yield Finding("configuration", first, " ".join(["policy check", *map(shlex.quote, surroundings.options)]))


def cluster(surroundings: Surroundings) -> Iterator[Finding]:
    """Whether the server for locks of clusters is usable, where one is configured."""
    shown = _policy("show", "--output-format", "json", surroundings=surroundings)
    if shown.returncode or '"cluster": {' not in shown.stdout:
        return
    done = _policy("cluster", "status", surroundings=surroundings)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["not usable"]
        yield Finding("cluster", lines[0].removeprefix("policy: error: "), "policy cluster status")


def _policy(*words: str, surroundings: Surroundings) -> subprocess.CompletedProcess[str]:
    """Runs a command of this program on the same configuration."""
    code = "import sys; from policy.__main__ import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-B", "-P", "-c", code, *words, *surroundings.options],
        env={**surroundings.environ, "COLUMNS": "10000", "NO_COLOR": "1", "XDG_CACHE_HOME": os.devnull},
        cwd=surroundings.cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
