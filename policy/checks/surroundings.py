"""What can be said of where configuration files stand: files that are not used, and directories that do not exist."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from policy.checks.finding import Finding, located
from policy.config.read import chain
from policy.toml.diagnostic import Diagnostic, Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from policy.config.layers import Notice
    from policy.config.read import Configuration

DIRECTORIES = ("global-dir", "gate-dir")


def ignored(notices: Iterable[Notice]) -> Iterator[Finding]:
    """The files that were found and are not used.

    Args:
        notices: What was noticed while files were looked for.
    """
    for notice in notices:
        yield Finding("ignored-file", Diagnostic(Location(notice.path), notice.message))


def missing_directories(file: Configuration, *, here: bool) -> Iterator[Finding]:
    """The directories for locks that do not exist.

    Args:
        file: A configuration file.
        here: Whether it applies on this host; else only what lies beside it can be judged.
    """
    folder = os.path.join(file.source.directory, "")
    for name in DIRECTORIES:
        setting = file.settings.get(name)
        if setting is None or os.path.isdir(setting.value):
            continue
        if here or os.path.join(setting.value, "").startswith(folder):
            message = f"{setting.value} is not a directory, so every lock in it fails; create it"
            yield located(file, "missing-directory", message, name)


def missing_servers(files: Sequence[Configuration], environ: Mapping[str, str]) -> Iterator[Finding]:
    """The rules that lock on a server where nothing says which one.

    Args:
        files: All that apply here, the strongest first.
        environ: The caller's environment variables.
    """
    setting = chain(files).settings.get("cluster")
    for file in files:
        for index, rule in enumerate(file.rules):
            of_caller = "LOCK_POLICY_CLUSTER_SERVICE" in environ and not rule.mandatory
            if "cluster" in rule.lock and not of_caller and not (setting and setting.for_rule(rule)):
                message = "no [cluster] says where the server is, so this rule fails: write it into the user's or the "
                yield located(file, "missing-server", f"{message}system file", "rules", index, "lock")


def unsuited_locks(file: Configuration) -> Iterator[Finding]:
    """The rules whose lock is another one on other hosts, or has no readers.

    Args:
        file: A configuration file.
    """
    for number, rule in enumerate(file.rules):
        if "cluster" in rule.lock and rule.cluster_key is None:
            # it is named after whatever the mount table calls the file server
            message = "hosts that mount by another name of the file server take another lock: write a cluster-key"
            yield located(file, "unnamed-key", message, "rules", number, "lock")
        if rule.shared and "strict" in rule.lock:
            message = "a strict lock has no readers: others who read wait as if they wrote"
            yield located(file, "no-readers", message, "rules", number, "shared")
