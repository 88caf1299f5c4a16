"""Command lines of uv for tests, read."""

from __future__ import annotations

from policy.uv.command import Command, parse


def parsed(line: str, environ: dict[str, str] | None = None, cwd: str = "/w") -> Command:
    """A command line of uv, read."""
    command = parse(line.split(), environ or {}, cwd)
    assert command is not None
    return command
