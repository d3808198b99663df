"""A real HTTP proxy (Debian's tinyproxy), unpacked and not installed."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.eventually import wait_until
from tests.support.ports import free_port

START_LIMIT_S = 30


class HttpProxy(NamedTuple):
    """One that runs."""

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
    program = shutil.which("tinyproxy") or _unpacked(folder)
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
    with subprocess.Popen([program, "-d", "-c", str(folder / "conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            wait_until(lambda: _listens(port), START_LIMIT_S, "the proxy listens")
            yield HttpProxy(f"http://127.0.0.1:{port}", log)
        finally:
            running.terminate()


def _unpacked(folder: Path) -> str:
    done = subprocess.run(
        ["apt-get", "-q", "download", "tinyproxy-bin"], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"the mirror does not give tinyproxy-bin: {done.stderr[-400:]}"
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg", "-x", str(package), str(folder / "root")], check=True, timeout=60)
    return str(folder / "root/usr/bin/tinyproxy")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
