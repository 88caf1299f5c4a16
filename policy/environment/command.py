"""What a command line changes: which environment, and what says so.

A tool is added in one place: a function in a module of this package, and a line in INSTALLERS. A program that starts
another one is a line in WRAPPERS. Nothing is imported for a command that is in neither.
"""

from __future__ import annotations

import os

from policy import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from policy.environment.change import Change
    from policy.environment.wrappers import Words

# The options that take a value, and the number of arguments before the command.
WRAPPERS = {
    "chrt": ("T P D sched-runtime sched-period sched-deadline", 1),
    "doas": ("C u", 0),
    "env": ("u/unset C/chdir S/split-string a/argv0", 0),
    "flock": ("w E timeout wait conflict-exit-code", 1),
    "ionice": ("c n p P u class classdata pid pgid uid", 0),
    "nice": ("n adjustment", 0),
    "nohup": ("", 0),
    "setsid": ("", 0),
    "stdbuf": ("i o e input output error", 0),
    "sudo": ("A C D/chdir g h p R r T t U u close-from group host prompt chroot role command-timeout type user", 0),
    "taskset": ("", 1),
    "time": ("f o format output", 0),
    "timeout": ("k s kill-after signal", 1),
    "unshare": ("S G R w setuid setgid root wd propagation setgroups map-user map-group map-users map-groups", 0),
}
"""Programs that run the command that their arguments name. Shells are read by `wrappers` itself."""

# The module of this package that has a function of the tool's name.
INSTALLERS = {
    "conda": "conda",
    "ensurepip": "pip",
    "hatch": "projects",
    "mamba": "conda",
    "micromamba": "conda",
    "nox": "projects",
    "pdm": "projects",
    "pip": "pip",
    "pipx": "pipx",
    "pixi": "conda",
    "poetry": "projects",
    "pypy": "python",
    "python": "python",
    "tox": "projects",
    "venv": "python",
    "virtualenv": "python",
}
"""Programs that change environments, by their name without a version. uv is read by `policy.uv`."""


def changed_by(words: Sequence[str], environ: Mapping[str, str], cwd: str) -> Change | None:
    """What a command changes.

    Args:
        words: The command line.
        environ: The environment variables that it will get.
        cwd: Where it will start, absolute.

    Returns:
        What it changes, None where it is no program that is known here and names no environment by its place. Nothing
        is executed but an interpreter that the command names, or that PATH leads to.

    Raises:
        UsageError: The command changes several environments, of which one must be named.
    """
    if _stem(words[0]) not in {*WRAPPERS, *host.SHELLS, *INSTALLERS} and not _in_environment(words[0], cwd):
        return None
    from policy.environment.wrappers import Words, unwrap

    command = unwrap(Words(words, environ, cwd), WRAPPERS)
    stem = _stem(command.words[0])
    # Modules of Python are no programs.
    change = installer(stem)(command) if stem in INSTALLERS and stem not in {"venv", "ensurepip"} else None
    return change or _by_path(command)


def installer(stem: str) -> Callable[[Words], Change | None]:
    """The function that reads the command line of a tool.

    Args:
        stem: A key of INSTALLERS.
    """
    module = __import__(f"policy.environment.{INSTALLERS[stem]}", fromlist=[stem])  # importlib costs more
    return getattr(module, stem)  # type: ignore[no-any-return]  # as the registry says


def _stem(path: str) -> str:
    """The name of a program without a version: pip3.11 is pip."""
    name = host.program_name(path)
    return name.rstrip("0123456789.t") or name if name[:2] == "py" or name[:3] == "pip" else name


def _by_path(command: Words) -> Change | None:
    """What a program changes of which only its place is known: the environment that it was installed into."""
    from policy.environment.change import Change, of_program

    if not _in_environment(command.words[0], command.cwd):
        return Change(command, None) if command.through else None
    return Change(command, of_program(command))


def named(words: Sequence[str], cwd: str) -> Iterator[tuple[str, str]]:
    """The virtual environments that words name by a program in them, whatever the command does with these.

    Args:
        words: A command that `changed_by` does not understand.
        cwd: Where it will start, absolute.

    Returns:
        The word, and the root; a shell's text is split where it has blanks.
    """
    for word in words:
        if "/bin/" not in word:
            continue
        moves = "cd " in word or "pushd " in word
        parts = word.replace(";", " ").split()
        for number, part in enumerate(parts):
            path = part.rpartition("=")[2].strip("'\"()`")
            folder, name = os.path.split(path)
            if not name.startswith(("pip", "python", "activate")) or (moves and not os.path.isabs(path)):
                continue
            module = parts[number + 2 : number + 3] if parts[number + 1 : number + 2] == ["-m"] else []
            if module and module[0] not in INSTALLERS:
                continue  # a tool that runs there, and need not change it
            root = os.path.normpath(os.path.join(cwd, os.path.dirname(folder)))
            if os.path.isfile(os.path.join(root, "pyvenv.cfg")):
                yield path, root


def _in_environment(program: str, cwd: str) -> bool:
    """Whether a program is named by its path, and stands among those of a virtual environment."""
    root = os.path.dirname(os.path.dirname(os.path.normpath(os.path.join(cwd, program))))
    return os.sep in program and os.path.exists(os.path.join(root, "pyvenv.cfg"))
