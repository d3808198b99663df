"""Crowds at a hub: all nodes reconnect at once, pages read too slowly, and other servers answer in its place."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import cast

import aiohttp
import msgspec
import pytest

from spider.hub.backoff import LEAST_INTERVAL_S, Backoff
from spider.wire.frames import Heartbeat
from tests.support.agent import AgentClosed, SpiderProcess, TestAgent, agents, layout_of, pack_of
from tests.support.eventually import eventually
from tests.support.faults import PACK_ROWS, SETTLE_LIMIT_S, WorkingNode, begin_job, check_all, check_fleet, end_job, open_files, working
from tests.support.hub import HubProcess
from tests.support.invariants import check_databases, held_samples

SLOW_LIMIT_S = 40.0
STORM_LIMIT_S = 90.0
HEARTBEAT_S = 10.0
MEBIBYTE = 1 << 20
CROWD_LIMIT_BYTES = 300 * MEBIBYTE
CLOCK_S = 0.02
"""So much earlier a timer may end than it says."""


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("a process without memory")


# -- all at once -----------------------------------------------------------------------------------------------


async def push_in(agent: TestAgent, refused: Counter[str]) -> float:
    """Come in as soon as the hub lets one in, waiting as long as it says; returns how long a handshake took that went well."""
    while True:
        began = time.monotonic()
        try:
            await agent.join()
            return time.monotonic() - began
        except aiohttp.WSServerHandshakeError as error:
            if error.status not in (429, 503) or error.headers is None:
                raise
            refused[str(error.status)] += 1
            await asyncio.sleep(min(2.0, float(error.headers["Retry-After"])) / 2)
        except (AgentClosed, aiohttp.ClientError, OSError, TimeoutError):
            refused["cut"] += 1
            await asyncio.sleep(0.5)


async def stay(agent: TestAgent, everybody: asyncio.Event) -> None:
    """Send until all are connected: long silent nodes are disconnected."""
    while not everybody.is_set():
        await agent.say(Heartbeat(0))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(everybody.wait(), HEARTBEAT_S)


def _few_files(hub: HubProcess, most: int) -> bool:
    return open_files(hub.pid) < most


async def storm(hub: HubProcess, count: int, times: int) -> None:
    """F-31: no node waits a moment, and log-ins are answered all the while."""
    nodes = await asyncio.to_thread(hub.enrol, *(f"node-{number}" for number in range(count)))
    refused: Counter[str] = Counter()
    start = time.time()
    for _ in range(times):
        files = open_files(hub.pid) + 20
        async with agents(hub, *nodes) as crowd:
            began = time.monotonic()
            everybody, left = asyncio.Event(), len(crowd)

            async def come(agent: TestAgent, everybody: asyncio.Event = everybody) -> float:
                nonlocal left
                took = await push_in(agent, refused)
                left -= 1
                if not left:
                    everybody.set()
                await stay(agent, everybody)
                return took

            coming = asyncio.gather(*map(come, crowd))
            await asyncio.to_thread(hub.login)
            log_in_s = time.monotonic() - began
            async with asyncio.timeout(STORM_LIMIT_S):
                took = await coming
            came_s = time.monotonic() - began
            await asyncio.gather(*(agent.say(layout_of(), pack_of(agent.acked[0] + 1)) for agent in crowd))
            await asyncio.gather(*(agent.wait_acked(agent.acked[0] + 1, limit_s=SETTLE_LIMIT_S) for agent in crowd))
            assert resident_bytes(hub.pid) < CROWD_LIMIT_BYTES
            print(f"{count} came in {came_s:.1f} s; log-in {log_in_s:.1f} s; worst handshake {max(took):.2f} s; refused {dict(refused)}")
        await eventually(partial(_few_files, hub, files), SETTLE_LIMIT_S, "sockets are left")
        await hub.kill()
        await asyncio.to_thread(check_databases, hub.folder)
        await hub.start()
    held = Counter(sample.value for sample in await held_samples(hub.folder, {"pulse": "load.1"}, start - 10, time.time() + 10))
    assert held == {seq * 100: count for seq in range(times)}, "what each said each time is held once"


@pytest.mark.holds("SAFETY-52", "F-31")
async def test_a_hundred_simultaneous_nodes_and_an_admin_are_all_connected(hub: HubProcess) -> None:
    await storm(hub, 100, 1)


@pytest.mark.holds("SAFETY-88", "F-31")
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_thousand_simultaneous_nodes_and_an_admin_are_all_connected(hub: HubProcess) -> None:
    await storm(hub, 1000, 3)


class Noted(Backoff):
    """The agent's own patience, and when it dialled."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[float] = []

    def after(self, attempt_s: float, healthy_s: float, code: int = 0, reason: str = "", retry_after_s: float | None = None) -> float:
        self.began.append(time.monotonic() - attempt_s)
        return super().after(attempt_s, healthy_s, code, reason, retry_after_s)


