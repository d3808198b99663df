"""hub.frame_cpu: the hub's CPU for a frame of one second, compared with a small server that decodes and stores it, and sends it back.

It is written by hand, and has no tag, proof, sequence, newest values or rights.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp

from scripts.benches.measure import Results, cpu_seconds, line
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


async def hub_cost(ready: asyncio.Barrier) -> Cost:
    """The cost of the real hub, which checks, stores and acknowledges every frame.

    Args: ready: the frames begin when all that are measured at the same time are here.
    """
    with tempfile.TemporaryDirectory() as folder:
        hub = HubProcess(Path(folder) / "data")
        await hub.start()
        try:
            nodes = hub.enrol(*(f"bench-{n}" for n in range(NODES)), simulated=True)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
                dialled = [await dial(http, hub.ws_url, f"127.0.0.1:{hub.port}", enrolled) for enrolled in nodes]
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


STORE_BY_HAND = """
import asyncio, base64, hashlib, msgspec, sqlite3, sys, uvloop
decode = msgspec.msgpack.Decoder(list[bytes]).decode
decode_row = msgspec.msgpack.Decoder(tuple[int, list[int | None]]).decode
waiting = []
class Store(asyncio.Protocol):
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
    def keep(self, plain):
        rows = [decode_row(row) for row in decode(plain[2:-33])]
        waiting.append((rows[0][0], len(waiting), plain[2:-33]))
    def shake(self):
        head, end, rest = self.data.partition(b"\\r\\n\\r\\n")
        if not end: return
        key = next(line.split(b":", 1)[1].strip() for line in head.split(b"\\r\\n") if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        reply = (b"HTTP/1.1 101 x", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + accept, b"", b"")
        self.transport.write(b"\\r\\n".join(reply))
        self.open, self.data = True, rest
def commit(db, rows):
    db.execute("BEGIN"); db.executemany("INSERT INTO hot VALUES (?, ?, ?)", rows); db.execute("COMMIT")
async def main():
    db = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)
    for each in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE hot (at INTEGER, n INTEGER, body BLOB)"): db.execute(each)
    server = await asyncio.get_running_loop().create_server(Store, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while True:
        await asyncio.sleep(1)
        rows, waiting[:] = list(waiting), []
        if rows: await asyncio.to_thread(commit, db, rows)
uvloop.run(main())
"""


async def small_cost(ready: asyncio.Barrier) -> Cost:
    """The cost of the small server, which gets the same frames. `ready`: as in `hub_cost`."""
    folder = tempfile.TemporaryDirectory()
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STORE_BY_HAND, str(Path(folder.name) / "hot.db")), stdout=asyncio.subprocess.PIPE
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


async def frame_cpu() -> Results:
    """CPU of the hub for a frame of one second, beside a small server. Medians of ROUNDS rounds, less than a minute together. Both servers work in the same seconds, so a busy machine slows both alike."""
    costs = []
    for _ in range(ROUNDS):
        ready = asyncio.Barrier(2)
        costs.append([cost.us_per_frame for cost in await asyncio.gather(hub_cost(ready), small_cost(ready))])
    own, small = (statistics.median(taken) for taken in zip(*costs, strict=True))
    return [line("hub.frame_cpu", own, "us/frame", small) | {"ratio": round(statistics.median(a / b for a, b in costs), 2)}]
