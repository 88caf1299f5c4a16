"""A uv command line, read as uv reads it: which subcommand, on which project, for which Python.

Only what decides about environments and locks is kept. The table of options that take a value is that of all releases
from 0.7.13 to 0.13: without it the value of one option would be taken for the subcommand, or a child's option for uv's.
"""

from __future__ import annotations

import os

from policy import host
from policy.variables import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Options that take a value wherever they occur, aliases and hidden ones included.
_VALUED = frozenset(
    (  # noqa: SIM905  (a line for each of 140 names tells nothing more)
        "abi allow-insecure-host annotation-style author-from bounds branch build-backend build-constraint "
        "build-constraints bump cache-dir cert check-url color config-file config-setting "
        "config-setting-package config-settings config-settings-package constraint constraints "
        "custom-compile-command default-index depth description directory env-file exclude exclude-newer "
        "exclude-newer-package excludes extra extra-index-url find-links fork-strategy format from "
        "graalpy-mirror group ignore ignore-until-fixed implementation index index-strategy index-url "
        "install-dir keyring-provider link-mode marker max-recursion-depth mirror name no-binary-package "
        "no-build-isolation-package no-build-package no-editable-package no-emit-package no-extra no-group "
        "no-install-package no-sources-package only-binary only-emit-package only-group only-install-package "
        "optional out-dir output-file output-format output-version override overrides package password path "
        "platform prefix prerelease prerelease-package preview-feature preview-features project prompt "
        "protocol prune publish-url pyodide-mirror pypy-mirror python python-downloads-json-url python-fetch "
        "python-platform python-preference python-version refresh-package reinstall-package requirement "
        "requirements resolution rev script service-format service-url tag target token torch-backend "
        "trusted-host trusted-publishing ty-version unsafe-package upgrade-group upgrade-package username vcs "
        "with with-editable with-executables-from with-requirements"
    ).split()
) | frozenset("CPbcdfimoprtuw")

# What is a flag in these commands although it takes a value in others.
_FLAGS = {
    "init": frozenset({"package", "script"}),
    "pip show": frozenset("f"),
    "python install": frozenset("fr"),
    "python upgrade": frozenset("r"),
    "run": frozenset({"script", "m", "s"}),
    "venv": frozenset("c"),
}

# What takes a value in these commands alone.
_VALUES = {
    "format": frozenset({"version"}),
    "pip compile": frozenset({"no-binary"}),
    "pip freeze": frozenset({"paths"}),
    "pip install": frozenset({"editable", "e", "no-binary"}),
    "pip sync": frozenset({"no-binary"}),
}

_LONG = {"C": "config-setting", "e": "editable", "m": "module", "p": "python", "s": "script", "t": "target"}

# Commands that have subcommands of their own.
_GROUPS = frozenset({"auth", "cache", "generate", "pip", "python", "self", "tool", "workspace"})

_ALIASES = {
    "cache clear": "cache clean",
    "pip ls": "pip list",
    "python ls": "python list",
    "tool ls": "tool list",
    "tool update": "tool upgrade",
    "tool uvx": "tool run",
    "v": "venv",
    "virtualenv": "venv",
}

# Since which release a variable counts.
_SINCE = {"UV_ISOLATED": (0, 8, 14), "UV_NO_PROJECT": (0, 11, 8)}
_SCRIPTS_PROJECT = (0, 12, 0)
"""`uv run DIR/script.py` works on the project of the script; before on that of the working directory."""

# The first of their positional arguments begins another program's command line.
_STARTS_CHILD = frozenset({"run", "tool run"})


