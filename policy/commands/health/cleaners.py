"""Programs that remove old files from the directory of global locks, held ones too: the next caller makes a new one."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from fnmatch import fnmatchcase

from policy.commands.health.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from policy.commands.health.finding import Surroundings

_SCRIPTS = {
    "/etc/cron.daily/tmpreaper": "chmod -x /etc/cron.daily/tmpreaper",
    "/etc/cron.daily/tmpwatch": "chmod -x /etc/cron.daily/tmpwatch",
    "/etc/periodic/daily/110.clean-tmps": "echo 'daily_clean_tmps_enable=\"NO\"' >> /etc/periodic.conf",
}
"""What cleans /tmp, and what stops it."""

_LEAVES_LOCKED = 254  # the first systemd whose tmpfiles leave a locked file alone (systemd 27029)
_BOOTED = "/run/systemd/system"  # sd_booted(3): elsewhere no timer starts it
_AGED = frozenset("dDevqQ")  # lines of tmpfiles.d(5) that take an age
_AGE = 5  # its column
_SAMPLE = "lock-policy-0123456789abcdef.lock"


def cleaners(surroundings: Surroundings) -> Iterator[Finding]:
    """What removes old files here whether they are locked or not."""
    folder = surroundings.gate
    for path, remedy in _SCRIPTS.items() if folder == "/tmp" else ():  # noqa: S108  (compared only)
        if os.access(path, os.X_OK):
            yield Finding("tmp-cleaner", f"{path} removes old files from {folder}, held locks too", remedy)
    program = shutil.which("systemd-tmpfiles", path=surroundings.environ.get("PATH"))
    if program is None or not os.path.isdir(_BOOTED):
        return
    release = _release(program, surroundings.environ)
    if release is None or release >= _LEAVES_LOCKED:
        return
    age = age_in(_said([program, "--cat-config"], surroundings.environ), folder)
    if age:
        line = shlex.quote(f"x {folder}/lock-policy-*")
        message = f"systemd-tmpfiles {release} removes files older than {age} from {folder}, held locks too"
        yield Finding("tmp-cleaner", message, f"echo {line} | sudo tee /etc/tmpfiles.d/lock-policy.conf")


def age_in(configuration: str, folder: str) -> str:
    """At what age systemd-tmpfiles removes a lock file; "" where it leaves them alone.

    Args:
        configuration: Lines of tmpfiles.d(5), the strongest first.
        folder: Where the lock file lies.
    """
    nearest, age = "", ""
    for line in configuration.splitlines():
        fields = line.split()
        if len(fields) <= 1 or line.startswith("#"):
            continue
        kind, path = fields[0], fields[1].rstrip("/")
        if kind[0] in "xX" and (fnmatchcase(f"{folder}/{_SAMPLE}", path) or (kind[0] == "x" and path == folder)):
            return ""
        above = path == folder or folder.startswith(f"{path}/")
        if kind[0] in _AGED and above and len(path) > len(nearest):
            nearest, age = path, fields[_AGE] if len(fields) > _AGE else "-"
    return "" if age in {"", "-"} else age.rpartition(":")[2].lstrip("~")


def _release(program: str, environ: Mapping[str, str]) -> int | None:
    """The release of systemd: `systemd 252 (252.38-1)`."""
    words = _said([program, "--version"], environ).split()
    number = words[1].partition(".")[0].partition("~")[0] if len(words) > 1 else ""
    return int(number) if number.isdigit() else None


def _said(words: list[str], environ: Mapping[str, str]) -> str:
    done = subprocess.run(words, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")
