"""A real HTTP proxy (Debian's tinyproxy), unpacked but not installed."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.eventually import wait_until
from tests.support.hub import ROOT
from tests.support.ports import free_port

PROGRAM = ROOT / ".cache/debian/tinyproxy-bin/usr/bin/tinyproxy"
START_LIMIT_S = 60


class HttpProxy(NamedTuple):
    """A running one."""

    url: str
    log: Path

    def connects(self) -> int:
        """How many connections it has been asked to make."""
        return self.log.read_text().count("): CONNECT ") if self.log.exists() else 0


@contextlib.contextmanager
def http_proxy(folder: Path) -> Iterator[HttpProxy]:
    """Run it on a port of 127.0.0.1 until the end.

    Args: folder: an empty one.
    """
    assert PROGRAM.exists(), f"{PROGRAM} is missing; scripts/test unpacks it"
    port, log = free_port(), folder / "log"
    lines = [
        f"Port {port}",
        "Listen 127.0.0.1",
        "Allow 127.0.0.0/8",
        f'LogFile "{log}"',
        "LogLevel Connect",
        "Timeout 600",
        "MaxClients 50",
    ]
    (folder / "conf").write_text("".join(f"{line}\n" for line in lines))
    with subprocess.Popen(
        [str(PROGRAM), "-d", "-c", str(folder / "conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            wait_until(lambda: _listens(port), START_LIMIT_S, "the proxy listens")
            yield HttpProxy(f"http://127.0.0.1:{port}", log)
        finally:
            running.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
