"""`policy locks`: which environments of this host are locked, by whom, since when."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from attrs import evolve

from policy.commands import options
from policy.commands.reading import Arguments, Parser
from policy.errors import LockUnavailable, UsageError
from policy.locks import holders, proc
from policy.locks.file import prune
from policy.locks.holders import Found
from policy.render.layout import json_text
from policy.render.listing import Row, records, shown
from policy.rules.gate import default_directory, path, turn
from policy.rules.request import Request
from policy.uv import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.config.loading import Rules
    from policy.locks.holders import Holder
    from policy.rules.request import Caller


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("environment", metavar="ENV", nargs="?", help="only the locks of this environment")
    parser.add_argument("-a", "--all", action="store_true", help="also list files that nobody holds")
    parser.add_argument(
        "--prune",
        action="store_true",
        help="remove lock files of lock-policy that nobody holds, and with ENV also uv's .lock in it, as the last step "
        "of an image's build; implies --all",
    )
    parser.add_argument(
        "--break",
        action="store_true",
        help="remove the strict lock of ENV that a process left when it died, after asking; refused while its owner "
        "runs on this host",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="with --break: do not ask")
    parser.add_argument(
        "--watch", action="store_true", help="keep running and show what changes; as JSON, one line for each change"
    )
    options.formats(parser, "text", "json")
    options.environment(parser)
    options.configuration(parser)
    options.color(parser)


def main(arguments: Arguments) -> int:
    """Lists lock files, and removes what it is asked to.

    Raises:
        UsageError: When files are to be removed again and again.
    """
    if getattr(arguments, "break"):
        from policy.commands.breaking import broken

        row, stays = broken(arguments)
        _show([row], arguments)
        return int(stays)
    if arguments.watch:
        if arguments.prune:
            raise UsageError("--watch only looks; run `policy locks --prune` by itself")
        from policy.commands.live import watch

        return watch(lambda: _collect(arguments), arguments)
    found = _collect(arguments)
    if arguments.prune:
        found = [_pruned(row, named=options.names_one(arguments)) for row in found]
    _show(found, arguments)
    return 0


def _show(found: list[Row], arguments: Arguments) -> None:
    options.show(arguments, found, shown, {"json": lambda rows: json_text(records(rows))})


def _collect(arguments: Arguments) -> list[Row]:
    """The locks that the options ask for, with those who hold them and wait for them."""
    caller = options.caller(arguments)
    rules = options.rules(arguments)
    if options.names_one(arguments):
        found = _of_environment(arguments, caller, rules)
    else:
        found = [*_of_server(caller, rules), *_of_host(arguments, caller, rules)]
        if not (arguments.all or arguments.prune):
            found = [row for row in found if row.lock.locked is not False]
    return _with_waiters(found)


def _with_waiters(found: list[Row]) -> list[Row]:
    """Locks with those who wait for their files; a server says it of its own.

    Of those who wait for a gate the first has the turn and waits for the gate, the others wait for the turn.
    """
    waiting, readers = proc.waiters(), proc.readers(waiting=True)
    if not waiting:
        return found
    table = proc.mounts()

    def waiters(name: str) -> Iterator[Holder]:
        file = proc.identity(name, table)
        known = (holders.process(pid) for pid in waiting.get(file, ())) if file else ()
        yield from (evolve(one, shared=(file, one.pid) in readers) for one in known if one is not None)

    def queue(row: Row) -> tuple[Holder, ...]:
        name = row.lock.name
        if row.kind != "file":
            return ()
        return (*waiters(name), *(waiters(turn(name)) if holders.is_name(os.path.basename(name)) else ()))

    return [evolve(row, waiters=queue(row)) for row in found]


def _of_environment(arguments: Arguments, caller: Caller, rules: Rules) -> list[Row]:
    request = Request(options.found(arguments, caller, arguments.environment), caller)
    root = request.environment.root
    found = [Row.of(lock, root) for lock in rules.decide(request).plan]
    if arguments.prune:
        planned = [row.lock.name for row in found]
        more = [turn(name) for name in planned if holders.is_name(os.path.basename(name))]
        more.append(os.path.join(root, ".lock"))  # uv leaves it behind, whatever the rule locks
        found += [Row(lock, root) for lock in holders.locks((), *more) if lock.name not in planned]
    return found


def _of_host(arguments: Arguments, caller: Caller, rules: Rules) -> list[Row]:
    """Every lock that is held, and the files in the directories for locks."""
    configured = [*rules.values("global-dir", caller), *rules.values("gate-dir", caller)]
    directories = (*configured, default_directory(caller.environ), names.temporary_directory(caller.environ))
    places = tuple(dict.fromkeys(os.path.join(caller.cwd, place) for place in directories))
    look, environments = holders.Look(), _Environments()
    held = {lock.name: lock for lock in holders.locked(look)}
    there = {lock.name: lock for lock in holders.locks(places, look=look, turns=arguments.prune)}
    found = [Row(lock, environments.of(lock)) for _, lock in sorted({**there, **held}.items())]
    return [*found, *_strict({row.environment for row in found if row.environment})]


def _strict(roots: set[str]) -> list[Row]:
    """The strict locks of some environments; those of others are found when they are named."""
    from policy.locks.strict import StrictLock

    locks = (StrictLock(root) for root in sorted(roots))
    return [Row.of(lock, lock.root) for lock in locks if os.path.lexists(lock.name)]


def _of_server(caller: Caller, rules: Rules) -> list[Row]:
    """Every lock that any host holds on the server of `[cluster]`."""
    from policy.locks.cluster import cluster_server

    server = cluster_server(rules.setting("cluster", caller))
    if server is None:
        return []
    from policy.locks.cluster_holders import on_server
    from policy.locks.session import SessionError

    found: dict[str, list[holders.Holder]] = {}
    try:
        for held in on_server(server):
            found.setdefault(held.key or f"{held.number:x}", []).append(held.holder)
    except SessionError as error:
        options.warn(f"{server}: {error.reason}; {error.remedy}")
    return [Row(Found(key, locked=True, holders=tuple(who)), kind="postgresql") for key, who in sorted(found.items())]


class _Environments:
    """Which environments lock files belong to; each holder is asked once, and no further than it must be."""

    __slots__ = ("_left", "_roots")

    def __init__(self) -> None:
        self._roots: dict[int, dict[str, str]] = {}
        self._left: dict[int, Iterator[str]] = {}

    def of(self, lock: Found) -> str:
        """Its folder, or what a holder works on where the digest proves it; "" where nothing does."""
        folder, name = os.path.split(lock.name)
        if name == ".lock":
            return folder
        return next(filter(None, (self._of(name, holder.pid) for holder in lock.holders)), "")

    def _of(self, name: str, pid: int) -> str:
        roots = self._roots.setdefault(pid, {})
        if name not in roots:
            for root in self._left.setdefault(pid, holders.named_roots(pid)):
                roots.update(dict.fromkeys(_named(root), root))
                if name in roots:
                    break
        return roots.get(name, "")


@cache
def _named(root: str) -> tuple[str, ...]:
    """The names of the lock files that belong to an environment and lie elsewhere."""
    try:
        return os.path.basename(path("", root)), f"lock-policy-{names.digest(os.path.realpath(root))}.lock"
    except LockUnavailable:
        return ()


def _pruned(row: Row, *, named: bool) -> Row:
    """Removes a file of ours that nobody holds, of a named environment uv's own, too."""
    try:
        free = row.kind == "file" and row.lock.locked is False
        return evolve(row, pruned=free and prune(row.lock.name, named=named))
    except LockUnavailable as error:
        options.warn(str(error))
        return row
