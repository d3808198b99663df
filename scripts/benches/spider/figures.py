"""The agent's costs: CPU, memory, bytes of a frame, bytes a day, and the time of its start.

CPU and memory are compared with prometheus-node-exporter and netdata, a frame with the same row as JSON. All programs of a comparison are
measured in the same window. For `spider.cpu` a page watches the node, so the agent sends each second immediately, and tables at their
watched intervals. For `spider.cpu.unwatched` it sends packs. The machine has 300 more sleeping processes, and for `spider.cpu.sockets`
10,000 idle sockets. Both end with the benchmark.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from groundcontrol.agents.codec import decode_rows
from majortom.build.bundle import MAX_BUNDLE_BYTES, build_bundle
from scripts.benches.measure import Results, line, resident_mb, shares
from scripts.benches.spider.agent import Agent, BareHub, Traffic, agent
from scripts.benches.spider.load import crowd
from scripts.benches.spider.peers import exporter, netdata
from spider.wire.metrics import parse_series

SETTLE_S = 8.0
"""The time before the window, for the start of all programs."""
PROCESSES = 300
PAIRS = 5000
PACKS_S = (10, 15, 20, 30, 60)
DAY_S = 86_400
MOST_BYTES_A_DAY = 7e6
SESSION_LIMIT_S = 2.0


def as_json(hub: BareHub, taken_at_ms: int, layout: bytes, values: list[int | None]) -> int:
    """Bytes of the same row as JSON."""
    scaled = {
        name: value if value is None else value / parse_series(name)[0].scale
        for name, value in zip(hub.layouts[layout].series, values, strict=True)
    }
    return len(json.dumps({"taken_at": taken_at_ms / 1000, "family": hub.layouts[layout].family, "values": scaled}, separators=(",", ":")))


def frame_sizes(hub: BareHub) -> tuple[float, float]:
    """Mean bytes of the frame of one row with its tag, and of the same row as JSON."""
    ours, theirs = [], []
    for size, pack in hub.alone:
        rows = decode_rows(pack.coding, pack.body)
        if len(rows) == 1:
            ours.append(size)
            theirs.append(as_json(hub, rows[0].taken_at_ms, pack.layout, rows[0].values))
    return statistics.mean(ours), statistics.mean(theirs)


async def watched(one: Agent, others: list[int], seconds: float) -> list[float]:
    """Percent of a core of the agent and of the other programs while the node is watched. Raises: RuntimeError: too few packs came."""
    watching = asyncio.create_task(one.hub.watch(seconds + 2), name="watch")
    await asyncio.sleep(1.0)
    before = one.hub.packs
    found = await shares([one.pid, *others], seconds)
    await watching
    if one.hub.packs - before < seconds - 3:
        raise RuntimeError(f"only {one.hub.packs - before} packs came in {seconds:.0f} s")
    return found


async def cpu_and_memory(seconds: float) -> Results:
    """Run the agent and the other programs together. A program that is missing is left out; for netdata, a line says so."""
    results: Results = []
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stardust-bench-")))
        stack.enter_context(crowd(PROCESSES))
        (folder / "netdata").mkdir()
        theirs, why = stack.enter_context(netdata(folder / "netdata"))
        if theirs is None:
            print(f"scripts/bench: {why}", file=sys.stderr)
        exported = await stack.enter_async_context(exporter(folder))
        one = await stack.enter_async_context(agent())
        await one.settled()
        await asyncio.sleep(SETTLE_S)
        names = [name for name, pid in (("exporter", exported), ("netdata", theirs)) if pid is not None]
        others = [pid for pid in (exported, theirs) if pid is not None]

        def versus(found: list[float], name: str) -> float | None:
            return found[1 + names.index(name)] if name in names else None

        quiet = await shares([one.pid, *others], seconds)
        looked = await watched(one, others, seconds)
        ours, plain = frame_sizes(one.hub)
        memory = [resident_mb(pid) for pid in (one.pid, *others)]
        with crowd(0, PAIRS):
            await asyncio.sleep(3.0)
            crowded = await watched(one, others, seconds)
        results = [
            line("spider.cpu", looked[0], "percent of a core", versus(looked, "exporter")),
            line("spider.cpu.unwatched", quiet[0], "percent of a core", versus(quiet, "exporter")),
            line("spider.cpu.sockets", crowded[0], "percent of a core", versus(crowded, "exporter")),
            line("spider.rss", memory[0], "MB", versus(memory, "exporter")),
            line("spider.frame", ours, "bytes", plain),
            line("spider.session", one.session_s, "s", SESSION_LIMIT_S),
        ]
        if theirs is not None:
            results.insert(1, line("spider.cpu.netdata", looked[0], "percent of a core", versus(looked, "netdata")))
    return results


def a_day(before: Traffic, after: Traffic, seconds: float) -> tuple[float, float]:
    """Returns: MB a day of everything but the table of processes, and MB a day of this table."""
    frames = after.frames - before.frames
    whole = after.octets - before.octets
    processes = whole * frames["table processes"] / max(1, sum(frames.values()))
    return (whole - processes) / seconds * DAY_S / 1e6, processes / seconds * DAY_S / 1e6


async def bytes_a_day(seconds: float) -> Results:
    """Bytes a day of unwatched agents with packs of different length, at IP level, in both directions."""
    results: Results = []
    async with contextlib.AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(agent(pack_s)) for pack_s in PACKS_S]
        await asyncio.gather(*(one.settled() for one in agents))
        await asyncio.sleep(max(PACKS_S))  # messages that are sent once, at the beginning, are not part of a day
        before, began = [one.hub.traffic() for one in agents], time.monotonic()
        await asyncio.sleep(seconds)
        elapsed = time.monotonic() - began
        for pack_s, one, start in zip(PACKS_S, agents, before, strict=True):
            found, processes = a_day(start, one.hub.traffic(), elapsed)
            results.append(line(f"spider.day.packs_{pack_s}", found, "MB", MOST_BYTES_A_DAY / 1e6))
        results.append(line("spider.day.processes", processes, "MB"))
    return results


async def hours() -> Results:
    """Memory of an unwatched agent over three hours (STARDUST_SPIDER_MINUTES), measured each minute, and its growth. The first fifth does not count.

    Raises: ValueError: fewer than three minutes.
    """
    minutes = int(os.environ.get("STARDUST_SPIDER_MINUTES", "180"))
    if minutes < 3:
        raise ValueError("the benchmark needs at least three minutes")
    async with agent(max(PACKS_S)) as one:
        await one.settled()
        found: list[float] = []
        for _ in range(minutes):
            await asyncio.sleep(60.0)
            found.append(resident_mb(one.pid))
    later = list(enumerate(found))[minutes // 5 :]
    slope = statistics.linear_regression([at / 60 for at, _ in later], [value for _, value in later]).slope
    return [
        line("spider.hours.first", later[0][1], "MB"),
        line("spider.hours.last", found[-1], "MB"),
        line("spider.hours.growth", slope, "MB/h"),
    ]


def spider_figures(seconds: float = 30.0, day_s: float = 180.0) -> Results:
    """CPU, memory, frames, bytes a day and start of Spider, beside prometheus-node-exporter and netdata (6 min). They take about `3 * seconds + day_s + 110` seconds.

    Raises: RuntimeError: the agent opened no session with its hub, or did not send.
    """
    bundle = line("spider.bundle", len(build_bundle()), "bytes", MAX_BUNDLE_BYTES)
    return [*asyncio.run(cpu_and_memory(seconds)), bundle, *asyncio.run(bytes_a_day(day_s))]
