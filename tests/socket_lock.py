"""A second kind of lock, for the tests of the protocol: a server process holds it for those who are connected.

Registered before a command, it makes `lock = "socket"` known; run as a program, it is the server. The server gives the
lock to one connection after the other, and a connection lasts as long as any process has it open.
"""

from __future__ import annotations

import os
import selectors
import socket
import stat
import sys
from typing import TYPE_CHECKING

from policy.errors import LockUnavailable
from policy.locks.backend import Pause
from policy.rules.plan import LOCATIONS

if TYPE_CHECKING:
    from collections.abc import Generator

    from policy.locks.backend import Deadline, Lock
    from policy.locks.holders import Holder
    from policy.rules.plan import Setting
    from policy.rules.request import Request

FAMILY = getattr(socket, "AF_UNIX", socket.AF_INET)  # Windows has none, and no test of it
SERVER = "LOCK_POLICY_TEST_SERVER"  # the path of its socket


class SocketLock:
    """A lock that a server holds for a connection.

    Args:
        address: The server's socket.
    """

    kind = "socket"
    purpose = "cluster"
    deadline = None
    outlives = False
    advice = ""

    def __init__(self, address: str, *, shared: bool = False) -> None:
        self.name = address
        self.shared = shared
        self._connection: socket.socket | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The connection's."""
        return (self._connection.fileno(),) if self._connection else ()

    @property
    def marker(self) -> str:
        """A socket has a device and an inode, too."""
        if not self._connection:
            return ""
        seen = os.fstat(self._connection.fileno())
        return f"{self._connection.fileno()}:{seen.st_dev}:{seen.st_ino}"

    def _ask(self, question: str, connection: socket.socket | None = None) -> str:
        connection = connection or self._connection
        assert connection
        connection.sendall(f"{question} {os.getpid()}\n".encode())
        return connection.recv(1000).decode().strip()

    def attempt(self) -> bool:
        """Connects and tries once."""
        if self._connection is None:
            self._connection = socket.socket(FAMILY)
            try:
                self._connection.connect(self.name)
            except OSError as error:
                self.release()
                raise LockUnavailable(self.name, error.errno or 0, remedy="start the server") from None
        return self._ask("try") == "held"

    def attempting(self) -> Generator[Pause, None, bool]:
        """The same: the server answers at once."""
        yield from ()
        return self.attempt()

    def wait(self, deadline: Deadline) -> Generator[Pause, None, bool]:
        """Queues at the server, which answers when it is our turn."""
        assert self._connection
        self._connection.sendall(f"wait {os.getpid()}\n".encode())
        while not deadline.over:
            yield Pause(self._connection.fileno(), min(deadline.pause(), 0.5))
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection, selectors.EVENT_READ)
                if selector.select(0):
                    return self._connection.recv(1000) == b"held\n"
        return False  # giving up closes the connection, which takes it out of the queue

    def is_current(self) -> bool:
        """Asks the server."""
        return self._connection is None or self._ask("mine") == "yes"

    def is_held(self) -> bool | None:
        """Asks the server; None where it does not answer."""
        try:
            return bool(self._pids())
        except OSError:
            return None

    def watch(self) -> int:
        """The connection becomes readable when the server goes away."""
        return self.descriptors[0] if self._connection else -1

    def inherit(self) -> None:
        """The connection lasts as long as a command has it open."""
        if self._connection:
            self._connection.set_inheritable(True)

    def release(self) -> None:
        """Closes the connection."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _pids(self) -> list[int]:
        with socket.socket(FAMILY) as connection:
            connection.connect(self.name)
            return [int(word) for word in self._ask("who", connection).split() if word != "nobody"]

    def holders(self) -> tuple[Holder, ...]:
        """The process that asked; nobody where the server does not answer."""
        from policy.locks.holders import Holder

        try:
            return tuple(Holder(pid, "somebody", "something") for pid in self._pids())
        except OSError:
            return ()

    def join(self, text: str) -> bool:
        """Takes over an inherited connection that the server knows as the holder's."""
        for entry in text.split(","):
            descriptor, *file = entry.split(":")
            try:
                seen = os.fstat(int(descriptor))
            except (OSError, ValueError):
                continue
            if stat.S_ISSOCK(seen.st_mode) and file == [str(seen.st_dev), str(seen.st_ino)]:
                connection = socket.socket(fileno=os.dup(int(descriptor)))
                if connection.getpeername() == self.name and self._ask("mine", connection) == "yes":
                    self._connection = connection
                    return True
                connection.close()
        return False

    def below(self, text: str) -> None:
        """Nothing: the gate keeps those apart who join the same lock."""

    def record(self) -> dict[str, object]:
        """Its entry in explain's plan."""
        return {"purpose": self.purpose, "kind": self.kind, "key": self.name}

    def __str__(self) -> str:
        return "held by a little server"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SocketLock) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def location(request: Request, setting: Setting) -> tuple[Lock, ...]:
    """The lock of the server that a variable names."""
    del setting
    address = request.caller.environ.get(SERVER)
    if not address:
        raise LockUnavailable("socket", 0, "no server is named", remedy=f"set {SERVER}")
    return (SocketLock(address),)


def register() -> None:
    """Makes `lock = "socket"` known, before rules are read."""
    LOCATIONS["socket"] = location


class Server:
    """Gives the lock to one connection after the other.

    Args:
        address: The path of its socket.
    """

    def __init__(self, address: str) -> None:
        self.listener = socket.socket(FAMILY)
        self.listener.bind(address)
        self.listener.listen()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.pids: dict[socket.socket, str] = {}
        self.queue: list[socket.socket] = []  # the first holds the lock

    def serve(self) -> None:
        """Answers, until it is killed."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    self.selector.register(self.listener.accept()[0], selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj)

    def _hear(self, client: socket.socket) -> None:
        try:
            question = client.recv(1000).decode().split()
        except ConnectionError:
            question = []
        if not question:
            self._leave(client)
        elif question[0] == "who":
            client.sendall((self.pids[self.queue[0]] if self.queue else "nobody").encode() + b"\n")
        elif question[0] == "mine":
            client.sendall(b"yes\n" if self.queue[:1] == [client] else b"no\n")
        else:
            self.pids[client] = question[1]
            if question[0] == "wait" or not self.queue:
                self.queue.append(client)
            if self.queue[0] is client:
                client.sendall(b"held\n")
            elif question[0] == "try":
                client.sendall(b"busy\n")

    def _leave(self, client: socket.socket) -> None:
        self.selector.unregister(client)
        first = self.queue[:1] == [client]
        self.queue = [other for other in self.queue if other is not client]
        if first and self.queue:
            self.queue[0].sendall(b"held\n")
        client.close()


if __name__ == "__main__":
    server = Server(sys.argv[1])
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    server.serve()
