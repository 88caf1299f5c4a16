from __future__ import annotations

import json

from policy.locks.holders import Found, Holder
from policy.render.listing import Row, record, shown

HOLDER = Holder(pid=7, user="anna", command="uv sync", since=None)
WAITER = Holder(pid=8, user="bert", command="uv add x", since=None)
HELD = Row(Found("/e/.lock", locked=True, holders=(HOLDER,)), "/e", waiters=(WAITER,))


def test_text() -> None:
    """A lock is a line with its state, its name and its environment, and each holder and waiter a line below it."""
    first, holder, waiter = shown([HELD], color=False).splitlines()
    assert first.split() == ["locked", "/e/.lock", "/e"]
    assert holder == f"         {HOLDER}"
    assert waiter == f"         waits: {WAITER}"


def test_names_cannot_draw() -> None:
    """A control character in a name is shown escaped, so that a file name draws nothing on a terminal."""
    text = shown([Row(Found("/e\x1b[2J/.lock", locked=False, holders=()))], color=False)
    assert "\x1b" not in text
    assert text.startswith("free")


def test_held_by_nobody_who_is_seen() -> None:
    """A lock that is held by a process that cannot be seen says so."""
    assert "is not visible" in shown([Row(Found("/e/.lock", locked=True, holders=()))], color=False)


def test_record() -> None:
    """A file has a path, a lock on a server a key, and both can be written as JSON."""
    file = record(HELD)
    assert (file["path"], file["state"], file["environment"]) == ("/e/.lock", "locked", "/e")
    assert [holder["pid"] for holder in file["holders"] + file["waiters"]] == [7, 8]
    server = record(Row(Found("team:envs", locked=None, holders=()), kind="postgresql"))
    assert (server["key"], server["state"], server["environment"]) == ("team:envs", "unknown", None)
    assert "path" not in server
    json.dumps([file, server])


def test_removed() -> None:
    """What was pruned is called removed, whatever its state was."""
    assert Row(Found("/e/.lock", locked=False, holders=()), pruned=True).state == "removed"
