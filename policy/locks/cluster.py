"""From what the files say of a cluster to a lock: which server, which key, and what is missing for one."""

from __future__ import annotations

from policy.errors import LockUnavailable
from policy.locks.cluster_key import ClusterKey, cluster_key
from policy.locks.postgresql import PostgresqlLock
from policy.locks.session import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def cluster_server(configured: Iterable[tuple[str, Any]] | None) -> Server | None:
    """The server that is configured; None where none is.

    Args:
        configured: The `[cluster]` table as pairs.
    """
    return Server(**dict(configured)) if configured else None


def cluster_lock(
    root: str, configured: Iterable[tuple[str, Any]] | None, key: tuple[str, str] | None
) -> PostgresqlLock:
    """The lock of an environment on a server. What is missing for it is said when it is taken.

    Args:
        root: The environment's root.
        configured: The `[cluster]` table as pairs.
        key: Name and root of the rule's `cluster-key`.
    """
    problem = None
    server = cluster_server(configured)
    try:
        found = cluster_key(root, *(key or ()))
    except LockUnavailable as error:
        found, problem = ClusterKey(root, "nothing"), error
    if server is None:
        problem = LockUnavailable(
            found.text,
            0,
            "no server is named",
            remedy="write [cluster] into the user's or the system file (`policy cluster init`)",
        )
    return PostgresqlLock(found, server or Server(), problem=problem)
