"""Hosts for the tests: network namespaces with a port each on one bridge. A cut is a port that leaves the bridge.

A proxy that pauses would prove nothing: its kernel goes on answering keepalives.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import requirements

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "linux":
    pytest.skip("needs Linux's network namespaces", allow_module_level=True)

_NUMBERS = itertools.count(1)


def need_hosts() -> None:
    """Skips unless network namespaces and a bridge can be made."""
    requirements.need_root()
    requirements.need(bool(shutil.which("ip")) and bool(shutil.which("nsenter")), "needs ip(8) and nsenter(1)")
    probe = f"lp-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False)
    requirements.need(not made.returncode, "needs network namespaces")
    try:
        bridge = ["ip", "-n", probe, "link", "add", "br0", "type", "bridge"]
        requirements.need(not subprocess.run(bridge, capture_output=True, check=False).returncode, "needs a bridge")
    finally:
        _ip("netns", "del", probe)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


class Host:
    """A network namespace with one address.

    Args:
        switch: The namespace that holds the bridge.
        name: Of its namespace.
        number: The last number of its address.
    """

    def __init__(self, switch: str, name: str, number: int) -> None:
        self._switch = switch
        self._port = f"p{number}"
        self.name = name
        self.address = f"10.213.0.{number}"
        _ip("netns", "add", name)
        _ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", self._port, "netns", switch)
        _ip("-n", name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", switch, "link", "set", self._port, "up")
        self.mend()

    @property
    def wrapper(self) -> list[str]:
        """What starts a command on this host."""
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def cut(self) -> None:
        """Takes it off the network: no packet goes in or out, and neither side is notified."""
        _ip("-n", self._switch, "link", "set", self._port, "nomaster")

    def mend(self) -> None:
        """Puts it on the network again."""
        _ip("-n", self._switch, "link", "set", self._port, "master", "br0")


class Network:
    """A bridge, and hosts on it.

    Args:
        prefix: Of the names of the namespaces.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._hosts: list[Host] = []
        self._switch = f"{prefix}-switch"
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        _ip("-n", self._switch, "link", "set", "br0", "up")

    def host(self) -> Host:
        """One more host."""
        number = len(self._hosts) + 1
        host = Host(self._switch, f"{self._prefix}-{number}", number)
        self._hosts.append(host)
        return host

    def remove(self) -> None:
        """Takes all of it away."""
        for name in [host.name for host in self._hosts] + [self._switch]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network of a test's own."""
    need_hosts()
    made = Network(f"lp-{os.getpid()}-{next(_NUMBERS)}")
    try:
        yield made
    finally:
        made.remove()
