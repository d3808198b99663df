"""Two network namespaces joined by a cable: a hub in one, a server in the other. On loopback every address is this machine's."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from tests.support.eventually import wait_until

HUB_ADDRESS: Final = "10.231.7.1"
NODE_ADDRESS: Final = "10.231.7.2"
OTHER_HUB_ADDRESS: Final = "10.231.7.3"
"""Nobody's, until a test gives it to the hub."""
LIMIT_S: Final = 60.0


class Network(NamedTuple):
    """One end of the cable."""

    pid: int
    """A process that holds the namespace."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """Put before a command that is to run there."""
        return ("nsenter", "--target", str(self.pid), "--net", "--")

    def run(self, *words: str, stdin: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end."""
        command = [*self.prefix, *words]
        return subprocess.run(command, input=stdin, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    def ip(self, *words: str) -> None:
        """Configure it."""
        done = self.run("ip", *words)
        if done.returncode:
            pytest.skip(f"no networks can be made here: {done.stderr.strip()[:200]}")


@contextlib.contextmanager
def two_networks() -> Iterator[tuple[Network, Network]]:
    """The hub's network, and the server's."""
    if os.geteuid() != 0 or shutil.which("ip") is None or subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        pytest.skip("networks need root, ip and a kernel that gives them")
    with _namespace() as hub, _namespace() as node:
        hub.ip("link", "add", "name", "cable", "type", "veth", "peer", "name", "cable", "netns", str(node.pid))
        for end, address in ((hub, HUB_ADDRESS), (node, NODE_ADDRESS)):
            end.ip("address", "add", f"{address}/24", "dev", "cable")
            end.ip("link", "set", "lo", "up")
            end.ip("link", "set", "cable", "up")
        yield hub, node


@contextlib.contextmanager
def _namespace() -> Iterator[Network]:
    holder = subprocess.Popen(["unshare", "--net", "sleep", "600"], stdin=subprocess.DEVNULL)
    try:
        here = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != here, LIMIT_S)
        yield Network(holder.pid)
    finally:
        holder.kill()
        holder.wait()
