"""hub.frame_cpu: the hub's CPU for a frame of one second, compared with three small servers.

Two only echo the frame, one on aiohttp and one hand-written. The third is hand-written, and decodes and stores the frame. It has no tag,
proof, sequence, newest values or rights.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import aiohttp

from scripts.benches.hub.fleet import live_clients
from scripts.benches.measure import cpu_seconds
from spider.sampling.sampler import layout_of
from spider.wire.codec import pack_rows
from spider.wire.frames import Welcome
from spider.wire.sample_messages import CODING_PLAIN, STREAM_LIVE, Layout, Pack, Row
from spider.wire.session import NodeOpening, SecureChannel
from tests.support.hub import Enrolled, HubProcess

NODES = 100
SECONDS = 10
ROUNDS = 3
SERIES = [
    "cpu.total", "cpu.user", "cpu.system", "cpu.iowait", "cpu.steal", *(f"cpu.core{{core={n}}}" for n in range(8)),
    "load.1", "load.5", "load.15", "memory.total", "memory.used", "memory.available", "memory.cached", "memory.buffers", "swap.total", "swap.used",
    *(f"disk.{what}{{device=sd{d}}}" for what in ("read", "written", "busy") for d in "ab"),
    *(f"network.{what}{{interface=eth{n}}}" for what in ("received", "sent") for n in range(2)),
    "tcp.established", "tcp.time_wait", "tcp.listen",
]  # fmt: skip


class Cost(NamedTuple):
    frames: int
    cpu_s: float

    @property
    def us_per_frame(self) -> float:
        return self.cpu_s / self.frames * 1e6


def row(at_ms: int, salt: int) -> Row:
    """The row of a second of a busy machine, whose numbers change every second."""
    return Row(at_ms, [(salt * 7919 + n * 104729 + at_ms // 1000) % (10_000 if n < 13 else 4_000_000_000) for n in range(len(SERIES))])


async def node(socket: aiohttp.ClientWebSocketResponse, link: SecureChannel, number: int, seconds: int) -> int:
    """Send one pack each second, and read the hub's messages. Returns: the number of packs."""

    async def read() -> None:
        async for message in socket:
            link.receive(message.data, time.monotonic())

    reader = asyncio.create_task(read(), name=f"reader {number}")
    try:
        for second in range(seconds):
            at = time.time()
            body = pack_rows([row(int(at) * 1000, number)])
            await socket.send_bytes(link.send(Pack(STREAM_LIVE, second, LAYOUT.layout, body[0], body[1])))
            await asyncio.sleep(max(0.0, 1 - (time.time() - at)))
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader
    return seconds


LAYOUT: Layout = layout_of("pulse", 1, SERIES)


async def dial(
    http: aiohttp.ClientSession, url: str, host: str, enrolled: Enrolled
) -> tuple[aiohttp.ClientWebSocketResponse, SecureChannel]:
    """Open one session of a node, and send its layout."""
    socket = await http.ws_connect(url, protocols=["stardust.v1"], compress=0, max_msg_size=256 * 1024)
    opening = NodeOpening(
        enrolled.node_id, enrolled.generation, enrolled.session_key, os.urandom(16).hex(), host, "bench", [], [], os.urandom(32)
    )
    await socket.send_bytes(opening.hello())
    answer, link = opening.challenge(await socket.receive_bytes(timeout=10))
    await socket.send_bytes(answer)
    welcome = link.receive(await socket.receive_bytes(timeout=10), time.monotonic())
    assert isinstance(welcome, Welcome)
    await socket.send_bytes(link.send(LAYOUT))
    return socket, link


