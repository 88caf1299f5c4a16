"""One module per command, imported when it is called; a new command is a module here and a name in COMMANDS."""

from __future__ import annotations

COMMANDS = {
    "explain": "which lock an environment gets, by which rule, and why",
    "run": "hold the lock while a command runs",
    "check": "find every fault in configuration files, and rules that look wrong",
    "test": "run the [[tests]] of configuration files against their rules",
    "show": "print the effective configuration",
    "init": "write a commented configuration file to start from",
    "locks": "list the locks that are held on this host, and by whom",
    "schema": "print the JSON Schema of the configuration",
    "completions": "print a completion script for a shell",
}
