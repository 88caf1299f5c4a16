"""One module per command, imported when it is called; a new command is a module here and a name in COMMANDS."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from policy.commands.reading import Parser

COMMANDS = {
    "explain": "which lock an environment gets, by which rule, and why",
    "run": "hold the lock while a command runs",
    "once": "hold the lock, look again, and run a command only if what it makes is still missing",
    "check": "find every fault in configuration files, and rules that look wrong",
    "rule": "show what a code or a hint means, with an example",
    "test": "run the [[tests]] of configuration files against their rules",
    "diff": "show which environments and callers get other locks under other rules",
    "replay": "show which decisions in a log would change under the current rules or others",
    "show": "print the effective configuration",
    "init": "write a commented configuration file to start from",
    "locks": "list the locks that are held on this host, and by whom",
    "users": "list the processes that run from an environment",
    "doctor": "find out whether locking works here",
    "shims": "write scripts that run uv, pip and the like under the lock",
    "hook": "print what a shell runs at its start to use the shims",
    "cluster": "print what a server for the locks of several hosts needs, or check one",
    "schema": "print the JSON Schema of the configuration",
    "completions": "print a completion script for a shell",
    "help": "show what a command does and its options",
}
AS_ENV = frozenset({"run", "once"})  # have 2 for the command they run, and 125 for themselves, as env(1) and timeout(1)


def module_of(name: str) -> ModuleType:
    """The module of a command, imported."""
    module: ModuleType = __import__(f"policy.commands.{name}", fromlist=["main"])  # importlib costs more
    return module


def parser_for(name: str) -> Parser:
    """What a command understands."""
    from policy.commands.reading import Parser

    summary = COMMANDS[name]
    parser = Parser(f"policy {name}", f"{summary[0].upper()}{summary[1:]}.")
    module_of(name).arguments(parser)
    return parser