@contextlib.asynccontextmanager
async def a_page(hub: HubProcess) -> AsyncIterator[None]:
    """A page that follows the fleet."""

    async def read(socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await socket.receive_bytes()

    async with live_clients(hub, 1) as [socket]:
        reader = asyncio.create_task(read(socket), name="page")
        try:
            yield
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader


async def hub_cost(ready: asyncio.Barrier, *, watched: bool = False) -> Cost:
    """The cost of the real hub, which checks, stores and acknowledges every frame.

    Args: ready: the frames begin when all that are measured at the same time are here. watched: a page also follows the fleet.
    """
    with tempfile.TemporaryDirectory() as folder:
        hub = HubProcess(Path(folder) / "data")
        await hub.start()
        try:
            nodes = hub.enrol(*(f"bench-{n}" for n in range(NODES)), simulated=True)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
                dialled = [await dial(http, hub.ws_url, f"127.0.0.1:{hub.port}", enrolled) for enrolled in nodes]
                async with a_page(hub) if watched else contextlib.nullcontext():
                    await ready.wait()
                    before = cpu_seconds(hub.pid)
                    async with asyncio.TaskGroup() as group:
                        tasks = []
                        for number, (socket, link) in enumerate(dialled):
                            tasks.append(group.create_task(node(socket, link, number, SECONDS)))
                            await asyncio.sleep(1 / NODES)
                    return Cost(sum(task.result() for task in tasks), cpu_seconds(hub.pid) - before)
        finally:
            await hub.stop()


ECHO = """
import asyncio, sys, uvloop
from aiohttp import web
async def echo(request):
    socket = web.WebSocketResponse(compress=False); await socket.prepare(request)
    async for message in socket: await socket.send_bytes(message.data)
    return socket
async def main():
    app = web.Application(); app.router.add_get("/", echo)
    runner = web.AppRunner(app); await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0); await site.start()
    print(runner.addresses[0][1], flush=True); await asyncio.Event().wait()
uvloop.run(main())
"""


BY_HAND = """
import asyncio, base64, hashlib, uvloop
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.data, self.open = transport, b"", False
    def data_received(self, data):
        self.data += data
        if not self.open: self.shake()
        while self.open and len(self.data) >= 6:
            at, length = 2, self.data[1] & 127
            if length == 126: at, length = 4, int.from_bytes(self.data[2:4], "big")
            if len(self.data) < at + 4 + length: return
            mask, body = self.data[at : at + 4] * (length // 4 + 1), self.data[at + 4 : at + 4 + length]
            self.data = self.data[at + 4 + length :]
            plain = (int.from_bytes(body, "big") ^ int.from_bytes(mask[:length], "big")).to_bytes(length, "big")
            self.keep(plain)
            head = bytes((130, length)) if length < 126 else bytes((130, 126)) + length.to_bytes(2, "big")
            self.transport.write(head + plain)
    def keep(self, plain): pass
    def shake(self):
        head, end, rest = self.data.partition(b"\\r\\n\\r\\n")
        if not end: return
        key = next(line.split(b":", 1)[1].strip() for line in head.split(b"\\r\\n") if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        reply = (b"HTTP/1.1 101 x", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + accept, b"", b"")
        self.transport.write(b"\\r\\n".join(reply))
        self.open, self.data = True, rest
async def main(protocol):
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True); await asyncio.Event().wait()
"""
ECHO_BY_HAND = BY_HAND + "uvloop.run(main(Echo))"
STORE_BY_HAND = (
    BY_HAND
    + """
import msgspec, sqlite3, sys
decode = msgspec.msgpack.Decoder(list[bytes]).decode
decode_row = msgspec.msgpack.Decoder(tuple[int, list[int | None]]).decode
waiting = []
class Store(Echo):
    def keep(self, plain):
        body = plain[2:-33]
        rows = [decode_row(row) for row in decode(body)]
        waiting.append((rows[0][0], len(waiting), body))
def commit(db, rows):
    db.execute("BEGIN"); db.executemany("INSERT INTO hot VALUES (?, ?, ?)", rows); db.execute("COMMIT")
async def store():
    db = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)
    for each in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE hot (at INTEGER, n INTEGER, body BLOB)"): db.execute(each)
    serving = asyncio.ensure_future(main(Store))
    while True:
        await asyncio.sleep(1)
        rows, waiting[:] = list(waiting), []
        if rows: await asyncio.to_thread(commit, db, rows)
uvloop.run(store())
"""
)


async def echo_cost(ready: asyncio.Barrier, program: str) -> Cost:
    """The cost of a small server that gets the same frames, and sends them back. `ready`: as in `hub_cost`."""
    folder = tempfile.TemporaryDirectory()
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(Path(folder.name) / "hot.db")), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    try:
        port = int(await asyncio.wait_for(server.stdout.readline(), 20))
        coding, body = pack_rows([row(int(time.time()) * 1000, 1)])
        frame = bytes([0x92, 11]) + body + bytes(32) + bytes([coding == CODING_PLAIN])

        async def client(http: aiohttp.ClientSession) -> int:
            socket = await http.ws_connect(f"http://127.0.0.1:{port}/", compress=0)
            for _ in range(SECONDS):
                at = time.time()
                await socket.send_bytes(frame)
                await socket.receive_bytes(timeout=10)
                await asyncio.sleep(max(0.0, 1 - (time.time() - at)))
            return SECONDS

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            await ready.wait()
            before = cpu_seconds(server.pid)
            async with asyncio.TaskGroup() as group:
                tasks = []
                for _ in range(NODES):
                    tasks.append(group.create_task(client(http)))
                    await asyncio.sleep(1 / NODES)
            return Cost(sum(task.result() for task in tasks), cpu_seconds(server.pid) - before)
    finally:
        server.terminate()
        await server.wait()
        folder.cleanup()


async def frame_cpu() -> list[dict[str, object]]:
    """Medians of ROUNDS rounds, less than a minute together. All servers work in the same seconds, so a busy machine slows all alike.

    `.watched`: the hub with a page that follows the fleet, compared with the storing server without a page.
    """
    programs = {"": ECHO, ".by_hand": STORE_BY_HAND, ".by_hand_echo": ECHO_BY_HAND}
    costs: list[list[float]] = []
    for _ in range(ROUNDS):
        ready = asyncio.Barrier(len(programs) + 2)
        small = [echo_cost(ready, program) for program in programs.values()]
        found = await asyncio.gather(*small, hub_cost(ready), hub_cost(ready, watched=True))
        costs.append([cost.us_per_frame for cost in found])
    *of_programs, hub, watched = ([each[place] for each in costs] for place in range(len(programs) + 2))
    floors = dict(zip(programs, of_programs, strict=True))
    pairs = [(name, hub, floor) for name, floor in floors.items()] + [(".watched", watched, floors[".by_hand"])]
    return [
        {
            "name": f"hub.frame_cpu{name}",
            "value": round(statistics.median(ours), 1),
            "unit": "us/frame",
            "versus": round(statistics.median(floor), 1),
            "ratio": round(statistics.median(a / b for a, b in zip(ours, floor, strict=True)), 2),
        }
        for name, ours, floor in pairs
    ]
