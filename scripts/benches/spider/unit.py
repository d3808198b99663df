"""spider.unit_rss: memory of a deployed Spider in its unit on a lab host with 300 sleeping processes, compared with
prometheus-node-exporter, which is scraped each second."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from scripts.benches.measure import line, resident_mb
from tests.support import lab as labs
from tests.support.deployed_host import DeployedHost
from tests.support.hub import HubProcess
from tests.support.ports import free_port

SETTLE_S = 60.0
MEASURE_S = 60.0
PROCESSES = 300
CROWD = f"systemd-run -q --unit=crowd /bin/sh -c 'for each in $(seq {PROCESSES}); do sleep infinity & done; wait'"


def outer_pid(inner: str, word: str) -> int:
    """The pid on this machine of a host's process with the pid `inner` there. Raises: LookupError: there is none."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            lines = (folder / "status").read_text().splitlines() if folder.name.isdigit() else []
            inside = next((line.split() for line in lines if line.startswith("NSpid:")), [])
            if len(inside) > 2 and inside[-1] == inner and word.encode() in (folder / "cmdline").read_bytes():
                return int(folder.name)
    raise LookupError(f"no process {inner} with {word} in its command line")


@contextlib.contextmanager
def exporter(port: int) -> Iterator[int]:
    """Run node_exporter with its defaults. Gives its pid."""
    words = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def unit_rss() -> list[dict[str, object]]:
    """Medians of a minute, after a minute to settle."""
    port = free_port()
    [host] = labs.up(debian=1)
    host.reset()
    host.sh(CROWD)
    try:
        with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder) / "hub") as hub, exporter(port) as beside:
            deployed = DeployedHost(host, hub)
            deployed.deploy()
            deployed.wait_online()
            pid = outer_pid(host.sh("systemctl show -p MainPID --value stardust-spider.service").strip(), "spider.pyz")
            began, own, other = time.monotonic(), [], []
            while time.monotonic() - began < SETTLE_S + MEASURE_S:
                time.sleep(1)
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    answer.read()
                if time.monotonic() - began > SETTLE_S:
                    own.append(resident_mb(pid))
                    other.append(resident_mb(beside))
    finally:
        labs.down()
    return [line("spider.unit_rss", statistics.median(own), "MB", statistics.median(other))]