class Command:
    """A uv command line.

    Args:
        launch: The words that start uv: `("uv",)`, `("python", "-m", "uv")`.
        operation: The subcommand: `add`, `pip install`, ...; "" if there is none.
        options: Values of the options, the last one of each by its long name; "" for a flag.
        arguments: The positional arguments, without a child's command line.
        child: The command line that `uv run` or `uvx` starts.
        environ: The environment variables that uv sees.
        cwd: Where uv works, absolute: after `--directory`.
    """

    __slots__ = ("arguments", "child", "cwd", "environ", "launch", "operation", "options", "release")

    def __init__(  # noqa: PLR0917  (one for each thing that a command line says)
        self,
        launch: tuple[str, ...],
        operation: str,
        options: dict[str, str],
        arguments: tuple[str, ...],
        child: tuple[str, ...],
        environ: Mapping[str, str],
        cwd: str,
    ) -> None:
        self.launch: tuple[str, ...] = launch
        self.operation: str = operation
        self.options: dict[str, str] = options
        self.arguments: tuple[str, ...] = arguments
        self.child: tuple[str, ...] = child
        self.environ: Mapping[str, str] = environ
        self.cwd: str = cwd
        self.release: tuple[int, ...] | None = None
        """Which uv it is, once someone asked (`policy.uv.release`); () where it does not say."""

    def __repr__(self) -> str:
        return f"Command({self.operation!r}, {self.options!r}, {self.arguments!r}, {self.child!r}, cwd={self.cwd!r})"

    def flag(self, name: str, variable: str = "") -> bool:
        """Whether a flag is given, or else set by its environment variable.

        A variable that uv would refuse counts as not set: uv will say so.
        """
        if name in self.options:
            return True
        return bool(variable and boolean(self.environ.get(variable, "")) and self.since(_SINCE.get(variable, ())))

    def since(self, first: tuple[int, ...]) -> bool:
        """Whether it is a release or a later one; where that is not known, it is taken for a new one."""
        return not self.release or self.release >= first

    @property
    def python(self) -> str | None:
        """What `--python` asks for, or else `UV_PYTHON`, which uv ignores if it is empty."""
        return self.options.get("python") or self.environ.get("UV_PYTHON") or None

    @property
    def python_from(self) -> str:
        """Where `python` is from: `--python` or `UV_PYTHON`."""
        return "--python" if self.options.get("python") else "UV_PYTHON"

    @property
    def system(self) -> bool:
        """Whether virtual environments are to be passed over."""
        return "no-system" not in self.options and self.flag("system", "UV_SYSTEM_PYTHON")

    @property
    def project(self) -> str:
        """Where the search for the project begins, absolute: where a script that is run lies (uv 0.12 and later)."""
        named = self.options.get("project") or self.environ.get("UV_PROJECT")
        script = None if named else self.script
        if script and self.operation == "run" and self.since(_SCRIPTS_PROJECT):
            return os.path.dirname(os.path.normpath(script))
        return os.path.join(self.cwd, named or "")

    @property
    def no_sync(self) -> bool:
        """Whether the project's environment is to be left as it is."""
        return self.flag("no-sync", "UV_NO_SYNC")

    @property
    def frozen(self) -> bool:
        """Whether the lockfile is to be left as it is."""
        return self.flag("frozen", "UV_FROZEN")

    @property
    def script(self) -> str | None:
        """The script that is worked on, absolute; also one that `uv run` is to run, with or without metadata."""
        if self.operation == "run":
            if not self.child or "module" in self.options:
                return None
            named = self.child[0]
            if named == "-" or "://" in named:
                return None  # uv knows its requirements when it has read it, we do not
            if "script" not in self.options and not named.lower().endswith((".py", ".pyw")):
                return None
        elif self.operation == "init" or not self.options.get("script"):
            return None
        else:
            named = self.options["script"]
        return os.path.join(self.cwd, named)


