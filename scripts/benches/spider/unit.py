"""spider.unit_rss: memory of a deployed Spider in its unit on a lab host with 300 sleeping processes, compared with
prometheus-node-exporter, which is scraped each second."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from pathlib import Path

from scripts.benches.measure import Results, line, resident_mb
from scripts.benches.spider.peers import exporter
from tests.support import lab as labs
from tests.support.deployed_host import DeployedHost
from tests.support.hub import HubProcess

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


async def unit_rss() -> Results:
    """Memory of Spider in its unit on a lab host, beside prometheus-node-exporter: medians of a minute, after a minute to settle."""
    with tempfile.TemporaryDirectory() as folder:
        async with exporter(Path(folder)) as beside:
            assert beside is not None, "prometheus-node-exporter is not installed"
            return await asyncio.to_thread(_memory, Path(folder), beside)


def _memory(folder: Path, beside: int) -> Results:
    [host] = labs.up(debian=1)
    host.reset()
    host.sh(CROWD)
    try:
        with HubProcess(folder / "hub") as hub:
            deployed = DeployedHost(host, hub)
            deployed.deploy()
            deployed.wait_online()
            pid = outer_pid(host.sh("systemctl show -p MainPID --value stardust-spider.service").strip(), "spider.pyz")
            began, own, other = time.monotonic(), [], []
            while time.monotonic() - began < SETTLE_S + MEASURE_S:
                time.sleep(1)
                if time.monotonic() - began > SETTLE_S:
                    own.append(resident_mb(pid))
                    other.append(resident_mb(beside))
    finally:
        labs.down()
    return [line("spider.unit_rss", statistics.median(own), "MB", statistics.median(other))]
