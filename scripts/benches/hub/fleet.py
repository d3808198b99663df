"""hub.fleet.*, hub.reconnect and hub.soak: a fleet of simulated servers against a separate hub."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import aiohttp
import msgspec

from groundcontrol.settings import SETTINGS
from scripts.benches.measure import Results, cpu_seconds, line, resident_mb, until
from tests.support.attack_tools import figure
from tests.support.hub import ROOT, HubProcess

SIZES = tuple(int(size) for size in os.environ.get("STARDUST_FLEET_SIZES", "10 100 300 1000").split())
"""Numbers of nodes. Larger fleets are compared with the second size."""
SETTLE_S = 20.0
MEASURE_S = 30.0
PACK_S = next(int(setting.default) for setting in SETTINGS if setting.name == "pack_seconds")
"""Seconds in a pack of an unwatched node, by default."""
UNWATCHED_S = 2.0 * PACK_S
"""The window: two packs of each node."""
UNITS = {
    "rss": "MB",
    "rss_held": "MB",
    "disk": "MB/h",
    "unwatched_cpu": "% of a core",
    "watched_cpu": "% of a core",
    "unwatched_rows": "rows/s",
    "watched_rows": "rows/s",
}
SOAK_NODES = 100
SOAK_INTERVAL_S = 30.0
SOAK_WARM_UP_SHARE = 0.2
CONNECT_LIMIT_S = 180.0


@contextlib.contextmanager
def a_fleet(
    folder: Path, count: int, *flags: str, pack_s: int = 10, come_within_s: float = 0.0, stamps: Path | None = None
) -> Iterator[tuple[HubProcess, subprocess.Popen[bytes]]]:
    """A hub and this many connected servers. At the end, the file `stamps` has the time of each sent pulse.

    `flags` go to scripts/fleet. With flags, some servers may be away, so the block begins when 90 % are connected.
    """
    with HubProcess(folder / "hub", env={"STARDUST_PACK_SECONDS": str(pack_s)}) as hub:
        conf = hub.folder / "agent/spider.conf"
        conf.parent.mkdir(exist_ok=True)
        conf.write_text(f"[hub]\nurl = {hub.ws_url}\n")
        words = [sys.executable, "-m", "scripts.simfleet.main", str(hub.folder), str(count), "--over", str(come_within_s), *flags]
        words += [] if stamps is None else ["--stamps", str(stamps)]
        fleet = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            wait_online(hub, count * (0.9 if flags else 1.0))
            yield hub, fleet
        finally:
            fleet.terminate()
            fleet.wait(60)


def wait_online(hub: HubProcess, count: float) -> None:
    """Wait until this many nodes have a session. Raises: TimeoutError: after CONNECT_LIMIT_S."""
    until(f"{count:.0f} nodes are connected", lambda: figure(hub, "agents_online") >= count, CONNECT_LIMIT_S, 0.2)


@contextlib.asynccontextmanager
async def live_clients(hub: HubProcess, count: int) -> AsyncIterator[list[aiohttp.ClientWebSocketResponse]]:
    """This many clients that follow the topic `fleet`."""
    token = (await asyncio.to_thread(hub.login)).token
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}, connector=aiohttp.TCPConnector(limit=0)) as http:
        sockets = []
        for _ in range(count):
            socket = await http.ws_connect(f"{hub.url}/api/v1/live", max_msg_size=0)
            await socket.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": "fleet"}]))
            sockets.append(socket)
        yield sockets


async def _drain(socket: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        await socket.receive_bytes()


async def _watched(hub: HubProcess) -> tuple[float, float]:
    """Percent of a core that the hub takes while a page follows the fleet, and rows received in a second."""
    async with live_clients(hub, 1) as [page]:
        reading = asyncio.create_task(_drain(page))
        await asyncio.sleep(SETTLE_S)
        began, before, rows_before = time.monotonic(), cpu_seconds(hub.pid), await asyncio.to_thread(figure, hub, "rows_total")
        await asyncio.sleep(MEASURE_S)
        took = time.monotonic() - began
        share = (cpu_seconds(hub.pid) - before) / took * 100
        rows = (await asyncio.to_thread(figure, hub, "rows_total") - rows_before) / took
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return share, rows


def _least_resident_mb(pid: int, duration_s: float) -> float:
    """The least resident memory within this time. Once a minute the hub returns unused memory to the system."""
    ends_at = time.monotonic() + duration_s
    least = resident_mb(pid)
    while time.monotonic() < ends_at:
        time.sleep(0.5)
        least = min(least, resident_mb(pid))
    return least


def crowd() -> Results:
    """CPU, memory and disk of the hub for each size of the fleet, first while nobody watches, then while a page watches all nodes.

    The cost of a node is compared with that at the second size."""
    results: Results = []
    floor: dict[str, float] = {}
    base = SIZES[:2][-1]
    for size in SIZES:
        # The servers connect over the length of a pack, so that their packs do not arrive in the same seconds.
        with tempfile.TemporaryDirectory() as folder, a_fleet(Path(folder), size, pack_s=PACK_S, come_within_s=PACK_S) as (hub, _):
            time.sleep(SETTLE_S)
            before, disk_before, rows_before = cpu_seconds(hub.pid), _disk_mb(hub.folder), figure(hub, "rows_total")
            held_mb = _least_resident_mb(hub.pid, UNWATCHED_S)
            values = {
                "rss_held": held_mb,
                "unwatched_cpu": (cpu_seconds(hub.pid) - before) / UNWATCHED_S * 100,
                "unwatched_rows": (figure(hub, "rows_total") - rows_before) / UNWATCHED_S,
                "disk": (_disk_mb(hub.folder) - disk_before) / UNWATCHED_S * 3600,
            }
            values["watched_cpu"], values["watched_rows"] = asyncio.run(_watched(hub))
            values["rss"] = resident_mb(hub.pid)
        for name, value in values.items():
            if size == base:
                floor[name] = value / size
            results.append(line(f"hub.fleet.{name}.{size}", value, UNITS[name], floor[name] * size if size > base else None))
    return results


def _disk_mb(folder: Path) -> float:
    """MB of the used pages of the databases. The files grow in steps, and their journals are overwritten."""
    used = 0
    for path in folder.glob("*.db"):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            pages, free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
            used += (pages - free) * size
    return used / 1e6


def reconnect() -> Results:
    """Seconds until every node is back after the hub was killed, and the longest log-in meanwhile."""
    size = SIZES[-1]
    with tempfile.TemporaryDirectory() as folder, a_fleet(Path(folder), size) as (hub, _):
        hub.slay()
        hub.launch()
        began, worst = time.monotonic(), 0.0
        tried = 0.0
        while figure(hub, "agents_online") < size:
            if time.monotonic() - began > CONNECT_LIMIT_S:
                raise TimeoutError("not all nodes came back")
            if time.monotonic() - tried > 15:  # five log-ins a minute are allowed
                tried = time.monotonic()
                hub.login()
                worst = max(worst, time.monotonic() - tried)
            time.sleep(0.2)
        took = time.monotonic() - began
    return [
        line(f"hub.reconnect.{size}", took, "s"),
        line("hub.reconnect.log_in", worst * 1000, "ms"),
    ]


def _slope(hours: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """The slope of the line through the points, and its standard error. Sessions come and go at random, so the values vary."""
    slope, at_zero = statistics.linear_regression(hours, values)
    middle = statistics.mean(hours)
    missed = sum((value - at_zero - slope * hour) ** 2 for hour, value in zip(hours, values, strict=True))
    return slope, math.sqrt(missed / max(1, len(hours) - 2) / sum((hour - middle) ** 2 for hour in hours))


def soak() -> Results:
    """Growth of memory, descriptors and tasks in an hour, over two hours of servers that come and go (STARDUST_SOAK_MINUTES changes it).

    Each session has a descriptor and two tasks, so the growth of the number of sessions is reported too."""
    minutes = float(os.environ.get("STARDUST_SOAK_MINUTES", "120"))
    points: list[dict[str, float]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        a_fleet(Path(folder), SOAK_NODES, "--churn", "20", "--offline", "0.05", "--hostile", "2") as (hub, fleet),
    ):
        ends_at = time.monotonic() + minutes * 60
        while time.monotonic() < ends_at:
            time.sleep(SOAK_INTERVAL_S)
            if fleet.poll() is not None:
                raise RuntimeError(f"the fleet ended with status {fleet.returncode}")
            points.append(
                {
                    "hours": time.monotonic() / 3600,
                    "rss": resident_mb(hub.pid),
                    "open_files": float(len(os.listdir(f"/proc/{hub.pid}/fd"))),
                    "tasks": figure(hub, "loop_tasks"),
                    "sessions": figure(hub, "agents_online"),
                }
            )
    later = points[int(len(points) * SOAK_WARM_UP_SHARE) :]
    hours = [point["hours"] for point in later]
    units = {"rss": "MB/h", "open_files": "1/h", "tasks": "1/h", "sessions": "1/h"}
    results: Results = []
    for name, unit in units.items():
        values = [point[name] for point in later]
        slope, error = _slope(hours, values)
        more = {"error": round(error, 3), "first": round(values[0], 1), "last": round(values[-1], 1), "minutes": minutes}
        results.append(line(f"hub.soak.{name}", slope, unit, **more))
    return results
