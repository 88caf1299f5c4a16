"""Holding lock files by their paths: what the tests of locks do most, in this process and in others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policy.locks import hold as holding
from policy.locks.file import FileLock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from policy.locks.hold import Held


def files(
    paths: Iterable[str], *, near: Collection[str] = (), make: str = "", shared: bool = False
) -> tuple[FileLock, ...]:
    """Lock files that are not held; those in `near` lie in an environment."""
    return tuple(FileLock("local", path, near=path in near, make=make, shared=shared) for path in paths)


def hold(
    paths: Iterable[str], *, near: Collection[str] = (), make: str = "", shared: bool = False, **options: Any
) -> Held:
    """Holds lock files."""
    return holding.hold(files(paths, near=near, make=make, shared=shared), **options)


async def hold_async(
    paths: Iterable[str], *, near: Collection[str] = (), make: str = "", shared: bool = False, **options: Any
) -> Held:
    """Holds lock files while the event loop runs."""
    return await holding.hold_async(files(paths, near=near, make=make, shared=shared), **options)
