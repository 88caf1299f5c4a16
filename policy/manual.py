"""What codes mean and where to read more: a command, and a path in the documentation, whose site has no address yet."""

from __future__ import annotations

PAGE = "docs/reference.md"
EXIT_CODES = {
    "0": "fine",
    "1": "a finding: a warning of `policy check --strict`, a failing `policy test`, something wrong for "
    "`policy doctor`, a difference of `policy diff` or `policy replay`",
    "2": "usage or configuration error",
    "130": "interrupted, as by Ctrl-C",
}
RUN_EXIT_CODES = {
    "the command's own": "the command ran; 128+N where signal N ended it",
    "124": "timed out waiting for the lock",
    "125": "policy itself failed, usage and configuration errors included",
    "126": "the command could not be started",
    "127": "the command was not found",
}


def anchor(kind: str, name: str) -> str:
    """The place of a code, a hint or an exit code on the reference page.

    Args:
        kind: `code` of `policy check`, `doctor`, `status` of a cluster, `hint` or `exit`.
        name: Which one.
    """
    return f"{PAGE}#{kind}-{name.replace('_', '-')}"


def command(name: str) -> str:
    """What to type to read about a code or a hint, wherever lock-policy is installed.

    Args:
        name: Which one.
    """
    return f"policy rule {name.replace('_', '-')}"
