"""What a rule does to an environment, as far as configuration files say: two decisions with one effect are alike."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from policy.rules.plain import Setting
    from policy.rules.rule import AnyRule


def effect(rule: AnyRule, settings: Mapping[str, Setting], *, system: bool, inside: bool) -> dict[str, Any]:
    """What a rule does to a kind of environment; options and variables of a caller are left out.

    Args:
        rule: It.
        settings: Those of its chain.
        system: Whether the environment is a system interpreter's.
        inside: Whether it lies below the folder of the rule's file.
    """

    def setting(name: str) -> Any:
        found = settings.get(name)
        while found is not None and found.layer == "caller":
            found = found.weaker
        found = found.for_rule(rule) if found else None
        return found.value if found else None

    locks: dict[str, Any] = {"gate": setting("gate-dir")}
    for location in rule.lock:
        if location == "cluster":
            locks[location] = setting("cluster"), rule.cluster_key
        elif location != "global":
            locks[location] = True
        else:
            if setting("global-dir"):
                locks[location] = setting("global-dir")
            if system:
                locks["uv"] = True
    timeout = setting("timeout") if rule.timeout is None else rule.timeout
    required = rule.required or (rule.confined and not inside)
    return {"lock": locks, "timeout": timeout, "required": required, "shared": rule.shared, "unused": rule.unused}


def inside(rule: AnyRule, root: str) -> bool:
    """Whether an environment lies below the folder of a rule's file.

    Args:
        rule: It.
        root: The environment's root, without links.
    """
    folder = os.path.join(os.path.realpath(os.path.dirname(rule.file)), "")
    return os.path.join(root, "").startswith(folder)
