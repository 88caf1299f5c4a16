"""Decides, by rules written in TOML, where the lock on a Python environment lives, and holds that lock.

`lock(env)` holds it in a `with` or `async with`, `explain(env)` says what would be held and why, `load()` reads the
rules once for many questions.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from policy.api import EnvironmentLock, explain, find_environment, load, lock
    from policy.config.loading import Rules
    from policy.environment.discovery import Environment
    from policy.errors import (
        ConfigError,
        EnvironmentNotFound,
        LockLost,
        LockTimeout,
        LockUnavailable,
        PolicyError,
        UsageError,
    )
    from policy.rules.chain import Chain
    from policy.rules.decision import Decision
    from policy.rules.plain import Setting
    from policy.rules.request import Caller, Request
    from policy.rules.rule import Check, Rule, Step

__version__ = "0.1.0"  # the build reads it here

__all__ = [
    "Caller",
    "Chain",
    "Check",
    "ConfigError",
    "Decision",
    "Environment",
    "EnvironmentLock",
    "EnvironmentNotFound",
    "LockLost",
    "LockTimeout",
    "LockUnavailable",
    "PolicyError",
    "Request",
    "Rule",
    "Rules",
    "Setting",
    "Step",
    "UsageError",
    "explain",
    "find_environment",
    "load",
    "lock",
]

_MODULES = {
    "api": ("EnvironmentLock", "explain", "find_environment", "load", "lock"),
    "rules.chain": ("Chain",),
    "rules.decision": ("Decision",),
    "rules.plain": ("Setting",),
    "environment.discovery": ("Environment",),
    "errors": (
        "ConfigError",
        "EnvironmentNotFound",
        "LockLost",
        "LockTimeout",
        "LockUnavailable",
        "PolicyError",
        "UsageError",
    ),
    "config.loading": ("Rules",),
    "rules.request": ("Caller", "Request"),
    "rules.rule": ("Check", "Rule", "Step"),
}


def __getattr__(name: str) -> object:
    """A public name, imported when it is first used: `import policy` itself costs nothing."""
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            value = getattr(import_module(f"policy.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'policy' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
