"""live.fleet_age: how old values are when they arrive at pages that show the whole fleet.

It also measures how much of this age comes from the simulated servers, and how much from the hub.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec

from groundcontrol.nodes.views import FleetChange
from scripts.benches.hub.fleet import SIZES, a_fleet, live_clients
from scripts.benches.measure import Results, cpu_seconds, line
from tests.support.hub import HubProcess

PAGES = 20
SETTLE_S = 20.0
MEASURE_S = 30.0
PERCENTILES = (("p50", 0.5), ("p99", 0.99))

Moment = tuple[str, int]
"""A node, and the Unix milliseconds of its measurement."""

_HEAD = msgspec.msgpack.Decoder(tuple[str, dict[str, msgspec.Raw]])
_CHANGE = msgspec.msgpack.Decoder(FleetChange)


class Seen(NamedTuple):
    """The changes that the pages received, undecoded: decoding them during the measurement would delay the next ones."""

    since: float
    """Unix seconds. Values measured before this time do not count."""
    at: dict[int, list[float]]
    """Number of the change -> its arrival at each page, in Unix seconds."""
    changes: dict[int, bytes]
    """Number of the change -> its bytes, stored once, since all pages receive the same bytes."""


async def _note_changes(socket: aiohttp.ClientWebSocketResponse, seen: Seen) -> None:
    """Add the changes that one page receives to `seen`, until cancelled."""
    while True:
        message = await socket.receive_bytes()
        now = time.time()
        kind, body = _HEAD.decode(message)
        if kind != "change":
            continue
        number = msgspec.msgpack.decode(body["seq"], type=int)
        seen.at.setdefault(number, []).append(now)
        seen.changes.setdefault(number, bytes(body["data"]))


async def _watch(hub: HubProcess) -> tuple[Seen, float]:
    """The changes that the pages received, and the CPU use of the hub during MEASURE_S, in percent of a core."""
    seen = Seen(time.time() + SETTLE_S, {}, {})
    async with live_clients(hub, PAGES) as sockets:
        tasks = [asyncio.create_task(_note_changes(socket, seen)) for socket in sockets]
        await asyncio.sleep(SETTLE_S)
        began, before = time.monotonic(), cpu_seconds(hub.pid)
        await asyncio.sleep(MEASURE_S)
        cpu_percent = (cpu_seconds(hub.pid) - before) / (time.monotonic() - began) * 100
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return seen, cpu_percent


def arrivals(seen: Seen) -> dict[Moment, list[float]]:
    """For each `cpu.total` sample: the times at which the pages received it.

    A change may repeat an old value, so the first change with a value counts.
    """
    found: dict[Moment, list[float]] = {}
    for number in sorted(seen.at):
        for node, samples in _CHANGE.decode(seen.changes[number]).latest.items():
            sample = samples.get("cpu.total")
            if sample is not None and sample.at >= seen.since:
                found.setdefault((node, round(sample.at * 1000)), seen.at[number])
    return found


def _percentiles(name: str, values: list[float]) -> Results:
    values = sorted(values)
    return [
        line(f"live.fleet_age.{name}{'.' if name else ''}{percentile}", values[int(len(values) * part)] * 1000, "ms")
        for percentile, part in PERCENTILES
    ]


def fleet_age() -> Results:
    """The age of values when they reach 20 pages of a fleet, and its two parts.

    `player`: from the measurement until the simulated server has sent the value. `hub`: from then until a page has received it.
    """
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder) / "stamps"
        with a_fleet(Path(folder), SIZES[-1], stamps=noted) as (hub, _):
            seen, cpu_percent = asyncio.run(_watch(hub))
        sent = {(node, at_ms): at for node, at_ms, at in msgspec.msgpack.decode(noted.read_bytes())}
    found = {moment: times for moment, times in arrivals(seen).items() if moment in sent}
    arrived = [(moment, at) for moment, times in found.items() for at in times]
    return [
        *_percentiles("", [at - moment[1] / 1000 for moment, at in arrived]),
        *_percentiles("player", [sent[moment] - moment[1] / 1000 for moment in found]),
        *_percentiles("hub", [at - sent[moment] for moment, at in arrived]),
        line("live.fleet_age.changes", len(seen.changes) / (SETTLE_S + MEASURE_S), "1/s"),
        line("live.fleet_age.pulses", len(found) / MEASURE_S, "1/s"),
        line("live.fleet_age.cpu", cpu_percent, "% of a core"),
    ]
