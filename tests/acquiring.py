"""Acquiring locks, and lock files by their paths: what the tests of locks do most, in this process and in others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policy.locks.file import FileLock
from policy.locks.hold import Held, drive, drive_async, take

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from policy.locks.backend import Lock


def taken(locks: Sequence[Lock], **options: Any) -> Held:
    """Holds locks, with options of `take`."""
    held = Held(locks)
    drive(held, take(held, **options))
    return held


async def taken_async(locks: Sequence[Lock], **options: Any) -> Held:
    """Holds locks while the event loop runs."""
    held = Held(locks)
    await drive_async(held, take(held, synchronous=False, **options))
    return held


def files(
    paths: Iterable[str], *, near: Collection[str] = (), make: str = "", shared: bool = False
) -> tuple[FileLock, ...]:
    """Lock files that are not held; those in `near` lie in an environment."""
    return tuple(FileLock("local", path, near=path in near, make=make, shared=shared) for path in paths)


def hold(
    paths: Iterable[str], *, near: Collection[str] = (), make: str = "", shared: bool = False, **options: Any
) -> Held:
    """Holds lock files."""
    return taken(files(paths, near=near, make=make, shared=shared), **options)


async def hold_async(
    paths: Iterable[str], *, near: Collection[str] = (), make: str = "", shared: bool = False, **options: Any
) -> Held:
    """Holds lock files while the event loop runs."""
    return await taken_async(files(paths, near=near, make=make, shared=shared), **options)
