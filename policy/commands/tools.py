"""The programs that get a shim: where the real one is, and whether a command line of it may change an environment."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARK = b"policy.shim"  # every shim of any folder holds this
_BEGIN = 512  # bytes of a shim that hold the mark

PASSES, RUNS, CHANGES = "passes", "runs", "changes"

# The sub-commands that change no environment; all others may.
_READING = {
    "pip": "cache check completion config debug download freeze hash help index inspect list lock search show wheel",
    "pipx": "completions environment help list",
    "poetry": "about build cache check config export help init list lock new publish search show version",
    "pdm": "build cache completion config export info init list lock outdated publish search show",
    "hatch": "config dep project status version",
    "virtualenv": "",
}
# The sub-commands that run a program in an environment, and do not change it before.
_RUNNING = {"pip": "", "pipx": "run", "poetry": "run shell", "pdm": "run", "hatch": "", "virtualenv": ""}
# Options without a value that may stand before the sub-command; behind another one it cannot be known which word is it.
_FLAGS = frozenset(
    (  # noqa: SIM905  (a line for each name tells nothing more)
        "-q --quiet -qq -qqq -v --verbose -vv -vvv --isolated --no-input --no-color --no-cache-dir --no-ansi --ansi "
        "-n --no-interaction --no-plugins --no-cache --disable-pip-version-check --require-virtualenv --debug"
    ).split()
)
_HELP = frozenset({"-h", "--help", "-V", "--version"})
TOOLS = {"uv": "uv", "uvx": "uv", "pip": "pip", "pip3": "pip", **{name: name for name in _READING if name != "pip"}}
"""The programs that get a shim, and whose command line each has."""


def real(name: str, environ: Mapping[str, str]) -> str:
    """The first program of a name on PATH that is no shim, of this folder or of another; "" where there is none.

    Args:
        name: The program's name.
        environ: Its environment variables.
    """
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        for ending in (".exe", ".cmd", ".bat") if sys.platform == "win32" else ("",):
            path = os.path.join(folder or os.curdir, name + ending)
            if os.path.isfile(path) and os.access(path, os.X_OK) and not is_shim(path):
                return path
    return ""


def is_shim(path: str) -> bool:
    """Whether a file was written by `policy shims`; what cannot be read is no shim."""
    try:
        with open(path, "rb") as file:
            return MARK in file.read(_BEGIN)
    except OSError:
        return False


def effect_of(name: str, words: Sequence[str], environ: Mapping[str, str], cwd: str) -> str:
    """Whether a command line PASSES, RUNS something in an environment, or CHANGES one; in doubt the last.

    Args:
        name: One of TOOLS.
        words: Its arguments.
        environ: Its environment variables.
        cwd: Where it starts, absolute.
    """
    tool = TOOLS[name]
    if tool == "uv":
        return _of_uv(name, words, environ, cwd)
    for number, word in enumerate(words):
        if word in _HELP:
            return PASSES
        if word in _FLAGS or (word.startswith("--") and "=" in word):
            continue
        if word in _READING[tool].split():
            return PASSES
        if word in _RUNNING[tool].split():
            return RUNS
        return PASSES if not _HELP.isdisjoint(words[number:]) and "--" not in words else CHANGES
    return PASSES if tool != "virtualenv" else CHANGES


def _of_uv(name: str, words: Sequence[str], environ: Mapping[str, str], cwd: str) -> str:
    from policy.uv.command import parse
    from policy.uv.locks import changes_nothing

    command = parse([name, *words], environ, cwd)
    if command is None or changes_nothing(command):
        return PASSES
    return RUNS if command.operation in {"run", "tool run"} else CHANGES
