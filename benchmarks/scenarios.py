"""The same rules for every engine, and a project on disk that has them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_SIZE = "16000000"  # bytes; ten thousand rules are more than a file may have unless somebody allows it


@dataclass(frozen=True)
class Case:
    """A rule: what lies in a folder gets a lock."""

    folder: str
    lock: str


def cases(number: int) -> list[Case]:
    """Rules, the first that matches decides; none of them matches what another one matches, as Cedar has no order."""
    return [Case(f"/srv/app-{at}", "global" if at % 2 else "local") for at in range(number)]


DEFAULT = "local"  # what an environment gets that no rule speaks of: that of a virtual environment


def questions(number: int) -> list[tuple[str, str]]:
    """Roots of environments, each with the lock that every engine must answer."""
    known = cases(number)
    asked = [(f"{case.folder}/.venv", case.lock) for case in (known[0], known[1], known[number // 2], known[-1])]
    # the folder itself and a folder that only begins alike are covered by no rule
    return [
        *asked,
        (f"/srv/app-{number}/.venv", DEFAULT),
        ("/opt/tool", DEFAULT),
        (f"/srv/app-{number - 1}x/.venv", DEFAULT),
    ]


def last(number: int) -> str:
    """The root that the last rule matches, so that a loop has to try all."""
    return f"{cases(number)[-1].folder}/.venv"


def others(number: int) -> list[str]:
    """More roots that the last rule matches than anything remembers."""
    folder = cases(number)[-1].folder
    return [f"{folder}/env-{at}" for at in range(5_000)]


def toml(number: int, root: str) -> str:
    """The rules as a file, the last of which matches a root."""
    folders = [*(case.folder for case in cases(number - 1)), root]
    return "".join(
        f'[[rules]]\nname = "app-{at}"\nmatch.interpreter = "{folder}/**"\nlock = "local"\n\n'
        for at, folder in enumerate(folders)
    )


@dataclass(frozen=True)
class Project:
    """A directory with rules and a virtual environment that the last of them matches."""

    directory: str

    @property
    def root(self) -> str:
        return os.path.join(self.directory, ".venv")

    @property
    def environ(self) -> Mapping[str, str]:
        """Variables under which nothing outside of the scene is read."""
        home = os.path.dirname(self.directory)
        return {
            "HOME": home,
            "XDG_CONFIG_DIRS": home,
            "PATH": os.environ.get("PATH", os.defpath),
            "LOCK_POLICY_MAX_SIZE": MAX_SIZE,
        }


def project(folder: str, number: int) -> Project:
    """Makes one below an empty folder that is the caller's alone."""
    made = Project(os.path.join(folder, f"rules-{number}"))
    binaries = os.path.join(made.root, "bin")
    os.makedirs(binaries)
    base = os.path.realpath(sys.executable)
    os.symlink(base, os.path.join(binaries, "python"))
    with open(os.path.join(made.root, "pyvenv.cfg"), "w", encoding="utf-8") as file:
        file.write(f"home = {os.path.dirname(base)}\n")
    with open(os.path.join(made.directory, "lock-policy.toml"), "w", encoding="utf-8") as file:
        file.write(toml(number, made.root))
    return made


def wildcards(number: int) -> Iterator[tuple[str, str, str]]:
    """Kinds of rules that begin with a wildcard, as (kind, glob, regular expression of the same meaning)."""
    for at in range(number):
        yield "named", f"**/app-{at}/**", rf"(?s:(?:.*/)?app-{at}/.*)"
        yield "begun", f"**/app-{at}-*/**", rf"(?s:(?:.*/)?app-{at}-[^/]*/.*)"
        yield "nameless", f"**/*-{at}-*/**", rf"(?s:(?:.*/)?[^/]*-{at}-[^/]*/.*)"