def parse(argv: Sequence[str], environ: Mapping[str, str], cwd: str) -> Command | None:
    """Reads a command line.

    Args:
        argv: The whole command line.
        environ: The environment variables that it will get.
        cwd: Where it will start, absolute.

    Returns:
        The command, or None if it is not one of uv.
    """
    launch = _launch(argv)
    if not launch:
        return None
    words = ["tool", "run"] if host.program_name(launch[0]) == "uvx" else []
    operation, options, arguments, child = _read(iter(argv[len(launch) :]), words)
    # Both names are read by newer releases; `--directory` is much older.
    directory = options.get("directory") or environ.get("UV_WORKING_DIRECTORY") or environ.get("UV_WORKING_DIR")
    if directory:
        # uv changes its directory and asks the kernel where it is, so that links are resolved.
        cwd = os.path.realpath(os.path.join(cwd, directory))
    if len(launch) > 1:
        environ = _by_module(launch[0], environ, cwd)
    return Command(tuple(launch), operation, options, tuple(arguments), tuple(child), environ, cwd)


def _launch(argv: Sequence[str]) -> list[str]:
    """The words that start uv, none if it is not uv that is started."""
    if not argv:
        return []
    name = host.program_name(argv[0])
    if name in {"uv", "uvx"}:
        return [argv[0]]
    if not name.startswith(("python", "pypy", "graalpy")) and not (os.name == "nt" and name == "py"):
        return []
    from policy.environment.wrappers import module_of

    module = module_of(argv)
    return list(argv[: len(argv) - len(module) + 1]) if module[:1] == ("uv",) else []


def _by_module(python: str, environ: Mapping[str, str], cwd: str) -> dict[str, str]:
    """The variables that uv gets of its `__main__.py`: the virtual environment and the interpreter that run it."""
    import shutil

    path = python if os.path.dirname(python) else shutil.which(python, path=environ.get("PATH")) or python
    path = os.path.join(cwd, path)
    changed = {**environ}
    root = os.path.dirname(os.path.dirname(path))
    if os.path.isfile(os.path.join(root, "pyvenv.cfg")):
        changed.setdefault("VIRTUAL_ENV", root)
    changed.setdefault("UV_INTERNAL__PARENT_INTERPRETER", path)
    return changed


def _read(words: Iterator[str], known: list[str]) -> tuple[str, dict[str, str], list[str], list[str]]:
    """The subcommand, the options, the positional arguments, and the command line of a child."""
    options: dict[str, str] = {}
    arguments: list[str] = []
    operation = _operation(known)
    for word in words:
        if word == "--":
            rest = list(words)
            if operation in _STARTS_CHILD:
                return operation, options, arguments, rest
            return operation or " ".join(known), options, arguments + rest, []
        if word.startswith("--"):
            _long(word[2:], words, operation, options)
        elif word.startswith("-") and len(word) > 1:
            _short(word[1:], words, operation, options)
        elif not operation:
            known.append(word)
            operation = _operation(known)
        elif operation in _STARTS_CHILD:
            return operation, options, arguments, [word, *words]
        else:
            arguments.append(word)
    return operation or " ".join(known), options, arguments, []


def _operation(words: list[str]) -> str:
    """The subcommand that some words make, "" if more are needed."""
    if not words or (len(words) == 1 and words[0] in _GROUPS):
        return ""
    name = " ".join(words)
    return _ALIASES.get(name, name)


def _valued(name: str, operation: str) -> bool:
    if name in _FLAGS.get(operation, ()):
        return False
    return name in _VALUED or name in _VALUES.get(operation, ())


def _long(word: str, words: Iterator[str], operation: str, options: dict[str, str]) -> None:
    name, equals, value = word.partition("=")
    if not equals and _valued(name, operation):
        value = next(words, "")
    # clap lets the last of a flag and its opposite win.
    options.pop(name[3:] if name.startswith("no-") else f"no-{name}", None)
    options[name] = value


def _short(cluster: str, words: Iterator[str], operation: str, options: dict[str, str]) -> None:
    """Reads letters that follow one dash; the first that takes a value takes the rest, or the next word."""
    for index, letter in enumerate(cluster):
        name = _LONG.get(letter, letter)
        if _valued(letter, operation):
            options[name] = cluster[index + 1 :].removeprefix("=") or next(words, "")
            return
        options[name] = ""
