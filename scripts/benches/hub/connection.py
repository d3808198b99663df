"""hub.connection: the hub's memory for a server's open session, with its connection, keys and newest row."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import aiohttp

from scripts.benches.hub.frames import LAYOUT, SERIES, dial, row
from scripts.benches.measure import Results, line, resident_mb
from spider.wire.codec import pack_rows
from spider.wire.sample_messages import STREAM_LIVE, Pack
from spider.wire.session import SecureChannel
from tests.support.hub import Enrolled, HubProcess

WARM_UP = 100
SESSIONS = 500
SETTLE_S = 5.0


async def connection() -> Results:
    """Memory of the hub: KiB that each session without TLS adds. The first WARM_UP sessions do not count, because they also load shared parts."""
    with tempfile.TemporaryDirectory() as folder:
        hub = HubProcess(Path(folder) / "data")
        await hub.start()
        try:
            nodes = hub.enrol(*(f"bench-{n}" for n in range(WARM_UP + SESSIONS)), simulated=True)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
                sessions = [await _session(http, hub, node) for node in nodes[:WARM_UP]]
                await asyncio.sleep(SETTLE_S)
                before = resident_mb(hub.pid)
                sessions += [await _session(http, hub, node) for node in nodes[WARM_UP:]]
                await asyncio.sleep(SETTLE_S)
                after = resident_mb(hub.pid)
                for socket, _ in sessions:
                    assert not socket.closed
        finally:
            await hub.stop()
    return [line("hub.connection", (after - before) * 1e6 / 1024 / SESSIONS, f"KiB with {len(SERIES)} series")]


async def _session(http: aiohttp.ClientSession, hub: HubProcess, node: Enrolled) -> tuple[aiohttp.ClientWebSocketResponse, SecureChannel]:
    """A session that has sent one row."""
    socket, link = await dial(http, hub.ws_url, f"127.0.0.1:{hub.port}", node)
    coding, body = pack_rows([row(int(time.time()) * 1000, os.getpid())])
    await socket.send_bytes(link.send(Pack(STREAM_LIVE, 0, LAYOUT.layout, coding, body)))
    return socket, link