def _all_settled(nodes: list[WorkingNode]) -> bool:
    return all(node.outbox.settled() and node.outbox.pending()[0] < PACK_ROWS for node in nodes)


@pytest.mark.holds("SAFETY-88", "F-30")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("count", "away_s"), [(12, 5), pytest.param(1000, 120, marks=pytest.mark.slow)])
async def test_a_fleet_returns_to_a_restarted_hub_at_its_own_pace(tmp_path: Path, count: int, away_s: int) -> None:
    """No node connects more than once a second, log-in works meanwhile, and every sample is stored once."""
    hub = HubProcess(tmp_path / "hub")
    with hub:
        async with working(hub, tmp_path, count, patience=Noted, limit_s=STORM_LIMIT_S) as nodes:
            await asyncio.gather(*(node.seconds(20) for node in nodes))
            await hub.kill()
            await asyncio.sleep(away_s)  # the outage is the point
            await asyncio.gather(*(node.seconds(20) for node in nodes))
            began = time.monotonic()
            await hub.start()
            logging_in = asyncio.create_task(asyncio.to_thread(hub.login))
            await eventually(lambda: all(node.online for node in nodes), STORM_LIMIT_S, lambda: hub.output[-4000:])
            print(f"{count} came back in {time.monotonic() - began:.0f} s; {resident_bytes(hub.pid) / MEBIBYTE:.0f} MiB")
            await logging_in
            await eventually(partial(_all_settled, nodes), SETTLE_LIMIT_S, "the hub has not taken everything")
            await check_fleet(hub.folder, nodes, {})
        for node in nodes:
            assert isinstance(node.patience, Noted)
            tries = node.patience.began
            assert len(tries) >= 2, "it was cut off, and has dialled"
            assert min(later - earlier for earlier, later in pairwise(tries)) > LEAST_INTERVAL_S - CLOCK_S


@pytest.mark.holds("F-30")
@pytest.mark.slow
async def test_a_node_reconnects_with_the_agents_own_backoff(tmp_path: Path) -> None:
    """For one node: samples and a job's output are complete, and reconnects are not too frequent."""
    hub = HubProcess(tmp_path / "hub")
    with hub:
        async with working(hub, tmp_path, patience=Backoff) as [node]:
            job = await begin_job(hub, node)
            for _ in range(2):
                await hub.kill()
                await node.seconds(30)
                await hub.start()
                await eventually(lambda: node.online, STORM_LIMIT_S)
            await end_job(hub, node, job)
            await node.settle()
            await check_all(hub.folder, node, job)


# -- slow pages ------------------------------------------------------------------------------------------------


def held_sockets(hub: HubProcess, ports: set[int]) -> set[int]:
    """Those of a page's ports to which the hub still has a socket (proc_net_tcp(5)); what the kernel alone still sends has no inode."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        here, there = (int(field.partition(":")[2], 16) for field in fields[1:3])
        if here == hub.port and there in ports and fields[9] != "0":
            found.add(there)
    return found


async def slow_pages(hub: HubProcess, folder: Path, count: int, lines_mb: float) -> None:
    """F-15: pages that follow a job without reading are notified and disconnected; the hub stays small, and a reading page gets every byte."""
    async with working(hub, folder) as [node]:
        job = await begin_job(hub, node)
        token = (await asyncio.to_thread(hub.login)).token
        runner = node.runners[job]
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}, connector=connector) as http_:
            subscription = msgspec.msgpack.encode(["subscribe", {"topic": f"job:{job}"}])
            stuck: list[tuple[aiohttp.ClientWebSocketResponse, asyncio.Transport]] = []
            ports = set()
            for _ in range(count):
                page = await http_.ws_connect(f"{hub.url}/api/v1/live", max_msg_size=0)
                transport = page._response.connection.transport  # type: ignore[union-attr]
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # type: ignore[union-attr]
                ports.add(transport.get_extra_info("sockname")[1])  # type: ignore[union-attr]
                await page.send_bytes(subscription)
                transport.pause_reading()  # type: ignore[union-attr]
                stuck.append((page, cast("asyncio.Transport", transport)))
            live = await http_.ws_connect(f"{hub.url}/api/v1/live", max_msg_size=0)
            await live.send_bytes(subscription)
            got = asyncio.create_task(read_output(live))
            assert held_sockets(hub, ports) == ports
            before = resident_bytes(hub.pid)
            worst = before
            block = b"a line that a page reads too slowly, over and over again ...\r\n" * 4096
            while len(runner.printed) < lines_mb * MEBIBYTE:
                runner.say(block)
                worst = max(worst, resident_bytes(hub.pid))
                await node.seconds(3)
            began = time.monotonic()
            while (reply := await hub.call("GET", f"/api/v1/jobs/{job}")).json["output_bytes"] < lines_mb * MEBIBYTE:
                worst = max(worst, resident_bytes(hub.pid))
                assert time.monotonic() - began < SETTLE_LIMIT_S, reply.body
                await asyncio.sleep(0.1)
            done = await end_job(hub, node, job)
            assert done["state"] == "succeeded"
            assert await asyncio.wait_for(got, SETTLE_LIMIT_S) == len(runner.printed), "the page that reads has every byte"
            await eventually(lambda: not held_sockets(hub, ports), SLOW_LIMIT_S, "pages that read nothing are not cut")
            for _, opened in stuck:
                opened.abort()
            print(f"{count} slow pages: {(worst - before) / MEBIBYTE:.0f} MiB more at most")
            assert worst - before < (32 + 4 * count) * MEBIBYTE
        await node.settle()
        await check_all(hub.folder, node, job)


async def read_output(page: aiohttp.ClientWebSocketResponse) -> int:
    """Bytes of output until the job's end."""
    got = 0
    while True:
        kind, body = msgspec.msgpack.decode(await page.receive_bytes())
        if kind != "change":
            continue
        if "output" in body["data"]:
            assert body["data"]["offset"] == got
            got += len(body["data"]["output"])
        elif body["data"]["job"]["ended_at"] is not None:
            return got


@pytest.mark.holds("SAFETY-85", "F-15")
@pytest.mark.timeout(240)
async def test_a_page_that_reads_nothing_is_disconnected_and_takes_little_memory(hub: HubProcess, tmp_path: Path) -> None:
    await slow_pages(hub, tmp_path, 1, 12)


@pytest.mark.holds("F-15")
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_twenty_pages_that_read_nothing_are_disconnected_and_take_little_memory(hub: HubProcess, tmp_path: Path) -> None:
    await slow_pages(hub, tmp_path, 20, 120)


# -- no hub at all ---------------------------------------------------------------------------------------------


class Captive(http.server.BaseHTTPRequestHandler):
    """What a network that wants a log-in first answers to everything."""

    def do_GET(self) -> None:
        self.server.tries.append(time.monotonic())  # type: ignore[attr-defined]
        page = b"<html>please accept our terms</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def captive(port: int) -> Iterator[list[float]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Captive)
    tries: list[float] = []
    server.tries = tries  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield tries
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.holds("SAFETY-98", "F-37")
async def test_a_web_page_in_place_of_the_hub_fails_plainly_and_the_node_returns(hub: HubProcess, tmp_path: Path) -> None:
    """The real agent, at most one attempt a second."""
    [node] = await asyncio.to_thread(hub.enrol, "captive")
    await hub.stop()
    spider = SpiderProcess(tmp_path / "spider", hub, node)
    try:
        with captive(hub.port) as tries:
            spider.launch()
            await eventually(lambda: len(tries) >= 3, 40)
            assert spider.process is not None
            assert spider.process.poll() is None
            assert "Traceback" not in spider.log
            assert tries[-1] - tries[0] >= LEAST_INTERVAL_S * (len(tries) - 1) / 2, "it hammers at the door"
        await hub.start()
        await eventually(lambda: hub.node(node.node_id)["state"] == "online", STORM_LIMIT_S)
    finally:
        await asyncio.to_thread(spider.close)
    await asyncio.to_thread(check_databases, hub.folder)
